"""Accounts and facts of prepayments, write-offs, credits and intercompany charges."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    run_sql(
        op,
        """
        ALTER TABLE account_mapping
            DROP CONSTRAINT account_mapping_account_role_check,
            ADD CONSTRAINT account_mapping_account_role_check CHECK (account_role IN (
                'receivable', 'contract_asset', 'revenue', 'tax_payable', 'cash', 'unapplied_cash',
                'rounding', 'contract_liability', 'write_off', 'intercompany_receivable',
                'intercompany_revenue', 'intercompany_cost', 'intercompany_payable'));
        -- The neutral chart, for entities that are known already; finance maps it to its own.
        INSERT INTO account_mapping (legal_entity_id, account_role, version, account)
        SELECT legal_entity_id, account_role, 1, account
        FROM legal_entity, (VALUES
            ('contract_liability', '2300'), ('write_off', '6900'),
            ('intercompany_receivable', '1300'), ('intercompany_revenue', '4100'),
            ('intercompany_cost', '5100'), ('intercompany_payable', '2400')
        ) AS seed (account_role, account)
        ON CONFLICT DO NOTHING;

        ALTER TABLE journal_entry
            DROP CONSTRAINT journal_entry_fact_check,
            ADD CONSTRAINT journal_entry_fact_check CHECK (fact IN (
                'release', 'invoice', 'payment', 'payment_allocation', 'credit_note', 'withdrawal',
                'write_off', 'write_off_undone', 'intercompany', 'retainer_lapse'));

        -- Facts of entities not known yet: posted when these arrive.
        CREATE TABLE waiting_entry (
            legal_entity_id uuid        NOT NULL,
            fact            text        NOT NULL,
            fact_id         uuid        NOT NULL,
            currency        text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            at              timestamptz NOT NULL,
            postings        jsonb       NOT NULL,
            engagement_id   uuid,
            correlation_id  uuid,
            PRIMARY KEY (legal_entity_id, fact, fact_id, currency)
        );
        """,
    )
