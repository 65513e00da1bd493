"""Milestones that are no longer agreed, or went back into the one whose rest they were."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0012"
down_revision = "0011"

# A cancelled milestone was complete if it was a rest, and never begun if a change order dropped it.
_SQL = """
ALTER TABLE milestone DROP CONSTRAINT milestone_status_check;
ALTER TABLE milestone ADD CONSTRAINT milestone_status_check CHECK (status IN
    ('planned', 'completed', 'accepted', 'rejected', 'cancelled'));
ALTER TABLE milestone DROP CONSTRAINT milestone_check;
ALTER TABLE milestone ADD CONSTRAINT milestone_completed CHECK
    (status = 'cancelled' OR (status = 'planned') = (completed_on IS NULL));
ALTER TABLE milestone ADD CONSTRAINT milestone_cancelled CHECK
    (status <> 'cancelled' OR amount = 0);

ALTER TABLE milestone_step DROP CONSTRAINT milestone_step_kind_check;
ALTER TABLE milestone_step ADD CONSTRAINT milestone_step_kind_check CHECK (kind IN
    ('completed', 'requested', 'accepted', 'accepted_in_part', 'rejected', 'withdrawn',
     'rescheduled', 'split_off', 'merged', 'cancelled'));
"""


def upgrade() -> None:
    run_sql(op, _SQL)
