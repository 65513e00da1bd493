"""The tables of the ledger of positions, in the order of the migrations."""

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.elements import TextClause
from sqlalchemy.sql.schema import SchemaItem

from throughline_runtime.schema import metadata_tables

metadata: Final = MetaData()
metadata_tables(metadata)


def _table(name: str, *items: SchemaItem, comment: str | None = None) -> Table:
    return Table(name, metadata, *items, comment=comment)


def _uuid(name: str, *, null: bool = False, key: bool = False) -> Column[Any]:
    return Column(name, Uuid, nullable=null, primary_key=key)


def _text(name: str, *, null: bool = False) -> Column[Any]:
    return Column(name, Text, nullable=null)


def _number(name: str, *, null: bool = False, default: str | None = None) -> Column[Any]:
    server_default = None if default is None else text(default)
    return Column(name, Numeric, nullable=null, server_default=server_default)


def _count(name: str) -> Column[Any]:
    return Column(name, BigInteger, nullable=False)


def _date(name: str) -> Column[Any]:
    return Column(name, Date, nullable=False)


def _instant(name: str, *, null: bool = False) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=null)


fact_epoch: Final = _table(
    "fact_epoch",
    Column("only_one", Boolean, primary_key=True, server_default=text("true")),
    _count("epoch"),
)

contract_terms: Final = _table(
    "contract_terms",
    _uuid("contract_id", key=True),
    Column("contract_version", Integer, primary_key=True),
    _uuid("bill_to_customer_id"),
    _uuid("legal_entity_id"),
    _text("time_zone"),
    Column("terms", LargeBinary, nullable=False),
    _count("epoch"),
    _instant("recorded_at"),
    Index("contract_terms_by_bill_to", "bill_to_customer_id"),
    comment="append-only: every version of the terms stays explainable",
)

contract_state: Final = _table(
    "contract_state",
    _uuid("contract_id", key=True),
    _count("version"),
    Column("first_version", Integer),
    _uuid("bill_to_customer_id"),
    _uuid("legal_entity_id"),
    _text("time_zone"),
    Column("newest_version", Integer, nullable=False),
    Column("ended_on", Date),
    Column("ended_early", Boolean, nullable=False),
    _text("ended_detail"),
    _count("epoch"),
    Index("contract_state_by_bill_to", "bill_to_customer_id"),
)

amendment: Final = _table(
    "amendment",
    _uuid("contract_id", key=True),
    Column("contract_version", Integer, primary_key=True),
    _uuid("contract_line_id", key=True),
    _date("effective_on"),
    _text("change_order_number"),
    _instant("recorded_at"),
    comment="append-only: from when on which lines are priced anew",
)

rate_card: Final = _table(
    "rate_card",
    _uuid("rate_card_id", key=True),
    Column("version", BigInteger, primary_key=True),
    _uuid("legal_entity_id", null=True),
    _uuid("customer_id", null=True),
    Column("card", LargeBinary, nullable=False),
    _count("epoch"),
    _instant("recorded_at"),
    comment="append-only: a published version never changes",
)

customer_state: Final = _table(
    "customer_state",
    _uuid("customer_id", key=True),
    _count("version"),
    Column("is_on_credit_hold", Boolean, nullable=False),
    _text("credit_hold_reason"),
    _text("tax_status"),
    _count("epoch"),
)

release_policy: Final = _table(
    "release_policy",
    _uuid("legal_entity_id", key=True),
    _count("version"),
    _number("threshold"),
    _text("currency"),
    _text("set_by"),
    _instant("set_at"),
)

