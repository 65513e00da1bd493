"""Documents of issued invoices: what goes into them, and the PDFs that were made."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment import tables
from invoice_payment.domain.invoice import DocumentStep, Invoice
from invoice_payment.repository import invoice as invoices
from throughline_core.period import Period
from throughline_runtime import exceptions

DOCUMENT_FAILED: Final = "invoice.document_failed"
"""Kind of the exception a document that could not be made opens."""

_WORK: Final = text("""
    SELECT claim.invoice_line_id, item.type, item.person_name, item.role, item.description,
           item.service_from, item.service_to, item.quantity, item.unit, item.unit_rate,
           item.amount, item.billing_event_id
    FROM invoice_item AS claim JOIN billable_item AS item USING (billing_event_id, portion)
    WHERE claim.invoice_id = :invoice_id AND claim.is_live
    UNION ALL
    SELECT credit.credit_line_id, item.type, item.person_name, item.role, item.description,
           item.service_from, item.service_to, -credit.quantity, item.unit, item.unit_rate,
           -credit.amount, item.billing_event_id
    FROM credit_item AS credit JOIN billable_item AS item USING (billing_event_id, portion)
    WHERE credit.credit_note_id = :invoice_id
    ORDER BY service_from, person_name, billing_event_id
""")


@dataclass(frozen=True, slots=True)
class Work:
    """One item behind an invoice line, as the annex prints it."""

    person_name: str
    role: str
    description: str
    service: Period
    quantity: Decimal
    unit: str
    unit_rate: Decimal
    amount: Decimal


async def pending(tx: AsyncConnection, *, after: UUID | None, limit: int) -> Sequence[UUID]:
    """Return invoices whose document is to be made, by id, at most `limit` past `after`."""
    table = tables.invoice
    query = (
        select(table.c.invoice_id)
        .where(table.c.document_step == DocumentStep.PENDING)
        .where(table.c.invoice_id > (after or UUID(int=0)))
        .order_by(table.c.invoice_id)
        .limit(limit)
    )
    return list((await tx.execute(query)).scalars())


async def content_of(
    tx: AsyncConnection, invoice_id: UUID
) -> tuple[Invoice, dict[UUID, list[Work]]]:
    """Return an issued invoice, and the work behind each of its lines by date."""
    table = tables.invoice
    rows = (await tx.execute(select(table).where(table.c.invoice_id == invoice_id))).all()
    [invoice] = await invoices.with_parts(tx, rows)
    work: dict[UUID, list[Work]] = defaultdict(list)
    for row in await tx.execute(_WORK, {"invoice_id": invoice_id}):
        work[row.invoice_line_id].append(
            Work(
                person_name=row.person_name,
                role=row.role,
                description=row.description,
                service=Period(row.service_from, row.service_to),
                quantity=row.quantity,
                unit=row.unit,
                unit_rate=row.unit_rate,
                amount=row.amount,
            )
        )
    return invoice, dict(work)


async def add(
    tx: AsyncConnection, invoice: Invoice, *, content: bytes, sha256: str, made_at: datetime
) -> None:
    """Store the PDF of an invoice whose document is pending; another worker's stays."""
    table = tables.invoice
    written = await tx.execute(
        update(table)
        .where(table.c.invoice_id == invoice.invoice_id)
        .where(table.c.document_step == DocumentStep.PENDING)
        .values(document_step=DocumentStep.DONE, document_sha256=sha256)
    )
    if written.rowcount == 1:
        values: dict[str, Any] = {
            "invoice_id": invoice.invoice_id,
            "content": content,
            "sha256": sha256,
            "made_at": made_at,
        }
        await tx.execute(insert(tables.invoice_document).values(values))
        await exceptions.close(tx, DOCUMENT_FAILED, [invoice.invoice_id])


async def fail(tx: AsyncConnection, invoice: Invoice, *, reason: str) -> None:
    """Note that the PDF could not be made, and tell people; another worker's PDF stays."""
    table = tables.invoice
    written = await tx.execute(
        update(table)
        .where(table.c.invoice_id == invoice.invoice_id)
        .where(table.c.document_step == DocumentStep.PENDING)
        .values(document_step=DocumentStep.FAILED)
    )
    if written.rowcount != 1:
        return
    await exceptions.open_(
        tx,
        DOCUMENT_FAILED,
        invoice.invoice_id,
        reason=reason,
        owner="integration",
        advice="mend the cause, then retry the document of this invoice",
        legal_entity_id=invoice.legal_entity_id,
        engagement_id=invoice.engagement_id,
    )


async def set_step(tx: AsyncConnection, invoice: Invoice) -> None:
    """Write the invoice's document step."""
    table = tables.invoice
    await tx.execute(
        update(table)
        .where(table.c.invoice_id == invoice.invoice_id)
        .values(document_step=invoice.document_step)
    )
