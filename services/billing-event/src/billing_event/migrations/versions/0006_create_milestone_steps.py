"""What the client refused of milestones, until they are completed again."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0006"
down_revision = "0005"

_STEPS = """
-- A milestone may be completed, refused and completed again; its events come in any order. The
-- version of the milestone, as its publisher counts it, tells which of them is the last word.
CREATE TABLE milestone_step (
    source_item_id    uuid        NOT NULL REFERENCES source_item,
    milestone_version bigint      NOT NULL CHECK (milestone_version > 0),
    refusal           text        NOT NULL,
    recorded_at       timestamptz NOT NULL,
    PRIMARY KEY (source_item_id, milestone_version)
);
COMMENT ON TABLE milestone_step IS
    'append-only: completions and refusals; the highest version is the last word';
"""


def upgrade() -> None:
    run_sql(op, _STEPS)
