"""Contracts and the versions of their terms."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)

from customer_contract.tables.columns import metadata, service_line, text_column

contract: Final = Table(
    "contract",
    metadata,
    Column("contract_id", Uuid, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("contract_version", Integer, nullable=False),
    Column("number", Text, nullable=False, unique=True),
    text_column("status"),
    Column("engagement_id", Uuid, nullable=False, unique=True),
    Column("correlation_id", Uuid, nullable=False),
    Column("quote_id", Uuid, nullable=False, unique=True),
    Column("quote_version", Integer, nullable=False),
    Column("customer_id", Uuid, ForeignKey("customer.customer_id"), nullable=False),
    Column("legal_entity_id", Uuid, ForeignKey("legal_entity.legal_entity_id"), nullable=False),
    text_column("currency"),
    text_column("time_zone"),
    text_column("document_sha256", nullable=True),
    text_column("signatory", nullable=True),
    Column("signed_on", Date),
    Column("activated_on", Date),
    Column("terminated_on", Date),
    text_column("termination_reason"),
    ForeignKeyConstraint(["quote_id", "quote_version"], ["quote.quote_id", "quote.quote_version"]),
    Index("contract_by_customer", "customer_id", "contract_id"),
    Index("contract_by_status", "status", "contract_id"),
)

contract_terms: Final = Table(
    "contract_terms",
    metadata,
    Column("contract_id", Uuid, ForeignKey("contract.contract_id"), primary_key=True),
    Column("contract_version", Integer, primary_key=True),
    Column("start_on", Date, nullable=False),
    Column("end_on", Date, nullable=False),
    Column("bill_to_customer_id", Uuid, ForeignKey("customer.customer_id"), nullable=False),
    Column("payment_terms_days", Integer, nullable=False),
    text_column("purchase_order_number"),
    Column("not_to_exceed", Numeric(18, 4)),
    text_column("invoice_grouping"),
    text_column("line_detail"),
    Column("time_rounding_minutes", Integer, nullable=False),
    text_column("time_rounding_mode"),
    Column("rate_card_id", Uuid),
    Column("effective_on", Date),
    text_column("reason"),
    text_column("recorded_by"),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
)

contract_line: Final = Table(
    "contract_line",
    metadata,
    Column("contract_id", Uuid, nullable=False),
    Column("contract_version", Integer, primary_key=True),
    Column("contract_line_id", Uuid, primary_key=True),
    Column("quote_line_id", Uuid, nullable=False),
    *service_line(),
    UniqueConstraint("contract_id", "contract_version", "position"),
    ForeignKeyConstraint(
        ["contract_id", "contract_version"],
        ["contract_terms.contract_id", "contract_terms.contract_version"],
    ),
)
