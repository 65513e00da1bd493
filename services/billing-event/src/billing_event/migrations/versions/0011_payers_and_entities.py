"""Several payers, and what one entity owes another."""

from alembic import op
from sqlalchemy import text

from throughline.customer_contract.v1.contract_pb2 import Contract
from throughline_runtime.schema import run_sql

revision = "0011"
down_revision = "0010"

_PAYERS = """
-- Whose credit and tax decide about rows of which contract: everybody any version of it names.
CREATE TABLE contract_payer (
    contract_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    PRIMARY KEY (contract_id, customer_id)
);
CREATE INDEX contract_payer_by_customer ON contract_payer (customer_id);
COMMENT ON TABLE contract_payer IS 'append-only: who pays, or paid, for work under a contract';
INSERT INTO contract_payer SELECT DISTINCT contract_id, bill_to_customer_id FROM contract_terms;

-- The contract of the project where no line of it bills the work: entities owe each other for it
-- all the same.
ALTER TABLE source_item ADD COLUMN project_contract_id uuid,
    ADD CHECK (contract_id IS NULL OR project_contract_id IS NULL);

ALTER TABLE rate_card
    ADD COLUMN purpose text NOT NULL DEFAULT 'billing'
        CHECK (purpose IN ('billing', 'transfer'));
CREATE INDEX rate_card_of_transfers ON rate_card (legal_entity_id) WHERE purpose = 'transfer';
"""

_CHARGES = """
-- Both sides of a debt between two entities in one row, so that they cannot differ.
CREATE TABLE intercompany_charge (
    intercompany_charge_id          uuid        PRIMARY KEY,
    source_item_id                  uuid        NOT NULL REFERENCES source_item,
    lending_entity_id               uuid        NOT NULL,
    borrowing_entity_id             uuid        NOT NULL CHECK
        (borrowing_entity_id <> lending_entity_id),
    contract_id                     uuid        NOT NULL,
    contract_line_id                uuid,
    engagement_id                   uuid        NOT NULL,
    correlation_id                  uuid        NOT NULL,
    work_date                       date        NOT NULL,
    person_id                       uuid        NOT NULL,
    role                            text        NOT NULL,
    minutes                         integer     NOT NULL,
    quantity                        numeric     NOT NULL,
    unit_rate                       numeric     NOT NULL
        CHECK (unit_rate > 0 AND unit_rate < 'Infinity'),
    amount                          numeric     NOT NULL,
    currency                        text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    rate_card_id                    uuid        NOT NULL,
    rate_card_version               bigint      NOT NULL,
    rate_explanation                text        NOT NULL,
    reverses_intercompany_charge_id uuid        REFERENCES intercompany_charge,
    rated_at                        timestamptz NOT NULL,
    CHECK (quantity > '-Infinity' AND quantity < 'Infinity'),
    CHECK (amount > '-Infinity' AND amount < 'Infinity'),
    CONSTRAINT intercompany_charge_is_quantity_times_rate
        CHECK (abs(amount - quantity * unit_rate) <= 0.000001)
);
CREATE UNIQUE INDEX intercompany_charge_once ON intercompany_charge (source_item_id);
CREATE UNIQUE INDEX intercompany_charge_reversed_once
    ON intercompany_charge (reverses_intercompany_charge_id)
    WHERE reverses_intercompany_charge_id IS NOT NULL;
CREATE INDEX intercompany_charge_by_day ON intercompany_charge (work_date, intercompany_charge_id);
CREATE INDEX intercompany_charge_by_contract ON intercompany_charge (contract_id, work_date);
CREATE INDEX intercompany_charge_by_person ON intercompany_charge (person_id, work_date);
COMMENT ON TABLE intercompany_charge IS 'append-only: a charge is taken back by another';

-- Work that is owed for as soon as its contract is known and a card prices it. `epoch` is the count
-- of facts it was last looked at by. The borrowing entity is not known before the contract is.
CREATE TABLE intercompany_wait (
    source_item_id      uuid    PRIMARY KEY REFERENCES source_item,
    contract_id         uuid    NOT NULL,
    lending_entity_id   uuid    NOT NULL,
    borrowing_entity_id uuid,
    work_date           date    NOT NULL,
    role                text    NOT NULL,
    minutes             integer NOT NULL,
    epoch               bigint  NOT NULL
);
CREATE INDEX intercompany_wait_by_contract ON intercompany_wait (contract_id);
"""


def upgrade() -> None:
    run_sql(op, _PAYERS)
    _keep_payers()
    run_sql(op, _CHARGES)


def _keep_payers() -> None:
    """Add the payers that only the terms themselves name."""
    kept = op.get_bind().execute(text("SELECT contract_id, terms FROM contract_terms"))
    payers = [
        {"contract_id": row.contract_id, "customer_id": payer.customer_id}
        for row in kept
        for payer in Contract.FromString(row.terms).payers
    ]
    if payers:
        op.get_bind().execute(
            text(
                "INSERT INTO contract_payer VALUES (:contract_id, CAST(:customer_id AS uuid))"
                " ON CONFLICT DO NOTHING"
            ),
            payers,
        )
