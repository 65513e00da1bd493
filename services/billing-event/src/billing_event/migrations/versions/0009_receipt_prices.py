"""Expense lines keep the price on the receipt, for contracts in that currency."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0009"
down_revision = "0008"

_RECEIPTS = """
ALTER TABLE source_item
    ADD COLUMN receipt_price numeric
        CHECK (receipt_price > '-Infinity' AND receipt_price < 'Infinity'),
    ADD COLUMN receipt_currency text CHECK (receipt_currency ~ '^[A-Z]{3}$'),
    ADD CHECK ((receipt_price IS NULL) = (receipt_currency IS NULL)),
    ADD CHECK (receipt_price IS NULL OR type = 'expense');
"""


def upgrade() -> None:
    run_sql(op, _RECEIPTS)
