"""Readings and purchases are known by all of their source: system, type and id."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0027"
down_revision = "0026"

# Two objects of one system may have one number, if they are of different types. No row of
# `usage_record` may be updated, so the column is rewritten as a whole.
_KEYS = """
ALTER TABLE usage_record ALTER COLUMN record_key TYPE text USING coalesce(
    source_system || chr(31) || source_object_type || chr(31) || source_object_id, record_key);
DROP INDEX purchase_once;
CREATE UNIQUE INDEX purchase_once
    ON purchase (source_system, source_object_type, source_object_id);
"""


def upgrade() -> None:
    run_sql(op, _KEYS)
