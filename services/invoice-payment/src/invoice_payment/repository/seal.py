"""The seals of issued invoices, and the announcement of what each of them billed."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment.domain.invoice import (
    Invoice,
    InvoiceChange,
    InvoiceCredited,
    InvoiceEvent,
    InvoiceIssued,
)
from invoice_payment.domain.series import Number
from invoice_payment.wire import invoice as wire
from throughline_core.money import Money
from throughline_runtime import outbox

_ADD: Final = text("""
    INSERT INTO invoice_seal (invoice_id, legal_entity_id, document_type, series_year, sequence,
                              content, previous_hash, content_hash)
    SELECT * FROM unnest(
        CAST(:ids AS uuid[]), CAST(:entities AS uuid[]), CAST(:types AS text[]),
        CAST(:years AS integer[]), CAST(:sequences AS bigint[]), CAST(:contents AS text[]),
        CAST(:previous AS text[]), CAST(:hashes AS text[]))
""")

# Portions of one item on one line are one claim to whoever is told.
_ITEMS: Final = text("""
    SELECT invoice_id, billing_event_id, invoice_line_id, source_item_id, currency,
           sum(quantity) AS quantity, sum(amount) AS amount
    FROM invoice_item
    WHERE is_live AND invoice_id = ANY(CAST(:invoice_ids AS uuid[]))
    GROUP BY invoice_id, billing_event_id, invoice_line_id, source_item_id, currency
    ORDER BY invoice_id, billing_event_id, invoice_line_id
""")

Items = Mapping[UUID, Sequence[wire.Item]]


async def items_of(tx: AsyncConnection, invoices: Sequence[Invoice]) -> Items:
    """Return what each invoice claims, in the order of the billing events."""
    values = {"invoice_ids": [invoice.invoice_id for invoice in invoices]}
    found: dict[UUID, list[wire.Item]] = defaultdict(list)
    for row in await tx.execute(_ITEMS, values):
        found[row.invoice_id].append(
            wire.write_item(
                billing_event_id=row.billing_event_id,
                invoice_line_id=row.invoice_line_id,
                source_item_id=row.source_item_id,
                quantity=f"{row.quantity:f}",
                amount=Money(row.amount, row.currency),
            )
        )
    return found


async def add(tx: AsyncConnection, changes: Sequence[InvoiceChange], items: Items) -> None:
    """Seal what issued invoices say, and announce the rest of their lines and all their items."""
    sealed = [found for change in changes for found in map(_sealed, change.events) if found]
    issued = [invoice for invoice, _ in sealed]
    numbers = [_number(invoice) for invoice in issued]
    await tx.execute(
        _ADD,
        {
            "ids": [invoice.invoice_id for invoice in issued],
            "entities": [invoice.legal_entity_id for invoice in issued],
            "types": [invoice.document_type for invoice in issued],
            "years": [number.key.year for number in numbers],
            "sequences": [number.sequence for number in numbers],
            "contents": [content for _, content in sealed],
            "previous": [invoice.previous_hash for invoice in issued],
            "hashes": [invoice.content_hash for invoice in issued],
        },
    )
    outgoing = [
        event
        for invoice in issued
        for event in (
            *wire.write_continued_lines(invoice),
            *wire.write_billed_items(invoice, items[invoice.invoice_id]),
        )
    ]
    await outbox.append(tx, outgoing)


def _sealed(event: InvoiceEvent) -> tuple[Invoice, str] | None:
    """Return the document an event of its issue tells of, and the content its hash seals."""
    match event:
        case InvoiceIssued(invoice, content) | InvoiceCredited(invoice, content, _, _):
            return invoice, content
        case _:
            return None


def _number(invoice: Invoice) -> Number:
    assert invoice.number is not None, "only what is issued is sealed"
    return invoice.number
