"""Tax rules, numbers, runs and invoices."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from invoice_payment.tables.columns import (
    days,
    ids,
    instant,
    integers,
    numbers,
    table,
    texts,
    version,
)
from invoice_payment.tables.item import billable_item
from throughline_runtime.schema import APPEND_ONLY

tax_rule: Final = table(
    "tax_rule",
    Column("tax_rule_id", Uuid, primary_key=True),
    version(),
    *texts("seller_country", "buyer_country", "buyer_registration", "tax_category", "tax_code"),
    *numbers("rate_percent"),
    *texts("exemption_reason"),
    *days("valid_from"),
    *days("valid_to", nullable=True),
    UniqueConstraint(
        "seller_country",
        "tax_category",
        "buyer_country",
        "buyer_registration",
        "valid_from",
        name="tax_rule_once",
    ),
)

invoice_policy: Final = table(
    "invoice_policy",
    Column("legal_entity_id", Uuid, primary_key=True),
    version(),
    *texts("rounding_policy"),
)

number_series: Final = table(
    "number_series",
    Column("legal_entity_id", Uuid, primary_key=True),
    Column("series", Text, primary_key=True),
    Column("year", Integer, primary_key=True),
    *texts("prefix"),
    Column("last_number", BigInteger, nullable=False),
    *texts("last_hash"),
)

invoice_run: Final = table(
    "invoice_run",
    Column("run_id", Uuid, primary_key=True),
    version(),
    *ids("legal_entity_id"),
    *days("cut_off"),
    *texts("run_key"),
    Column("contract_ids", ARRAY(Uuid), nullable=False),
    *texts("status", "started_by"),
    instant("started_at"),
    *texts("approved_by"),
    instant("finished_at", nullable=True),
    *ids("cursor", nullable=True),
    *integers("contracts_found", "contracts_done", "contracts_failed"),
    Column("items_claimed", BigInteger, nullable=False),
    *integers("invoices_drafted", "invoices_tax_pending", "invoices_approved", "invoices_issued"),
    Column("retried_contract_ids", ARRAY(Uuid)),
    UniqueConstraint("legal_entity_id", "cut_off", "run_key", name="invoice_run_once"),
    Index(
        "invoice_run_working",
        "run_id",
        postgresql_where=text("status IN ('drafting', 'approving', 'issuing')"),
    ),
)

invoice: Final = table(
    "invoice",
    Column("invoice_id", Uuid, primary_key=True),
    version(),
    *texts("document_type", "status"),
    *ids("legal_entity_id", "customer_id", "contract_id"),
    *texts("contract_number"),
    *ids("engagement_id", "correlation_id"),
    *texts("currency", "purchase_order_number"),
    *integers("payment_terms_days"),
    Column("seller", JSONB, nullable=False),
    Column("buyer", JSONB, nullable=False),
    Column("buyer_is_registered", Boolean, nullable=False),
    *integers("line_count"),
    Column("treatments", JSONB, nullable=False),
    *numbers("net_total", "tax_total", "gross_total", "paid_total"),
    *texts("rounding_policy"),
    *days("service_from", "service_to", "tax_point_on"),
    Column("run_id", Uuid, ForeignKey(invoice_run.c.run_id), nullable=False),
    *texts("drafted_by", "approved_by", "void_reason"),
    instant("created_at"),
    *texts("number", nullable=True),
    Column("series_year", Integer),
    Column("sequence", BigInteger),
    *days("issued_on", "due_on", nullable=True),
    *texts("previous_hash", "content_hash"),
    *texts("document_step", nullable=True),
    *texts("document_sha256"),
    Index("invoice_by_number", "number", unique=True, postgresql_where=text("number IS NOT NULL")),
    Index(
        "invoice_by_sequence",
        "legal_entity_id",
        "document_type",
        "series_year",
        "sequence",
        unique=True,
        postgresql_where=text("number IS NOT NULL"),
    ),
    Index("invoice_by_run", "run_id", "status", "invoice_id"),
    Index("invoice_by_entity", "legal_entity_id", "invoice_id"),
    Index("invoice_by_contract", "contract_id", "invoice_id"),
    Index("invoice_by_customer", "customer_id", "invoice_id"),
    Index("invoice_by_engagement", "engagement_id", "invoice_id"),
    Index("invoice_tax_pending", "invoice_id", postgresql_where=text("status = 'tax_pending'")),
    Index(
        "invoice_document_pending", "invoice_id", postgresql_where=text("document_step = 'pending'")
    ),
)

invoice_line: Final = table(
    "invoice_line",
    Column("invoice_id", Uuid, ForeignKey(invoice.c.invoice_id), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("invoice_line_id", Uuid, nullable=False, unique=True),
    *texts("description"),
    *ids("contract_line_id", "quote_line_id"),
    *texts("type"),
    *numbers("quantity"),
    *texts("unit"),
    *numbers("unit_rate", "net_amount"),
    *texts("tax_category"),
    *days("service_from", "service_to"),
    *integers("item_count"),
    *numbers("recognised_amount"),
    comment=f"{APPEND_ONLY}: what invoices print, line by line",
)

invoice_tax: Final = table(
    "invoice_tax",
    Column("invoice_id", Uuid, ForeignKey(invoice.c.invoice_id), primary_key=True),
    Column("tax_code", Text, primary_key=True),
    Column("rate_percent", Numeric, primary_key=True),
    *numbers("base_amount", "tax_amount"),
    *texts("exemption_reason"),
    comment=f"{APPEND_ONLY}: tax of invoices by code and rate",
)

invoice_item: Final = table(
    "invoice_item",
    Column(
        "invoice_id",
        Uuid,
        ForeignKey(invoice.c.invoice_id, deferrable=True, initially="DEFERRED"),
        primary_key=True,
    ),
    Column(
        "billing_event_id",
        Uuid,
        ForeignKey(billable_item.c.billing_event_id),
        primary_key=True,
    ),
    *ids("invoice_line_id", "source_item_id"),
    *numbers("quantity"),
    *texts("currency"),
    *numbers("amount", "recognised_amount"),
    Column("is_live", Boolean, nullable=False),
    Index("invoice_item_once", "billing_event_id", unique=True, postgresql_where=text("is_live")),
)

invoice_seal: Final = table(
    "invoice_seal",
    Column("invoice_id", Uuid, ForeignKey(invoice.c.invoice_id), primary_key=True),
    *ids("legal_entity_id"),
    *texts("document_type"),
    *integers("series_year"),
    Column("sequence", BigInteger, nullable=False),
    *texts("content", "previous_hash", "content_hash"),
    UniqueConstraint(
        "legal_entity_id", "document_type", "series_year", "sequence", name="invoice_seal_once"
    ),
    comment=f"{APPEND_ONLY}: the content of issued invoices and the hash chain over it",
)

invoice_document: Final = table(
    "invoice_document",
    Column("invoice_id", Uuid, ForeignKey(invoice.c.invoice_id), primary_key=True),
    Column("content", LargeBinary, nullable=False),
    *texts("sha256"),
    instant("made_at"),
    comment=f"{APPEND_ONLY}: PDFs of issued invoices",
)
