"""Templates, runs, projects and their milestones."""

from typing import Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
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

_IS_ACTIVE: Final = "status = 'active'"

template: Final = table(
    "template",
    Column("code", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    text_column("name"),
    Column("billing_models", ARRAY(Text), nullable=False),
    Column("plan", JSONB, nullable=False),
    instant("proposed_at"),
    text_column("proposed_by"),
    comment="append-only: runs are pinned to versions",
)

template_decision: Final = table(
    "template_decision",
    Column("code", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    text_column("outcome"),
    instant("decided_at"),
    text_column("decided_by"),
    text_column("comment"),
    ForeignKeyConstraint(["code", "version"], ["template.code", "template.version"]),
    comment="append-only: a version is decided once",
)

provisioning_run: Final = table(
    "provisioning_run",
    key("run_id"),
    version(),
    text_column("state"),
    text_column("kind"),
    id_of("contract_id"),
    whole("contract_version"),
    id_of("change_order_id", nullable=True),
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
    Column("project_ids", ARRAY(Uuid), nullable=False),
    text_column("cancellation_reason"),
    instant("received_at"),
    instant("changed_at"),
    instant("due_at", default=True),
    Index(
        "provisioning_run_due",
        "due_at",
        postgresql_where=text("state IN ('received', 'validating', 'provisioning', 'paused')"),
    ),
    Index(
        "provisioning_run_delivery",
        "contract_id",
        unique=True,
        postgresql_where=text("kind = 'delivery'"),
    ),
    Index("provisioning_run_by_contract", "contract_id", "contract_version", unique=True),
    Index("provisioning_run_by_received_at", "received_at", "run_id"),
)

run_step: Final = table(
    "run_step",
    ref("run_id", "provisioning_run", primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    text_column("from_state", nullable=True),
    text_column("to_state"),
    instant("taken_at"),
    text_column("taken_by"),
    text_column("reason"),
    Column("checks", JSONB, nullable=False),
    comment="append-only: the way each run took",
)

contract_end: Final = table(
    "contract_end",
    key("contract_id"),
    day("work_ends_on"),
    version(),
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
    text_column("region"),
    Column("master_project_id", Uuid, ForeignKey("project.project_id")),
    id_of("selling_legal_entity_id"),
    whole("contract_version"),
    Column("manager_person_id", Uuid, ForeignKey("person.person_id")),
    day("work_ends_on", nullable=True),
    text_column("closed_reason"),
    flag("requires_assignment"),
    Column("customer", JSONB(none_as_null=True)),
    Column("legal_entity", JSONB(none_as_null=True)),
    Column("selling_entity_version", BigInteger, nullable=False),
    UniqueConstraint("contract_id", "legal_entity_id", "region"),
    Index("project_by_activated_at", "activated_at", "project_id"),
    *(
        Index(f"project_open_by_{name}", column, "project_id", postgresql_where=text(_IS_ACTIVE))
        for name, column in (
            ("customer", "customer_id"),
            ("entity", "legal_entity_id"),
            ("seller", "selling_legal_entity_id"),
            ("manager", "manager_person_id"),
        )
    ),
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
    day("starts_on"),
    day("ends_on"),
    day("ended_on", nullable=True),
    text_column("template"),
)

project_budget: Final = table(
    "project_budget",
    ref("project_id", "project", primary_key=True),
    key("contract_line_id"),
    Column("kind", Text, primary_key=True),
    amount("amount"),
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
    Column("parent_task_id", Uuid, ForeignKey("task.task_id")),
    text_column("wbs_code"),
    day("starts_on", nullable=True),
    day("ends_on", nullable=True),
    Column("planned_minutes", Integer),
    day("work_ends_on", nullable=True),
    Column("predecessor_task_ids", ARRAY(Uuid), nullable=False),
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
    text_column("recorded_by"),
    day("acceptance_requested_on", nullable=True),
    Column("split_from_milestone_id", Uuid, ForeignKey("milestone.milestone_id")),
    Index(
        "milestone_awaiting",
        "completed_on",
        postgresql_where=text("status = 'completed'"),
    ),
    UniqueConstraint("project_id", "contract_line_id", "key"),
    Index("milestone_by_contract", "contract_id", "milestone_id"),
)
