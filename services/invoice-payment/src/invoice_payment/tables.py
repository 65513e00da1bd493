"""The service's tables, in the order of the migrations."""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.sql.schema import SchemaItem

from throughline_runtime.schema import APPEND_ONLY, metadata_tables

METADATA: Final = MetaData()
metadata_tables(METADATA)


def _table(name: str, *items: SchemaItem, comment: str | None = None) -> Table:
    return Table(name, METADATA, *items, comment=comment)


def _ids(*names: str, nullable: bool = False) -> list[Column[Any]]:
    return [Column(name, Uuid, nullable=nullable) for name in names]


def _texts(*names: str, nullable: bool = False) -> list[Column[Any]]:
    return [Column(name, Text, nullable=nullable) for name in names]


def _integers(*names: str, nullable: bool = False) -> list[Column[Any]]:
    return [Column(name, Integer, nullable=nullable) for name in names]


def _numbers(*names: str) -> list[Column[Any]]:
    # Without a scale of their own: numeric(p, s) would round what it is given, silently.
    return [Column(name, Numeric, nullable=False) for name in names]


def _days(*names: str, nullable: bool = False) -> list[Column[Any]]:
    return [Column(name, Date, nullable=nullable) for name in names]


def _instant(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def _version() -> Column[Any]:
    return Column("version", BigInteger, nullable=False)


legal_entity: Final = _table(
    "legal_entity",
    Column("legal_entity_id", Uuid, primary_key=True),
    _version(),
    *_texts("code", "name", "currency", "time_zone"),
    Column("address", JSONB, nullable=False),
    *_texts("tax_id", "registration", "iban", "bic", "email"),
    Index("legal_entity_by_code", "code"),
)

customer: Final = _table(
    "customer",
    Column("customer_id", Uuid, primary_key=True),
    _version(),
    *_texts("name"),
    Column("address", JSONB, nullable=False),
    *_texts("tax_id"),
    Column("is_registered", Boolean, nullable=False),
)

contract_terms: Final = _table(
    "contract_terms",
    Column("contract_id", Uuid, primary_key=True),
    _version(),
    *_texts("number"),
    *_ids("legal_entity_id"),
    *_texts("currency"),
    *_integers("payment_terms_days"),
    *_texts("purchase_order_number", "invoice_grouping", "line_detail"),
    *_ids("engagement_id", "correlation_id"),
    Column("lines", JSONB, nullable=False),
)

billable_item: Final = _table(
    "billable_item",
    Column("billing_event_id", Uuid, primary_key=True),
    *_ids("batch_id", "source_item_id"),
    *_texts("type", "kind"),
    *_ids(
        "contract_id",
        "contract_line_id",
        "quote_line_id",
        "engagement_id",
        "correlation_id",
        "bill_to_customer_id",
        "legal_entity_id",
    ),
    *_ids("project_id", "person_id", nullable=True),
    *_texts("person_name", "role", "description"),
    *_days("service_from", "service_to", "billable_on"),
    *_numbers("quantity"),
    *_texts("unit"),
    *_numbers("unit_rate"),
    *_texts("currency"),
    *_numbers("amount", "recognised_amount"),
    *_texts("tax_category"),
    _instant("released_at"),
    Index("billable_item_by_contract", "legal_entity_id", "contract_id", "billable_on"),
    comment=f"{APPEND_ONLY}: released billing events, each to be invoiced once",
)

tax_rule: Final = _table(
    "tax_rule",
    Column("tax_rule_id", Uuid, primary_key=True),
    _version(),
    *_texts("seller_country", "buyer_country", "buyer_registration", "tax_category", "tax_code"),
    *_numbers("rate_percent"),
    *_texts("exemption_reason"),
    *_days("valid_from"),
    *_days("valid_to", nullable=True),
    UniqueConstraint(
        "seller_country",
        "tax_category",
        "buyer_country",
        "buyer_registration",
        "valid_from",
        name="tax_rule_once",
    ),
)

invoice_policy: Final = _table(
    "invoice_policy",
    Column("legal_entity_id", Uuid, primary_key=True),
    _version(),
    *_texts("rounding_policy"),
)

number_series: Final = _table(
    "number_series",
    Column("legal_entity_id", Uuid, primary_key=True),
    Column("series", Text, primary_key=True),
    Column("year", Integer, primary_key=True),
    *_texts("prefix"),
    Column("last_number", BigInteger, nullable=False),
    *_texts("last_hash"),
)

invoice_run: Final = _table(
    "invoice_run",
    Column("run_id", Uuid, primary_key=True),
    _version(),
    *_ids("legal_entity_id"),
    *_days("cut_off"),
    *_texts("run_key"),
    Column("contract_ids", ARRAY(Uuid), nullable=False),
    *_texts("status", "started_by"),
    _instant("started_at"),
    *_texts("approved_by"),
    _instant("finished_at", nullable=True),
    *_ids("cursor", nullable=True),
    *_integers("contracts_found", "contracts_done", "contracts_failed"),
    Column("items_claimed", BigInteger, nullable=False),
    *_integers("invoices_drafted", "invoices_tax_pending", "invoices_approved", "invoices_issued"),
    Column("retried_contract_ids", ARRAY(Uuid)),
    UniqueConstraint("legal_entity_id", "cut_off", "run_key", name="invoice_run_once"),
    Index(
        "invoice_run_working",
        "run_id",
        postgresql_where=text("status IN ('drafting', 'approving', 'issuing')"),
    ),
)

invoice: Final = _table(
    "invoice",
    Column("invoice_id", Uuid, primary_key=True),
    _version(),
    *_texts("document_type", "status"),
    *_ids("legal_entity_id", "customer_id", "contract_id"),
    *_texts("contract_number"),
    *_ids("engagement_id", "correlation_id"),
    *_texts("currency", "purchase_order_number"),
    *_integers("payment_terms_days"),
    Column("seller", JSONB, nullable=False),
    Column("buyer", JSONB, nullable=False),
    Column("buyer_is_registered", Boolean, nullable=False),
    *_integers("line_count"),
    Column("treatments", JSONB, nullable=False),
    *_numbers("net_total", "tax_total", "gross_total", "paid_total"),
    *_texts("rounding_policy"),
    *_days("service_from", "service_to", "tax_point_on"),
    Column("run_id", Uuid, ForeignKey(invoice_run.c.run_id), nullable=False),
    *_texts("drafted_by", "approved_by", "void_reason"),
    _instant("created_at"),
    *_texts("number", nullable=True),
    Column("series_year", Integer),
    Column("sequence", BigInteger),
    *_days("issued_on", "due_on", nullable=True),
    *_texts("previous_hash", "content_hash"),
    *_texts("document_step", nullable=True),
    *_texts("document_sha256"),
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

invoice_line: Final = _table(
    "invoice_line",
    Column("invoice_id", Uuid, ForeignKey(invoice.c.invoice_id), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("invoice_line_id", Uuid, nullable=False, unique=True),
    *_texts("description"),
    *_ids("contract_line_id", "quote_line_id"),
    *_texts("type"),
    *_numbers("quantity"),
    *_texts("unit"),
    *_numbers("unit_rate", "net_amount"),
    *_texts("tax_category"),
    *_days("service_from", "service_to"),
    *_integers("item_count"),
    *_numbers("recognised_amount"),
    comment=f"{APPEND_ONLY}: what invoices print, line by line",
)

invoice_tax: Final = _table(
    "invoice_tax",
    Column("invoice_id", Uuid, ForeignKey(invoice.c.invoice_id), primary_key=True),
    Column("tax_code", Text, primary_key=True),
    Column("rate_percent", Numeric, primary_key=True),
    *_numbers("base_amount", "tax_amount"),
    *_texts("exemption_reason"),
    comment=f"{APPEND_ONLY}: tax of invoices by code and rate",
)

invoice_item: Final = _table(
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
    *_ids("invoice_line_id", "source_item_id"),
    *_numbers("quantity"),
    *_texts("currency"),
    *_numbers("amount", "recognised_amount"),
    Column("is_live", Boolean, nullable=False),
    Index("invoice_item_once", "billing_event_id", unique=True, postgresql_where=text("is_live")),
)

invoice_seal: Final = _table(
    "invoice_seal",
    Column("invoice_id", Uuid, ForeignKey(invoice.c.invoice_id), primary_key=True),
    *_ids("legal_entity_id"),
    *_texts("document_type"),
    *_integers("series_year"),
    Column("sequence", BigInteger, nullable=False),
    *_texts("content", "previous_hash", "content_hash"),
    UniqueConstraint(
        "legal_entity_id", "document_type", "series_year", "sequence", name="invoice_seal_once"
    ),
    comment=f"{APPEND_ONLY}: the content of issued invoices and the hash chain over it",
)

invoice_document: Final = _table(
    "invoice_document",
    Column("invoice_id", Uuid, ForeignKey(invoice.c.invoice_id), primary_key=True),
    Column("content", LargeBinary, nullable=False),
    *_texts("sha256"),
    _instant("made_at"),
    comment=f"{APPEND_ONLY}: PDFs of issued invoices",
)

account_mapping: Final = _table(
    "account_mapping",
    Column("legal_entity_id", Uuid, primary_key=True),
    Column("account_role", Text, primary_key=True),
    _version(),
    *_texts("account"),
)

journal_entry: Final = _table(
    "journal_entry",
    Column("journal_entry_id", Uuid, primary_key=True),
    *_ids("legal_entity_id"),
    *_integers("series_year"),
    Column("sequence", BigInteger, nullable=False),
    *_texts("number"),
    *_days("posted_on"),
    *_texts("fact"),
    *_ids("fact_id"),
    *_texts("currency"),
    *_ids("engagement_id", "correlation_id", nullable=True),
    UniqueConstraint(
        "legal_entity_id", "series_year", "sequence", name="journal_entry_by_sequence"
    ),
    UniqueConstraint("fact_id", "fact", "legal_entity_id", "currency", name="journal_entry_once"),
    Index("journal_entry_by_day", "legal_entity_id", "posted_on", "journal_entry_id"),
    Index("journal_entry_by_engagement", "engagement_id"),
    comment=f"{APPEND_ONLY}: entries of the books",
)

journal_line: Final = _table(
    "journal_line",
    Column(
        "journal_entry_id", Uuid, ForeignKey(journal_entry.c.journal_entry_id), primary_key=True
    ),
    Column("line_number", Integer, primary_key=True),
    *_texts("account", "account_role"),
    *_numbers("debit", "credit"),
    *_ids("contract_id", "contract_line_id", nullable=True),
    comment=f"{APPEND_ONLY}: debits and credits",
)

payment: Final = _table(
    "payment",
    Column("payment_id", Uuid, primary_key=True),
    _version(),
    *_texts("provider", "provider_payment_id", "status", "currency"),
    *_numbers("amount", "allocated"),
    *_days("received_on"),
    *_ids("legal_entity_id"),
    *_ids("customer_id", nullable=True),
    *_texts("reference"),
    _instant("recorded_at"),
    UniqueConstraint("provider", "provider_payment_id", name="payment_once"),
    Index("payment_by_entity", "legal_entity_id", "payment_id"),
    Index("payment_by_customer", "customer_id", "payment_id"),
)

payment_allocation: Final = _table(
    "payment_allocation",
    Column("payment_allocation_id", Uuid, primary_key=True),
    Column("payment_id", Uuid, ForeignKey(payment.c.payment_id), nullable=False),
    Column("invoice_id", Uuid, ForeignKey(invoice.c.invoice_id), nullable=False),
    *_texts("currency"),
    *_numbers("amount"),
    *_days("allocated_on"),
    Index("payment_allocation_by_payment", "payment_id"),
    Index("payment_allocation_by_invoice", "invoice_id"),
    comment=f"{APPEND_ONLY}: which payment settled how much of which invoice",
)
