"""Runs take up again what they left out."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    run_sql(
        op,
        """
        -- Null until a run at rest is resumed; then it looks at these contracts only.
        ALTER TABLE invoice_run ADD COLUMN retried_contract_ids uuid[];
        """,
    )
