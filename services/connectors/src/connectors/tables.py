"""The tables, in the order of the migrations."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from throughline_runtime.schema import metadata_tables

metadata = MetaData()
metadata_tables(metadata)

connection = Table(
    "connection",
    metadata,
    Column("name", Text, primary_key=True),
    Column("vendor", Text, nullable=False),
    Column("base_url", Text, nullable=False),
    Column("client_id", Text, nullable=False),
    Column("secret_ref", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("legal_entity_id", Uuid),
    Column("mapping", JSONB, nullable=False),
    Column("poll_seconds", Integer, nullable=False),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("poll_seconds >= 0"),
)

sync_state = Table(
    "sync_state",
    metadata,
    Column("name", Text, ForeignKey("connection.name"), primary_key=True),
    Column("read_up_to", DateTime(timezone=True)),
    Column("requested_at", DateTime(timezone=True)),
    Column("last_started_at", DateTime(timezone=True)),
    Column("last_finished_at", DateTime(timezone=True)),
    Column("imported", BigInteger, nullable=False, server_default=text("0")),
    Column("unchanged", BigInteger, nullable=False, server_default=text("0")),
    Column("refused", BigInteger, nullable=False, server_default=text("0")),
    Column("last_error", Text, nullable=False, server_default=text("''")),
)

refused_record = Table(
    "refused_record",
    metadata,
    Column("connection", Text, ForeignKey("connection.name"), primary_key=True),
    Column("source_id", Text, primary_key=True),
    Column("code", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", DateTime(timezone=True), nullable=False),
    Index("refused_record_due", "connection", "due_at"),
)

crosswalk_link = Table(
    "crosswalk_link",
    metadata,
    Column("crosswalk_link_id", Uuid, primary_key=True),
    Column("system", Text, nullable=False),
    Column("object_type", Text, nullable=False),
    Column("source_object_id", Text, nullable=False),
    Column("object_kind", Text, nullable=False),
    Column("object_id", Uuid, nullable=False),
    Column("linked_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("system", "object_type", "source_object_id", "object_kind"),
    Index("crosswalk_link_by_object", "object_id"),
    Index("crosswalk_link_by_linked_at", "linked_at", "crosswalk_link_id"),
)

webhook = Table(
    "webhook",
    metadata,
    Column("webhook_id", Uuid, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("status", Text, nullable=False),
    Column("deliveries", Integer, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("due_at", DateTime(timezone=True), nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("reason", Text, nullable=False, server_default=text("''")),
    Column("connection", Text, nullable=False, server_default=text("''")),
    UniqueConstraint("provider", "event_id"),
    Index("webhook_by_received_at", "received_at", "webhook_id"),
    Index("webhook_due", "due_at", postgresql_where=text("status = 'received'")),
)

erp_policy = Table(
    "erp_policy",
    metadata,
    Column("legal_entity_id", Uuid, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("system", Text, nullable=False),
    Column("account_required", Boolean, nullable=False),
)
