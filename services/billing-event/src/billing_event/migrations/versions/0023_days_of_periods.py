"""A word on a period may move its first day too."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0023"
down_revision = "0022"

# A change order may have a line start later, or earlier, than a period that was charged. Its rows
# are rated anew then, and show the days they bill.
_STEPS = """
ALTER TABLE source_step
    ADD COLUMN service_from date,
    ADD CHECK (service_from < service_to);
"""


def upgrade() -> None:
    run_sql(op, _STEPS)
