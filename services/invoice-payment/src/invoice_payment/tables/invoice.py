"""Tax rules, numbers, runs and invoices."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
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
    Column("run_id", Uuid, ForeignKey(invoice_run.c.run_id)),
    *texts("drafted_by", "approved_by", "void_reason"),
    instant("created_at"),
    *texts("number", nullable=True),
    Column("series_year", Integer),
    Column("sequence", BigInteger),
    *days("issued_on", "due_on", nullable=True),
    *texts("previous_hash", "content_hash"),
    *texts("document_step", nullable=True),
    *texts("document_sha256"),
    Column("credited_total", Numeric, nullable=False, server_default="0"),
    Column("credits_invoice_id", Uuid, ForeignKey("invoice.invoice_id")),
    Column("credits_number", Text, nullable=False, server_default=""),
    *days("credits_issued_on", nullable=True),
    Column("credit_reason", Text, nullable=False, server_default=""),
    Index(
        "invoice_by_credited",
        "credits_invoice_id",
        postgresql_where=text("credits_invoice_id IS NOT NULL"),
    ),
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
    Column("treatment", Text, nullable=False, server_default="invoiced"),
    Column("purchase_order_number", Text, nullable=False, server_default=""),
    *ids("credits_line_id", nullable=True),
    *texts("disposition", nullable=True),
    comment="what invoices print, line by line; final once issued",
)

invoice_tax: Final = table(
    "invoice_tax",
    Column("invoice_id", Uuid, ForeignKey(invoice.c.invoice_id), primary_key=True),
    Column("tax_code", Text, primary_key=True),
    Column("rate_percent", Numeric, primary_key=True),
    *numbers("base_amount", "tax_amount"),
    *texts("exemption_reason"),
    comment="tax of invoices by code and rate; final once issued",
)

invoice_item: Final = table(
    "invoice_item",
    Column(
        "invoice_id",
        Uuid,
        ForeignKey(invoice.c.invoice_id, deferrable=True, initially="DEFERRED"),
        primary_key=True,
    ),
    Column("billing_event_id", Uuid, primary_key=True),
    *ids("invoice_line_id", "source_item_id"),
    *numbers("quantity"),
    *texts("currency"),
    *numbers("amount", "recognised_amount"),
    Column("is_live", Boolean, nullable=False),
    Column("portion", Integer, primary_key=True, server_default="0"),
    Column("credited_quantity", Numeric, nullable=False, server_default="0"),
    Column("credited_amount", Numeric, nullable=False, server_default="0"),
    Column("credited_recognised", Numeric, nullable=False, server_default="0"),
    ForeignKeyConstraint(
        ["billing_event_id", "portion"],
        ["billable_item.billing_event_id", "billable_item.portion"],
        name="invoice_item_portion_fkey",
    ),
    Index(
        "invoice_item_once",
        "billing_event_id",
        "portion",
        unique=True,
        postgresql_where=text("is_live"),
    ),
)

credit_item: Final = table(
    "credit_item",
    Column("credit_note_id", Uuid, ForeignKey(invoice.c.invoice_id), primary_key=True),
    Column("invoice_id", Uuid, primary_key=True),
    Column("billing_event_id", Uuid, primary_key=True),
    Column("portion", Integer, primary_key=True),
    *ids("source_item_id", "invoice_line_id", "credit_line_id"),
    *numbers("quantity"),
    *texts("currency"),
    *numbers("amount", "recognised_amount"),
    *texts("disposition"),
    *ids("reversal_id", nullable=True),
    Column("is_live", Boolean, nullable=False),
    ForeignKeyConstraint(
        ["invoice_id", "billing_event_id", "portion"],
        ["invoice_item.invoice_id", "invoice_item.billing_event_id", "invoice_item.portion"],
    ),
    Index("credit_item_by_claim", "billing_event_id", "portion"),
    Index(
        "credit_item_by_reversal",
        "reversal_id",
        postgresql_where=text("reversal_id IS NOT NULL"),
    ),
)

credit_application: Final = table(
    "credit_application",
    Column("credit_application_id", Uuid, primary_key=True),
    Column("credit_note_id", Uuid, ForeignKey(invoice.c.invoice_id), nullable=False),
    Column("invoice_id", Uuid, ForeignKey(invoice.c.invoice_id), nullable=False),
    *texts("currency"),
    *numbers("amount"),
    *days("applied_on"),
    Index("credit_application_by_invoice", "invoice_id"),
    Index("credit_application_by_credit_note", "credit_note_id"),
    comment=f"{APPEND_ONLY}: which credit note settled how much of which invoice",
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
