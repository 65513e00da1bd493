"""What becomes of rated rows: invoiced, prepaid or drawn from a prepayment."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run_sql(op, "ALTER TABLE node ADD COLUMN treatment text NOT NULL DEFAULT '';")
