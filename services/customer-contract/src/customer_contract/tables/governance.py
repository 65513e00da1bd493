"""Who let a customer owe more, when business ended, what is closed, and data-quality rules."""

from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    Numeric,
    Table,
    Text,
    Uuid,
    func,
    text,
)

from customer_contract.tables.columns import metadata, text_column


def _instant(name: str, *, default: bool = False, nullable: bool = False) -> Column[Any]:
    server_default = func.now() if default else None
    return Column(name, DateTime(timezone=True), nullable=nullable, server_default=server_default)


customer_move: Final = Table(
    "customer_move",
    metadata,
    Column("customer_id", Uuid, ForeignKey("customer.customer_id"), primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("ended_on", Date),
    text_column("reason"),
    text_column("moved_by"),
    _instant("moved_at", default=True),
    comment="append-only: when business with a customer ended and was taken up again, and why",
)

credit_limit_move: Final = Table(
    "credit_limit_move",
    metadata,
    Column("customer_id", Uuid, ForeignKey("customer.customer_id"), primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("credit_limit", Numeric(18, 4)),
    text_column("currency", nullable=True),
    text_column("reason"),
    text_column("moved_by"),
    _instant("moved_at", default=True),
    comment="append-only: who set and lifted credit limits, and why",
)

period_close_move: Final = Table(
    "period_close_move",
    metadata,
    Column("legal_entity_id", Uuid, ForeignKey("legal_entity.legal_entity_id"), primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("closed_through", Date),
    text_column("reason"),
    text_column("moved_by"),
    _instant("moved_at", default=True),
    comment="append-only: who closed accounting through which day, who opened it, and why",
)

credit_override: Final = Table(
    "credit_override",
    metadata,
    Column("credit_override_id", Uuid, primary_key=True),
    Column("customer_id", Uuid, ForeignKey("customer.customer_id"), nullable=False),
    Column("amount", Numeric(18, 4), nullable=False),
    text_column("currency"),
    Column("expires_on", Date, nullable=False),
    text_column("reason"),
    text_column("status"),
    text_column("proposed_by"),
    _instant("proposed_at"),
    text_column("decided_by"),
    _instant("decided_at", nullable=True),
    text_column("revoked_reason"),
    Index("credit_override_by_customer", "customer_id", "credit_override_id"),
)

data_quality_rule: Final = Table(
    "data_quality_rule",
    metadata,
    Column("code", Text, primary_key=True),
    Column("rule_version", Integer, primary_key=True, autoincrement=False),
    text_column("object"),
    text_column("field"),
    text_column("condition"),
    text_column("pattern"),
    Column("values", ARRAY(Text), nullable=False),
    Column("legal_entity_id", Uuid, ForeignKey("legal_entity.legal_entity_id")),
    text_column("country", nullable=True),
    text_column("severity"),
    text_column("owner"),
    text_column("advice"),
    text_column("status"),
    text_column("proposed_by"),
    _instant("proposed_at"),
    text_column("activated_by"),
    _instant("activated_at", nullable=True),
    text_column("retired_reason"),
    Index(
        "data_quality_rule_active",
        "code",
        unique=True,
        postgresql_where=text("status = 'active'"),
    ),
)
