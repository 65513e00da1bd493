"""Costs of other systems come in once, unless their report was rejected."""

from alembic import op

from throughline_runtime.schema import run_sql

revision = "0005"
down_revision = "0004"

_SQL = """
-- Held by the report that brought the cost in, and given back when it is rejected. Of lines that
-- came in twice before, the first one holds it.
CREATE TABLE expense_source (
    source_system      text NOT NULL,
    source_object_type text NOT NULL,
    source_object_id   text NOT NULL,
    expense_report_id  uuid NOT NULL REFERENCES expense_report,
    PRIMARY KEY (source_system, source_object_type, source_object_id)
);
CREATE INDEX expense_source_by_report ON expense_source (expense_report_id);
INSERT INTO expense_source
SELECT source_system, source_object_type, source_object_id, expense_report_id
FROM expense_line JOIN expense_report USING (expense_report_id)
WHERE source_system IS NOT NULL AND status <> 'rejected'
ORDER BY expense_line_id
ON CONFLICT DO NOTHING;
"""


def upgrade() -> None:
    run_sql(op, _SQL)
