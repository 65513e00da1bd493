"""Quotes in their versions."""

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
    text,
)

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
    Index("quote_latest", "quote_id", unique=True, postgresql_where=text("is_latest")),
    Index("quote_by_customer", "customer_id", "quote_id", postgresql_where=text("is_latest")),
    Index("quote_by_number", "number"),
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