source_item: Final = _table(
    "source_item",
    _uuid("source_item_id", key=True),
    _text("type"),
    _uuid("contract_id", null=True),
    _uuid("contract_line_id", null=True),
    _uuid("engagement_id", null=True),
    _uuid("project_id", null=True),
    _uuid("task_id", null=True),
    _uuid("person_id", null=True),
    _text("person_name"),
    _uuid("delivering_entity_id", null=True),
    _text("role"),
    _text("level"),
    _text("region"),
    _text("description"),
    _date("service_from"),
    _date("service_to"),
    Column("minutes", Integer, nullable=False),
    _number("price", null=True),
    _text("currency", null=True),
    _text("price_basis"),
    Column("is_billable", Boolean, nullable=False),
    _text("approved_by"),
    _text("source_system", null=True),
    _text("source_object_type", null=True),
    _text("source_object_id", null=True),
    _instant("recorded_at"),
    Column("activity", Text, nullable=False, server_default=text("''")),
    _uuid("reverses_source_item_id", null=True),
    _uuid("replaces_source_item_id", null=True),
    _number("receipt_price", null=True),
    _text("receipt_currency", null=True),
    Index(
        "source_item_by_reversed",
        "reverses_source_item_id",
        postgresql_where=text("reverses_source_item_id IS NOT NULL"),
    ),
    comment="append-only: what was approved stays as it was approved",
)

source_step: Final = _table(
    "source_step",
    _uuid("source_item_id", key=True),
    Column("version", BigInteger, primary_key=True),
    _text("state"),
    _number("price", null=True),
    Column("service_to", Date),
    _text("reason"),
    Column("accepted_on", Date),
    _text("accepted_by"),
    _text("evidence_sha256"),
    _text("recorded_by"),
    _instant("recorded_at"),
    comment="append-only: the highest version is the last word",
)

covered_item: Final = _table(
    "covered_item",
    Column("source_item_id", Uuid, ForeignKey("source_item.source_item_id"), primary_key=True),
    _text("explanation"),
    _instant("recorded_at"),
    comment="append-only: says why an approved thing has no row",
)

billing_event: Final = _table(
    "billing_event",
    _uuid("billing_event_id", key=True),
    Column("source_item_id", Uuid, ForeignKey("source_item.source_item_id"), nullable=False),
    Column("part", SmallInteger, nullable=False),
    _text("type"),
    _text("kind"),
    _uuid("contract_id"),
    Column("contract_version", Integer, nullable=False),
    _uuid("contract_line_id"),
    _uuid("quote_line_id"),
    _uuid("engagement_id"),
    _uuid("correlation_id"),
    _uuid("bill_to_customer_id"),
    _uuid("legal_entity_id"),
    _date("service_from"),
    _date("service_to"),
    Column("minutes", Integer, nullable=False),
    _number("quantity"),
    _text("unit"),
    _number("unit_rate"),
    _number("amount"),
    _text("currency"),
    _text("tax_category"),
    _uuid("rate_card_id", null=True),
    Column("rate_card_version", BigInteger),
    _text("rate_explanation"),
    _instant("rated_at"),
    _date("rated_on"),
    Column("reverses_billing_event_id", Uuid, ForeignKey("billing_event.billing_event_id")),
    _uuid("delivering_entity_id", null=True),
    _number("multiplier", null=True),
    Column("purchase_order_number", Text, nullable=False, server_default=text("''")),
    UniqueConstraint("source_item_id", "part"),
    Index(
        "billing_event_reversed_once",
        "reverses_billing_event_id",
        unique=True,
        postgresql_where=text("reverses_billing_event_id IS NOT NULL"),
    ),
    Index("billing_event_by_contract", "contract_id", "service_from", "billing_event_id"),
    Index("billing_event_by_service", "service_from", "billing_event_id"),
    comment="append-only: corrections are new rows",
)

position: Final = _table(
    "position",
    Column(
        "billing_event_id", Uuid, ForeignKey("billing_event.billing_event_id"), primary_key=True
    ),
    _text("status"),
    _count("version"),
    _number("quantity"),
    _number("amount"),
    _number("allocated_quantity", default="0"),
    _number("allocated_amount", default="0"),
    _text("released_by", null=True),
    _instant("released_at", null=True),
    Index(
        "position_open",
        "billing_event_id",
        postgresql_where=text("status = 'released' AND amount <> allocated_amount"),
    ),
)

