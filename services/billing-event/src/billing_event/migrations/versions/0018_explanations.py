"""How the price of a row came about, figure by figure."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0018"
down_revision = "0017"

# Rows from before say it in words only. The price before factor, markup and conversion is in the
# currency that was converted, else in the row's.
_EXPLANATIONS = """
ALTER TABLE billing_event
    ADD COLUMN rate_rule text CHECK (rate_rule IN (
        'line_person', 'line_role', 'contract_card', 'customer_card', 'entity_card', 'firm_card',
        'agreed', 'cost_plus', 'retainer_block', 'retainer_overage', 'usage_tier')),
    ADD COLUMN base_rate numeric CHECK (base_rate > '-Infinity' AND base_rate < 'Infinity'),
    ADD COLUMN rounding_minutes integer CHECK (rounding_minutes BETWEEN 1 AND 480),
    ADD COLUMN rounding_mode text CHECK (rounding_mode IN ('nearest', 'up', 'down')),
    ADD CHECK (num_nulls(rate_rule, base_rate) IN (0, 2)),
    ADD CHECK (num_nulls(rounding_minutes, rounding_mode) IN (0, 2)),
    ADD CHECK (rounding_minutes IS NULL OR unit = 'hour');
"""


def upgrade() -> None:
    run_sql(op, _EXPLANATIONS)
