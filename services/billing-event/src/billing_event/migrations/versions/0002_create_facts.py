"""The facts rating stands on, as other services announced them."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0002"
down_revision = "0001"

_FACTS = """
-- Counts the changes of the facts below. Every writer of one of them increments the row, so that
-- they commit in the order of their epochs and nobody can read a count that is still to come.
CREATE TABLE fact_epoch (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    epoch    bigint NOT NULL CHECK (epoch >= 0)
);
INSERT INTO fact_epoch (epoch) VALUES (0);

-- The contract as it was announced, byte for byte; the columns beside it are copies to search by.
CREATE TABLE contract_terms (
    contract_id         uuid        NOT NULL,
    contract_version    integer     NOT NULL CHECK (contract_version > 0),
    bill_to_customer_id uuid        NOT NULL,
    legal_entity_id     uuid        NOT NULL,
    time_zone           text        NOT NULL,
    terms               bytea       NOT NULL,
    epoch               bigint      NOT NULL,
    recorded_at         timestamptz NOT NULL,
    PRIMARY KEY (contract_id, contract_version)
);
COMMENT ON TABLE contract_terms IS 'append-only: every version of the terms stays explainable';
CREATE INDEX contract_terms_by_bill_to ON contract_terms (bill_to_customer_id);

CREATE TABLE rate_card (
    rate_card_id    uuid        NOT NULL,
    version         bigint      NOT NULL CHECK (version > 0),
    legal_entity_id uuid,
    customer_id     uuid,
    card            bytea       NOT NULL,
    epoch           bigint      NOT NULL,
    recorded_at     timestamptz NOT NULL,
    PRIMARY KEY (rate_card_id, version)
);
COMMENT ON TABLE rate_card IS 'append-only: a published version never changes';

CREATE TABLE customer_state (
    customer_id        uuid    PRIMARY KEY,
    version            bigint  NOT NULL CHECK (version > 0),
    is_on_credit_hold  boolean NOT NULL,
    credit_hold_reason text    NOT NULL,
    tax_status         text    NOT NULL
        CHECK (tax_status IN ('missing', 'valid', 'invalid', 'not_required')),
    epoch              bigint  NOT NULL
);

-- An entity without a row has the default threshold.
CREATE TABLE release_policy (
    legal_entity_id uuid        PRIMARY KEY,
    version         bigint      NOT NULL CHECK (version > 0),
    threshold       numeric     NOT NULL CHECK (threshold >= 0 AND threshold < 'Infinity'),
    currency        text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    set_by          text        NOT NULL,
    set_at          timestamptz NOT NULL
);
"""


def upgrade() -> None:
    run_sql(op, _FACTS)
