"""The plan: predecessors, assignments, baselines, estimates, and the history of acceptance."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0007"
down_revision = "0006"

_SQL = """
ALTER TABLE project ADD COLUMN requires_assignment boolean NOT NULL DEFAULT false;
ALTER TABLE task ADD COLUMN predecessor_task_ids uuid[] NOT NULL DEFAULT '{}';

ALTER TABLE milestone
    ADD COLUMN recorded_by text NOT NULL DEFAULT '',
    ADD COLUMN acceptance_requested_on date,
    ADD COLUMN split_from_milestone_id uuid REFERENCES milestone,
    ADD CHECK (acceptance_requested_on >= completed_on);
CREATE INDEX milestone_awaiting ON milestone (completed_on) WHERE status = 'completed';

CREATE TABLE milestone_step (
    milestone_id      uuid           NOT NULL REFERENCES milestone,
    milestone_version bigint         NOT NULL CHECK (milestone_version > 0),
    kind              text           NOT NULL CHECK (kind IN
        ('completed', 'requested', 'accepted', 'accepted_in_part', 'rejected', 'withdrawn',
         'rescheduled', 'split_off')),
    happened_on       date           NOT NULL,
    party             text           NOT NULL,
    document_sha256   text           NOT NULL CHECK (document_sha256 ~ '^([0-9a-f]{64})?$'),
    amount            numeric(18, 6) NOT NULL CHECK (amount >= 0 AND amount < 'Infinity'),
    currency          text           NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    reason            text           NOT NULL,
    recorded_by       text           NOT NULL,
    recorded_at       timestamptz    NOT NULL,
    PRIMARY KEY (milestone_id, milestone_version)
);
COMMENT ON TABLE milestone_step IS 'append-only: all that happened to each milestone';

-- A withdrawal spans two services: what was begun is kept until billing-event has answered.
CREATE TABLE milestone_withdrawal (
    milestone_id      uuid        PRIMARY KEY REFERENCES milestone,
    milestone_version bigint      NOT NULL CHECK (milestone_version > 0),
    reason            text        NOT NULL,
    requested_by      text        NOT NULL,
    requested_at      timestamptz NOT NULL
);

CREATE TABLE plan_policy (
    legal_entity_id          uuid    PRIMARY KEY,
    version                  bigint  NOT NULL CHECK (version > 0),
    acceptance_reminder_days integer NOT NULL CHECK (acceptance_reminder_days BETWEEN 1 AND 365),
    budget_warning_percent   integer NOT NULL CHECK (budget_warning_percent BETWEEN 1 AND 100)
);

CREATE TABLE task_estimate (
    estimate_id     uuid           PRIMARY KEY,
    task_id         uuid           NOT NULL REFERENCES task,
    remaining_hours numeric(12, 2) NOT NULL CHECK (remaining_hours BETWEEN 0 AND 9999999999),
    as_of           date           NOT NULL,
    note            text           NOT NULL,
    entered_by      text           NOT NULL,
    entered_at      timestamptz    NOT NULL
);
CREATE INDEX task_estimate_by_task ON task_estimate (task_id, estimate_id);
COMMENT ON TABLE task_estimate IS 'append-only: what was thought to remain, and when';

CREATE TABLE staffing_request (
    staffing_request_id uuid           PRIMARY KEY,
    version             bigint         NOT NULL CHECK (version > 0),
    project_id          uuid           NOT NULL REFERENCES project,
    legal_entity_id     uuid           NOT NULL,
    contract_line_id    uuid,
    role                text           NOT NULL,
    level               text           NOT NULL,
    region              text           NOT NULL,
    skills              text[]         NOT NULL,
    starts_on           date           NOT NULL,
    ends_on             date           NOT NULL,
    hours               numeric(12, 2) NOT NULL CHECK (hours > 0 AND hours <= 9999999999),
    note                text           NOT NULL,
    requested_by        text           NOT NULL,
    cancelled_reason    text,
    CHECK (starts_on < ends_on)
);
CREATE INDEX staffing_request_by_project ON staffing_request (project_id, staffing_request_id);

CREATE TABLE assignment (
    assignment_id           uuid           PRIMARY KEY,
    version                 bigint         NOT NULL CHECK (version > 0),
    project_id              uuid           NOT NULL REFERENCES project,
    task_id                 uuid           REFERENCES task,
    person_id               uuid           NOT NULL REFERENCES person,
    legal_entity_id         uuid           NOT NULL,
    engagement_id           uuid           NOT NULL,
    correlation_id          uuid           NOT NULL,
    role                    text           NOT NULL,
    booking                 text           NOT NULL CHECK (booking IN ('soft', 'hard')),
    ended                   boolean        NOT NULL,
    starts_on               date           NOT NULL,
    ends_on                 date           NOT NULL,
    planned_hours           numeric(12, 2) NOT NULL CHECK (planned_hours BETWEEN 0 AND 9999999999),
    transfer_rule           text           NOT NULL CHECK (transfer_rule IN ('follow', 'stop')),
    staffing_request_id     uuid           REFERENCES staffing_request,
    continues_assignment_id uuid           REFERENCES assignment,
    reason                  text           NOT NULL,
    -- Only what was ended before it began has no days.
    CHECK (starts_on < ends_on OR (ended AND starts_on = ends_on))
);
CREATE INDEX assignment_by_project ON assignment (project_id, assignment_id);
CREATE INDEX assignment_by_person ON assignment (person_id, starts_on);
CREATE INDEX assignment_by_staffing_request ON assignment (staffing_request_id)
    WHERE staffing_request_id IS NOT NULL;

-- Bookings are summed by person and week, whatever they are for.
CREATE TABLE assignment_week (
    assignment_id uuid          NOT NULL REFERENCES assignment,
    week_start    date          NOT NULL CHECK (extract(isodow FROM week_start) = 1),
    person_id     uuid          NOT NULL REFERENCES person,
    hours         numeric(7, 2) NOT NULL CHECK (hours > 0 AND hours <= 168),
    PRIMARY KEY (assignment_id, week_start)
);
CREATE INDEX assignment_week_by_person ON assignment_week (person_id, week_start);

-- Snapshots are read as a whole and compared part by part; nothing asks for one part of them.
CREATE TABLE baseline (
    baseline_id      uuid        PRIMARY KEY,
    project_id       uuid        NOT NULL REFERENCES project,
    number           integer     NOT NULL CHECK (number > 0),
    label            text        NOT NULL,
    reason           text        NOT NULL,
    taken_on         date        NOT NULL,
    taken_by         text        NOT NULL,
    taken_at         timestamptz NOT NULL,
    contract_version integer     NOT NULL CHECK (contract_version > 0),
    items            jsonb       NOT NULL,
    UNIQUE (project_id, number)
);
COMMENT ON TABLE baseline IS 'append-only: plans as they once were';
"""


def upgrade() -> None:
    run_sql(op, _SQL)
