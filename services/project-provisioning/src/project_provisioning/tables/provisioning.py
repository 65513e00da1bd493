"""Templates, runs, projects and their milestones."""

from typing import Final

from sqlalchemy import (
    ARRAY,
    Column,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    Sequence,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from project_provisioning.tables.columns import (
    METADATA,
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

template: Final = table(
    "template",
    Column("code", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    text_column("name"),
    Column("billing_models", ARRAY(Text), nullable=False),
    Column("plan", JSONB, nullable=False),
    instant("published_at"),
    text_column("published_by"),
    comment="append-only: runs are pinned to versions",
)

provisioning_run: Final = table(
    "provisioning_run",
    key("run_id"),
    version(),
    text_column("state"),
    Column("contract_id", Uuid, nullable=False, unique=True),
    id_of("engagement_id"),
    id_of("correlation_id"),
    id_of("legal_entity_id"),
    Column("contract", LargeBinary, nullable=False),
    Column("pins", JSONB, nullable=False),
    Column("checks", JSONB, nullable=False),
    text_column("reason", nullable=True),
    text_column("owner", nullable=True),
    whole("attempts"),
    id_of("project_id", nullable=True),
    text_column("cancellation_reason"),
    instant("received_at"),
    instant("changed_at"),
    instant("due_at", default=True),
    Index(
        "provisioning_run_due",
        "due_at",
        postgresql_where=text("state IN ('received', 'validating', 'provisioning')"),
    ),
    Index("provisioning_run_by_received_at", "received_at", "run_id"),
)

project_number: Final = Sequence("project_number", metadata=METADATA)

project: Final = table(
    "project",
    key("project_id"),
    version(),
    Column("number", Text, nullable=False, unique=True),
    text_column("name"),
    text_column("status"),
    id_of("contract_id"),
    id_of("engagement_id"),
    id_of("correlation_id"),
    id_of("customer_id"),
    id_of("legal_entity_id"),
    text_column("time_zone"),
    day("starts_on"),
    day("ends_on"),
    amount("budget"),
    text_column("currency"),
    Column("templates", ARRAY(Text), nullable=False),
    instant("activated_at"),
    UniqueConstraint("contract_id", "legal_entity_id"),
    Index("project_by_activated_at", "activated_at", "project_id"),
)

project_line: Final = table(
    "project_line",
    ref("project_id", "project", primary_key=True),
    key("contract_line_id"),
    id_of("quote_line_id"),
    whole("position"),
    text_column("billing_model"),
    amount("net_total"),
    text_column("currency"),
)

task: Final = table(
    "task",
    key("task_id"),
    ref("project_id", "project"),
    id_of("contract_line_id"),
    whole("position"),
    text_column("phase"),
    text_column("name"),
    flag("billable"),
    flag("closed"),
    Index("task_by_project", "project_id", "position"),
)

role_requirement: Final = table(
    "role_requirement",
    ref("project_id", "project", primary_key=True),
    key("contract_line_id"),
    Column("role", Text, primary_key=True),
    whole("position"),
    Column("planned_hours", Numeric(12, 2), nullable=False),
)

milestone: Final = table(
    "milestone",
    key("milestone_id"),
    version(),
    ref("project_id", "project"),
    id_of("contract_id"),
    id_of("contract_line_id"),
    id_of("quote_line_id"),
    id_of("engagement_id"),
    id_of("correlation_id"),
    id_of("legal_entity_id"),
    whole("position"),
    text_column("key"),
    text_column("name"),
    amount("amount"),
    text_column("currency"),
    text_column("status"),
    day("due_on", nullable=True),
    day("completed_on", nullable=True),
    day("accepted_on", nullable=True),
    text_column("accepted_by"),
    text_column("evidence_sha256"),
    UniqueConstraint("project_id", "contract_line_id", "key"),
    Index("milestone_by_contract", "contract_id", "milestone_id"),
)
