"""The service catalogue, the rate cards and the price policies, and what is proposed of them."""

from typing import Any, Final

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
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from customer_contract.tables.columns import metadata, text_column


def _catalogue_columns() -> list[Column[Any]]:
    return [
        text_column("name"),
        text_column("billing_model"),
        text_column("tax_category"),
        text_column("template_code"),
        Column("milestones", JSONB, nullable=False),
        Column("anchor_day", Integer, nullable=False),
        Column("in_advance", Boolean, nullable=False),
        Column("markup_percent", Numeric(7, 4)),
        Column("retired", Boolean, nullable=False),
        Column("terms", JSONB, nullable=False),
        text_column("terms_currency", nullable=True),
        text_column("revenue_method", nullable=True),
        text_column("department"),
        text_column("practice"),
        Column("floor_prices", JSONB, nullable=False),
        text_column("proposed_by"),
        text_column("published_by"),
        Column("published_at", DateTime(timezone=True)),
    ]


def proposal_columns() -> list[Column[Any]]:
    return [
        Column("proposal_id", Uuid, primary_key=True),
        Column("version", BigInteger, nullable=False),
        text_column("status"),
        text_column("subject"),
        Column("legal_entity_id", Uuid, ForeignKey("legal_entity.legal_entity_id")),
        Column("base_version", BigInteger, nullable=False),
        Column("content", JSONB, nullable=False),
        text_column("proposed_by"),
        Column("proposed_at", DateTime(timezone=True), nullable=False),
        text_column("comment"),
        text_column("decided_by", nullable=True),
        Column("decided_at", DateTime(timezone=True)),
        text_column("reason"),
    ]


catalogue_entry: Final = Table(
    "catalogue_entry",
    metadata,
    Column("code", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    *_catalogue_columns(),
)

catalogue_version: Final = Table(
    "catalogue_version",
    metadata,
    Column("code", Text, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    *_catalogue_columns(),
    comment="append-only: what services were",
)

rate_card: Final = Table(
    "rate_card",
    metadata,
    Column("rate_card_id", Uuid, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    text_column("code"),
    text_column("name"),
    text_column("currency"),
    Column("legal_entity_id", Uuid, ForeignKey("legal_entity.legal_entity_id")),
    Column("customer_id", Uuid, ForeignKey("customer.customer_id")),
    Column("published_at", DateTime(timezone=True), nullable=False),
    text_column("published_by"),
    Column("multipliers", JSONB, nullable=False),
    text_column("proposed_by"),
    Column("purpose", Text, nullable=False, server_default=text("'billing'")),
    Column("borrowing_legal_entity_id", Uuid, ForeignKey("legal_entity.legal_entity_id")),
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
    text_column("role"),
    text_column("level", nullable=True),
    text_column("region", nullable=True),
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

price_policy: Final = Table(
    "price_policy",
    metadata,
    Column("price_policy_id", Uuid, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("legal_entity_id", Uuid, ForeignKey("legal_entity.legal_entity_id")),
    Column("rules", JSONB, nullable=False),
    text_column("proposed_by"),
    text_column("published_by"),
    Column("published_at", DateTime(timezone=True), nullable=False),
    Index("price_policy_by_entity", "legal_entity_id", "version"),
    comment="append-only: published versions of price policies",
)

price_proposal: Final = Table(
    "price_proposal",
    metadata,
    text_column("kind"),
    *proposal_columns(),
    Index("price_proposal_by_subject", "subject", "proposal_id"),
    Index("price_proposal_by_status", "status", "proposal_id"),
)
