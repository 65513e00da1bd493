"""The ledger of positions: what was approved, what it is worth, what is held and what is billed."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0003"
down_revision = "0002"

_SOURCES = """
-- One approved thing: time entry, expense line, milestone or recurring period, as it came.
CREATE TABLE source_item (
    source_item_id       uuid    PRIMARY KEY,
    type                 text    NOT NULL
        CHECK (type IN ('time', 'expense', 'milestone', 'recurring')),
    contract_id          uuid,
    contract_line_id     uuid,
    engagement_id        uuid,
    project_id           uuid,
    task_id              uuid,
    person_id            uuid,
    person_name          text    NOT NULL,
    delivering_entity_id uuid,
    role                 text    NOT NULL,
    level                text    NOT NULL,
    region               text    NOT NULL,
    description          text    NOT NULL,
    service_from         date    NOT NULL,
    service_to           date    NOT NULL CHECK (service_from < service_to),
    minutes              integer NOT NULL CHECK ((minutes <> 0) = (type = 'time')),
    price                numeric CHECK (price > '-Infinity' AND price < 'Infinity'),
    currency             text    CHECK (currency ~ '^[A-Z]{3}$'),
    price_basis          text    NOT NULL,
    is_billable          boolean NOT NULL,
    approved_by          text    NOT NULL,
    source_system        text,
    source_object_type   text,
    source_object_id     text,
    recorded_at          timestamptz NOT NULL,
    CHECK ((price IS NULL) = (type = 'time')),
    CHECK ((price IS NULL) = (currency IS NULL)),
    CHECK ((source_system IS NULL) = (source_object_id IS NULL))
);
COMMENT ON TABLE source_item IS 'append-only: what was approved stays as it was approved';

-- The client's sign-off, which may come before or after the completion it is about.
CREATE TABLE acceptance (
    source_item_id  uuid        PRIMARY KEY REFERENCES source_item,
    accepted_on     date        NOT NULL,
    accepted_by     text        NOT NULL,
    evidence_sha256 text        NOT NULL,
    recorded_at     timestamptz NOT NULL
);
COMMENT ON TABLE acceptance IS 'append-only: a signature is not taken back, only followed';

-- Billable things that the fee of their line covers: neither a row nor a hold is missing.
CREATE TABLE covered_item (
    source_item_id   uuid        PRIMARY KEY REFERENCES source_item,
    explanation      text        NOT NULL,
    recorded_at      timestamptz NOT NULL
);
COMMENT ON TABLE covered_item IS 'append-only: says why an approved thing has no row';
"""

_ROWS = """
-- A rated row. Its money never changes: a correction is another row of the same thing.
CREATE TABLE billing_event (
    billing_event_id    uuid        PRIMARY KEY,
    source_item_id      uuid        NOT NULL REFERENCES source_item,
    part                smallint    NOT NULL CHECK (part > 0),
    type                text        NOT NULL
        CHECK (type IN ('time', 'expense', 'milestone', 'recurring')),
    kind                text        NOT NULL
        CHECK (kind IN ('original', 'reversal', 'adjustment')),
    contract_id         uuid        NOT NULL,
    contract_version    integer     NOT NULL CHECK (contract_version > 0),
    contract_line_id    uuid        NOT NULL,
    quote_line_id       uuid        NOT NULL,
    engagement_id       uuid        NOT NULL,
    correlation_id      uuid        NOT NULL,
    bill_to_customer_id uuid        NOT NULL,
    legal_entity_id     uuid        NOT NULL,
    service_from        date        NOT NULL,
    service_to          date        NOT NULL CHECK (service_from < service_to),
    minutes             integer     NOT NULL,
    quantity            numeric     NOT NULL,
    unit                text        NOT NULL CHECK (unit IN ('hour', 'each', 'month')),
    unit_rate           numeric     NOT NULL,
    amount              numeric     NOT NULL,
    currency            text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    tax_category        text        NOT NULL,
    rate_card_id        uuid,
    rate_card_version   bigint,
    rate_explanation    text        NOT NULL,
    rated_at            timestamptz NOT NULL,
    rated_on            date        NOT NULL,
    UNIQUE (source_item_id, part),
    CHECK (quantity > '-Infinity' AND quantity < 'Infinity'),
    CHECK (unit_rate > '-Infinity' AND unit_rate < 'Infinity'),
    CHECK (amount > '-Infinity' AND amount < 'Infinity'),
    CHECK ((rate_card_id IS NULL) = (rate_card_version IS NULL)),
    -- Amounts are kept to the millionth; a rate of up to four decimals never needs it.
    CONSTRAINT billing_event_is_quantity_times_rate
        CHECK (abs(amount - quantity * unit_rate) <= 0.000001)
);
COMMENT ON TABLE billing_event IS 'append-only: corrections are new rows';
CREATE INDEX billing_event_by_contract
    ON billing_event (contract_id, service_from, billing_event_id);
