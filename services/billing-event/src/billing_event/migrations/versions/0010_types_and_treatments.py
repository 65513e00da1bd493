"""All types of rows, what becomes of them once released, and claims that are not invoices'."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0010"
down_revision = "0009"

_SOURCES = """
ALTER TABLE source_item DROP CONSTRAINT source_item_type_check,
    ADD CONSTRAINT source_item_type_check CHECK (type IN (
        'time', 'expense', 'milestone', 'recurring', 'progress', 'usage', 'adjustment'));
"""

_ROWS = """
ALTER TABLE billing_event DROP CONSTRAINT billing_event_type_check,
    ADD CONSTRAINT billing_event_type_check CHECK (type IN (
        'time', 'expense', 'milestone', 'recurring', 'progress', 'usage', 'retainer_draw',
        'adjustment')),
    ADD COLUMN treatment text NOT NULL DEFAULT 'invoiced'
        CHECK (treatment IN ('invoiced', 'prepayment', 'drawn')),
    ADD CHECK ((type = 'retainer_draw') = (treatment = 'drawn')),
    ADD COLUMN share_percent numeric CHECK (share_percent >= 0 AND share_percent <= 100),
    ADD COLUMN converted_price numeric
        CHECK (converted_price > '-Infinity' AND converted_price < 'Infinity'),
    ADD COLUMN converted_currency text CHECK (converted_currency ~ '^[A-Z]{3}$'),
    ADD COLUMN exchange_rate numeric CHECK (exchange_rate > 0 AND exchange_rate < 'Infinity'),
    ADD COLUMN exchange_rate_on date,
    ADD COLUMN exchange_source text,
    ADD CHECK (num_nulls(converted_price, converted_currency, exchange_rate, exchange_rate_on,
                         exchange_source) IN (0, 5)),
    ADD COLUMN adjusts_billing_event_id uuid REFERENCES billing_event,
    ADD COLUMN rerating_run_id uuid,
    ADD COLUMN retainer_period_id uuid;

-- What is written off is claimed like the rest: the row's own checks keep claims to what is open.
ALTER TABLE position DROP CONSTRAINT position_status_check,
    ADD CONSTRAINT position_status_check
        CHECK (status IN ('held', 'eligible', 'released', 'reversed', 'written_off')),
    DROP CONSTRAINT position_claims_released_rows,
    ADD CONSTRAINT position_claims_released_rows CHECK (
        status IN ('released', 'written_off') OR allocated_quantity = 0 AND allocated_amount = 0),
    ADD CONSTRAINT position_written_off_in_full CHECK (
        status <> 'written_off' OR allocated_quantity = quantity AND allocated_amount = amount),
    DROP CONSTRAINT position_check,
    DROP CONSTRAINT position_check1,
    ADD CONSTRAINT position_released_by_somebody CHECK (
        num_nulls(released_by, released_at) IN (0, 2)
        AND (status <> 'released' OR released_by IS NOT NULL)
        AND (status IN ('released', 'written_off') OR released_by IS NULL));

ALTER TABLE allocation
    ALTER COLUMN invoice_id DROP NOT NULL,
    ALTER COLUMN invoice_line_id DROP NOT NULL,
    ADD COLUMN kind text NOT NULL DEFAULT 'invoice'
        CHECK (kind IN ('invoice', 'credit', 'write_off', 'retainer')),
    ADD CONSTRAINT allocation_of_a_document CHECK (
        num_nulls(invoice_id, invoice_line_id)
        = CASE WHEN kind IN ('invoice', 'credit') THEN 0 ELSE 2 END);
"""


def upgrade() -> None:
    run_sql(op, _SOURCES)
    run_sql(op, _ROWS)
