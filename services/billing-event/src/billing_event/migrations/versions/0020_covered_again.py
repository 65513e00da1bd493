"""Work that a fee covers after it was rated, and may cover more than once."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0020"
down_revision = "0019"

# A change order may have a fee cover work, another price it again, and a third cover it once more.
# The time tells which came last: the covering, or a row.
_COVERED = """
ALTER TABLE covered_item
    DROP CONSTRAINT covered_item_pkey,
    ADD PRIMARY KEY (source_item_id, recorded_at);
COMMENT ON TABLE covered_item IS
    'append-only: says since when, and why, nothing is billed for an approved thing';

-- Such work may have a price again; until then it is on no invoice and waits for nothing.
ALTER TABLE rerating_item
    DROP CONSTRAINT rerating_item_place_check,
    ADD CONSTRAINT rerating_item_place_check CHECK (place IN (
        'held', 'eligible', 'released', 'drafted', 'invoiced', 'covered'));
"""


def upgrade() -> None:
    run_sql(op, _COVERED)
