"""Templates, provisioning runs, and the projects they make."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0002"
down_revision = "0001"

_SQL = """
-- Phases, tasks and roles are read as a whole and never asked for one by one.
CREATE TABLE template (
    code           text        NOT NULL,
    version        integer     NOT NULL CHECK (version > 0),
    name           text        NOT NULL,
    billing_models text[]      NOT NULL CHECK (
        cardinality(billing_models) > 0
        AND billing_models <@ ARRAY['time_and_materials', 'fixed_fee', 'recurring', 'pass_through']
    ),
    plan           jsonb       NOT NULL,
    published_at   timestamptz NOT NULL,
    published_by   text        NOT NULL,
    PRIMARY KEY (code, version)
);
COMMENT ON TABLE template IS 'append-only: runs are pinned to versions';

-- One run a contract, whatever is redelivered. The contract is kept as it was announced: what a run
-- makes follows the terms that came into force, not later ones.
CREATE TABLE provisioning_run (
    run_id              uuid        PRIMARY KEY,
    version             bigint      NOT NULL CHECK (version > 0),
    state               text        NOT NULL CHECK (state IN
        ('received', 'validating', 'paused', 'provisioning', 'activated', 'cancelled')),
    contract_id         uuid        NOT NULL UNIQUE,
    engagement_id       uuid        NOT NULL,
    correlation_id      uuid        NOT NULL,
    legal_entity_id     uuid        NOT NULL,
    contract            bytea       NOT NULL,
    pins                jsonb       NOT NULL,
    checks              jsonb       NOT NULL,
    reason              text,
    owner               text,
    attempts            integer     NOT NULL CHECK (attempts >= 0),
    project_id          uuid,
    cancellation_reason text        NOT NULL,
    received_at         timestamptz NOT NULL,
    changed_at          timestamptz NOT NULL,
    due_at              timestamptz NOT NULL DEFAULT now(),
    CHECK ((state = 'activated') = (project_id IS NOT NULL)),
    CHECK ((state = 'paused') = (reason IS NOT NULL)),
    CHECK ((reason IS NULL) = (owner IS NULL))
);
CREATE INDEX provisioning_run_due ON provisioning_run (due_at)
    WHERE state IN ('received', 'validating', 'provisioning');
CREATE INDEX provisioning_run_by_received_at ON provisioning_run (received_at, run_id);

-- Project numbers are for people, not for documents of the tax office: gaps do no harm, and a
-- sequence keeps provisioning runs from waiting for each other.
CREATE SEQUENCE project_number;

CREATE TABLE project (
    project_id      uuid           PRIMARY KEY,
    version         bigint         NOT NULL CHECK (version > 0),
    number          text           NOT NULL UNIQUE,
    name            text           NOT NULL,
    status          text           NOT NULL CHECK (status IN ('active', 'closed')),
    contract_id     uuid           NOT NULL,
    engagement_id   uuid           NOT NULL,
    correlation_id  uuid           NOT NULL,
    customer_id     uuid           NOT NULL,
    legal_entity_id uuid           NOT NULL,
    time_zone       text           NOT NULL,
    starts_on       date           NOT NULL,
    ends_on         date           NOT NULL,
    budget          numeric(18, 6) NOT NULL CHECK (budget >= 0 AND budget < 'Infinity'),
    currency        text           NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    templates       text[]         NOT NULL,
    activated_at    timestamptz    NOT NULL,
    UNIQUE (contract_id, legal_entity_id),
    CHECK (starts_on < ends_on)
);
CREATE INDEX project_by_activated_at ON project (activated_at, project_id);

-- The contract lines a project delivers.
CREATE TABLE project_line (
    project_id       uuid           NOT NULL REFERENCES project,
    contract_line_id uuid           NOT NULL,
    quote_line_id    uuid           NOT NULL,
    position         integer        NOT NULL CHECK (position > 0),
    billing_model    text           NOT NULL CHECK (billing_model IN
        ('time_and_materials', 'fixed_fee', 'recurring', 'pass_through')),
    net_total        numeric(18, 6) NOT NULL CHECK (net_total >= 0 AND net_total < 'Infinity'),
    currency         text           NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    PRIMARY KEY (project_id, contract_line_id)
);

CREATE TABLE task (
    task_id          uuid    PRIMARY KEY,
    project_id       uuid    NOT NULL REFERENCES project,
    contract_line_id uuid    NOT NULL,
    position         integer NOT NULL CHECK (position > 0),
    phase            text    NOT NULL,
    name             text    NOT NULL,
    billable         boolean NOT NULL,
    closed           boolean NOT NULL
);
CREATE INDEX task_by_project ON task (project_id, position);

CREATE TABLE role_requirement (
    project_id       uuid           NOT NULL REFERENCES project,
    contract_line_id uuid           NOT NULL,
    role             text           NOT NULL,
    position         integer        NOT NULL CHECK (position > 0),
    planned_hours    numeric(12, 2) NOT NULL CHECK (planned_hours BETWEEN 0 AND 9999999999),
    PRIMARY KEY (project_id, contract_line_id, role)
);

CREATE TABLE milestone (
    milestone_id     uuid           PRIMARY KEY,
    version          bigint         NOT NULL CHECK (version > 0),
    project_id       uuid           NOT NULL REFERENCES project,
    contract_id      uuid           NOT NULL,
    contract_line_id uuid           NOT NULL,
    quote_line_id    uuid           NOT NULL,
    engagement_id    uuid           NOT NULL,
    correlation_id   uuid           NOT NULL,
    legal_entity_id  uuid           NOT NULL,
    position         integer        NOT NULL CHECK (position > 0),
    key              text           NOT NULL,
    name             text           NOT NULL,
    amount           numeric(18, 6) NOT NULL CHECK (amount >= 0 AND amount < 'Infinity'),
    currency         text           NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    status           text           NOT NULL CHECK (status IN
        ('planned', 'completed', 'accepted', 'rejected')),
    due_on           date,
    completed_on     date,
    accepted_on      date,
    accepted_by      text           NOT NULL,
    evidence_sha256  text           NOT NULL CHECK (evidence_sha256 ~ '^([0-9a-f]{64})?$'),
    UNIQUE (project_id, contract_line_id, key),
    CHECK ((status = 'planned') = (completed_on IS NULL)),
    CHECK ((status = 'accepted') = (accepted_on IS NOT NULL)),
    CHECK (accepted_on >= completed_on),
    CHECK ((status = 'accepted') = (accepted_by <> '')),
    CHECK ((status = 'accepted') = (evidence_sha256 <> ''))
);
CREATE INDEX milestone_by_contract ON milestone (contract_id, milestone_id);
"""


def upgrade() -> None:
    run_sql(op, _SQL)
