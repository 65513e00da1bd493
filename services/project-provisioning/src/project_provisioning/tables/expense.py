"""Documents and expenses."""

from typing import Final

from sqlalchemy import Column, ForeignKey, Index, LargeBinary, Text, UniqueConstraint, text

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

document: Final = table(
    "document",
    Column("sha256", Text, primary_key=True),
    text_column("content_type"),
    Column("content", LargeBinary, nullable=False),
    text_column("uploaded_by"),
    instant("uploaded_at", default=True),
    comment="append-only: known by the hash of their content",
)

expense_report: Final = table(
    "expense_report",
    key("expense_report_id"),
    version(),
    ref("person_id", "person"),
    id_of("legal_entity_id"),
    text_column("title"),
    text_column("status"),
    text_column("submitted_by", nullable=True),
    instant("submitted_at", nullable=True),
    text_column("decided_by", nullable=True),
    instant("decided_at", nullable=True),
    text_column("rejection_reason", nullable=True),
    Index("expense_report_by_person", "person_id", "expense_report_id"),
)

expense_line: Final = table(
    "expense_line",
    key("expense_line_id"),
    ref("expense_report_id", "expense_report"),
    whole("position"),
    ref("project_id", "project"),
    id_of("contract_id"),
    id_of("contract_line_id", nullable=True),
    id_of("engagement_id"),
    day("incurred_on"),
    text_column("category"),
    text_column("description"),
    amount("net_amount"),
    amount("tax_amount"),
    text_column("currency"),
    flag("billable"),
    flag("reimbursable"),
    Column("receipt_sha256", Text, ForeignKey("document.sha256")),
    text_column("source_system", nullable=True),
    text_column("source_object_type", nullable=True),
    text_column("source_object_id", nullable=True),
    UniqueConstraint("expense_report_id", "position"),
    Index("expense_line_by_project", "project_id"),
    Index(
        "expense_line_by_receipt",
        "receipt_sha256",
        postgresql_where=text("receipt_sha256 IS NOT NULL"),
    ),
)

expense_source: Final = table(
    "expense_source",
    Column("source_system", Text, primary_key=True),
    Column("source_object_type", Text, primary_key=True),
    Column("source_object_id", Text, primary_key=True),
    ref("expense_report_id", "expense_report"),
    Index("expense_source_by_report", "expense_report_id"),
)
