"""Checkpoint policies, batches of releases and write-offs."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0016"
down_revision = "0015"

_RELEASES = """
ALTER TABLE release_policy
    ADD COLUMN rules jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(rules) = 'array');

-- `cursor` is the last row the run has dealt with; each chunk counts in the transaction that
-- released it. `legal_entity_ids` is null where whoever started it sees all entities.
CREATE TABLE release_run (
    release_run_id    uuid        PRIMARY KEY,
    version           bigint      NOT NULL CHECK (version > 0),
    contract_id       uuid,
    legal_entity_id   uuid,
    legal_entity_ids  uuid[],
    through_date      date,
    types             text[]      NOT NULL,
    max_amount        numeric     CHECK (max_amount >= 0 AND max_amount < 'Infinity'),
    max_currency      text        CHECK (max_currency ~ '^[A-Z]{3}$'),
    status            text        NOT NULL CHECK (status IN ('running', 'stopped', 'done')),
    rows_found        integer     NOT NULL CHECK (rows_found >= 0),
    rows_released     integer     NOT NULL CHECK (rows_released >= 0),
    rows_held         integer     NOT NULL CHECK (rows_held >= 0),
    rows_other_person integer     NOT NULL CHECK (rows_other_person >= 0),
    released_amounts  jsonb       NOT NULL CHECK (jsonb_typeof(released_amounts) = 'object'),
    cursor            uuid,
    started_by        text        NOT NULL,
    started_at        timestamptz NOT NULL,
    finished_at       timestamptz,
    CHECK ((max_amount IS NULL) = (max_currency IS NULL)),
    CHECK ((status = 'done') = (finished_at IS NOT NULL))
);
CREATE INDEX release_run_running ON release_run (release_run_id) WHERE status = 'running';

-- Asked of invoice-payment before anything moves here; a pending one is asked again until answered.
CREATE TABLE release_withdrawal (
    release_withdrawal_id uuid        PRIMARY KEY,
    status                text        NOT NULL CHECK (status IN ('pending', 'done', 'refused')),
    reason                text        NOT NULL,
    places_hold           boolean     NOT NULL,
    refusal               text        NOT NULL,
    requested_by          text        NOT NULL,
    requested_at          timestamptz NOT NULL,
    finished_at           timestamptz,
    CHECK ((status = 'pending') = (finished_at IS NULL)),
    CHECK ((status = 'refused') = (refusal <> ''))
);
CREATE INDEX release_withdrawal_pending ON release_withdrawal (release_withdrawal_id)
    WHERE status = 'pending';

CREATE TABLE withdrawn_row (
    release_withdrawal_id uuid    NOT NULL REFERENCES release_withdrawal,
    billing_event_id      uuid    NOT NULL REFERENCES position,
    row_version           bigint  NOT NULL CHECK (row_version > 0),
    is_pending            boolean NOT NULL,
    PRIMARY KEY (release_withdrawal_id, billing_event_id)
);
CREATE UNIQUE INDEX withdrawn_row_once ON withdrawn_row (billing_event_id) WHERE is_pending;
"""

_WRITE_OFFS = """
CREATE TABLE write_off (
    write_off_id    uuid        PRIMARY KEY,
    version         bigint      NOT NULL CHECK (version > 0),
    kind            text        NOT NULL CHECK (kind IN ('write_off', 'exclusion')),
    status          text        NOT NULL
        CHECK (status IN ('proposed', 'approved', 'rejected', 'undone')),
    reason_code     text        NOT NULL CHECK (reason_code IN (
        'goodwill', 'quality', 'overrun', 'agreed_free', 'over_limit', 'mistake',
        'uncollectable', 'other')),
    reason          text        NOT NULL,
    quantity        numeric     CHECK (quantity > 0 AND quantity < 'Infinity'),
    legal_entity_id uuid        NOT NULL,
    proposed_by     text        NOT NULL,
    proposed_at     timestamptz NOT NULL,
    decided_by      text        NOT NULL,
    decided_at      timestamptz,
    decision_reason text        NOT NULL,
    CHECK ((status = 'proposed') = (decided_at IS NULL)),
    CONSTRAINT write_off_needs_two_persons CHECK (status <> 'approved' OR decided_by <> proposed_by)
);

-- A row as proposed, and the one that is written off: the same, or the part cut off it.
CREATE TABLE write_off_row (
    write_off_id                 uuid    NOT NULL REFERENCES write_off,
    billing_event_id             uuid    NOT NULL REFERENCES position,
    amount                       numeric NOT NULL
        CHECK (amount > '-Infinity' AND amount < 'Infinity'),
    currency                     text    NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    written_off_billing_event_id uuid    REFERENCES position,
    is_open                      boolean NOT NULL,
    PRIMARY KEY (write_off_id, billing_event_id)
);
CREATE UNIQUE INDEX write_off_row_once ON write_off_row (billing_event_id) WHERE is_open;
CREATE INDEX write_off_row_written_off ON write_off_row (written_off_billing_event_id)
    WHERE written_off_billing_event_id IS NOT NULL;
"""


def upgrade() -> None:
    run_sql(op, _RELEASES)
    run_sql(op, _WRITE_OFFS)
