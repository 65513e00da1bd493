"""Approval by policy and delegation, judging a week entry by entry, corrections after approval."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0009"
down_revision = "0008"

_SQL = """
-- A week has one sheet for each company that employs the person in it. One of its drafts takes what
-- is recorded; others hold what was sent back or taken back, and only lose entries.
ALTER TABLE timesheet
    ADD COLUMN takes_entries boolean NOT NULL DEFAULT false,
    ADD COLUMN decided_for text,
    ADD COLUMN split_from_timesheet_id uuid REFERENCES timesheet,
    ADD CHECK (NOT takes_entries OR status = 'draft'),
    ADD CHECK (decided_for IS NULL OR decided_by IS NOT NULL);
UPDATE timesheet SET takes_entries = true WHERE status = 'draft';
ALTER TABLE timesheet ALTER COLUMN takes_entries DROP DEFAULT;
DROP INDEX timesheet_draft;
CREATE UNIQUE INDEX timesheet_draft ON timesheet (person_id, legal_entity_id, week_start)
    WHERE takes_entries;
CREATE INDEX timesheet_open ON timesheet (week_start, person_id)
    WHERE status IN ('draft', 'rejected');

CREATE TABLE timesheet_finding (
    timesheet_id uuid    NOT NULL REFERENCES timesheet,
    position     integer NOT NULL CHECK (position > 0),
    rule         text    NOT NULL,
    message      text    NOT NULL,
    work_date    date,
    PRIMARY KEY (timesheet_id, position)
);

-- What a sheet was not approved with, and why.
CREATE TABLE time_entry_rejection (
    time_entry_id uuid        NOT NULL,
    timesheet_id  uuid        NOT NULL REFERENCES timesheet,
    reason        text        NOT NULL CHECK (reason <> ''),
    rejected_by   text        NOT NULL,
    rejected_at   timestamptz NOT NULL,
    PRIMARY KEY (time_entry_id, timesheet_id)
);
COMMENT ON TABLE time_entry_rejection IS 'append-only: what was sent back, from which sheet';

CREATE TABLE time_correction (
    time_correction_id uuid        PRIMARY KEY,
    kind               text        NOT NULL CHECK (kind IN ('reversal', 'reentry', 'move')),
    reason             text        NOT NULL CHECK (reason <> ''),
    corrected_by       text        NOT NULL,
    corrected_at       timestamptz NOT NULL,
    reversed_count     integer     NOT NULL CHECK (reversed_count > 0),
    reversed_minutes   integer     NOT NULL CHECK (reversed_minutes > 0),
    entered_minutes    integer     NOT NULL CHECK (entered_minutes >= 0),
    legal_entity_ids   uuid[]      NOT NULL CHECK (cardinality(legal_entity_ids) > 0)
);
COMMENT ON TABLE time_correction IS 'append-only: every correction of approved time';

-- A reversal has the negative minutes of the entry it takes back; the day keeps the sum of both.
ALTER TABLE time_entry
    ADD COLUMN activity text NOT NULL DEFAULT '',
    ADD COLUMN reverses_time_entry_id uuid,
    ADD COLUMN replaces_time_entry_id uuid,
    ADD COLUMN time_correction_id uuid,
    DROP CONSTRAINT time_entry_minutes_check,
    ADD CONSTRAINT time_entry_minutes_check CHECK (
        CASE WHEN reverses_time_entry_id IS NULL THEN minutes BETWEEN 1 AND 1440
             ELSE minutes BETWEEN -1440 AND -1 END),
    ADD CONSTRAINT time_entry_correction CHECK (
        (time_correction_id IS NOT NULL)
        = (num_nonnulls(reverses_time_entry_id, replaces_time_entry_id) = 1)
        AND num_nonnulls(reverses_time_entry_id, replaces_time_entry_id) <= 1);
ALTER TABLE time_entry ALTER COLUMN activity DROP DEFAULT;
-- An entry is taken back once and replaced once, whoever tries at the same moment.
CREATE UNIQUE INDEX time_entry_reversal ON time_entry (reverses_time_entry_id)
    WHERE reverses_time_entry_id IS NOT NULL;
CREATE UNIQUE INDEX time_entry_replacement ON time_entry (replaces_time_entry_id)
    WHERE replaces_time_entry_id IS NOT NULL;
CREATE INDEX time_entry_by_correction ON time_entry (time_correction_id)
    WHERE time_correction_id IS NOT NULL;

CREATE TABLE time_approval_policy (
    legal_entity_id uuid    PRIMARY KEY,
    version         bigint  NOT NULL CHECK (version > 0),
    approver        text    NOT NULL CHECK (approver IN
        ('pmo', 'project_manager', 'line_manager')),
    reminder_days   integer NOT NULL CHECK (reminder_days BETWEEN 1 AND 365)
);

-- Approvers go by the subjects they sign in with: not all of them are people who record time.
CREATE TABLE delegation (
    delegation_id   uuid        PRIMARY KEY,
    version         bigint      NOT NULL CHECK (version > 0),
    delegator       text        NOT NULL CHECK (delegator <> ''),
    delegate        text        NOT NULL CHECK (delegate <> ''),
    scope           text        NOT NULL CHECK (scope IN ('time', 'expenses', 'all')),
    by_pmo          boolean     NOT NULL,
    legal_entity_id uuid,
    starts_on       date        NOT NULL,
    ends_on         date        NOT NULL,
    reason          text        NOT NULL,
    created_by      text        NOT NULL,
    created_at      timestamptz NOT NULL,
    revoked_by      text,
    revoked_at      timestamptz,
    CHECK (delegator <> delegate),
    CHECK (starts_on < ends_on),
    CHECK ((revoked_by IS NULL) = (revoked_at IS NULL))
);
CREATE INDEX delegation_by_delegate ON delegation (delegate, starts_on) WHERE revoked_at IS NULL;
CREATE INDEX delegation_by_delegator ON delegation (delegator, delegation_id);
"""


def upgrade() -> None:
    run_sql(op, _SQL)
