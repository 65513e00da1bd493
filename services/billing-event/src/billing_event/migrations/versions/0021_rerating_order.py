"""Re-rating runs that post things in the order in which they were previewed."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0021"
down_revision = "0020"

# Payers by amount pay as long as it lasts: who bears a thing depends on those before it. What was
# previewed before has no number, and goes by its id as it did.
_ORDER = """
ALTER TABLE rerating_item ADD COLUMN number bigint NOT NULL DEFAULT 0;
CREATE INDEX rerating_item_pending ON rerating_item (rerating_run_id, number, source_item_id)
    WHERE outcome = 'pending';
"""


def upgrade() -> None:
    run_sql(op, _ORDER)
