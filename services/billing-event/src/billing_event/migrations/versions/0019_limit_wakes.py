"""Notes that a limit has room again, left by whoever may not look at what it stopped."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0019"
down_revision = "0018"

# Without a unique key, on which two that note the same thing would wait for each other.
_LIMIT_WAKES = """
CREATE TABLE limit_wake (
    limit_wake_id uuid PRIMARY KEY,
    contract_id uuid,
    customer_id uuid,
    noted_at timestamptz NOT NULL,
    CHECK (num_nonnulls(contract_id, customer_id) = 1)
);

COMMENT ON TABLE limit_wake IS
    'a limit has room again; taken by the schedule, which judges what it stopped';
"""


def upgrade() -> None:
    run_sql(op, _LIMIT_WAKES)
