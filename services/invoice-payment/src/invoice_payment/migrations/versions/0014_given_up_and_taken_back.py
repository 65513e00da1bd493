"""What a credit note gave up while a row took it back counts again, to cancel with that row."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    run_sql(
        op,
        """
        -- On a portion that the credit note `returned_by` gave up: the row that takes it back.
        ALTER TABLE billable_item ADD COLUMN taken_back_by uuid
            CHECK (taken_back_by IS NULL OR returned_by IS NOT NULL);
        """,
    )
