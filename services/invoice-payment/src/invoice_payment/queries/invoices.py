"""Invoices, their lines and items, runs and tax rules as lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, literal, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment import tables
from invoice_payment.domain.amounts import TaxGroup
from invoice_payment.domain.invoice import DocumentType, InvoiceStatus
from invoice_payment.domain.issue import printed_line
from invoice_payment.domain.run import RunStatus
from invoice_payment.repository import invoice as repository
from invoice_payment.repository.invoice import InvoiceNotFound
from invoice_payment.repository.run import run_from
from invoice_payment.repository.tax import rule_from
from invoice_payment.wire import invoice as wire
from throughline.invoice_payment.v1 import (
    invoice_pb2,
    invoice_run_service_pb2,
    invoice_service_pb2,
    tax_service_pb2,
)
from throughline_core.errors import FailedPrecondition
from throughline_core.money import Money
from throughline_runtime.fields import write_instant
from throughline_runtime.identity import require_entity, visible_entities

_PDF: Final = "application/pdf"


class DocumentNotReady(FailedPrecondition):
    """The PDF is not made yet."""

    code = "invoice.document_not_ready"


@dataclass(frozen=True, slots=True)
class InvoiceFilter:
    """Which invoices to list; what is None does not limit."""

    status: InvoiceStatus | None = None
    legal_entity_id: UUID | None = None
    customer_id: UUID | None = None
    contract_id: UUID | None = None
    number: str | None = None
    issued_from: date | None = None
    issued_to: date | None = None
    run_id: UUID | None = None
    engagement_id: UUID | None = None
    document_type: DocumentType | None = None
    credits_invoice_id: UUID | None = None


async def invoice(tx: AsyncConnection, invoice_id: UUID) -> invoice_pb2.Invoice:
    """Return an invoice with the first of its lines.

    Raises:
        InvoiceNotFound, EntityForbidden: no such invoice for the caller.
    """
    row = await _own(tx, invoice_id)
    lines = await _lines(tx, row, after=0, size=wire.LINES_PER_MESSAGE_MAX)
    message = _message(row, await _groups(tx, [invoice_id], row.currency))
    message.lines.extend(lines)
    return message


async def invoices(
    tx: AsyncConnection, chosen: InvoiceFilter, *, before: UUID | None, size: int
) -> list[invoice_pb2.Invoice]:
    """Return invoices without lines, latest first, at most `size` older than `before`."""
    table = tables.invoice
    query = select(table).order_by(table.c.invoice_id.desc()).limit(size)
    for name in ("status", "legal_entity_id", "customer_id", "contract_id", "number", "run_id"):
        query = _equal(query, table.c[name], getattr(chosen, name))
    for name in ("engagement_id", "document_type", "credits_invoice_id"):
        query = _equal(query, table.c[name], getattr(chosen, name))
    if chosen.issued_from is not None:
        query = query.where(table.c.issued_on >= chosen.issued_from)
    if chosen.issued_to is not None:
        query = query.where(table.c.issued_on <= chosen.issued_to)
    if before is not None:
        query = query.where(table.c.invoice_id < before)
    rows = await tx.execute(only_visible(query, table.c.legal_entity_id))
    return [_message(row, ()) for row in rows]


async def lines(
    tx: AsyncConnection, invoice_id: UUID, *, after: int, size: int
) -> list[invoice_pb2.InvoiceLine]:
    """Return lines of an invoice in printed order, at most `size` past position `after`.

    Raises:
        InvoiceNotFound, EntityForbidden: no such invoice for the caller.
    """
    return await _lines(tx, await _own(tx, invoice_id), after=after, size=size)


async def items(
    tx: AsyncConnection,
    invoice_id: UUID,
    *,
    invoice_line_id: UUID | None,
    after: UUID | None,
    size: int,
) -> list[invoice_pb2.InvoiceItem]:
    """Return what an invoice claims by billing event, at most `size` past `after`.

    Raises:
        InvoiceNotFound, EntityForbidden: no such invoice for the caller.
    """
    row = await _own(tx, invoice_id)
    table = tables.invoice_item
    is_voided = row.status == InvoiceStatus.VOIDED
    query = (
        select(table)
        .where(table.c.invoice_id == invoice_id)
        .where(table.c.is_live | literal(is_voided))
        .where(table.c.billing_event_id > (after or UUID(int=0)))
        .order_by(table.c.billing_event_id)
        .limit(size)
    )
    rows = await tx.execute(_equal(query, table.c.invoice_line_id, invoice_line_id))
    return [
        wire.write_item(
            billing_event_id=row.billing_event_id,
            invoice_line_id=row.invoice_line_id,
            source_item_id=row.source_item_id,
            quantity=f"{row.quantity:f}",
            amount=Money(row.amount, row.currency),
            credited=(row.credited_quantity, Money(row.credited_amount, row.currency)),
        )
        for row in rows
    ]


async def document(
    tx: AsyncConnection, invoice_id: UUID
) -> invoice_service_pb2.GetInvoiceDocumentResponse:
    """Return the PDF of an invoice.

    Raises:
        InvoiceNotFound, EntityForbidden: no such invoice for the caller.
        DocumentNotReady: it is not made yet.
    """
    row = await _own(tx, invoice_id)
    table = tables.invoice_document
    made = await tx.execute(
        select(tables.invoice.c.number, table.c.content, table.c.sha256, table.c.made_at)
        .join(table, table.c.invoice_id == tables.invoice.c.invoice_id)
        .where(table.c.invoice_id == invoice_id)
    )
    found = made.one_or_none()
    if found is None:
        step = row.document_step or "not begun: the invoice is not issued"
        raise DocumentNotReady(
            f"the document of invoice {invoice_id} is {step}",
            advice="ask again in a moment, or retry the document if its step has failed",
        )
    return invoice_service_pb2.GetInvoiceDocumentResponse(
        content=found.content,
        content_type=_PDF,
        file_name=f"{found.number}.pdf",
        sha256=found.sha256,
        made_at=write_instant(found.made_at),
    )


async def runs(
    tx: AsyncConnection,
    *,
    legal_entity_id: UUID | None,
    status: RunStatus | None,
    before: UUID | None,
    size: int,
) -> list[invoice_run_service_pb2.InvoiceRun]:
    """Return runs, latest first, at most `size` older than `before`."""
    table = tables.invoice_run
    query = select(table).order_by(table.c.run_id.desc()).limit(size)
    query = _equal(query, table.c.legal_entity_id, legal_entity_id)
    query = _equal(query, table.c.status, status)
    if before is not None:
        query = query.where(table.c.run_id < before)
    rows = await tx.execute(only_visible(query, table.c.legal_entity_id))
    return [wire.write_run(run_from(row)) for row in rows]


RULE_KEYS: Final = ("seller_country", "tax_category", "buyer_country", "buyer_registration")


async def tax_rules(
    tx: AsyncConnection,
    *,
    seller_country: str | None,
    tax_category: str | None,
    valid_on: date | None,
    after: tuple[str, str, str, str, date] | None,
    size: int,
) -> list[tax_service_pb2.TaxRule]:
    """Return tax rules by what they match and first day, at most `size` past `after`."""
    table = tables.tax_rule
    keys = tuple_(*(table.c[name] for name in RULE_KEYS), table.c.valid_from)
    query = select(table).order_by(*keys).limit(size)
    query = _equal(query, table.c.seller_country, seller_country)
    query = _equal(query, table.c.tax_category, tax_category)
    if valid_on is not None:
        query = query.where(
            table.c.valid_from <= valid_on,
            or_(table.c.valid_to.is_(None), table.c.valid_to > valid_on),
        )
    if after is not None:
        query = query.where(keys > tuple_(*after))
    return [wire.write_tax_rule(rule_from(row)) for row in await tx.execute(query)]


def only_visible(query: Select[Any], legal_entity_id: ColumnElement[Any]) -> Select[Any]:
    """Limit a list to the legal entities its caller may see."""
    entities = visible_entities()
    return query if entities is None else query.where(legal_entity_id.in_(entities))


def _equal(query: Select[Any], column: ColumnElement[Any], value: object) -> Select[Any]:
    return query if value is None else query.where(column == value)


async def _own(tx: AsyncConnection, invoice_id: UUID) -> Row[Any]:
    table = tables.invoice
    row = (await tx.execute(select(table).where(table.c.invoice_id == invoice_id))).one_or_none()
    if row is None:
        raise InvoiceNotFound(f"invoice {invoice_id} does not exist", field="invoice_id")
    require_entity(row.legal_entity_id)
    return row


def _message(row: Row[Any], groups: Sequence[TaxGroup]) -> invoice_pb2.Invoice:
    message = wire.write_invoice(repository.invoice_from(row, groups=groups))
    message.line_count = row.line_count
    return message


async def _groups(
    tx: AsyncConnection, invoice_ids: Sequence[UUID], currency: str
) -> list[TaxGroup]:
    table = tables.invoice_tax
    rows = await tx.execute(
        select(table)
        .where(table.c.invoice_id.in_(invoice_ids))
        .order_by(table.c.tax_code, table.c.rate_percent)
    )
    return [repository.group_from(row, currency) for row in rows]


async def _lines(
    tx: AsyncConnection, invoice_row: Row[Any], *, after: int, size: int
) -> list[invoice_pb2.InvoiceLine]:
    table = tables.invoice_line
    rows = await tx.execute(
        select(table)
        .where(table.c.invoice_id == invoice_row.invoice_id, table.c.position > after)
        .order_by(table.c.position)
        .limit(size)
    )
    treatments = repository.treatments_from(invoice_row.treatments)
    found = [repository.line_from(row, invoice_row.currency) for row in rows]
    if invoice_row.document_type == DocumentType.CREDIT_NOTE:
        found = [printed_line(line) for line in found]
    return [wire.write_line(line, treatments.get(line.tax_category)) for line in found]
