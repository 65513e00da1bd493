"""The tables of what is entered here: rates, usage, progress, adjustments, purchases."""

from typing import Final

from sqlalchemy import Boolean, Column, Date, ForeignKey, Index, Integer, Text, Uuid, text

from billing_event.tables.columns import count, day, instant, number, table, uuid, words

exchange_rate: Final = table(
    "exchange_rate",
    Column("rate_on", Date, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("base", Text, primary_key=True),
    Column("quote", Text, primary_key=True),
    number("rate"),
    count("epoch"),
    instant("recorded_at"),
    comment="append-only: a published rate does not change",
)

exchange_policy: Final = table(
    "exchange_policy",
    uuid("legal_entity_id", key=True),
    count("version"),
    words("rule"),
    Column("days_max", Integer, nullable=False),
    words("source"),
    words("set_by"),
    instant("set_at"),
    count("epoch"),
)

fixed_exchange_rate: Final = table(
    "fixed_exchange_rate",
    uuid("legal_entity_id", key=True),
    Column("base", Text, primary_key=True),
    Column("quote", Text, primary_key=True),
    number("rate"),
)

usage_record: Final = table(
    "usage_record",
    uuid("usage_record_id", key=True),
    words("record_key"),
    Column("revision", Integer, nullable=False),
    uuid("contract_id"),
    uuid("contract_line_id"),
    uuid("legal_entity_id"),
    words("meter"),
    number("quantity"),
    words("unit"),
    instant("measured_at"),
    day("measured_on"),
    words("source_system", null=True),
    words("source_object_type", null=True),
    words("source_object_id", null=True),
    words("recorded_by"),
    instant("recorded_at"),
    Index("usage_record_once", "record_key", "revision", unique=True),
    Index("usage_record_by_line", "contract_line_id", "measured_on"),
    Index("usage_record_by_time", "measured_at", "usage_record_id"),
    Index("usage_record_by_entity", "legal_entity_id", "measured_at", "usage_record_id"),
    comment="append-only: a reading is corrected by the next revision of it",
)

usage_record_end: Final = table(
    "usage_record_end",
    Column("usage_record_id", Uuid, ForeignKey("usage_record.usage_record_id"), primary_key=True),
    words("kind"),
    words("reason"),
    words("ended_by"),
    instant("ended_at"),
    comment="append-only: a reading that has an end is counted no more",
)

usage_period: Final = table(
    "usage_period",
    uuid("usage_period_id", key=True),
    uuid("contract_id"),
    uuid("contract_line_id"),
    uuid("engagement_id"),
    uuid("legal_entity_id"),
    words("time_zone"),
    words("meter"),
    words("description"),
    day("service_from"),
    day("service_to"),
    Column("revision", Integer, nullable=False, server_default=text("0")),
    number("closed_quantity", null=True),
    number("closed_amount", null=True),
    words("currency"),
    instant("closed_at", null=True),
    Column("is_pending", Boolean, nullable=False, server_default=text("true")),
    Column("is_void", Boolean, nullable=False, server_default=text("false")),
    Index("usage_period_by_line", "contract_line_id", "service_from"),
    Index("usage_period_by_contract", "contract_id"),
    Index("usage_period_by_end", "service_to", "usage_period_id"),
    Index("usage_period_pending", "service_to", postgresql_where=text("is_pending")),
)

progress_report: Final = table(
    "progress_report",
    uuid("progress_report_id", key=True),
    count("version"),
    uuid("contract_id"),
    uuid("contract_line_id"),
    uuid("legal_entity_id"),
    uuid("engagement_id"),
    words("status"),
    number("percent"),
    day("as_of"),
    words("note"),
    words("evidence"),
    words("evidence_sha256"),
    words("reported_by"),
    instant("reported_at"),
    words("decided_by"),
    instant("decided_at", null=True),
    words("decision_reason"),
    number("net_total", null=True),
    number("earned", null=True),
    number("amount", null=True),
    words("currency"),
    Index(
        "progress_report_open_once",
        "contract_line_id",
        unique=True,
        postgresql_where=text("status = 'proposed'"),
    ),
    Index("progress_report_by_line", "contract_line_id", "as_of"),
    Index("progress_report_by_time", "reported_at", "progress_report_id"),
)

adjustment_reason: Final = table(
    "adjustment_reason",
    Column("code", Text, primary_key=True),
    count("version"),
    words("description"),
    Column("is_active", Boolean, nullable=False),
    words("set_by"),
    instant("set_at"),
)

adjustment: Final = table(
    "adjustment",
    uuid("adjustment_id", key=True),
    count("version"),
    uuid("contract_id"),
    uuid("contract_line_id"),
    uuid("legal_entity_id"),
    uuid("engagement_id"),
    words("status"),
    number("amount"),
    words("currency"),
    day("service_on"),
    Column("reason_code", Text, ForeignKey("adjustment_reason.code"), nullable=False),
    words("description"),
    Column("billing_event_id", Uuid, ForeignKey("billing_event.billing_event_id")),
    Column("undoes_adjustment_id", Uuid, ForeignKey("adjustment.adjustment_id")),
    words("proposed_by"),
    instant("proposed_at"),
    words("decided_by"),
    instant("decided_at", null=True),
    words("decision_reason"),
    Index("adjustment_by_contract", "contract_id"),
    Index("adjustment_by_time", "proposed_at", "adjustment_id"),
    Index(
        "adjustment_undone_once",
        "undoes_adjustment_id",
        unique=True,
        postgresql_where=text(
            "undoes_adjustment_id IS NOT NULL AND status IN ('proposed', 'approved')"
        ),
    ),
)

purchase: Final = table(
    "purchase",
    uuid("purchase_id", key=True),
    count("version"),
    uuid("contract_id"),
    uuid("contract_line_id"),
    uuid("legal_entity_id"),
    uuid("engagement_id"),
    words("status"),
    words("category"),
    words("supplier"),
    words("document_number"),
    words("description"),
    day("incurred_on"),
    number("cost"),
    words("currency"),
    words("source_system"),
    words("source_object_type"),
    words("source_object_id"),
    words("recorded_by"),
    instant("recorded_at"),
    words("decided_by"),
    instant("decided_at", null=True),
    words("decision_reason"),
    Index("purchase_once", "source_system", "source_object_id", unique=True),
    Index("purchase_by_contract", "contract_id"),
    Index("purchase_by_time", "recorded_at", "purchase_id"),
)
