"""Labels with names and notes apart from the others; whether a contract is in force."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run_sql(
        op,
        """
        ALTER TABLE node ADD COLUMN personal_label text;
        UPDATE node SET
            personal_label = label,
            label = CASE kind
                WHEN 'time_entry' THEN CAST(CAST(quantity AS bigint) AS text) || ' min'
                WHEN 'expense_line' THEN split_part(label, ':', 1)
                WHEN 'invoice_line' THEN split_part(label, ':', 1)
                ELSE 'billing event' END
        WHERE kind IN ('time_entry', 'expense_line', 'billing_event', 'invoice_line');

        -- What is contracted counts while the contract is in force.
        ALTER TABLE contract_line ADD COLUMN contract_status text NOT NULL DEFAULT 'active';
        """,
    )
