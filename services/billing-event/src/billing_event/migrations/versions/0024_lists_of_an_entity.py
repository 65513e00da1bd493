"""Long lists of one legal entity, in their own order."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0024"
down_revision = "0023"

# A small entity's page would else be looked for among all entities' readings and holds.
_BY_ENTITY = """
CREATE INDEX usage_record_by_entity
    ON usage_record (legal_entity_id, measured_at, usage_record_id);
CREATE INDEX hold_open_by_entity ON hold (legal_entity_id, opened_at, hold_id)
    WHERE cleared_at IS NULL;
"""


def upgrade() -> None:
    run_sql(op, _BY_ENTITY)
