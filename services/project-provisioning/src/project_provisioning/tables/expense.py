"""Documents and expenses."""

from typing import Final

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
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
    text_column("decided_for", nullable=True),
    Index("expense_report_by_person", "person_id", "expense_report_id"),
    Index(
        "expense_report_submitted",
        "legal_entity_id",
        "expense_report_id",
        postgresql_where=text("status = 'submitted'"),
    ),
)

reimbursement: Final = table(
    "reimbursement",
    key("reimbursement_id"),
    ref("person_id", "person"),
    id_of("legal_entity_id"),
    amount("amount"),
    text_column("currency"),
    whole("line_count"),
    day("incurred_before"),
    text_column("payment_reference"),
    day("paid_on"),
    text_column("recorded_by"),
    instant("recorded_at"),
    Index("reimbursement_by_person", "person_id", "reimbursement_id"),
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
    Column("receipt_net_amount", Numeric(18, 6)),
    Column("receipt_tax_amount", Numeric(18, 6)),
    text_column("receipt_currency", nullable=True),
    Column("exchange_rate", Numeric(20, 10)),
    text_column("exchange_rate_source", nullable=True),
    day("exchange_rate_on", nullable=True),
    Column("taxes", JSONB, nullable=False),
    text_column("justification"),
    Column("reverses_expense_line_id", Uuid, ForeignKey("expense_line.expense_line_id")),
    text_column("reversal_reason"),
    instant("approved_at", nullable=True),
    Column("reimbursement_id", Uuid, ForeignKey("reimbursement.reimbursement_id")),
    UniqueConstraint("expense_report_id", "position"),
    Index(
        "expense_line_reversal",
        "reverses_expense_line_id",
        unique=True,
        postgresql_where=text("reverses_expense_line_id IS NOT NULL"),
    ),
    Index(
        "expense_line_to_reimburse",
        "incurred_on",
        postgresql_where=text(
            "reimbursable AND approved_at IS NOT NULL AND reimbursement_id IS NULL"
        ),
    ),
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

expense_terms: Final = table(
    "expense_terms",
    key("contract_line_id"),
    Column("contract_version", Integer, primary_key=True, autoincrement=False),
    day("effective_on"),
    Column("policy", JSONB, nullable=False),
)

expense_finding: Final = table(
    "expense_finding",
    Column(
        "expense_line_id",
        Uuid,
        ForeignKey("expense_line.expense_line_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("rule", Text, primary_key=True),
    text_column("severity"),
    text_column("explanation"),
    text_column("excepted_by", nullable=True),
    instant("excepted_at", nullable=True),
    text_column("exception_reason", nullable=True),
)

unassigned_expense: Final = table(
    "unassigned_expense",
    key("expense_id"),
    version(),
    text_column("status"),
    ref("person_id", "person"),
    id_of("legal_entity_id"),
    text_column("title"),
    id_of("project_id", nullable=True),
    id_of("contract_line_id", nullable=True),
    day("incurred_on"),
    text_column("category"),
    text_column("description"),
    amount("net_amount"),
    Column("tax_amount", Numeric(18, 6)),
    text_column("currency"),
    Column("taxes", JSONB, nullable=False),
    Column("billable", Boolean),
    flag("reimbursable"),
    Column("receipt_sha256", Text, ForeignKey("document.sha256")),
    text_column("justification"),
    text_column("source_system"),
    text_column("source_object_type"),
    text_column("source_object_id"),
    text_column("reason"),
    Column("expense_report_id", Uuid, ForeignKey("expense_report.expense_report_id")),
    text_column("decided_by", nullable=True),
    UniqueConstraint("source_system", "source_object_type", "source_object_id"),
    Index("unassigned_expense_by_status", "status", "expense_id"),
)
