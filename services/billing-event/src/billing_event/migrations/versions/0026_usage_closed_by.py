"""Usage periods keep the version of the terms they were closed by."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0026"
down_revision = "0025"

# What comes late is priced by it, until a re-rating run moves the period to another. The row billed
# last says by which terms a period was priced so far; one that billed nothing takes those of its
# first day when it is priced the next time.
_CLOSED_BY = """
ALTER TABLE usage_period ADD COLUMN contract_version bigint CHECK (contract_version > 0);
UPDATE usage_period AS period SET contract_version = billed.contract_version
FROM (SELECT DISTINCT ON (source_item_id) source_item_id, contract_version FROM billing_event
      WHERE type = 'usage' AND reverses_billing_event_id IS NULL
      ORDER BY source_item_id, part DESC) AS billed
WHERE billed.source_item_id = period.usage_period_id;
"""


def upgrade() -> None:
    run_sql(op, _CLOSED_BY)
