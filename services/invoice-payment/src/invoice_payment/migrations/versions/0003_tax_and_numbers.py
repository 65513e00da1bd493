"""Configuration of invoices: tax rules and rounding policies; and the counters of numbers."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_sql(
        op,
        """
        CREATE TABLE tax_rule (
            tax_rule_id        uuid    PRIMARY KEY,
            version            bigint  NOT NULL CHECK (version > 0),
            seller_country     text    NOT NULL CHECK (seller_country ~ '^[A-Z]{2}$'),
            buyer_country      text    NOT NULL CHECK (buyer_country ~ '^([A-Z]{2}|\\*)$'),
            buyer_registration text    NOT NULL
                CHECK (buyer_registration IN ('any', 'valid', 'none')),
            tax_category       text    NOT NULL,
            tax_code           text    NOT NULL
                CHECK (tax_code IN ('S', 'Z', 'E', 'AE', 'K', 'G', 'O')),
            rate_percent       numeric NOT NULL
                CHECK (rate_percent BETWEEN 0 AND 100 AND scale(rate_percent) <= 2),
            exemption_reason   text    NOT NULL,
            valid_from         date    NOT NULL,
            valid_to           date    CHECK (valid_from < valid_to),
            CHECK ((tax_code = 'S') = (rate_percent > 0)),
            CHECK (tax_code IN ('S', 'Z') OR exemption_reason <> ''),
            -- In the order in which rules are listed and looked up.
            CONSTRAINT tax_rule_once
                UNIQUE (seller_country, tax_category, buyer_country, buyer_registration, valid_from)
        );

        CREATE TABLE invoice_policy (
            legal_entity_id uuid   PRIMARY KEY,
            version         bigint NOT NULL CHECK (version > 0),
            rounding_policy text   NOT NULL
                CHECK (rounding_policy IN ('en16931', 'per_line', 'precise_sum'))
        );

        -- One counter row for each series: whoever takes numbers holds it until commit, so a rolled
        -- back taker leaves no gap. A sequence would.
        CREATE TABLE number_series (
            legal_entity_id uuid    NOT NULL,
            series          text    NOT NULL CHECK (series IN ('invoice', 'journal_entry')),
            year            integer NOT NULL CHECK (year BETWEEN 2000 AND 9999),
            prefix          text    NOT NULL,
            last_number     bigint  NOT NULL CHECK (last_number >= 0),
            last_hash       text    NOT NULL CHECK (last_hash ~ '^([0-9a-f]{64})?$'),
            PRIMARY KEY (legal_entity_id, series, year)
        );

        CREATE FUNCTION refuse_turning_back() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE' OR NEW.last_number < OLD.last_number OR NEW.prefix <> OLD.prefix
            THEN
                RAISE EXCEPTION 'a number series only counts up'
                    USING ERRCODE = 'restrict_violation';
            END IF;
            RETURN NEW;
        END
        $$;
        CREATE TRIGGER counts_up BEFORE UPDATE OR DELETE ON number_series
            FOR EACH ROW EXECUTE FUNCTION refuse_turning_back();
        """,
    )
