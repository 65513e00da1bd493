"""People, their timesheets and time entries."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0003"
down_revision = "0002"

_SQL = """
CREATE TABLE person (
    person_id       uuid   PRIMARY KEY,
    version         bigint NOT NULL CHECK (version > 0),
    name            text   NOT NULL,
    legal_entity_id uuid   NOT NULL,
    role            text   NOT NULL CHECK (role <> ''),
    level           text   NOT NULL,
    region          text   NOT NULL,
    employed_from   date   NOT NULL,
    subject         text   UNIQUE CHECK (subject <> '')
);

-- What one decision covers: time that comes after a sheet was handed in goes to a further sheet of
-- the same week. A sheet of time approved elsewhere is born approved.
CREATE TABLE timesheet (
    timesheet_id     uuid        PRIMARY KEY,
    version          bigint      NOT NULL CHECK (version > 0),
    person_id        uuid        NOT NULL REFERENCES person,
    legal_entity_id  uuid        NOT NULL,
    week_start       date        NOT NULL CHECK (extract(isodow FROM week_start) = 1),
    status           text        NOT NULL CHECK (status IN
        ('draft', 'submitted', 'approved', 'rejected')),
    submitted_by     text,
    submitted_at     timestamptz,
    decided_by       text,
    decided_at       timestamptz,
    decision_id      uuid,
    rejection_reason text,
    CHECK ((status IN ('approved', 'rejected')) = (decided_by IS NOT NULL)),
    CHECK ((decided_by IS NULL) = (decided_at IS NULL)),
    CHECK ((status = 'approved') = (decision_id IS NOT NULL)),
    CHECK ((status = 'rejected') = (rejection_reason IS NOT NULL))
);
-- Two writers who record time for one week at once meet on the same draft.
CREATE UNIQUE INDEX timesheet_draft ON timesheet (person_id, week_start) WHERE status = 'draft';
CREATE INDEX timesheet_by_person ON timesheet (person_id, week_start);
CREATE INDEX timesheet_submitted ON timesheet (week_start) WHERE status = 'submitted';

-- The sum of a person's entries of a day. Its CHECK is what keeps two writers from passing 24 hours
-- together; the entries themselves could only be summed by locking them all.
CREATE TABLE person_day (
    person_id uuid    NOT NULL,
    work_date date    NOT NULL,
    minutes   integer NOT NULL,
    PRIMARY KEY (person_id, work_date),
    CONSTRAINT person_day_minutes CHECK (minutes BETWEEN 0 AND 1440)
);

-- No foreign keys: the rows they would point to are read in the same transaction and never deleted,
-- and checking three of them costs a third of a bulk insert. The id of an entry that has a source
-- is derived from it, so that the primary key refuses the second copy.
CREATE TABLE time_entry (
    time_entry_id      uuid        PRIMARY KEY,
    timesheet_id       uuid        NOT NULL,
    person_id          uuid        NOT NULL,
    legal_entity_id    uuid        NOT NULL,
    project_id         uuid        NOT NULL,
    task_id            uuid        NOT NULL,
    contract_id        uuid        NOT NULL,
    contract_line_id   uuid        NOT NULL,
    engagement_id      uuid        NOT NULL,
    work_date          date        NOT NULL,
    minutes            integer     NOT NULL CHECK (minutes BETWEEN 1 AND 1440),
    role               text        NOT NULL,
    level              text        NOT NULL,
    region             text        NOT NULL,
    billable           boolean     NOT NULL,
    note               text        NOT NULL,
    source_system      text,
    source_object_type text,
    source_object_id   text,
    recorded_at        timestamptz NOT NULL
);
CREATE INDEX time_entry_by_timesheet ON time_entry (timesheet_id);
CREATE INDEX time_entry_by_project ON time_entry (project_id, work_date);
"""


def upgrade() -> None:
    run_sql(op, _SQL)
