"""The tables of retainers: periods with their balances, and what moved them."""

from typing import Final

from sqlalchemy import Column, ForeignKey, Index, Integer, Uuid, text

from billing_event.tables.columns import count, day, instant, number, table, uuid, words

retainer_period: Final = table(
    "retainer_period",
    uuid("retainer_period_id", key=True),
    uuid("contract_id"),
    uuid("contract_line_id"),
    uuid("legal_entity_id"),
    uuid("engagement_id"),
    uuid("correlation_id"),
    words("time_zone"),
    day("period_from"),
    day("period_to"),
    words("unit"),
    number("block"),
    number("price"),
    words("currency"),
    words("status"),
    count("version"),
    number("granted"),
    number("carried_in"),
    number("drawn"),
    number("carried_out"),
    number("lapsed"),
    number("balance"),
    number("overdrawn", default="0"),
    number("overdrawn_value", default="0"),
    day("carry_expires_on", null=True),
    instant("closed_at", null=True),
    Index("retainer_period_by_contract", "contract_id", "period_from"),
    Index("retainer_period_to_open", "period_from", postgresql_where=text("status = 'planned'")),
    Index("retainer_period_to_close", "period_to", postgresql_where=text("status = 'open'")),
)

retainer_bucket: Final = table(
    "retainer_bucket",
    Column(
        "retainer_period_id",
        Uuid,
        ForeignKey("retainer_period.retainer_period_id"),
        primary_key=True,
    ),
    Column(
        "origin_period_id",
        Uuid,
        ForeignKey("retainer_period.retainer_period_id"),
        primary_key=True,
    ),
    number("quantity"),
    number("value"),
    day("expires_on", null=True),
)

retainer_entry: Final = table(
    "retainer_entry",
    uuid("retainer_entry_id", key=True),
    Column(
        "retainer_period_id",
        Uuid,
        ForeignKey("retainer_period.retainer_period_id"),
        nullable=False,
    ),
    Column(
        "origin_period_id",
        Uuid,
        ForeignKey("retainer_period.retainer_period_id"),
        nullable=False,
    ),
    words("kind"),
    number("quantity"),
    number("value"),
    Column("billing_event_id", Uuid, ForeignKey("billing_event.billing_event_id")),
    instant("recorded_at"),
    Index("retainer_entry_by_period", "retainer_period_id", "retainer_entry_id"),
    Index(
        "retainer_entry_once_for_each_row",
        "billing_event_id",
        "kind",
        unique=True,
        postgresql_where=text("billing_event_id IS NOT NULL"),
    ),
    comment="append-only: the balance of a period is the sum of its entries",
)

retainer_top_up: Final = table(
    "retainer_top_up",
    uuid("retainer_top_up_id", key=True),
    Column("version", Integer, nullable=False),
    Column(
        "retainer_period_id",
        Uuid,
        ForeignKey("retainer_period.retainer_period_id"),
        nullable=False,
    ),
    uuid("legal_entity_id"),
    number("quantity"),
    number("price"),
    words("currency"),
    words("status"),
    words("reason"),
    words("proposed_by"),
    instant("proposed_at"),
    words("decided_by", null=True),
    instant("decided_at", null=True),
    words("comment"),
    Index("retainer_top_up_by_period", "retainer_period_id"),
)
