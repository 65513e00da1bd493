"""The tables, in the order of the migrations, which hold their constraints and reasons."""

from invoice_payment.tables.columns import metadata
from invoice_payment.tables.invoice import (
    credit_application,
    credit_item,
    invoice,
    invoice_document,
    invoice_item,
    invoice_line,
    invoice_policy,
    invoice_run,
    invoice_seal,
    invoice_tax,
    number_series,
    tax_rule,
)
from invoice_payment.tables.item import (
    billable_item,
    contract_terms,
    customer,
    item_set_aside,
    legal_entity,
    netted_item,
    retracted_item,
)
from invoice_payment.tables.ledger import (
    account_mapping,
    journal_entry,
    journal_line,
    payment,
    payment_allocation,
    waiting_entry,
)

__all__ = [
    "account_mapping",
    "billable_item",
    "contract_terms",
    "credit_application",
    "credit_item",
    "customer",
    "invoice",
    "invoice_document",
    "invoice_item",
    "invoice_line",
    "invoice_policy",
    "invoice_run",
    "invoice_seal",
    "invoice_tax",
    "item_set_aside",
    "journal_entry",
    "journal_line",
    "legal_entity",
    "metadata",
    "netted_item",
    "number_series",
    "payment",
    "payment_allocation",
    "retracted_item",
    "tax_rule",
    "waiting_entry",
]
