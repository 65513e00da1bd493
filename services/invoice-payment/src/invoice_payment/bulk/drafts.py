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
        content_hash, document_sha256, credits_invoice_id, credits_number,
        credits_issued_on, credit_reason)
    SELECT invoice_id, version, document_type, status, legal_entity_id, customer_id, contract_id,
           contract_number, engagement_id, correlation_id, currency, purchase_order_number,
           payment_terms_days, seller, buyer, buyer_is_registered, line_count, treatments,
           net_total, tax_total, gross_total, 0, rounding_policy, service_from, service_to,
           tax_point_on, run_id, drafted_by, '', '', created_at, '', '', '', credits_invoice_id,
           credits_number, credits_issued_on, credit_reason
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
        CAST(:created_ats AS timestamptz[]), CAST(:document_types AS text[]),
        CAST(:credits_invoice_ids AS uuid[]), CAST(:credits_numbers AS text[]),
        CAST(:credits_issued_ons AS date[]), CAST(:credit_reasons AS text[])
    ) AS draft (
        invoice_id, version, status, legal_entity_id, customer_id, contract_id, contract_number,
        engagement_id, correlation_id, currency, purchase_order_number, payment_terms_days, seller,
        buyer, buyer_is_registered, line_count, treatments, net_total, tax_total, gross_total,
        rounding_policy, service_from, service_to, tax_point_on, run_id, drafted_by, created_at,
        document_type, credits_invoice_id, credits_number, credits_issued_on, credit_reason)
""")

_ADD_LINES: Final = text("""
    INSERT INTO invoice_line (
        invoice_id, position, invoice_line_id, description, contract_line_id, quote_line_id, type,
        quantity, unit, unit_rate, net_amount, tax_category, service_from, service_to, item_count,
        recognised_amount, treatment, purchase_order_number, credits_line_id, disposition)
    SELECT * FROM unnest(
        CAST(:invoice_ids AS uuid[]), CAST(:positions AS integer[]), CAST(:ids AS uuid[]),
        CAST(:descriptions AS text[]), CAST(:contract_line_ids AS uuid[]),
        CAST(:quote_line_ids AS uuid[]), CAST(:types AS text[]), CAST(:quantities AS numeric[]),
        CAST(:units AS text[]), CAST(:unit_rates AS numeric[]), CAST(:nets AS numeric[]),
        CAST(:tax_categories AS text[]), CAST(:service_froms AS date[]),
        CAST(:service_tos AS date[]), CAST(:item_counts AS integer[]),
        CAST(:recognised AS numeric[]), CAST(:treatments AS text[]), CAST(:orders AS text[]),
        CAST(:credits_line_ids AS uuid[]), CAST(:dispositions AS text[]))
""")

_REMOVE_LINES: Final = text("""
    DELETE FROM invoice_line WHERE invoice_id = ANY(CAST(:invoice_ids AS uuid[]))
""")
_REMOVE_TAXES: Final = text("""
    DELETE FROM invoice_tax WHERE invoice_id = ANY(CAST(:invoice_ids AS uuid[]))
""")

_PUT_TOTALS: Final = text("""
    UPDATE invoice SET
        line_count = new.line_count, treatments = new.treatments, net_total = new.net_total,
        tax_total = new.tax_total, gross_total = new.gross_total, service_from = new.service_from,
        service_to = new.service_to, tax_point_on = new.tax_point_on
    FROM unnest(
        CAST(:invoice_ids AS uuid[]), CAST(:line_counts AS integer[]),
        CAST(:treatments AS jsonb[]), CAST(:nets AS numeric[]), CAST(:taxes AS numeric[]),
        CAST(:grosses AS numeric[]), CAST(:service_froms AS date[]),
        CAST(:service_tos AS date[]), CAST(:tax_points AS date[])
    ) AS new (invoice_id, line_count, treatments, net_total, tax_total, gross_total, service_from,
              service_to, tax_point_on)
    WHERE invoice.invoice_id = new.invoice_id
""")


async def add_drafts(tx: AsyncConnection, changes: Sequence[InvoiceChange]) -> None:
    """Write drafts with lines and tax and publish them, in a constant number of statements."""
    drafts = [change.state for change in changes]
    if not drafts:
        return
    await tx.execute(_ADD_INVOICES, _invoice_columns(drafts))
    await _add_parts(tx, drafts)
    await invoices.publish(tx, [event for change in changes for event in change.events])


async def replace_parts(tx: AsyncConnection, drafts: Sequence[Invoice]) -> None:
    """Write the lines, tax and totals of drafts that were made anew over the ones before."""
    ids = {"invoice_ids": [draft.invoice_id for draft in drafts]}
    await tx.execute(_REMOVE_LINES, ids)
    await tx.execute(_REMOVE_TAXES, ids)
    await tx.execute(
        _PUT_TOTALS,
        {
            **ids,
            "line_counts": [len(draft.lines) for draft in drafts],
            "treatments": [
                json.dumps(invoices.treatments_to(draft.treatments)) for draft in drafts
            ],
            "nets": [draft.totals.net.amount for draft in drafts],
            "taxes": [draft.totals.tax.amount for draft in drafts],
            "grosses": [draft.totals.gross.amount for draft in drafts],
            "service_froms": [draft.service.start for draft in drafts],
            "service_tos": [draft.service.end for draft in drafts],
            "tax_points": [draft.tax_point_on for draft in drafts],
        },
    )
    await _add_parts(tx, drafts)


async def _add_parts(tx: AsyncConnection, drafts: Sequence[Invoice]) -> None:
    await tx.execute(_ADD_LINES, _line_columns(drafts))
    await tx.execute(invoices.ADD_TAXES, invoices.tax_columns(drafts))


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
        "document_types": [draft.document_type for draft in drafts],
        **_credits_columns(drafts),
    }


def _credits_columns(drafts: Sequence[Invoice]) -> dict[str, list[Any]]:
    credits = [draft.credits for draft in drafts]
    return {
        "credits_invoice_ids": [each.invoice_id if each else None for each in credits],
        "credits_numbers": [each.number if each else "" for each in credits],
        "credits_issued_ons": [each.issued_on if each else None for each in credits],
        "credit_reasons": [each.reason if each else "" for each in credits],
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
        "treatments": [line.treatment for _, line in lines],
        "orders": [line.purchase_order_number for _, line in lines],
        "credits_line_ids": [line.credits_line_id for _, line in lines],
        "dispositions": [line.disposition for _, line in lines],
    }
