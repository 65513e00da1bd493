"""The tables of this service, in the order of the migrations."""

from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Sequence,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.schema import SchemaItem

from throughline_runtime.schema import metadata_tables

METADATA: Final = MetaData()
metadata_tables(METADATA)


def _table(name: str, *items: SchemaItem, comment: str | None = None) -> Table:
    return Table(name, METADATA, *items, comment=comment)


def _key(name: str) -> Column[Any]:
    return Column(name, Uuid, primary_key=True)


def _id(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Uuid, nullable=nullable)


def _ref(name: str, table: str, *, primary_key: bool = False) -> Column[Any]:
    return Column(
        name, Uuid, ForeignKey(f"{table}.{name}"), nullable=False, primary_key=primary_key
    )


def _text(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Text, nullable=nullable)


def _whole(name: str) -> Column[Any]:
    return Column(name, Integer, nullable=False)


def _version() -> Column[Any]:
    return Column("version", BigInteger, nullable=False)


def _amount(name: str) -> Column[Any]:
    return Column(name, Numeric(18, 6), nullable=False)


def _flag(name: str) -> Column[Any]:
    return Column(name, Boolean, nullable=False)


def _day(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Date, nullable=nullable)


def _instant(name: str, *, default: bool = False, nullable: bool = False) -> Column[Any]:
    server_default = func.now() if default else None
    return Column(name, DateTime(timezone=True), nullable=nullable, server_default=server_default)


