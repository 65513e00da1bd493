"""Periods of retainers follow an end that is moved, and remember what was drawn beyond it."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0022"
down_revision = "0021"

# Of a period that no day is left of nothing is granted, and nothing is carried on into it.
_VOID = """
ALTER TABLE retainer_period
    DROP CONSTRAINT retainer_period_status_check,
    ADD CONSTRAINT retainer_period_status_check
        CHECK (status IN ('planned', 'open', 'closed', 'void'));
"""

# What was drawn before an end took it off, and what that was paid: taken off what is given back or
# granted later, before anything can be drawn on that. Known so far by what is granted alone.
_OVERDRAWN = """
ALTER TABLE retainer_period
    ADD COLUMN overdrawn       numeric NOT NULL DEFAULT 0
        CHECK (overdrawn >= 0 AND overdrawn < 'Infinity'),
    ADD COLUMN overdrawn_value numeric NOT NULL DEFAULT 0
        CHECK (overdrawn_value >= 0 AND overdrawn_value < 'Infinity');
WITH topped_up AS (
    SELECT retainer_period_id, sum(quantity) AS quantity, sum(price) AS price
    FROM retainer_top_up WHERE status = 'approved' GROUP BY retainer_period_id
), granted AS (
    SELECT retainer_period_id, sum(value) AS value
    FROM retainer_entry WHERE kind IN ('grant', 'top_up') GROUP BY retainer_period_id
)
UPDATE retainer_period AS period
SET overdrawn = period.granted - period.block - coalesce(topped_up.quantity, 0),
    overdrawn_value = greatest(granted.value - period.price - coalesce(topped_up.price, 0), 0)
FROM granted LEFT JOIN topped_up USING (retainer_period_id)
WHERE granted.retainer_period_id = period.retainer_period_id AND period.status <> 'planned'
  AND period.granted > period.block + coalesce(topped_up.quantity, 0);
"""


def upgrade() -> None:
    run_sql(op, _VOID)
    run_sql(op, _OVERDRAWN)
