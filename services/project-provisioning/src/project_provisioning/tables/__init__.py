"""The tables of this service, in the order of the migrations."""

from project_provisioning.tables.columns import METADATA
from project_provisioning.tables.expense import (
    document,
    expense_line,
    expense_report,
    expense_source,
)
from project_provisioning.tables.provisioning import (
    milestone,
    project,
    project_line,
    project_number,
    provisioning_run,
    role_requirement,
    task,
    template,
)
from project_provisioning.tables.time import person, person_day, time_entry, timesheet

__all__ = [
    "METADATA",
    "document",
    "expense_line",
    "expense_report",
    "expense_source",
    "milestone",
    "person",
    "person_day",
    "project",
    "project_line",
    "project_number",
    "provisioning_run",
    "role_requirement",
    "task",
    "template",
    "time_entry",
    "timesheet",
]
