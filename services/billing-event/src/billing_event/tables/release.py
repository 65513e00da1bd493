"""What passes the checkpoint in bulk, what is taken back from it, and what is given up."""

from typing import Final

from sqlalchemy import Boolean, Column, Date, ForeignKey, Index, Integer, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import Text

from billing_event.tables.columns import count, instant, number, table, uuid, words

release_policy: Final = table(
    "release_policy",
    uuid("legal_entity_id", key=True),
    count("version"),
    number("threshold"),
    words("currency"),
    words("set_by"),
    instant("set_at"),
    Column("rules", JSONB, nullable=False, server_default=text("'[]'")),
)

release_run: Final = table(
    "release_run",
    uuid("release_run_id", key=True),
    count("version"),
    uuid("contract_id", null=True),
    uuid("legal_entity_id", null=True),
    Column("legal_entity_ids", ARRAY(Uuid)),
    Column("through_date", Date),
    Column("types", ARRAY(Text), nullable=False),
    number("max_amount", null=True),
    words("max_currency", null=True),
    words("status"),
    Column("rows_found", Integer, nullable=False),
    Column("rows_released", Integer, nullable=False),
    Column("rows_held", Integer, nullable=False),
    Column("rows_other_person", Integer, nullable=False),
    Column("released_amounts", JSONB, nullable=False),
    uuid("cursor", null=True),
    words("started_by"),
    instant("started_at"),
    instant("finished_at", null=True),
    Index("release_run_running", "release_run_id", postgresql_where=text("status = 'running'")),
)

release_withdrawal: Final = table(
    "release_withdrawal",
    uuid("release_withdrawal_id", key=True),
    words("status"),
    words("reason"),
    Column("places_hold", Boolean, nullable=False),
    words("refusal"),
    words("requested_by"),
    instant("requested_at"),
    instant("finished_at", null=True),
    Index(
        "release_withdrawal_pending",
        "release_withdrawal_id",
        postgresql_where=text("status = 'pending'"),
    ),
)

withdrawn_row: Final = table(
    "withdrawn_row",
    Column(
        "release_withdrawal_id",
        Uuid,
        ForeignKey("release_withdrawal.release_withdrawal_id"),
        primary_key=True,
    ),
    Column("billing_event_id", Uuid, ForeignKey("position.billing_event_id"), primary_key=True),
    count("row_version"),
    Column("is_pending", Boolean, nullable=False),
    Index(
        "withdrawn_row_once",
        "billing_event_id",
        unique=True,
        postgresql_where=text("is_pending"),
    ),
)

write_off: Final = table(
    "write_off",
    uuid("write_off_id", key=True),
    count("version"),
    words("kind"),
    words("status"),
    words("reason_code"),
    words("reason"),
    number("quantity", null=True),
    uuid("legal_entity_id"),
    words("proposed_by"),
    instant("proposed_at"),
    words("decided_by"),
    instant("decided_at", null=True),
    words("decision_reason"),
)

write_off_row: Final = table(
    "write_off_row",
    Column("write_off_id", Uuid, ForeignKey("write_off.write_off_id"), primary_key=True),
    Column("billing_event_id", Uuid, ForeignKey("position.billing_event_id"), primary_key=True),
    number("amount"),
    words("currency"),
    Column("written_off_billing_event_id", Uuid, ForeignKey("position.billing_event_id")),
    Column("is_open", Boolean, nullable=False),
    Index("write_off_row_once", "billing_event_id", unique=True, postgresql_where=text("is_open")),
    Index(
        "write_off_row_written_off",
        "written_off_billing_event_id",
        postgresql_where=text("written_off_billing_event_id IS NOT NULL"),
    ),
)
