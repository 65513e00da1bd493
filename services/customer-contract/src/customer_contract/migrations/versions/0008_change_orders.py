"""Terms of every billing model, contract profiles in full, and change orders."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0008"
down_revision = "0007"

_LINE_TABLES = ("quote_line", "contract_line")


def upgrade() -> None:
    for table in _LINE_TABLES:
        run_sql(
            op,
            f"""
            -- Terms that nothing asks for one by one. What was agreed before them was recognised
            -- as it was delivered: that was the only method.
            ALTER TABLE {table} DROP CONSTRAINT {table}_billing_model_check,
                ADD CONSTRAINT {table}_billing_model_check CHECK (billing_model IN
                    ('time_and_materials', 'fixed_fee', 'recurring', 'pass_through', 'retainer',
                     'usage')),
                ADD COLUMN terms jsonb NOT NULL DEFAULT '{{}}'
                    CHECK (jsonb_typeof(terms) = 'object'),
                ADD COLUMN delivery jsonb NOT NULL DEFAULT '{{"revenue_method": "as_delivered"}}'
                    CHECK (delivery ? 'revenue_method');
            ALTER TABLE {table} ALTER COLUMN terms DROP DEFAULT,
                ALTER COLUMN delivery DROP DEFAULT;
            """,
        )
    run_sql(op, _CHANGE_ORDERS)
    run_sql(op, _CONTRACTS)


_CHANGE_ORDERS = """
    INSERT INTO number_series (series, last) VALUES ('change_order', 0);

    -- Agreed changes. What one says is in the form of the API, since nothing asks for its parts;
    -- its amounts are in the contract's currency.
    CREATE TABLE change_order (
        change_order_id           uuid        PRIMARY KEY,
        version                   bigint      NOT NULL CHECK (version > 0),
        number                    text        NOT NULL UNIQUE,
        contract_id               uuid        NOT NULL REFERENCES contract,
        legal_entity_id           uuid        NOT NULL REFERENCES legal_entity,
        engagement_id             uuid        NOT NULL,
        correlation_id            uuid        NOT NULL,
        currency                  text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
        status                    text        NOT NULL CHECK (status IN
            ('draft', 'proposed', 'approved', 'applied', 'rejected', 'withdrawn')),
        reason                    text        NOT NULL CHECK (reason <> ''),
        effective_on              date        NOT NULL,
        content                   jsonb       NOT NULL CHECK (jsonb_typeof(content) = 'object'),
        drafted_by                text        NOT NULL,
        proposed_by               text,
        approved_by               text
            CHECK (approved_by <> proposed_by AND approved_by <> drafted_by),
        approved_at               timestamptz,
        signatory                 text,
        signed_on                 date,
        document_sha256           text        CHECK (document_sha256 ~ '^[0-9a-f]{64}$'),
        approved_contract_version integer     CHECK (approved_contract_version > 0),
        contract_versions         integer[]   NOT NULL,
        applied_at                timestamptz,
        closing_reason            text        NOT NULL,
        CHECK (num_nulls(approved_by, approved_at, signatory, signed_on, document_sha256,
                         approved_contract_version) IN (0, 6)),
        CHECK (status <> 'proposed' OR proposed_by IS NOT NULL),
        CHECK (status NOT IN ('approved', 'applied') OR approved_by IS NOT NULL),
        CHECK ((status = 'applied') = (applied_at IS NOT NULL)),
        CHECK ((status = 'applied') = (cardinality(contract_versions) > 0)),
        CHECK ((status IN ('rejected', 'withdrawn')) = (closing_reason <> ''))
    );
    CREATE INDEX change_order_by_contract ON change_order (contract_id, change_order_id);
    CREATE INDEX change_order_by_status ON change_order (status, change_order_id);
    CREATE INDEX change_order_waiting ON change_order (effective_on) WHERE status = 'approved';

    -- The second guard of what was agreed: what is said changes in drafts only, and nothing once
    -- the change order is applied, rejected or withdrawn.
    CREATE FUNCTION refuse_change_of_agreed_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' OR OLD.status IN ('applied', 'rejected', 'withdrawn')
           OR OLD.status <> 'draft' AND (NEW.content, NEW.effective_on, NEW.reason)
                                        IS DISTINCT FROM (OLD.content, OLD.effective_on, OLD.reason)
        THEN
            RAISE EXCEPTION 'change order % is %', OLD.number, OLD.status
                USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN NEW;
    END
    $$;
    CREATE TRIGGER change_order_agreed BEFORE UPDATE OR DELETE ON change_order
        FOR EACH ROW EXECUTE FUNCTION refuse_change_of_agreed_change();
"""

_CONTRACTS = """
    ALTER TABLE contract
        ADD COLUMN completed_on date,
        ADD COLUMN activate_when_due boolean NOT NULL DEFAULT false,
        -- When this service learned of it, for whoever asks what was known on a day.
        ADD COLUMN activated_at timestamptz,
        ADD COLUMN ended_at timestamptz,
        ADD CHECK ((status = 'completed') = (completed_on IS NOT NULL)),
        ADD CHECK (status = 'signed' OR NOT activate_when_due);
    ALTER TABLE contract ALTER COLUMN activate_when_due DROP DEFAULT;
    CREATE INDEX contract_activated_when_due ON contract (contract_id) WHERE activate_when_due;

    -- Defaults fill the versions there are without touching them: signed terms refuse an update.
    ALTER TABLE contract_terms
        ADD COLUMN purchase_orders jsonb NOT NULL DEFAULT '[]'
            CHECK (jsonb_typeof(purchase_orders) = 'array'),
        ADD COLUMN payers jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(payers) = 'array'),
        ADD COLUMN holdback_percent numeric(7, 4)
            CHECK (holdback_percent > 0 AND holdback_percent < 100),
        ADD COLUMN holdback_due_on date
            CHECK (holdback_due_on IS NULL OR holdback_percent IS NOT NULL),
        ADD COLUMN rerating_policy text NOT NULL DEFAULT 'debit_credit'
            CHECK (rerating_policy IN ('debit_credit', 'credit_and_rebill')),
        ADD COLUMN change_order_id uuid REFERENCES change_order;
    ALTER TABLE contract_terms ALTER COLUMN purchase_orders DROP DEFAULT,
        ALTER COLUMN payers DROP DEFAULT, ALTER COLUMN rerating_policy DROP DEFAULT;
    ALTER TABLE contract_line
        ADD COLUMN ended_on date,
        ADD COLUMN added_by_change_order_id uuid REFERENCES change_order;
"""
