"""Plans: assignments, baselines, estimates, and what happened to milestones."""

from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    Date,
    ForeignKey,
    Index,
    Numeric,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from project_provisioning.tables.columns import (
    amount,
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


def _hours(name: str) -> Column[Any]:
    return Column(name, Numeric(12, 2), nullable=False)


milestone_step: Final = table(
    "milestone_step",
    ref("milestone_id", "milestone", primary_key=True),
    Column("milestone_version", BigInteger, primary_key=True, autoincrement=False),
    text_column("kind"),
    day("happened_on"),
    text_column("party"),
    text_column("document_sha256"),
    amount("amount"),
    text_column("currency"),
    text_column("reason"),
    text_column("recorded_by"),
    instant("recorded_at"),
    comment="append-only: all that happened to each milestone",
)

milestone_withdrawal: Final = table(
    "milestone_withdrawal",
    ref("milestone_id", "milestone", primary_key=True),
    Column("milestone_version", BigInteger, nullable=False),
    text_column("reason"),
    text_column("requested_by"),
    instant("requested_at"),
)

plan_policy: Final = table(
    "plan_policy",
    key("legal_entity_id"),
    version(),
    whole("acceptance_reminder_days"),
    whole("budget_warning_percent"),
)

task_estimate: Final = table(
    "task_estimate",
    key("estimate_id"),
    ref("task_id", "task"),
    _hours("remaining_hours"),
    day("as_of"),
    text_column("note"),
    text_column("entered_by"),
    instant("entered_at"),
    Index("task_estimate_by_task", "task_id", "estimate_id"),
    comment="append-only: what was thought to remain, and when",
)

staffing_request: Final = table(
    "staffing_request",
    key("staffing_request_id"),
    version(),
    ref("project_id", "project"),
    id_of("legal_entity_id"),
    id_of("contract_line_id", nullable=True),
    text_column("role"),
    text_column("level"),
    text_column("region"),
    Column("skills", ARRAY(Text), nullable=False),
    day("starts_on"),
    day("ends_on"),
    _hours("hours"),
    text_column("note"),
    text_column("requested_by"),
    text_column("cancelled_reason", nullable=True),
    Index("staffing_request_by_project", "project_id", "staffing_request_id"),
)

assignment: Final = table(
    "assignment",
    key("assignment_id"),
    version(),
    ref("project_id", "project"),
    Column("task_id", Uuid, ForeignKey("task.task_id")),
    ref("person_id", "person"),
    id_of("legal_entity_id"),
    id_of("engagement_id"),
    id_of("correlation_id"),
    text_column("role"),
    text_column("booking"),
    flag("ended"),
    day("starts_on"),
    day("ends_on"),
    _hours("planned_hours"),
    text_column("transfer_rule"),
    Column("staffing_request_id", Uuid, ForeignKey("staffing_request.staffing_request_id")),
    Column("continues_assignment_id", Uuid, ForeignKey("assignment.assignment_id")),
    text_column("reason"),
    Index("assignment_by_project", "project_id", "assignment_id"),
    Index("assignment_by_person", "person_id", "starts_on"),
    Index(
        "assignment_by_staffing_request",
        "staffing_request_id",
        postgresql_where=text("staffing_request_id IS NOT NULL"),
    ),
)

assignment_week: Final = table(
    "assignment_week",
    ref("assignment_id", "assignment", primary_key=True),
    Column("week_start", Date, primary_key=True),
    ref("person_id", "person"),
    Column("hours", Numeric(7, 2), nullable=False),
    Index("assignment_week_by_person", "person_id", "week_start"),
)

baseline: Final = table(
    "baseline",
    key("baseline_id"),
    ref("project_id", "project"),
    whole("number"),
    text_column("label"),
    text_column("reason"),
    day("taken_on"),
    text_column("taken_by"),
    instant("taken_at"),
    whole("contract_version"),
    Column("items", JSONB, nullable=False),
    UniqueConstraint("project_id", "number"),
    comment="append-only: plans as they once were",
)
