"""The journal, and payments."""

from typing import Final

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Text, UniqueConstraint, Uuid
from sqlalchemy.dialects.postgresql import JSONB

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
from invoice_payment.tables.invoice import invoice
from throughline_runtime.schema import APPEND_ONLY

account_mapping: Final = table(
    "account_mapping",
    Column("legal_entity_id", Uuid, primary_key=True),
    Column("account_role", Text, primary_key=True),
    version(),
    *texts("account"),
)

journal_entry: Final = table(
    "journal_entry",
    Column("journal_entry_id", Uuid, primary_key=True),
    *ids("legal_entity_id"),
    *integers("series_year"),
    Column("sequence", BigInteger, nullable=False),
    *texts("number"),
    *days("posted_on"),
    *texts("fact"),
    *ids("fact_id"),
    *texts("currency"),
    *ids("engagement_id", "correlation_id", nullable=True),
    UniqueConstraint(
        "legal_entity_id", "series_year", "sequence", name="journal_entry_by_sequence"
    ),
    UniqueConstraint("fact_id", "fact", "legal_entity_id", "currency", name="journal_entry_once"),
    Index("journal_entry_by_day", "legal_entity_id", "posted_on", "journal_entry_id"),
    Index("journal_entry_by_engagement", "engagement_id"),
    comment=f"{APPEND_ONLY}: entries of the books",
)

journal_line: Final = table(
    "journal_line",
    Column(
        "journal_entry_id", Uuid, ForeignKey(journal_entry.c.journal_entry_id), primary_key=True
    ),
    Column("line_number", Integer, primary_key=True),
    *texts("account", "account_role"),
    *numbers("debit", "credit"),
    *ids("contract_id", "contract_line_id", nullable=True),
    comment=f"{APPEND_ONLY}: debits and credits",
)

waiting_entry: Final = table(
    "waiting_entry",
    Column("legal_entity_id", Uuid, primary_key=True),
    Column("fact", Text, primary_key=True),
    Column("fact_id", Uuid, primary_key=True),
    Column("currency", Text, primary_key=True),
    instant("at"),
    Column("postings", JSONB, nullable=False),
    *ids("engagement_id", "correlation_id", nullable=True),
)

payment: Final = table(
    "payment",
    Column("payment_id", Uuid, primary_key=True),
    version(),
    *texts("provider", "provider_payment_id", "status", "currency"),
    *numbers("amount", "allocated"),
    *days("received_on"),
    *ids("legal_entity_id"),
    *ids("customer_id", nullable=True),
    *texts("reference"),
    instant("recorded_at"),
    UniqueConstraint("provider", "provider_payment_id", name="payment_once"),
    Index("payment_by_entity", "legal_entity_id", "payment_id"),
    Index("payment_by_customer", "customer_id", "payment_id"),
)

payment_allocation: Final = table(
    "payment_allocation",
    Column("payment_allocation_id", Uuid, primary_key=True),
    Column("payment_id", Uuid, ForeignKey(payment.c.payment_id), nullable=False),
    Column("invoice_id", Uuid, ForeignKey(invoice.c.invoice_id), nullable=False),
    *texts("currency"),
    *numbers("amount"),
    *days("allocated_on"),
    Index("payment_allocation_by_payment", "payment_id"),
    Index("payment_allocation_by_invoice", "invoice_id"),
    comment=f"{APPEND_ONLY}: which payment settled how much of which invoice",
)
