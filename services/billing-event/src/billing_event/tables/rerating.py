"""Re-rating runs: their scope and progress, what they found of each thing, and its sums."""

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Date, ForeignKey, Index, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import Text

from billing_event.tables.columns import count, day, instant, number, table, uuid, words


def _counter(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=text("0"))


rerating_run: Final = table(
    "rerating_run",
    uuid("rerating_run_id", key=True),
    count("version"),
    words("status"),
    words("cause"),
    words("reason"),
    uuid("legal_entity_id"),
    Column("contract_ids", ARRAY(Uuid), nullable=False),
    Column("contract_line_ids", ARRAY(Uuid), nullable=False),
    Column("person_ids", ARRAY(Uuid), nullable=False),
    uuid("customer_id", null=True),
    uuid("rate_card_id", null=True),
    Column("service_from", Date),
    Column("service_through", Date),
    words("drafted"),
    Column("moves_payers", Boolean, nullable=False),
    words("proposed_by"),
    words("decided_by"),
    words("decision_reason"),
    count("facts_epoch"),
    instant("created_at"),
    instant("previewed_at", null=True),
    instant("finished_at", null=True),
    uuid("cursor_contract_id", null=True),
    day("cursor_service_from", null=True),
    uuid("cursor_billing_event_id", null=True),
    _counter("items_previewed"),
    _counter("items_different"),
    _counter("items_cannot"),
    _counter("items_applied"),
    _counter("items_waiting"),
    _counter("items_skipped"),
    _counter("items_outdated"),
    Index(
        "rerating_run_working",
        "rerating_run_id",
        postgresql_where=text("status IN ('previewing', 'applying', 'waiting')"),
    ),
    Index("rerating_run_by_entity", "legal_entity_id", "created_at"),
)

rerating_item: Final = table(
    "rerating_item",
    Column("rerating_run_id", Uuid, ForeignKey("rerating_run.rerating_run_id"), primary_key=True),
    uuid("source_item_id", key=True),
    uuid("contract_id"),
    uuid("contract_line_id"),
    day("service_from"),
    Column("payer_ids", ARRAY(Uuid), nullable=False),
    words("place"),
    Column("invoices", ARRAY(Text), nullable=False),
    words("action"),
    words("reason"),
    words("unit"),
    words("currency"),
    number("old_quantity"),
    number("new_quantity"),
    number("old_amount"),
    number("new_amount"),
    Column("parts", JSONB, nullable=False),
    Column("is_different", Boolean, nullable=False),
    words("outcome"),
    _counter("number"),
    Index(
        "rerating_item_open",
        "rerating_run_id",
        "source_item_id",
        postgresql_where=text("outcome IN ('pending', 'waiting')"),
    ),
    Index(
        "rerating_item_pending",
        "rerating_run_id",
        "number",
        "source_item_id",
        postgresql_where=text("outcome = 'pending'"),
    ),
)

rerating_sum: Final = table(
    "rerating_sum",
    Column("rerating_run_id", Uuid, ForeignKey("rerating_run.rerating_run_id"), primary_key=True),
    uuid("contract_id", key=True),
    uuid("contract_line_id", key=True),
    Column("month", Date, primary_key=True),
    uuid("payer_id", key=True),
    Column("action", Text, primary_key=True),
    Column("currency", Text, primary_key=True),
    count("items"),
    number("old_amount"),
    number("new_amount"),
)

rerating_seen_card: Final = table(
    "rerating_seen_card",
    uuid("rate_card_id", key=True),
    Column("version", BigInteger, primary_key=True),
    comment="append-only: card versions that were compared with the one before",
)
