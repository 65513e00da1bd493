"""Legal entities, customers and number series."""

from typing import Final

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
    Numeric,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from customer_contract.tables.columns import address, metadata, source, text_column

number_series: Final = Table(
    "number_series",
    metadata,
    Column("series", Text, primary_key=True),
    Column("last", BigInteger, nullable=False),
)

legal_entity: Final = Table(
    "legal_entity",
    metadata,
    Column("legal_entity_id", Uuid, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("code", Text, nullable=False, unique=True),
    text_column("currency"),
    text_column("name"),
    text_column("time_zone"),
    *address(),
    text_column("tax_id", nullable=True),
    text_column("registration"),
    text_column("iban", nullable=True),
    text_column("bic", nullable=True),
    text_column("billing_email"),
    text_column("holiday_country"),
    text_column("holiday_subdivision"),
    Column("working_days", ARRAY(SmallInteger), nullable=False),
    Column("tax_registrations", JSONB, nullable=False),
    Column("fiscal_year_start_month", SmallInteger, nullable=False),
    Column("closed_through", Date),
)

customer: Final = Table(
    "customer",
    metadata,
    Column("customer_id", Uuid, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("number", Text, nullable=False, unique=True),
    text_column("name"),
    Column("parent_customer_id", Uuid, ForeignKey("customer.customer_id")),
    *address(),
    text_column("tax_id", nullable=True),
    text_column("tax_status"),
    Column("payment_terms_days", Integer, nullable=False),
    text_column("currency"),
    text_column("billing_email"),
    text_column("credit_hold_reason", nullable=True),
    *source(),
    Column("payer_customer_id", Uuid, ForeignKey("customer.customer_id")),
    Column("bill_to_customer_id", Uuid, ForeignKey("customer.customer_id")),
    Column("contacts", JSONB, nullable=False),
    Column("tax_registrations", JSONB, nullable=False),
    Column("exemption_certificates", JSONB, nullable=False),
    Column("credit_limit", Numeric(18, 4)),
    text_column("credit_limit_currency", nullable=True),
    Column("ended_on", Date),
    text_column("changed_in"),
    text_column("source_version", nullable=True),
    Column("source_content_sha256", LargeBinary),
    UniqueConstraint("source_system", "source_type", "source_id"),
    Index("customer_by_tax_id", "tax_id"),
    Index("customer_by_parent", "parent_customer_id"),
    Index(
        "customer_by_name",
        func.lower(text("name")).label("name"),
        postgresql_ops={"name": "text_pattern_ops"},
    ),
)

credit_hold_move: Final = Table(
    "credit_hold_move",
    metadata,
    Column("customer_id", Uuid, ForeignKey("customer.customer_id"), primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("placed", Boolean, nullable=False),
    text_column("reason"),
    text_column("moved_by"),
    Column("moved_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    comment="append-only: who placed and released credit holds, and why",
)
