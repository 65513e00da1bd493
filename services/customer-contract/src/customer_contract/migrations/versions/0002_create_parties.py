"""Legal entities and customers."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_sql(
        op,
        """
        -- The last number given out in each series; its row lock makes the next one unique.
        CREATE TABLE number_series (
            series text   PRIMARY KEY,
            last   bigint NOT NULL CHECK (last >= 0)
        );
        INSERT INTO number_series (series, last)
        VALUES ('customer', 0), ('quote', 0), ('contract', 0);

        CREATE TABLE legal_entity (
            legal_entity_id uuid   PRIMARY KEY,
            version         bigint NOT NULL CHECK (version > 0),
            code            text   NOT NULL UNIQUE CHECK (code ~ '^[A-Z0-9]{2,8}$'),
            currency        text   NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            name            text   NOT NULL,
            time_zone       text   NOT NULL,
            address_lines   text[] NOT NULL CHECK (cardinality(address_lines) > 0),
            city            text   NOT NULL,
            postal_code     text   NOT NULL,
            region          text   NOT NULL,
            country         text   NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
            tax_id          text,
            registration    text   NOT NULL,
            iban            text,
            bic             text,
            billing_email   text   NOT NULL
        );

        CREATE TABLE customer (
            customer_id        uuid    PRIMARY KEY,
            version            bigint  NOT NULL CHECK (version > 0),
            number             text    NOT NULL UNIQUE,
            name               text    NOT NULL,
            parent_customer_id uuid    REFERENCES customer
                CHECK (parent_customer_id <> customer_id),
            address_lines      text[]  NOT NULL CHECK (cardinality(address_lines) > 0),
            city               text    NOT NULL,
            postal_code        text    NOT NULL,
            region             text    NOT NULL,
            country            text    NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
            tax_id             text,
            tax_status         text    NOT NULL
                CHECK (tax_status IN ('missing', 'valid', 'invalid', 'not_required')),
            payment_terms_days integer NOT NULL CHECK (payment_terms_days BETWEEN 0 AND 365),
            currency           text    NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            billing_email      text    NOT NULL,
            credit_hold_reason text,
            source_system      text,
            source_type        text,
            source_id          text,
            UNIQUE (source_system, source_type, source_id),
            CHECK (num_nulls(source_system, source_type, source_id) IN (0, 3)),
            CHECK (tax_id IS NOT NULL OR tax_status IN ('missing', 'not_required'))
        );
        CREATE INDEX customer_by_tax_id ON customer (tax_id);
        CREATE INDEX customer_by_parent ON customer (parent_customer_id);
        CREATE INDEX customer_by_name ON customer (lower(name) text_pattern_ops);

        CREATE TABLE credit_hold_move (
            customer_id uuid        NOT NULL REFERENCES customer,
            version     bigint      NOT NULL,
            placed      boolean     NOT NULL,
            reason      text        NOT NULL,
            moved_by    text        NOT NULL,
            moved_at    timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (customer_id, version)
        );
        COMMENT ON TABLE credit_hold_move IS
            'append-only: who placed and released credit holds, and why';
        """,
    )
