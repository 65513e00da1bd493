"""Quotes with their service lines."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run_sql(
        op,
        """
        -- One row for each version of an offer; revisions leave the earlier ones as they were,
        -- except that they are superseded.
        CREATE TABLE quote (
            quote_id              uuid    NOT NULL,
            quote_version         integer NOT NULL CHECK (quote_version > 0),
            is_latest             boolean NOT NULL,
            version               bigint  NOT NULL CHECK (version > 0),
            number                text    NOT NULL,
            status                text    NOT NULL CHECK (status IN ('draft', 'in_review',
                'approved', 'accepted', 'rejected', 'expired', 'superseded')),
            customer_id           uuid    NOT NULL REFERENCES customer,
            legal_entity_id       uuid    NOT NULL REFERENCES legal_entity,
            currency              text    NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            start_on              date    NOT NULL,
            end_on                date    NOT NULL CHECK (start_on < end_on),
            payment_terms_days    integer NOT NULL CHECK (payment_terms_days BETWEEN 0 AND 365),
            purchase_order_number text    NOT NULL,
            correlation_id        uuid    NOT NULL,
            proposed_by           text    NOT NULL,
            source_system         text,
            source_type           text,
            source_id             text,
            content_sha256        bytea   NOT NULL,
            approved_by           text    CHECK (approved_by <> proposed_by),
            approved_at           timestamptz,
            rejection_reason      text    NOT NULL,
            PRIMARY KEY (quote_id, quote_version),
            CHECK (num_nulls(source_system, source_type, source_id) IN (0, 3)),
            CHECK (num_nulls(approved_by, approved_at) IN (0, 2)),
            CHECK (approved_by IS NOT NULL OR status NOT IN ('approved', 'accepted'))
        );
        CREATE UNIQUE INDEX quote_latest ON quote (quote_id) WHERE is_latest;
        CREATE INDEX quote_by_customer ON quote (customer_id, quote_id) WHERE is_latest;
        CREATE INDEX quote_by_number ON quote (number);

        -- Amounts are in the quote's currency. Milestones and rates are lists that nothing asks
        -- for one by one.
        CREATE TABLE quote_line (
            quote_id         uuid           NOT NULL,
            quote_version    integer        NOT NULL,
            quote_line_id    uuid           NOT NULL,
            position         integer        NOT NULL CHECK (position > 0),
            service_code     text           NOT NULL,
            description      text           NOT NULL,
            billing_model    text           NOT NULL CHECK (billing_model IN
                ('time_and_materials', 'fixed_fee', 'recurring', 'pass_through')),
            quantity         numeric(13, 4) NOT NULL CHECK (quantity >= 0 AND quantity < 'NaN'),
            unit_price       numeric(18, 6) NOT NULL
                CHECK (unit_price >= 0 AND unit_price < 'Infinity'),
            net_total        numeric(24, 4) NOT NULL
                CHECK (net_total >= 0 AND net_total < 'Infinity'),
            discount_percent numeric(7, 4)  NOT NULL CHECK (discount_percent BETWEEN 0 AND 100),
            tax_category     text           NOT NULL CHECK (tax_category <> ''),
            template_code    text           NOT NULL CHECK (template_code <> ''),
            start_on         date,
            end_on           date           CHECK (start_on < end_on),
            milestones       jsonb          NOT NULL CHECK (jsonb_typeof(milestones) = 'array'),
            rates            jsonb          NOT NULL CHECK (jsonb_typeof(rates) = 'array'),
            not_to_exceed    numeric(18, 4)
                CHECK (not_to_exceed > 0 AND not_to_exceed < 'Infinity'),
            anchor_day       integer        NOT NULL CHECK (anchor_day BETWEEN 0 AND 31),
            in_advance       boolean        NOT NULL,
            markup_percent   numeric(7, 4)
                CHECK (markup_percent >= 0 AND markup_percent < 'NaN'),
            source_system    text,
            source_type      text,
            source_id        text,
            PRIMARY KEY (quote_id, quote_version, quote_line_id),
            UNIQUE (quote_id, quote_version, position),
            FOREIGN KEY (quote_id, quote_version) REFERENCES quote
        );
        COMMENT ON TABLE quote_line IS 'append-only: a version of an offer is never rewritten';
        """,
    )