CREATE INDEX billing_event_by_service ON billing_event (service_from, billing_event_id);

-- How far a row has come and how much of it invoices have claimed. Claims are added here in the
-- statement that writes the allocations, so that the checks refuse what would claim more than is
-- open, whoever else is writing.
CREATE TABLE position (
    billing_event_id   uuid    PRIMARY KEY REFERENCES billing_event,
    status             text    NOT NULL CHECK (status IN ('held', 'eligible', 'released')),
    version            bigint  NOT NULL CHECK (version > 0),
    quantity           numeric NOT NULL,
    amount             numeric NOT NULL,
    allocated_quantity numeric NOT NULL DEFAULT 0,
    allocated_amount   numeric NOT NULL DEFAULT 0,
    released_by        text,
    released_at        timestamptz,
    CHECK ((status = 'released') = (released_by IS NOT NULL)),
    CHECK ((status = 'released') = (released_at IS NOT NULL)),
    CONSTRAINT position_claims_released_rows
        CHECK (status = 'released' OR allocated_quantity = 0 AND allocated_amount = 0),
    CONSTRAINT position_claims_no_more_quantity_than_open CHECK (
        allocated_quantity BETWEEN least(quantity, 0) AND greatest(quantity, 0)),
    CONSTRAINT position_claims_no_more_amount_than_open CHECK (
        allocated_amount BETWEEN least(amount, 0) AND greatest(amount, 0))
) WITH (fillfactor = 80);
CREATE INDEX position_open ON position (billing_event_id)
    WHERE status = 'released' AND amount <> allocated_amount;

-- What an invoice line claimed of a row, negative where it gave back.
CREATE TABLE allocation (
    allocation_id    uuid        PRIMARY KEY,
    billing_event_id uuid        NOT NULL REFERENCES position,
    invoice_id       uuid        NOT NULL,
    invoice_line_id  uuid        NOT NULL,
    quantity         numeric     NOT NULL CHECK (quantity > '-Infinity' AND quantity < 'Infinity'),
    amount           numeric     NOT NULL CHECK (amount > '-Infinity' AND amount < 'Infinity'),
    recorded_at      timestamptz NOT NULL,
    recorded_on      date        NOT NULL
);
COMMENT ON TABLE allocation IS 'append-only: a claim is given back by another row';
CREATE INDEX allocation_by_billing_event ON allocation (billing_event_id);
"""

_HOLDS = """
-- Why a row, or a thing that could not be rated, may not be released. `epoch` is the count of facts
-- it was last judged by: a newer fact about the same contract, card or customer makes it due again.
CREATE TABLE hold (
    hold_id          uuid        PRIMARY KEY,
    source_item_id   uuid        NOT NULL REFERENCES source_item,
    billing_event_id uuid        REFERENCES position,
    contract_id      uuid,
    contract_line_id uuid,
    legal_entity_id  uuid,
    reason           text        NOT NULL CHECK (reason IN (
        'awaiting_acceptance', 'limit_exceeded', 'credit_hold', 'missing_rate', 'missing_fx_rate',
        'contract_not_active', 'outside_term', 'tax_invalid', 'unmapped', 'manual',
        'source_changed')),
    detail           text        NOT NULL,
    owner            text        NOT NULL,
    epoch            bigint      NOT NULL,
    opened_at        timestamptz NOT NULL,
    opened_by        text,
    cleared_at       timestamptz,
    cleared_by       text,
    clearing_reason  text,
    CHECK ((reason = 'manual') = (opened_by IS NOT NULL)),
    CHECK (cleared_by IS NULL OR cleared_at IS NOT NULL)
);
CREATE UNIQUE INDEX hold_once_for_each_row ON hold (billing_event_id, reason)
    WHERE cleared_at IS NULL AND billing_event_id IS NOT NULL;
CREATE UNIQUE INDEX hold_once_for_each_item ON hold (source_item_id)
    WHERE cleared_at IS NULL AND billing_event_id IS NULL;
CREATE INDEX hold_by_item ON hold (source_item_id);
CREATE INDEX hold_open ON hold (opened_at, hold_id) WHERE cleared_at IS NULL;
CREATE INDEX hold_open_by_contract ON hold (contract_id) WHERE cleared_at IS NULL;
"""


def upgrade() -> None:
    run_sql(op, _SOURCES)
    run_sql(op, _ROWS)
    run_sql(op, _HOLDS)
