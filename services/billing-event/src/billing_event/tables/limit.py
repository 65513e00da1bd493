"""The tables of limits: accounts with their entries and settings, and what is to become of them."""

from typing import Final

from sqlalchemy import ARRAY, Column, ForeignKey, Index, Integer, Text, Uuid, text

from billing_event.tables.columns import count, day, instant, number, table, uuid, words

limit_account: Final = table(
    "limit_account",
    uuid("limit_account_id", key=True),
    uuid("contract_id", null=True),
    uuid("contract_line_id", null=True),
    uuid("legal_entity_id"),
    Column("contract_version", Integer),
    words("currency"),
    number("agreed", null=True),
    number("enforced", null=True),
    number("reserved"),
    number("committed"),
    words("purchase_order_number", null=True),
    words("scope"),
    uuid("customer_id", null=True),
    words("category", null=True),
    uuid("person_id", null=True),
    day("day", null=True),
    Column("enforcement", Text, nullable=False, server_default=text("'hard'")),
    number("tolerance_percent", default="0"),
    Column(
        "alert_percents",
        ARRAY(Integer),
        nullable=False,
        server_default=text("'{80,100}'::integer[]"),
    ),
    Column("settings_version", Integer, nullable=False, server_default=text("0")),
    Column("alerted_percent", Integer, nullable=False, server_default=text("0")),
    Column("alert_version", Integer, nullable=False, server_default=text("0")),
    Index(
        "limit_account_by_contract",
        "contract_id",
        postgresql_where=text("scope <> 'category'"),
    ),
    Index(
        "limit_account_by_customer",
        "customer_id",
        postgresql_where=text("customer_id IS NOT NULL"),
    ),
)

limit_entry: Final = table(
    "limit_entry",
    Column(
        "limit_account_id", Uuid, ForeignKey("limit_account.limit_account_id"), primary_key=True
    ),
    Column("kind", Text, primary_key=True),
    uuid("cause_id", key=True),
    uuid("billing_event_id"),
    number("amount"),
    instant("recorded_at"),
    Index("limit_entry_by_billing_event", "billing_event_id"),
    comment="append-only: the account is the sum of its entries",
)

limit_setting: Final = table(
    "limit_setting",
    Column(
        "limit_account_id", Uuid, ForeignKey("limit_account.limit_account_id"), primary_key=True
    ),
    Column("version", Integer, primary_key=True),
    words("enforcement"),
    number("tolerance_percent"),
    Column("alert_percents", ARRAY(Integer), nullable=False),
    words("reason"),
    words("set_by"),
    instant("set_at"),
    comment="append-only: how a limit was enforced, and who said so",
)

customer_limit_proposal: Final = table(
    "customer_limit_proposal",
    uuid("customer_limit_proposal_id", key=True),
    count("version"),
    uuid("limit_account_id"),
    uuid("customer_id"),
    uuid("legal_entity_id"),
    words("currency"),
    number("amount", null=True),
    words("status"),
    words("reason"),
    words("proposed_by"),
    instant("proposed_at"),
    words("decided_by", null=True),
    instant("decided_at", null=True),
    words("comment"),
    Index(
        "customer_limit_proposed_once",
        "limit_account_id",
        unique=True,
        postgresql_where=text("status = 'proposed'"),
    ),
)

limit_wake: Final = table(
    "limit_wake",
    uuid("limit_wake_id", key=True),
    uuid("contract_id", null=True),
    uuid("customer_id", null=True),
    instant("noted_at"),
    comment="a limit has room again; taken by the schedule, which judges what it stopped",
)
