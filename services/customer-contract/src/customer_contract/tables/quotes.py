"""Quotes in their versions, with their approvals and documents."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from customer_contract.tables.columns import metadata, service_line, source, text_column

quote: Final = Table(
    "quote",
    metadata,
    Column("quote_id", Uuid, primary_key=True),
    Column("quote_version", Integer, primary_key=True),
    Column("is_latest", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False),
    text_column("number"),
    text_column("status"),
    Column("customer_id", Uuid, ForeignKey("customer.customer_id"), nullable=False),
    Column("legal_entity_id", Uuid, ForeignKey("legal_entity.legal_entity_id"), nullable=False),
    text_column("currency"),
    Column("start_on", Date, nullable=False),
    Column("end_on", Date, nullable=False),
    Column("payment_terms_days", Integer, nullable=False),
    text_column("purchase_order_number"),
    Column("correlation_id", Uuid, nullable=False),
    text_column("proposed_by"),
    *source(),
    Column("content_sha256", LargeBinary, nullable=False),
    text_column("approved_by", nullable=True),
    Column("approved_at", DateTime(timezone=True)),
    text_column("rejection_reason"),
    Column("valid_until", Date),
    text_column("rejection_code", nullable=True),
    Column("review", JSONB, nullable=False),
    text_column("awaiting_role", nullable=True),
    Column("is_breaching", Boolean, nullable=False),
    Index("quote_latest", "quote_id", unique=True, postgresql_where=text("is_latest")),
    Index("quote_by_customer", "customer_id", "quote_id", postgresql_where=text("is_latest")),
    Index("quote_by_number", "number"),
    Index(
        "quote_expiring",
        "valid_until",
        postgresql_where=text("is_latest AND status IN ('in_review', 'approved')"),
    ),
    Index("quote_awaiting", "awaiting_role", "quote_id", postgresql_where=text("is_latest")),
)

quote_line: Final = Table(
    "quote_line",
    metadata,
    Column("quote_id", Uuid, primary_key=True),
    Column("quote_version", Integer, primary_key=True),
    Column("quote_line_id", Uuid, primary_key=True),
    *service_line(),
    UniqueConstraint("quote_id", "quote_version", "position"),
    ForeignKeyConstraint(["quote_id", "quote_version"], ["quote.quote_id", "quote.quote_version"]),
    comment="append-only: a version of an offer is never rewritten",
)

quote_approval: Final = Table(
    "quote_approval",
    metadata,
    Column("quote_id", Uuid, primary_key=True),
    Column("quote_version", Integer, primary_key=True),
    Column("step", Integer, primary_key=True),
    text_column("role", nullable=True),
    text_column("name"),
    text_column("approved_by"),
    Column("approved_at", DateTime(timezone=True), nullable=False),
    text_column("comment"),
    ForeignKeyConstraint(["quote_id", "quote_version"], ["quote.quote_id", "quote.quote_version"]),
    UniqueConstraint("quote_id", "quote_version", "approved_by"),
    comment="append-only: who approved which step of an offer",
)

document: Final = Table(
    "document",
    metadata,
    Column("sha256", LargeBinary, primary_key=True),
    text_column("content_type"),
    Column("content", LargeBinary, nullable=False),
    Column("stored_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    comment="append-only: contents of documents by their hash",
)

quote_document: Final = Table(
    "quote_document",
    metadata,
    Column("quote_id", Uuid, primary_key=True),
    Column("quote_version", Integer, primary_key=True),
    Column("sha256", LargeBinary, ForeignKey("document.sha256"), primary_key=True),
    text_column("kind"),
    text_column("file_name"),
    Column("size_bytes", BigInteger, nullable=False),
    text_column("attached_by"),
    Column("attached_at", DateTime(timezone=True), nullable=False),
    ForeignKeyConstraint(["quote_id", "quote_version"], ["quote.quote_id", "quote.quote_version"]),
    comment="append-only: which documents belong to an offer",
)
