"""People, their timesheets and time entries."""

from typing import Final

from sqlalchemy import Column, Date, Index, Text, text

from project_provisioning.tables.columns import (
    day,
    flag,
    id_of,
    instant,
    key,
    ref,
    table,
    text_column,
    version,
    whole,
)

person: Final = table(
    "person",
    key("person_id"),
    version(),
    text_column("name"),
    id_of("legal_entity_id"),
    text_column("role"),
    text_column("level"),
    text_column("region"),
    day("employed_from"),
    Column("subject", Text, unique=True),
)

timesheet: Final = table(
    "timesheet",
    key("timesheet_id"),
    version(),
    ref("person_id", "person"),
    id_of("legal_entity_id"),
    day("week_start"),
    text_column("status"),
    text_column("submitted_by", nullable=True),
    instant("submitted_at", nullable=True),
    text_column("decided_by", nullable=True),
    instant("decided_at", nullable=True),
    id_of("decision_id", nullable=True),
    text_column("rejection_reason", nullable=True),
    Index(
        "timesheet_draft",
        "person_id",
        "week_start",
        unique=True,
        postgresql_where=text("status = 'draft'"),
    ),
    Index("timesheet_by_person", "person_id", "week_start"),
    Index("timesheet_submitted", "week_start", postgresql_where=text("status = 'submitted'")),
)

person_day: Final = table(
    "person_day",
    key("person_id"),
    Column("work_date", Date, primary_key=True),
    whole("minutes"),
)

time_entry: Final = table(
    "time_entry",
    key("time_entry_id"),
    id_of("timesheet_id"),
    id_of("person_id"),
    id_of("legal_entity_id"),
    id_of("project_id"),
    id_of("task_id"),
    id_of("contract_id"),
    id_of("contract_line_id"),
    id_of("engagement_id"),
    day("work_date"),
    whole("minutes"),
    text_column("role"),
    text_column("level"),
    text_column("region"),
    flag("billable"),
    text_column("note"),
    text_column("source_system", nullable=True),
    text_column("source_object_type", nullable=True),
    text_column("source_object_id", nullable=True),
    instant("recorded_at"),
    Index("time_entry_by_timesheet", "timesheet_id"),
    Index("time_entry_by_project", "project_id", "work_date"),
)
