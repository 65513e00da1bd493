"""The service catalogue and the rate cards."""

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
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB

from customer_contract.tables.columns import metadata, text_column

catalogue_entry: Final = Table(
    "catalogue_entry",
    metadata,
    Column("code", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    text_column("name"),
    text_column("billing_model"),
    text_column("tax_category"),
    text_column("template_code"),
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
    text_column("code"),
    text_column("name"),
    text_column("currency"),
    Column("legal_entity_id", Uuid, ForeignKey("legal_entity.legal_entity_id")),
    Column("customer_id", Uuid, ForeignKey("customer.customer_id")),
    Column("published_at", DateTime(timezone=True), nullable=False),
    text_column("published_by"),
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
