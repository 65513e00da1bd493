"""Usage periods that were closed and have to be priced once more, and those the terms void."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0025"
down_revision = "0024"

# A closed period may grow past the day it was closed on, or lack the terms that price it: the clock
# takes it up again. One that the terms no longer know stays as it is named, since they may know it
# again, and counts no reading until then.
_PRICED_AGAIN = """
ALTER TABLE usage_period
    ADD COLUMN is_pending boolean NOT NULL DEFAULT true,
    ADD COLUMN is_void boolean NOT NULL DEFAULT false;
UPDATE usage_period SET is_pending = false WHERE closed_at IS NOT NULL;
CREATE INDEX usage_period_pending ON usage_period (service_to) WHERE is_pending;
DROP INDEX usage_period_open;
"""


def upgrade() -> None:
    run_sql(op, _PRICED_AGAIN)
