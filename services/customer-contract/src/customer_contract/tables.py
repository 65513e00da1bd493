"""The tables, in the order of the migrations, which hold their constraints and reasons."""

from typing import Any, Final

from sqlalchemy import (
    ARRAY,
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
    MetaData,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from throughline_runtime import schema

metadata: Final = MetaData()
schema.metadata_tables(metadata)


def _text(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Text, nullable=nullable)


def _address() -> list[Column[Any]]:
    return [
        Column("address_lines", ARRAY(Text), nullable=False),
        _text("city"),
        _text("postal_code"),
        _text("region"),
        _text("country"),
    ]


def _source() -> list[Column[Any]]:
    return [
        _text("source_system", nullable=True),
        _text("source_type", nullable=True),
        _text("source_id", nullable=True),
    ]


def _service_line() -> list[Column[Any]]:
    return [
        Column("position", Integer, nullable=False),
        _text("service_code"),
        _text("description"),
        _text("billing_model"),
        Column("quantity", Numeric(13, 4), nullable=False),
        Column("unit_price", Numeric(18, 6), nullable=False),
        Column("net_total", Numeric(24, 4), nullable=False),
        Column("discount_percent", Numeric(7, 4), nullable=False),
        _text("tax_category"),
        _text("template_code"),
        Column("start_on", Date),
        Column("end_on", Date),
        Column("milestones", JSONB, nullable=False),
        Column("rates", JSONB, nullable=False),
        Column("not_to_exceed", Numeric(18, 4)),
        Column("anchor_day", Integer, nullable=False),
        Column("in_advance", Boolean, nullable=False),
        Column("markup_percent", Numeric(7, 4)),
        *_source(),
    ]


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
    _text("currency"),
    _text("name"),
    _text("time_zone"),
    *_address(),
    _text("tax_id", nullable=True),
    _text("registration"),
    _text("iban", nullable=True),
    _text("bic", nullable=True),
    _text("billing_email"),
)

customer: Final = Table(
    "customer",
    metadata,
    Column("customer_id", Uuid, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("number", Text, nullable=False, unique=True),
    _text("name"),
    Column("parent_customer_id", Uuid, ForeignKey("customer.customer_id")),
    *_address(),
    _text("tax_id", nullable=True),
    _text("tax_status"),
    Column("payment_terms_days", Integer, nullable=False),
    _text("currency"),
    _text("billing_email"),
    _text("credit_hold_reason", nullable=True),
    *_source(),
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
    _text("reason"),
    _text("moved_by"),
    Column("moved_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    comment="append-only: who placed and released credit holds, and why",
)

catalogue_entry: Final = Table(
    "catalogue_entry",
    metadata,
    Column("code", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    _text("name"),
    _text("billing_model"),
    _text("tax_category"),
    _text("template_code"),
    Column("milestones", JSONB, nullable=False),
    Column("anchor_day", Integer, nullable=False),
    Column("in_advance", Boolean, nullable=False),
    Column("markup_percent", Numeric(7, 4)),
    Column("retired", Boolean, nullable=False),
)

rate_card: Final = Table(
    "rate_card",
    metadata,
    Column("rate_card_id", Uuid, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    _text("code"),
    _text("name"),
    _text("currency"),
    Column("legal_entity_id", Uuid, ForeignKey("legal_entity.legal_entity_id")),
    Column("customer_id", Uuid, ForeignKey("customer.customer_id")),
    Column("published_at", DateTime(timezone=True), nullable=False),
    _text("published_by"),
    UniqueConstraint("code", "version"),
    Index("rate_card_by_owner", "currency", "customer_id", "legal_entity_id"),
    comment="append-only: published versions of rate cards",
)

rate_card_entry: Final = Table(
    "rate_card_entry",
    metadata,
    Column("rate_card_id", Uuid, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("position", Integer, primary_key=True),
    _text("role"),
    _text("level", nullable=True),
    _text("region", nullable=True),
    Column("person_id", Uuid),
    Column("hourly_rate", Numeric(18, 6), nullable=False),
    Column("valid_from", Date, nullable=False),
    Column("valid_to", Date),
    ForeignKeyConstraint(
        ["rate_card_id", "version"], ["rate_card.rate_card_id", "rate_card.version"]
    ),
    UniqueConstraint(
        "rate_card_id",
        "version",
        "role",
        "level",
        "region",
        "person_id",
        "valid_from",
        postgresql_nulls_not_distinct=True,
    ),
    comment="append-only: the rates of published versions",
)

quote: Final = Table(
    "quote",
    metadata,
    Column("quote_id", Uuid, primary_key=True),
    Column("quote_version", Integer, primary_key=True),
    Column("is_latest", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False),
    _text("number"),
    _text("status"),
    Column("customer_id", Uuid, ForeignKey("customer.customer_id"), nullable=False),
    Column("legal_entity_id", Uuid, ForeignKey("legal_entity.legal_entity_id"), nullable=False),
    _text("currency"),
    Column("start_on", Date, nullable=False),
    Column("end_on", Date, nullable=False),
    Column("payment_terms_days", Integer, nullable=False),
    _text("purchase_order_number"),
    Column("correlation_id", Uuid, nullable=False),
    _text("proposed_by"),
    *_source(),
    Column("content_sha256", LargeBinary, nullable=False),
    _text("approved_by", nullable=True),
    Column("approved_at", DateTime(timezone=True)),
    _text("rejection_reason"),
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
    *_service_line(),
    UniqueConstraint("quote_id", "quote_version", "position"),
    ForeignKeyConstraint(["quote_id", "quote_version"], ["quote.quote_id", "quote.quote_version"]),
    comment="append-only: a version of an offer is never rewritten",
)

contract: Final = Table(
    "contract",
    metadata,
    Column("contract_id", Uuid, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("contract_version", Integer, nullable=False),
    Column("number", Text, nullable=False, unique=True),
    _text("status"),
    Column("engagement_id", Uuid, nullable=False, unique=True),
    Column("correlation_id", Uuid, nullable=False),
    Column("quote_id", Uuid, nullable=False, unique=True),
    Column("quote_version", Integer, nullable=False),
    Column("customer_id", Uuid, ForeignKey("customer.customer_id"), nullable=False),
    Column("legal_entity_id", Uuid, ForeignKey("legal_entity.legal_entity_id"), nullable=False),
    _text("currency"),
    _text("time_zone"),
    _text("document_sha256", nullable=True),
    _text("signatory", nullable=True),
    Column("signed_on", Date),
    Column("activated_on", Date),
    Column("terminated_on", Date),
    _text("termination_reason"),
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
    _text("purchase_order_number"),
    Column("not_to_exceed", Numeric(18, 4)),
    _text("invoice_grouping"),
    _text("line_detail"),
    Column("time_rounding_minutes", Integer, nullable=False),
    _text("time_rounding_mode"),
    Column("rate_card_id", Uuid),
    Column("effective_on", Date),
    _text("reason"),
    _text("recorded_by"),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
)

contract_line: Final = Table(
    "contract_line",
    metadata,
    Column("contract_id", Uuid, nullable=False),
    Column("contract_version", Integer, primary_key=True),
    Column("contract_line_id", Uuid, primary_key=True),
    Column("quote_line_id", Uuid, nullable=False),
    *_service_line(),
    UniqueConstraint("contract_id", "contract_version", "position"),
    ForeignKeyConstraint(
        ["contract_id", "contract_version"],
        ["contract_terms.contract_id", "contract_terms.contract_version"],
    ),
)
