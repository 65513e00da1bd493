"""Comparisons of other rules with the live ones."""

from typing import Final

from sqlalchemy import Boolean, Column, Date, ForeignKey, Index, LargeBinary, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from billing_event.tables.columns import count, day, instant, number, table, uuid, words

shadow_run: Final = table(
    "shadow_run",
    uuid("shadow_run_id", key=True),
    count("version"),
    words("name"),
    Column("rules", LargeBinary, nullable=False),
    uuid("contract_id", null=True),
    uuid("legal_entity_id", null=True),
    Column("legal_entity_ids", ARRAY(Uuid)),
    day("service_from", null=True),
    day("service_through", null=True),
    Column("is_live", Boolean, nullable=False),
    words("status"),
    count("items_rated"),
    count("items_different"),
    Column("totals", JSONB, nullable=False),
    instant("cursor_at"),
    uuid("cursor_id", null=True),
    words("started_by"),
    instant("started_at"),
    instant("finished_at", null=True),
    Index("shadow_run_running", "shadow_run_id", postgresql_where=text("status = 'running'")),
)

shadow_difference: Final = table(
    "shadow_difference",
    Column("shadow_run_id", Uuid, ForeignKey("shadow_run.shadow_run_id"), primary_key=True),
    Column("service_from", Date, primary_key=True),
    Column("source_item_id", Uuid, ForeignKey("source_item.source_item_id"), primary_key=True),
    uuid("contract_id"),
    uuid("contract_line_id"),
    words("type"),
    uuid("person_id", null=True),
    words("currency", null=True),
    words("live_outcome"),
    number("live_amount", null=True),
    number("live_quantity", null=True),
    words("live_explanation"),
    words("shadow_outcome"),
    number("shadow_amount", null=True),
    number("shadow_quantity", null=True),
    words("shadow_explanation"),
    comment="append-only: what a comparison found",
)