allocation: Final = _table(
    "allocation",
    _uuid("allocation_id", key=True),
    Column("billing_event_id", Uuid, ForeignKey("position.billing_event_id"), nullable=False),
    _uuid("invoice_id"),
    _uuid("invoice_line_id"),
    _number("quantity"),
    _number("amount"),
    _instant("recorded_at"),
    _date("recorded_on"),
    Index("allocation_by_billing_event", "billing_event_id"),
    comment="append-only: a claim is given back by another row",
)

hold: Final = _table(
    "hold",
    _uuid("hold_id", key=True),
    Column("source_item_id", Uuid, ForeignKey("source_item.source_item_id"), nullable=False),
    Column("billing_event_id", Uuid, ForeignKey("position.billing_event_id")),
    _uuid("contract_id", null=True),
    _uuid("contract_line_id", null=True),
    _uuid("legal_entity_id", null=True),
    _text("reason"),
    _text("detail"),
    _text("owner"),
    _count("epoch"),
    _instant("opened_at"),
    _text("opened_by", null=True),
    _instant("cleared_at", null=True),
    _text("cleared_by", null=True),
    _text("clearing_reason", null=True),
    _text("advice", null=True),
    Index(
        "hold_once_for_each_row",
        "billing_event_id",
        "reason",
        unique=True,
        postgresql_where=text("cleared_at IS NULL AND billing_event_id IS NOT NULL"),
    ),
    Index(
        "hold_once_for_each_item",
        "source_item_id",
        unique=True,
        postgresql_where=text("cleared_at IS NULL AND billing_event_id IS NULL"),
    ),
    Index("hold_by_item", "source_item_id"),
    Index("hold_open", "opened_at", "hold_id", postgresql_where=text("cleared_at IS NULL")),
    Index("hold_open_by_contract", "contract_id", postgresql_where=text("cleared_at IS NULL")),
)

limit_account: Final = _table(
    "limit_account",
    _uuid("limit_account_id", key=True),
    _uuid("contract_id"),
    _uuid("contract_line_id", null=True),
    _uuid("legal_entity_id"),
    Column("contract_version", Integer, nullable=False),
    _text("currency"),
    _number("agreed", null=True),
    _number("enforced", null=True),
    _number("reserved"),
    _number("committed"),
    _text("purchase_order_number", null=True),
    Index("limit_account_by_contract", "contract_id"),
)

limit_entry: Final = _table(
    "limit_entry",
    Column(
        "limit_account_id", Uuid, ForeignKey("limit_account.limit_account_id"), primary_key=True
    ),
    Column("kind", Text, primary_key=True),
    _uuid("cause_id", key=True),
    _uuid("billing_event_id"),
    _number("amount"),
    _instant("recorded_at"),
    comment="append-only: the account is the sum of its entries",
)

recurring_period: Final = _table(
    "recurring_period",
    _uuid("recurring_period_id", key=True),
    _uuid("contract_id"),
    _uuid("contract_line_id"),
    Column("contract_version", Integer, nullable=False),
    _uuid("engagement_id"),
    _uuid("legal_entity_id"),
    _text("time_zone"),
    _date("service_from"),
    _date("service_to"),
    _date("due_on"),
    _number("amount"),
    _text("currency"),
    _text("description"),
    _text("explanation"),
    Index("recurring_period_by_due", "due_on", "recurring_period_id"),
    Index("recurring_period_by_contract", "contract_id"),
)


def insert_of(table: Table, tail: str = "", *, without: Collection[str] = ()) -> TextClause:
    """Return the statement that inserts any number of rows, one array a column.

    The arrays are parameters named like the columns; `without` names those left to their default.
    """
    columns = [column for column in table.columns if column.name not in without]
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # not annotated
    arrays = ", ".join(
        f"CAST(:{column.name} AS {column.type.compile(dialect)}[])" for column in columns
    )
    names = ", ".join(column.name for column in columns)
    return text(f"INSERT INTO {table.name} ({names}) SELECT * FROM unnest({arrays}) {tail}")
