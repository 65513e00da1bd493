"""Writes drafts with their lines and tax."""

import json
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment.domain.invoice import Invoice, InvoiceChange
from invoice_payment.repository import invoice as invoices

_ADD_INVOICES: Final = text("""
    INSERT INTO invoice (
        invoice_id, version, document_type, status, legal_entity_id, customer_id, contract_id,
        contract_number, engagement_id, correlation_id, currency, purchase_order_number,
        payment_terms_days, seller, buyer, buyer_is_registered, line_count, treatments, net_total,
        tax_total, gross_total, paid_total, rounding_policy, service_from, service_to,
        tax_point_on, run_id, drafted_by, approved_by, void_reason, created_at, previous_hash,
        content_hash, document_sha256)
    SELECT invoice_id, version, 'invoice', status, legal_entity_id, customer_id, contract_id,
           contract_number, engagement_id, correlation_id, currency, purchase_order_number,
           payment_terms_days, seller, buyer, buyer_is_registered, line_count, treatments,
           net_total, tax_total, gross_total, 0, rounding_policy, service_from, service_to,
           tax_point_on, run_id, drafted_by, '', '', created_at, '', '', ''
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:versions AS bigint[]), CAST(:statuses AS text[]),
        CAST(:legal_entity_ids AS uuid[]), CAST(:customer_ids AS uuid[]),
        CAST(:contract_ids AS uuid[]), CAST(:contract_numbers AS text[]),
        CAST(:engagement_ids AS uuid[]), CAST(:correlation_ids AS uuid[]),
        CAST(:currencies AS text[]), CAST(:orders AS text[]), CAST(:days AS integer[]),
        CAST(:sellers AS jsonb[]), CAST(:buyers AS jsonb[]), CAST(:registered AS boolean[]),
        CAST(:line_counts AS integer[]), CAST(:treatments AS jsonb[]), CAST(:nets AS numeric[]),
        CAST(:taxes AS numeric[]), CAST(:grosses AS numeric[]), CAST(:policies AS text[]),
        CAST(:service_froms AS date[]), CAST(:service_tos AS date[]),
        CAST(:tax_points AS date[]), CAST(:run_ids AS uuid[]), CAST(:drafters AS text[]),
        CAST(:created_ats AS timestamptz[])
    ) AS draft (
        invoice_id, version, status, legal_entity_id, customer_id, contract_id, contract_number,
        engagement_id, correlation_id, currency, purchase_order_number, payment_terms_days, seller,
        buyer, buyer_is_registered, line_count, treatments, net_total, tax_total, gross_total,
        rounding_policy, service_from, service_to, tax_point_on, run_id, drafted_by, created_at)
""")

_ADD_LINES: Final = text("""
    INSERT INTO invoice_line (
        invoice_id, position, invoice_line_id, description, contract_line_id, quote_line_id, type,
        quantity, unit, unit_rate, net_amount, tax_category, service_from, service_to, item_count,
        recognised_amount)
    SELECT * FROM unnest(
        CAST(:invoice_ids AS uuid[]), CAST(:positions AS integer[]), CAST(:ids AS uuid[]),
        CAST(:descriptions AS text[]), CAST(:contract_line_ids AS uuid[]),
        CAST(:quote_line_ids AS uuid[]), CAST(:types AS text[]), CAST(:quantities AS numeric[]),
        CAST(:units AS text[]), CAST(:unit_rates AS numeric[]), CAST(:nets AS numeric[]),
        CAST(:tax_categories AS text[]), CAST(:service_froms AS date[]),
        CAST(:service_tos AS date[]), CAST(:item_counts AS integer[]),
        CAST(:recognised AS numeric[]))
""")


async def add_drafts(tx: AsyncConnection, changes: Sequence[InvoiceChange]) -> None:
    """Write drafts with lines and tax and publish them, in a constant number of statements."""
    drafts = [change.state for change in changes]
    if not drafts:
        return
    await tx.execute(_ADD_INVOICES, _invoice_columns(drafts))
    await tx.execute(_ADD_LINES, _line_columns(drafts))
    await tx.execute(invoices.ADD_TAXES, invoices.tax_columns(drafts))
    await invoices.publish(tx, [event for change in changes for event in change.events])


def _invoice_columns(drafts: Sequence[Invoice]) -> dict[str, list[Any]]:
    return {
        "ids": [draft.invoice_id for draft in drafts],
        "versions": [draft.version for draft in drafts],
        "statuses": [draft.status for draft in drafts],
        "legal_entity_ids": [draft.legal_entity_id for draft in drafts],
        "customer_ids": [draft.customer_id for draft in drafts],
        "contract_ids": [draft.contract_id for draft in drafts],
        "contract_numbers": [draft.contract_number for draft in drafts],
        "engagement_ids": [draft.engagement_id for draft in drafts],
        "correlation_ids": [draft.correlation_id for draft in drafts],
        "currencies": [draft.currency for draft in drafts],
        "orders": [draft.purchase_order_number for draft in drafts],
        "days": [draft.payment_terms_days for draft in drafts],
        "sellers": [json.dumps(invoices.party_to(draft.seller)) for draft in drafts],
        "buyers": [json.dumps(invoices.party_to(draft.buyer)) for draft in drafts],
        "registered": [draft.buyer_is_registered for draft in drafts],
        "line_counts": [len(draft.lines) for draft in drafts],
        "treatments": [json.dumps(invoices.treatments_to(draft.treatments)) for draft in drafts],
        "nets": [draft.totals.net.amount for draft in drafts],
        "taxes": [draft.totals.tax.amount for draft in drafts],
        "grosses": [draft.totals.gross.amount for draft in drafts],
        "policies": [draft.rounding_policy for draft in drafts],
        "service_froms": [draft.service.start for draft in drafts],
        "service_tos": [draft.service.end for draft in drafts],
        "tax_points": [draft.tax_point_on for draft in drafts],
        "run_ids": [draft.run_id for draft in drafts],
        "drafters": [draft.drafted_by for draft in drafts],
        "created_ats": [draft.created_at for draft in drafts],
    }


def _line_columns(drafts: Sequence[Invoice]) -> dict[str, list[Any]]:
    lines = [(draft.invoice_id, line) for draft in drafts for line in draft.lines]
    return {
        "invoice_ids": [invoice_id for invoice_id, _ in lines],
        "positions": [line.position for _, line in lines],
        "ids": [line.invoice_line_id for _, line in lines],
        "descriptions": [line.description for _, line in lines],
        "contract_line_ids": [line.contract_line_id for _, line in lines],
        "quote_line_ids": [line.quote_line_id for _, line in lines],
        "types": [line.type for _, line in lines],
        "quantities": [line.quantity for _, line in lines],
        "units": [line.unit for _, line in lines],
        "unit_rates": [line.unit_rate.amount for _, line in lines],
        "nets": [line.net.amount for _, line in lines],
        "tax_categories": [line.tax_category for _, line in lines],
        "service_froms": [line.service.start for _, line in lines],
        "service_tos": [line.service.end for _, line in lines],
        "item_counts": [line.item_count for _, line in lines],
        "recognised": [line.recognised.amount for _, line in lines],
    }
