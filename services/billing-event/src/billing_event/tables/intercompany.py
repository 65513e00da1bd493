"""The tables of what entities owe each other, and of who pays under which contract."""

from typing import Final

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Uuid, text

from billing_event.tables.columns import count, day, instant, number, table, uuid, words

contract_payer: Final = table(
    "contract_payer",
    uuid("contract_id", key=True),
    uuid("customer_id", key=True),
    Index("contract_payer_by_customer", "customer_id"),
    comment="append-only: who pays, or paid, for work under a contract",
)

intercompany_charge: Final = table(
    "intercompany_charge",
    uuid("intercompany_charge_id", key=True),
    Column("source_item_id", Uuid, ForeignKey("source_item.source_item_id"), nullable=False),
    uuid("lending_entity_id"),
    uuid("borrowing_entity_id"),
    uuid("contract_id"),
    uuid("contract_line_id", null=True),
    uuid("engagement_id"),
    uuid("correlation_id"),
    day("work_date"),
    uuid("person_id"),
    words("role"),
    Column("minutes", Integer, nullable=False),
    number("quantity"),
    number("unit_rate"),
    number("amount"),
    words("currency"),
    uuid("rate_card_id"),
    Column("rate_card_version", BigInteger, nullable=False),
    words("rate_explanation"),
    Column(
        "reverses_intercompany_charge_id",
        Uuid,
        ForeignKey("intercompany_charge.intercompany_charge_id"),
    ),
    instant("rated_at"),
    Index("intercompany_charge_once", "source_item_id", unique=True),
    Index(
        "intercompany_charge_reversed_once",
        "reverses_intercompany_charge_id",
        unique=True,
        postgresql_where=text("reverses_intercompany_charge_id IS NOT NULL"),
    ),
    Index("intercompany_charge_by_day", "work_date", "intercompany_charge_id"),
    Index("intercompany_charge_by_contract", "contract_id", "work_date"),
    Index("intercompany_charge_by_person", "person_id", "work_date"),
    comment="append-only: a charge is taken back by another",
)

intercompany_wait: Final = table(
    "intercompany_wait",
    Column("source_item_id", Uuid, ForeignKey("source_item.source_item_id"), primary_key=True),
    uuid("contract_id"),
    uuid("lending_entity_id"),
    uuid("borrowing_entity_id", null=True),
    day("work_date"),
    words("role"),
    Column("minutes", Integer, nullable=False),
    count("epoch"),
    Index("intercompany_wait_by_contract", "contract_id"),
)
