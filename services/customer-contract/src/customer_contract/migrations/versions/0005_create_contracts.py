"""Contracts with every version of their terms."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run_sql(
        op,
        """
        -- Where a deal stands, and which version of its terms holds. Rows are never deleted:
        -- contracts end. One contract comes from one quote, whatever its versions.
        CREATE TABLE contract (
            contract_id        uuid        PRIMARY KEY,
            version            bigint      NOT NULL CHECK (version > 0),
            contract_version   integer     NOT NULL CHECK (contract_version > 0),
            number             text        NOT NULL UNIQUE,
            status             text        NOT NULL CHECK (status IN
                ('draft', 'signed', 'active', 'completed', 'terminated')),
            engagement_id      uuid        NOT NULL UNIQUE,
            correlation_id     uuid        NOT NULL,
            quote_id           uuid        NOT NULL UNIQUE,
            quote_version      integer     NOT NULL,
            customer_id        uuid        NOT NULL REFERENCES customer,
            legal_entity_id    uuid        NOT NULL REFERENCES legal_entity,
            currency           text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            time_zone          text        NOT NULL,
            document_sha256    text        CHECK (document_sha256 ~ '^[0-9a-f]{64}$'),
            signatory          text,
            signed_on          date,
            activated_on       date,
            terminated_on      date,
            termination_reason text        NOT NULL,
            FOREIGN KEY (quote_id, quote_version) REFERENCES quote,
            CHECK (num_nulls(document_sha256, signatory, signed_on) IN (0, 3)),
            CHECK ((status = 'draft') = (signed_on IS NULL)),
            CHECK ((status = 'terminated') = (terminated_on IS NOT NULL)),
            CHECK (status NOT IN ('active', 'completed') OR activated_on IS NOT NULL)
        );
        CREATE INDEX contract_by_customer ON contract (customer_id, contract_id);
        CREATE INDEX contract_by_status ON contract (status, contract_id);

        -- The terms of each version. A draft's may be rewritten; from the signature on they hold
        -- from a day (effective_on) and no row of theirs changes any more.
        CREATE TABLE contract_terms (
            contract_id           uuid        NOT NULL REFERENCES contract,
            contract_version      integer     NOT NULL,
            start_on              date        NOT NULL,
            end_on                date        NOT NULL CHECK (start_on < end_on),
            bill_to_customer_id   uuid        NOT NULL REFERENCES customer,
            payment_terms_days    integer     NOT NULL
                CHECK (payment_terms_days BETWEEN 0 AND 365),
            purchase_order_number text        NOT NULL,
            not_to_exceed         numeric(18, 4)
                CHECK (not_to_exceed > 0 AND not_to_exceed < 'Infinity'),
            invoice_grouping      text        NOT NULL
                CHECK (invoice_grouping IN ('contract', 'contract_line')),
            line_detail           text        NOT NULL
                CHECK (line_detail IN ('role', 'person', 'entry')),
            time_rounding_minutes integer     NOT NULL
                CHECK (time_rounding_minutes BETWEEN 1 AND 480),
            time_rounding_mode    text        NOT NULL
                CHECK (time_rounding_mode IN ('nearest', 'up', 'down')),
            rate_card_id          uuid,
            effective_on          date,
            reason                text        NOT NULL,
            recorded_by           text        NOT NULL,
            recorded_at           timestamptz NOT NULL,
            PRIMARY KEY (contract_id, contract_version),
            CHECK (contract_version = 1 OR effective_on IS NOT NULL)
        );

        -- A line keeps its id through all versions of the terms. Amounts are in the contract's
        -- currency.
        CREATE TABLE contract_line (
            contract_id      uuid           NOT NULL,
            contract_version integer        NOT NULL,
            contract_line_id uuid           NOT NULL,
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
            PRIMARY KEY (contract_line_id, contract_version),
            UNIQUE (contract_id, contract_version, position),
            FOREIGN KEY (contract_id, contract_version) REFERENCES contract_terms
        );

        -- The second guard of signed history: the domain never asks for what this refuses.
        CREATE FUNCTION refuse_change_of_signed_terms() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF EXISTS (SELECT FROM contract_terms
                       WHERE contract_id = OLD.contract_id
                         AND contract_version = OLD.contract_version
                         AND effective_on IS NOT NULL) THEN
                RAISE EXCEPTION 'the terms of contract % version % are signed',
                    OLD.contract_id, OLD.contract_version USING ERRCODE = 'restrict_violation';
            END IF;
            RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
        END
        $$;
        CREATE TRIGGER contract_terms_signed BEFORE UPDATE OR DELETE ON contract_terms
            FOR EACH ROW EXECUTE FUNCTION refuse_change_of_signed_terms();
        CREATE TRIGGER contract_line_signed BEFORE UPDATE OR DELETE ON contract_line
            FOR EACH ROW EXECUTE FUNCTION refuse_change_of_signed_terms();
        """,
    )
