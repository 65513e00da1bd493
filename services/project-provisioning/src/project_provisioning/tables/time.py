"""People, their timesheets and time entries."""

from typing import Final

from sqlalchemy import ARRAY, Column, Date, ForeignKey, Index, Integer, Text, Uuid, text

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
    day("employed_to", nullable=True),
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
    flag("takes_entries"),
    text_column("decided_for", nullable=True),
    Column("split_from_timesheet_id", Uuid, ForeignKey("timesheet.timesheet_id")),
    Index(
        "timesheet_draft",
        "person_id",
        "legal_entity_id",
        "week_start",
        unique=True,
        postgresql_where=text("takes_entries"),
    ),
    Index(
        "timesheet_open",
        "week_start",
        "person_id",
        postgresql_where=text("status IN ('draft', 'rejected')"),
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
    text_column("activity"),
    id_of("reverses_time_entry_id", nullable=True),
    id_of("replaces_time_entry_id", nullable=True),
    id_of("time_correction_id", nullable=True),
    Index("time_entry_by_timesheet", "timesheet_id"),
    Index("time_entry_by_project", "project_id", "work_date"),
    Index(
        "time_entry_reversal",
        "reverses_time_entry_id",
        unique=True,
        postgresql_where=text("reverses_time_entry_id IS NOT NULL"),
    ),
    Index(
        "time_entry_replacement",
        "replaces_time_entry_id",
        unique=True,
        postgresql_where=text("replaces_time_entry_id IS NOT NULL"),
    ),
    Index(
        "time_entry_by_correction",
        "time_correction_id",
        postgresql_where=text("time_correction_id IS NOT NULL"),
    ),
)

timesheet_finding: Final = table(
    "timesheet_finding",
    ref("timesheet_id", "timesheet", primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    text_column("rule"),
    text_column("message"),
    day("work_date", nullable=True),
)

time_entry_rejection: Final = table(
    "time_entry_rejection",
    key("time_entry_id"),
    ref("timesheet_id", "timesheet", primary_key=True),
    text_column("reason"),
    text_column("rejected_by"),
    instant("rejected_at"),
    comment="append-only: what was sent back, from which sheet",
)

time_correction: Final = table(
    "time_correction",
    key("time_correction_id"),
    text_column("kind"),
    text_column("reason"),
    text_column("corrected_by"),
    instant("corrected_at"),
    whole("reversed_count"),
    whole("reversed_minutes"),
    whole("entered_minutes"),
    Column("legal_entity_ids", ARRAY(Uuid), nullable=False),
    comment="append-only: every correction of approved time",
)

time_approval_policy: Final = table(
    "time_approval_policy",
    key("legal_entity_id"),
    version(),
    text_column("approver"),
    whole("reminder_days"),
)

delegation: Final = table(
    "delegation",
    key("delegation_id"),
    version(),
    text_column("delegator"),
    text_column("delegate"),
    text_column("scope"),
    flag("by_pmo"),
    id_of("legal_entity_id", nullable=True),
    day("starts_on"),
    day("ends_on"),
    text_column("reason"),
    text_column("created_by"),
    instant("created_at"),
    text_column("revoked_by", nullable=True),
    instant("revoked_at", nullable=True),
    Index(
        "delegation_by_delegate",
        "delegate",
        "starts_on",
        postgresql_where=text("revoked_at IS NULL"),
    ),
    Index("delegation_by_delegator", "delegator", "delegation_id"),
)