template: Final = _table(
    "template",
    Column("code", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    _text("name"),
    Column("billing_models", ARRAY(Text), nullable=False),
    Column("plan", JSONB, nullable=False),
    _instant("published_at"),
    _text("published_by"),
    comment="append-only: runs are pinned to versions",
)

provisioning_run: Final = _table(
    "provisioning_run",
    _key("run_id"),
    _version(),
    _text("state"),
    Column("contract_id", Uuid, nullable=False, unique=True),
    _id("engagement_id"),
    _id("correlation_id"),
    _id("legal_entity_id"),
    Column("contract", LargeBinary, nullable=False),
    Column("pins", JSONB, nullable=False),
    Column("checks", JSONB, nullable=False),
    _text("reason", nullable=True),
    _text("owner", nullable=True),
    _whole("attempts"),
    _id("project_id", nullable=True),
    _text("cancellation_reason"),
    _instant("received_at"),
    _instant("changed_at"),
    _instant("due_at", default=True),
    Index(
        "provisioning_run_due",
        "due_at",
        postgresql_where=text("state IN ('received', 'validating', 'provisioning')"),
    ),
    Index("provisioning_run_by_received_at", "received_at", "run_id"),
)

project_number: Final = Sequence("project_number", metadata=METADATA)

project: Final = _table(
    "project",
    _key("project_id"),
    _version(),
    Column("number", Text, nullable=False, unique=True),
    _text("name"),
    _text("status"),
    _id("contract_id"),
    _id("engagement_id"),
    _id("correlation_id"),
    _id("customer_id"),
    _id("legal_entity_id"),
    _text("time_zone"),
    _day("starts_on"),
    _day("ends_on"),
    _amount("budget"),
    _text("currency"),
    Column("templates", ARRAY(Text), nullable=False),
    _instant("activated_at"),
    UniqueConstraint("contract_id", "legal_entity_id"),
    Index("project_by_activated_at", "activated_at", "project_id"),
)

project_line: Final = _table(
    "project_line",
    _ref("project_id", "project", primary_key=True),
    _key("contract_line_id"),
    _id("quote_line_id"),
    _whole("position"),
    _text("billing_model"),
    _amount("net_total"),
    _text("currency"),
)

task: Final = _table(
    "task",
    _key("task_id"),
    _ref("project_id", "project"),
    _id("contract_line_id"),
    _whole("position"),
    _text("phase"),
    _text("name"),
    _flag("billable"),
    _flag("closed"),
    Index("task_by_project", "project_id", "position"),
)

role_requirement: Final = _table(
    "role_requirement",
    _ref("project_id", "project", primary_key=True),
    _key("contract_line_id"),
    Column("role", Text, primary_key=True),
    _whole("position"),
    Column("planned_hours", Numeric(12, 2), nullable=False),
)

milestone: Final = _table(
    "milestone",
    _key("milestone_id"),
    _version(),
    _ref("project_id", "project"),
    _id("contract_id"),
    _id("contract_line_id"),
    _id("quote_line_id"),
    _id("engagement_id"),
    _id("correlation_id"),
    _id("legal_entity_id"),
    _whole("position"),
    _text("key"),
    _text("name"),
    _amount("amount"),
    _text("currency"),
    _text("status"),
    _day("due_on", nullable=True),
    _day("completed_on", nullable=True),
    _day("accepted_on", nullable=True),
    _text("accepted_by"),
    _text("evidence_sha256"),
    UniqueConstraint("project_id", "contract_line_id", "key"),
    Index("milestone_by_contract", "contract_id", "milestone_id"),
)

person: Final = _table(
    "person",
    _key("person_id"),
    _version(),
    _text("name"),
    _id("legal_entity_id"),
    _text("role"),
    _text("level"),
    _text("region"),
    _day("employed_from"),
    Column("subject", Text, unique=True),
)

timesheet: Final = _table(
    "timesheet",
    _key("timesheet_id"),
    _version(),
    _ref("person_id", "person"),
    _id("legal_entity_id"),
    _day("week_start"),
    _text("status"),
    _text("submitted_by", nullable=True),
    _instant("submitted_at", nullable=True),
    _text("decided_by", nullable=True),
    _instant("decided_at", nullable=True),
    _id("decision_id", nullable=True),
    _text("rejection_reason", nullable=True),
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

person_day: Final = _table(
    "person_day",
    _key("person_id"),
    Column("work_date", Date, primary_key=True),
    _whole("minutes"),
)

time_entry: Final = _table(
    "time_entry",
    _key("time_entry_id"),
    _id("timesheet_id"),
    _id("person_id"),
    _id("legal_entity_id"),
    _id("project_id"),
    _id("task_id"),
    _id("contract_id"),
    _id("contract_line_id"),
    _id("engagement_id"),
    _day("work_date"),
    _whole("minutes"),
    _text("role"),
    _text("level"),
    _text("region"),
    _flag("billable"),
    _text("note"),
    _text("source_system", nullable=True),
    _text("source_object_type", nullable=True),
    _text("source_object_id", nullable=True),
    _instant("recorded_at"),
    Index("time_entry_by_timesheet", "timesheet_id"),
    Index("time_entry_by_project", "project_id", "work_date"),
)

document: Final = _table(
    "document",
    Column("sha256", Text, primary_key=True),
    _text("content_type"),
    Column("content", LargeBinary, nullable=False),
    _text("uploaded_by"),
    _instant("uploaded_at", default=True),
    comment="append-only: known by the hash of their content",
)

expense_report: Final = _table(
    "expense_report",
    _key("expense_report_id"),
    _version(),
    _ref("person_id", "person"),
    _id("legal_entity_id"),
    _text("title"),
    _text("status"),
    _text("submitted_by", nullable=True),
    _instant("submitted_at", nullable=True),
    _text("decided_by", nullable=True),
    _instant("decided_at", nullable=True),
    _text("rejection_reason", nullable=True),
    Index("expense_report_by_person", "person_id", "expense_report_id"),
)

expense_line: Final = _table(
    "expense_line",
    _key("expense_line_id"),
    _ref("expense_report_id", "expense_report"),
    _whole("position"),
    _ref("project_id", "project"),
    _id("contract_id"),
    _id("contract_line_id", nullable=True),
    _id("engagement_id"),
    _day("incurred_on"),
    _text("category"),
    _text("description"),
    _amount("net_amount"),
    _amount("tax_amount"),
    _text("currency"),
    _flag("billable"),
    _flag("reimbursable"),
    Column("receipt_sha256", Text, ForeignKey("document.sha256")),
    _text("source_system", nullable=True),
    _text("source_object_type", nullable=True),
    _text("source_object_id", nullable=True),
    UniqueConstraint("expense_report_id", "position"),
    Index("expense_line_by_project", "project_id"),
    Index(
        "expense_line_by_receipt",
        "receipt_sha256",
        postgresql_where=text("receipt_sha256 IS NOT NULL"),
    ),
)

expense_source: Final = _table(
    "expense_source",
    Column("source_system", Text, primary_key=True),
    Column("source_object_type", Text, primary_key=True),
    Column("source_object_id", Text, primary_key=True),
    _ref("expense_report_id", "expense_report"),
    Index("expense_source_by_report", "expense_report_id"),
)
