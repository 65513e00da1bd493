"""Cost rates, apart from every other price."""

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
    UniqueConstraint,
    Uuid,
)

from customer_contract.tables.columns import metadata, text_column
from customer_contract.tables.price_lists import proposal_columns

cost_rate_proposal: Final = Table(
    "cost_rate_proposal",
    metadata,
    *proposal_columns(),
    Index("cost_rate_proposal_by_subject", "subject", "proposal_id"),
    Index("cost_rate_proposal_by_status", "status", "proposal_id"),
)

cost_rate_card: Final = Table(
    "cost_rate_card",
    metadata,
    Column("cost_rate_card_id", Uuid, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("legal_entity_id", Uuid, ForeignKey("legal_entity.legal_entity_id"), nullable=False),
    text_column("currency"),
    text_column("proposed_by"),
    text_column("published_by"),
    Column("published_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("legal_entity_id", "version"),
    comment="append-only: published versions of cost rates",
)

cost_rate_entry: Final = Table(
    "cost_rate_entry",
    metadata,
    Column("cost_rate_card_id", Uuid, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("position", Integer, primary_key=True),
    text_column("role"),
    text_column("level", nullable=True),
    text_column("region", nullable=True),
    Column("hourly_cost", Numeric(18, 6), nullable=False),
    Column("valid_from", Date, nullable=False),
    Column("valid_to", Date),
    ForeignKeyConstraint(
        ["cost_rate_card_id", "version"],
        ["cost_rate_card.cost_rate_card_id", "cost_rate_card.version"],
    ),
    UniqueConstraint(
        "cost_rate_card_id",
        "version",
        "role",
        "level",
        "region",
        "valid_from",
        postgresql_nulls_not_distinct=True,
    ),
    comment="append-only: the costs of published versions",
)
