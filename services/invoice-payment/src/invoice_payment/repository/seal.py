"""The seals of issued invoices, and the announcement of what each of them billed."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment import tables
from invoice_payment.domain.invoice import Invoice, InvoiceChange, InvoiceIssued
from invoice_payment.domain.series import Number
from invoice_payment.wire import invoice as wire
from throughline_core.money import Money
from throughline_runtime import outbox

_ADD: Final = text("""
    INSERT INTO invoice_seal (invoice_id, legal_entity_id, document_type, series_year, sequence,
                              content, previous_hash, content_hash)
    SELECT invoice_id, legal_entity_id, 'invoice', series_year, sequence, content, previous_hash,
           content_hash
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:entities AS uuid[]), CAST(:years AS integer[]),
        CAST(:sequences AS bigint[]), CAST(:contents AS text[]), CAST(:previous AS text[]),
        CAST(:hashes AS text[])
    ) AS seal (invoice_id, legal_entity_id, series_year, sequence, content, previous_hash,
               content_hash)
""")

Items = Mapping[UUID, Sequence[wire.Item]]


async def items_of(tx: AsyncConnection, invoices: Sequence[Invoice]) -> Items:
    """Return what each invoice claims, in the order of the billing events."""
    table = tables.invoice_item
    rows = await tx.execute(
        select(
            table.c.invoice_id,
            table.c.billing_event_id,
            table.c.invoice_line_id,
            table.c.source_item_id,
            table.c.quantity,
            table.c.amount,
            table.c.currency,
        )
        .where(table.c.invoice_id.in_([invoice.invoice_id for invoice in invoices]))
        .order_by(table.c.invoice_id, table.c.billing_event_id)
    )
    found: dict[UUID, list[wire.Item]] = defaultdict(list)
    for row in rows:
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
    events = [
        event for change in changes for event in change.events if isinstance(event, InvoiceIssued)
    ]
    issued = [event.invoice for event in events]
    numbers = [_number(invoice) for invoice in issued]
    await tx.execute(
        _ADD,
        {
            "ids": [invoice.invoice_id for invoice in issued],
            "entities": [invoice.legal_entity_id for invoice in issued],
            "years": [number.key.year for number in numbers],
            "sequences": [number.sequence for number in numbers],
            "contents": [event.content for event in events],
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


def _number(invoice: Invoice) -> Number:
    assert invoice.number is not None, "only what is issued is sealed"
    return invoice.number
