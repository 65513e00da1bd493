"""The double-entry journal, which the database itself keeps balanced."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run_sql(
        op,
        """
        CREATE TABLE account_mapping (
            legal_entity_id uuid   NOT NULL,
            account_role    text   NOT NULL CHECK (account_role IN (
                'receivable', 'contract_asset', 'revenue', 'tax_payable', 'cash', 'unapplied_cash',
                'rounding')),
            version         bigint NOT NULL CHECK (version > 0),
            account         text   NOT NULL CHECK (account <> ''),
            PRIMARY KEY (legal_entity_id, account_role)
        );

        CREATE TABLE journal_entry (
            journal_entry_id uuid    PRIMARY KEY,
            legal_entity_id  uuid    NOT NULL,
            series_year      integer NOT NULL,
            sequence         bigint  NOT NULL CHECK (sequence > 0),
            number           text    NOT NULL,
            posted_on        date    NOT NULL,
            fact             text    NOT NULL
                CHECK (fact IN ('release', 'invoice', 'payment', 'payment_allocation')),
            fact_id          uuid    NOT NULL,
            currency         text    NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            engagement_id    uuid,
            correlation_id   uuid,
            CONSTRAINT journal_entry_by_sequence UNIQUE (legal_entity_id, series_year, sequence),
            -- A fact is posted once, whatever is delivered twice.
            CONSTRAINT journal_entry_once UNIQUE (fact_id, fact, legal_entity_id, currency)
        );
        CREATE INDEX journal_entry_by_day
            ON journal_entry (legal_entity_id, posted_on, journal_entry_id);
        CREATE INDEX journal_entry_by_engagement ON journal_entry (engagement_id);
        COMMENT ON TABLE journal_entry IS 'append-only: entries of the books';

        CREATE TABLE journal_line (
            journal_entry_id uuid    NOT NULL REFERENCES journal_entry,
            line_number      integer NOT NULL CHECK (line_number > 0),
            account          text    NOT NULL,
            account_role     text    NOT NULL,
            debit            numeric NOT NULL CHECK (debit >= 0 AND debit < 1e15),
            credit           numeric NOT NULL CHECK (credit >= 0 AND credit < 1e15),
            contract_id      uuid,
            contract_line_id uuid,
            PRIMARY KEY (journal_entry_id, line_number),
            CHECK ((debit > 0) <> (credit > 0))
        );
        COMMENT ON TABLE journal_line IS 'append-only: debits and credits';

        -- Checked at commit. The last line answers for its whole entry; since lines are numbered
        -- without gaps, one added later is the last and answers again.
        CREATE FUNCTION require_balanced_entry() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            lines  integer;
            excess numeric;
        BEGIN
            IF EXISTS (
                SELECT FROM journal_line
                WHERE journal_entry_id = NEW.journal_entry_id AND line_number > NEW.line_number
            ) THEN
                RETURN NULL;
            END IF;
            SELECT count(*), sum(debit) - sum(credit) INTO lines, excess
            FROM journal_line WHERE journal_entry_id = NEW.journal_entry_id;
            IF excess <> 0 OR lines <> NEW.line_number THEN
                RAISE EXCEPTION 'journal entry % is off balance by %', NEW.journal_entry_id, excess
                    USING ERRCODE = 'check_violation';
            END IF;
            RETURN NULL;
        END
        $$;
        CREATE CONSTRAINT TRIGGER balanced AFTER INSERT ON journal_line
            DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION require_balanced_entry();
        """,
    )
