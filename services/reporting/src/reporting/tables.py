"""The read models, in the order of the migrations."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    Index,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    Uuid,
)

from throughline_runtime.schema import metadata_tables

metadata = MetaData()
metadata_tables(metadata)

node = Table(
    "node",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("object_id", Uuid, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("label", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("quantity", Numeric(18, 4), nullable=False),
    Column("amount", Numeric(24, 8)),
    Column("currency", Text),
    Column("happened_on", Date),
    Column("contract_line_id", Uuid),
    Column("legal_entity_id", Uuid),
    Column("personal_label", Text),
    Column("treatment", Text, nullable=False, server_default=""),
    CheckConstraint("(amount IS NULL) = (currency IS NULL)"),
    Index("node_by_contract_line", "contract_line_id", "kind"),
    Index("node_by_label", "kind", "label"),
)

link = Table(
    "link",
    metadata,
    Column("parent_kind", Text, primary_key=True),
    Column("parent_id", Uuid, primary_key=True),
    Column("child_kind", Text, primary_key=True),
    Column("child_id", Uuid, primary_key=True),
    Column("quantity", Numeric(18, 4)),
    Column("amount", Numeric(24, 8)),
    Index("link_by_child", "child_kind", "child_id"),
)

contract_line = Table(
    "contract_line",
    metadata,
    Column("contract_line_id", Uuid, primary_key=True),
    Column("contract_id", Uuid, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("contract_number", Text, nullable=False),
    Column("quote_line_id", Uuid, nullable=False),
    Column("legal_entity_id", Uuid, nullable=False),
    Column("customer_id", Uuid, nullable=False),
    Column("line_position", Integer, nullable=False),
    Column("description", Text, nullable=False),
    Column("billing_model", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("contracted", Numeric(18, 4), nullable=False),
    Column("contract_status", Text, nullable=False, server_default="active"),
    Index("contract_line_by_contract", "contract_id", "line_position", "contract_line_id"),
)
