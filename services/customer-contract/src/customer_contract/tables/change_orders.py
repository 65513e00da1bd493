"""Agreed changes to signed contracts."""

from typing import Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from customer_contract.tables.columns import metadata, text_column

change_order: Final = Table(
    "change_order",
    metadata,
    Column("change_order_id", Uuid, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("number", Text, nullable=False, unique=True),
    Column("contract_id", Uuid, ForeignKey("contract.contract_id"), nullable=False),
    Column("legal_entity_id", Uuid, ForeignKey("legal_entity.legal_entity_id"), nullable=False),
    Column("engagement_id", Uuid, nullable=False),
    Column("correlation_id", Uuid, nullable=False),
    text_column("currency"),
    text_column("status"),
    text_column("reason"),
    Column("effective_on", Date, nullable=False),
    Column("content", JSONB, nullable=False),
    text_column("drafted_by"),
    text_column("proposed_by", nullable=True),
    text_column("approved_by", nullable=True),
    Column("approved_at", DateTime(timezone=True)),
    text_column("signatory", nullable=True),
    Column("signed_on", Date),
    text_column("document_sha256", nullable=True),
    Column("approved_contract_version", Integer),
    Column("contract_versions", ARRAY(Integer), nullable=False),
    Column("applied_at", DateTime(timezone=True)),
    text_column("closing_reason"),
    Index("change_order_by_contract", "contract_id", "change_order_id"),
    Index("change_order_by_status", "status", "change_order_id"),
    Index("change_order_waiting", "effective_on", postgresql_where=text("status = 'approved'")),
)
