"""The tables of the ledger of positions, in the order of the migrations."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from billing_event.tables.columns import count, day, instant, number, table, uuid, words

fact_epoch: Final = table(
    "fact_epoch",
    Column("only_one", Boolean, primary_key=True, server_default=text("true")),
    count("epoch"),
)

contract_terms: Final = table(
    "contract_terms",
    uuid("contract_id", key=True),
    Column("contract_version", Integer, primary_key=True),
    uuid("bill_to_customer_id"),
    uuid("legal_entity_id"),
    words("time_zone"),
    Column("terms", LargeBinary, nullable=False),
    count("epoch"),
    instant("recorded_at"),
    Index("contract_terms_by_bill_to", "bill_to_customer_id"),
    comment="append-only: every version of the terms stays explainable",
)

contract_state: Final = table(
    "contract_state",
    uuid("contract_id", key=True),
    count("version"),
    Column("first_version", Integer),
    uuid("bill_to_customer_id"),
    uuid("legal_entity_id"),
    words("time_zone"),
    Column("newest_version", Integer, nullable=False),
    Column("ended_on", Date),
    Column("ended_early", Boolean, nullable=False),
    words("ended_detail"),
    count("epoch"),
    Index("contract_state_by_bill_to", "bill_to_customer_id"),
)

amendment: Final = table(
    "amendment",
    uuid("contract_id", key=True),
    Column("contract_version", Integer, primary_key=True),
    uuid("contract_line_id", key=True),
    day("effective_on"),
    words("change_order_number"),
    instant("recorded_at"),
    comment="append-only: from when on which lines are priced anew",
)

rate_card: Final = table(
    "rate_card",
    uuid("rate_card_id", key=True),
    Column("version", BigInteger, primary_key=True),
    uuid("legal_entity_id", null=True),
    uuid("customer_id", null=True),
    Column("card", LargeBinary, nullable=False),
    count("epoch"),
    instant("recorded_at"),
    comment="append-only: a published version never changes",
)

customer_state: Final = table(
    "customer_state",
    uuid("customer_id", key=True),
    count("version"),
    Column("is_on_credit_hold", Boolean, nullable=False),
    words("credit_hold_reason"),
    words("tax_status"),
    count("epoch"),
)

release_policy: Final = table(
    "release_policy",
    uuid("legal_entity_id", key=True),
    count("version"),
    number("threshold"),
    words("currency"),
    words("set_by"),
    instant("set_at"),
)

source_item: Final = table(
    "source_item",
    uuid("source_item_id", key=True),
    words("type"),
    uuid("contract_id", null=True),
    uuid("contract_line_id", null=True),
    uuid("engagement_id", null=True),
    uuid("project_id", null=True),
    uuid("task_id", null=True),
    uuid("person_id", null=True),
    words("person_name"),
    uuid("delivering_entity_id", null=True),
    words("role"),
    words("level"),
    words("region"),
    words("description"),
    day("service_from"),
    day("service_to"),
    Column("minutes", Integer, nullable=False),
    number("price", null=True),
    words("currency", null=True),
    words("price_basis"),
    Column("is_billable", Boolean, nullable=False),
    words("approved_by"),
    words("source_system", null=True),
    words("source_object_type", null=True),
    words("source_object_id", null=True),
    instant("recorded_at"),
    Column("activity", Text, nullable=False, server_default=text("''")),
    uuid("reverses_source_item_id", null=True),
    uuid("replaces_source_item_id", null=True),
    number("receipt_price", null=True),
    words("receipt_currency", null=True),
    Index(
        "source_item_by_reversed",
        "reverses_source_item_id",
        postgresql_where=text("reverses_source_item_id IS NOT NULL"),
    ),
    comment="append-only: what was approved stays as it was approved",
)

source_step: Final = table(
    "source_step",
    uuid("source_item_id", key=True),
    Column("version", BigInteger, primary_key=True),
    words("state"),
    number("price", null=True),
    Column("service_to", Date),
    words("reason"),
    Column("accepted_on", Date),
    words("accepted_by"),
    words("evidence_sha256"),
    words("recorded_by"),
    instant("recorded_at"),
    comment="append-only: the highest version is the last word",
)

covered_item: Final = table(
    "covered_item",
    Column("source_item_id", Uuid, ForeignKey("source_item.source_item_id"), primary_key=True),
    words("explanation"),
    instant("recorded_at"),
    comment="append-only: says why an approved thing has no row",
)

billing_event: Final = table(
    "billing_event",
    uuid("billing_event_id", key=True),
    Column("source_item_id", Uuid, ForeignKey("source_item.source_item_id"), nullable=False),
    Column("part", SmallInteger, nullable=False),
    words("type"),
    words("kind"),
    uuid("contract_id"),
    Column("contract_version", Integer, nullable=False),
    uuid("contract_line_id"),
    uuid("quote_line_id"),
    uuid("engagement_id"),
    uuid("correlation_id"),
    uuid("bill_to_customer_id"),
    uuid("legal_entity_id"),
    day("service_from"),
    day("service_to"),
    Column("minutes", Integer, nullable=False),
    number("quantity"),
    words("unit"),
    number("unit_rate"),
    number("amount"),
    words("currency"),
    words("tax_category"),
    uuid("rate_card_id", null=True),
    Column("rate_card_version", BigInteger),
    words("rate_explanation"),
    instant("rated_at"),
    day("rated_on"),
    Column("reverses_billing_event_id", Uuid, ForeignKey("billing_event.billing_event_id")),
    uuid("delivering_entity_id", null=True),
    number("multiplier", null=True),
    Column("purchase_order_number", Text, nullable=False, server_default=text("''")),
    Column("treatment", Text, nullable=False, server_default=text("'invoiced'")),
    number("share_percent", null=True),
    number("converted_price", null=True),
    words("converted_currency", null=True),
    number("exchange_rate", null=True),
    day("exchange_rate_on", null=True),
    words("exchange_source", null=True),
    Column("adjusts_billing_event_id", Uuid, ForeignKey("billing_event.billing_event_id")),
    uuid("rerating_run_id", null=True),
    uuid("retainer_period_id", null=True),
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

position: Final = table(
    "position",
    Column(
        "billing_event_id", Uuid, ForeignKey("billing_event.billing_event_id"), primary_key=True
    ),
    words("status"),
    count("version"),
    number("quantity"),
    number("amount"),
    number("allocated_quantity", default="0"),
    number("allocated_amount", default="0"),
    words("released_by", null=True),
    instant("released_at", null=True),
    Index(
        "position_open",
        "billing_event_id",
        postgresql_where=text("status = 'released' AND amount <> allocated_amount"),
    ),
)

allocation: Final = table(
    "allocation",
    uuid("allocation_id", key=True),
    Column("billing_event_id", Uuid, ForeignKey("position.billing_event_id"), nullable=False),
    uuid("invoice_id", null=True),
    uuid("invoice_line_id", null=True),
    number("quantity"),
    number("amount"),
    instant("recorded_at"),
    day("recorded_on"),
    Column("kind", Text, nullable=False, server_default=text("'invoice'")),
    Index("allocation_by_billing_event", "billing_event_id"),
    comment="append-only: a claim is given back by another row",
)

hold: Final = table(
    "hold",
    uuid("hold_id", key=True),
    Column("source_item_id", Uuid, ForeignKey("source_item.source_item_id"), nullable=False),
    Column("billing_event_id", Uuid, ForeignKey("position.billing_event_id")),
    uuid("contract_id", null=True),
    uuid("contract_line_id", null=True),
    uuid("legal_entity_id", null=True),
    words("reason"),
    words("detail"),
    words("owner"),
    count("epoch"),
    instant("opened_at"),
    words("opened_by", null=True),
    instant("cleared_at", null=True),
    words("cleared_by", null=True),
    words("clearing_reason", null=True),
    words("advice", null=True),
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

limit_account: Final = table(
    "limit_account",
    uuid("limit_account_id", key=True),
    uuid("contract_id"),
    uuid("contract_line_id", null=True),
    uuid("legal_entity_id"),
    Column("contract_version", Integer, nullable=False),
    words("currency"),
    number("agreed", null=True),
    number("enforced", null=True),
    number("reserved"),
    number("committed"),
    words("purchase_order_number", null=True),
    Index("limit_account_by_contract", "contract_id"),
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
    comment="append-only: the account is the sum of its entries",
)

recurring_period: Final = table(
    "recurring_period",
    uuid("recurring_period_id", key=True),
    uuid("contract_id"),
    uuid("contract_line_id"),
    Column("contract_version", Integer, nullable=False),
    uuid("engagement_id"),
    uuid("legal_entity_id"),
    words("time_zone"),
    day("service_from"),
    day("service_to"),
    day("due_on"),
    number("amount"),
    words("currency"),
    words("description"),
    words("explanation"),
    Index("recurring_period_by_due", "due_on", "recurring_period_id"),
    Index("recurring_period_by_contract", "contract_id"),
)
