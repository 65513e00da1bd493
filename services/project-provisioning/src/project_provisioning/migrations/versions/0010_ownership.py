"""Which outside system may change what."""

from alembic import op

from throughline_runtime import ownership

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    ownership.create(
        op,
        ("time_entry", "create", "*"),
        ("time_entry", "update", "*"),
        ("timesheet", "create", "*"),
        ("timesheet", "update", "*"),
        ("expense_report", "create", "concur"),
        ("expense_report", "update", "concur"),
        ("expense_report", "create", "expensify"),
        ("expense_report", "update", "expensify"),
        ("person", "create", "workday"),
        ("person", "update", "workday"),
        ("person", "create", "bamboohr"),
        ("person", "update", "bamboohr"),
    )
