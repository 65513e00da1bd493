"""Payments and their allocations."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run_sql(
        op,
        """
        CREATE TABLE payment (
            payment_id          uuid        PRIMARY KEY,
            version             bigint      NOT NULL CHECK (version > 0),
            provider            text        NOT NULL,
            provider_payment_id text        NOT NULL,
            status              text        NOT NULL
                CHECK (status IN ('pending', 'received', 'failed')),
            currency            text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            amount              numeric     NOT NULL CHECK (amount > 0 AND amount < 1e15),
            allocated           numeric     NOT NULL CHECK (allocated >= 0 AND allocated <= amount),
            received_on         date        NOT NULL,
            legal_entity_id     uuid        NOT NULL,
            customer_id         uuid,
            reference           text        NOT NULL,
            recorded_at         timestamptz NOT NULL,
            -- Money that is not here settles nothing.
            CHECK (status = 'received' OR allocated = 0),
            CONSTRAINT payment_once UNIQUE (provider, provider_payment_id)
        );
        CREATE INDEX payment_by_entity ON payment (legal_entity_id, payment_id);
        CREATE INDEX payment_by_customer ON payment (customer_id, payment_id);
        CREATE TRIGGER never_deleted BEFORE DELETE ON payment
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_deletion();

        CREATE TABLE payment_allocation (
            payment_allocation_id uuid    PRIMARY KEY,
            payment_id            uuid    NOT NULL REFERENCES payment,
            invoice_id            uuid    NOT NULL REFERENCES invoice,
            currency              text    NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            amount                numeric NOT NULL CHECK (amount > 0 AND amount < 1e15),
            allocated_on          date    NOT NULL
        );
        CREATE INDEX payment_allocation_by_payment ON payment_allocation (payment_id);
        CREATE INDEX payment_allocation_by_invoice ON payment_allocation (invoice_id);
        COMMENT ON TABLE payment_allocation IS
            'append-only: which payment settled how much of which invoice';
        """,
    )
