"""What other services own and invoices need: entities, customers, terms, and released work."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_sql(
        op,
        """
        -- Copies of what customer-contract owns; only a newer version replaces a row.
        CREATE TABLE legal_entity (
            legal_entity_id uuid   PRIMARY KEY,
            version         bigint NOT NULL CHECK (version > 0),
            code            text   NOT NULL CHECK (code ~ '^[A-Z0-9]{2,8}$'),
            name            text   NOT NULL,
            currency        text   NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            time_zone       text   NOT NULL,
            address         jsonb  NOT NULL,
            tax_id          text   NOT NULL,
            registration    text   NOT NULL,
            iban            text   NOT NULL,
            bic             text   NOT NULL,
            email           text   NOT NULL
        );
        CREATE INDEX legal_entity_by_code ON legal_entity (code);

        CREATE TABLE customer (
            customer_id   uuid    PRIMARY KEY,
            version       bigint  NOT NULL CHECK (version > 0),
            name          text    NOT NULL,
            address       jsonb   NOT NULL,
            tax_id        text    NOT NULL,
            is_registered boolean NOT NULL
        );

        CREATE TABLE contract_terms (
            contract_id           uuid    PRIMARY KEY,
            version               bigint  NOT NULL CHECK (version > 0),
            number                text    NOT NULL,
            legal_entity_id       uuid    NOT NULL,
            currency              text    NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            payment_terms_days    integer NOT NULL CHECK (payment_terms_days BETWEEN 0 AND 365),
            purchase_order_number text    NOT NULL,
            invoice_grouping      text    NOT NULL
                CHECK (invoice_grouping IN ('contract', 'contract_line')),
            line_detail           text    NOT NULL
                CHECK (line_detail IN ('role', 'person', 'entry')),
            engagement_id         uuid    NOT NULL,
            correlation_id        uuid    NOT NULL,
            lines                 jsonb   NOT NULL
        );

        -- Released billing events as they came. Whether one is invoiced is told by invoice_item,
        -- never by a flag here. numeric has no scale, because numeric(p, s) would round silently;
        -- a bound on its magnitude keeps NaN and Infinity out, here and everywhere below.
        CREATE TABLE billable_item (
            billing_event_id   uuid        PRIMARY KEY,
            batch_id           uuid        NOT NULL,
            source_item_id     uuid        NOT NULL,
            type               text        NOT NULL
                CHECK (type IN ('time', 'expense', 'milestone', 'recurring')),
            kind               text        NOT NULL
                CHECK (kind IN ('original', 'reversal', 'adjustment')),
            contract_id        uuid        NOT NULL,
            contract_line_id   uuid        NOT NULL,
            quote_line_id      uuid        NOT NULL,
            engagement_id      uuid        NOT NULL,
            correlation_id     uuid        NOT NULL,
            bill_to_customer_id uuid       NOT NULL,
            legal_entity_id    uuid        NOT NULL,
            project_id         uuid,
            person_id          uuid,
            person_name        text        NOT NULL,
            role               text        NOT NULL,
            description        text        NOT NULL,
            service_from       date        NOT NULL,
            service_to         date        NOT NULL CHECK (service_from < service_to),
            billable_on        date        NOT NULL,
            quantity           numeric     NOT NULL CHECK (abs(quantity) < 1e15),
            unit               text        NOT NULL,
            unit_rate          numeric     NOT NULL
                CHECK (abs(unit_rate) < 1e15 AND scale(unit_rate) <= 6),
            currency           text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            amount             numeric     NOT NULL CHECK (abs(amount) < 1e15),
            -- Its release recognises this as revenue; the invoice makes exactly this a receivable.
            recognised_amount  numeric     NOT NULL CHECK (abs(recognised_amount - amount) <= 0.5),
            tax_category       text        NOT NULL,
            released_at        timestamptz NOT NULL
        );
        CREATE INDEX billable_item_by_contract
            ON billable_item (legal_entity_id, contract_id, billable_on);
        COMMENT ON TABLE billable_item IS
            'append-only: released billing events, each to be invoiced once';
        """,
    )
