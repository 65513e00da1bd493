"""Invoices, cash and the books."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Final

from reporting.domain import Kind, Link, Node, Rows
from reporting.folds.common import day, label
from throughline.billing_event.v1 import billing_event_pb2 as billing
from throughline.common.v1 import money_pb2
from throughline.invoice_payment.events.v1 import invoice_payment_events_pb2 as events_pb2
from throughline.invoice_payment.v1 import invoice_pb2, payment_pb2
from throughline_core.ids import derived_id

_JOURNAL_PARENTS: Final = {
    "invoice": Kind.INVOICE,
    "credit_note": Kind.CREDIT_NOTE,
    "payment": Kind.PAYMENT,
    "payment_allocation": Kind.PAYMENT_ALLOCATION,
}
# Lines of these may print persons and what they wrote.
_PERSONAL: Final = (
    billing.BILLING_EVENT_TYPE_TIME,
    billing.BILLING_EVENT_TYPE_EXPENSE,
    billing.BILLING_EVENT_TYPE_RETAINER_DRAW,
)


def fold_invoice(rows: Rows, invoice: invoice_pb2.Invoice) -> None:
    """An issued invoice and its lines."""
    issued_on = day(invoice.issued_on)
    rows.nodes.append(
        Node(
            kind=Kind.INVOICE,
            object_id=invoice.invoice_id,
            label=invoice.number,
            version=invoice.version,
            state="issued",
            quantity=Decimal(len(invoice.lines)),
            amount=Decimal(invoice.gross_total.amount),
            currency=invoice.currency,
            happened_on=issued_on,
            legal_entity_id=invoice.legal_entity_id,
        )
    )
    _add_invoice_lines(
        rows,
        invoice.invoice_id,
        invoice.version,
        invoice.lines,
        issued_on=issued_on,
        legal_entity_id=invoice.legal_entity_id,
    )


def fold_continued_lines(rows: Rows, event: events_pb2.InvoiceLinesContinued) -> None:
    """The further lines of a long invoice."""
    billed = [line for line in event.lines if not line.credits_invoice_line_id]
    _add_invoice_lines(rows, event.invoice_id, event.version, billed)
    credited = [line for line in event.lines if line.credits_invoice_line_id]
    _add_credit_lines(rows, event.invoice_id, event.version, credited)


def fold_credit_note(rows: Rows, event: events_pb2.InvoiceCredited) -> None:
    """An issued credit note follows from the invoice it takes back, and settles what was open."""
    note = event.credit_note
    rows.nodes.append(
        Node(
            kind=Kind.CREDIT_NOTE,
            object_id=note.invoice_id,
            label=note.number,
            version=note.version,
            state="issued",
            quantity=Decimal(len(note.lines)),
            amount=Decimal(note.gross_total.amount),
            currency=note.currency,
            happened_on=day(note.issued_on),
            legal_entity_id=note.legal_entity_id,
        )
    )
    rows.links.append(Link(Kind.INVOICE, event.invoice_id, Kind.CREDIT_NOTE, note.invoice_id))
    _add_credit_lines(
        rows,
        note.invoice_id,
        note.version,
        note.lines,
        issued_on=day(note.issued_on),
        legal_entity_id=note.legal_entity_id,
    )
    if Decimal(event.applied.amount):
        application_id = str(derived_id("credit_application", note.invoice_id))
        _add_application(
            rows,
            application_id,
            note.invoice_id,
            event.invoice_id,
            event.applied,
            note.issued_on,
        )


def fold_applied_credit(rows: Rows, event: events_pb2.CreditApplied) -> None:
    """The rest of a credit note settled a part of a further invoice."""
    _add_application(
        rows,
        event.credit_application_id,
        event.credit_note_id,
        event.invoice_id,
        event.amount,
        event.applied_on,
    )


def fold_credited_items(rows: Rows, items: Iterable[invoice_pb2.CreditedItem]) -> None:
    """What a credit note's line gave back of which row."""
    for item in items:
        rows.links.append(
            Link(
                Kind.BILLING_EVENT,
                item.billing_event_id,
                Kind.CREDIT_LINE,
                item.credit_line_id,
                quantity=Decimal(item.quantity),
                amount=Decimal(item.amount.amount),
            )
        )


def _add_application(
    rows: Rows,
    application_id: str,
    credit_note_id: str,
    invoice_id: str,
    amount: money_pb2.Money,
    applied_on: str,
) -> None:
    rows.nodes.append(
        Node(
            kind=Kind.CREDIT_APPLICATION,
            object_id=application_id,
            label=f"{amount.amount} {amount.currency} credited",
            amount=Decimal(amount.amount),
            currency=amount.currency,
            happened_on=day(applied_on),
        )
    )
    rows.links.append(Link(Kind.INVOICE, invoice_id, Kind.CREDIT_APPLICATION, application_id))
    rows.links.append(
        Link(Kind.CREDIT_APPLICATION, application_id, Kind.CREDIT_NOTE, credit_note_id)
    )


def _add_credit_lines(
    rows: Rows,
    credit_note_id: str,
    version: int,
    lines: Iterable[invoice_pb2.InvoiceLine],
    *,
    issued_on: date | None = None,
    legal_entity_id: str | None = None,
) -> None:
    """A credit note's line follows from the one it takes back, or bills work below nothing."""
    for line in lines:
        taken_back = line.credits_invoice_line_id
        kind = Kind.CREDIT_LINE if taken_back else Kind.INVOICE_LINE
        sign = 1 if taken_back else -1
        rows.nodes.append(
            Node(
                kind=kind,
                object_id=line.invoice_line_id,
                label=label(_plain_label(line)),
                personal_label=label(f"line {line.position}: {line.description}"),
                version=version,
                state=_disposition(line),
                quantity=sign * Decimal(line.quantity),
                amount=sign * Decimal(line.net_amount.amount),
                currency=line.net_amount.currency,
                happened_on=issued_on,
                contract_line_id=line.contract_line_id,
                legal_entity_id=legal_entity_id,
            )
        )
        rows.links.append(Link(kind, line.invoice_line_id, Kind.CREDIT_NOTE, credit_note_id))
        if taken_back:
            rows.links.append(Link(Kind.INVOICE_LINE, taken_back, kind, line.invoice_line_id))


def _disposition(line: invoice_pb2.InvoiceLine) -> str:
    if line.credit_disposition == invoice_pb2.CREDIT_DISPOSITION_UNSPECIFIED:
        return ""
    name = invoice_pb2.CreditDisposition.Name(line.credit_disposition)
    return name.removeprefix("CREDIT_DISPOSITION_").lower()


def _add_invoice_lines(
    rows: Rows,
    invoice_id: str,
    version: int,
    lines: Iterable[invoice_pb2.InvoiceLine],
    *,
    issued_on: date | None = None,
    legal_entity_id: str | None = None,
) -> None:
    for line in lines:
        rows.nodes.append(
            Node(
                kind=Kind.INVOICE_LINE,
                object_id=line.invoice_line_id,
                label=label(_plain_label(line)),
                personal_label=label(f"line {line.position}: {line.description}"),
                version=version,
                quantity=Decimal(line.quantity),
                amount=Decimal(line.net_amount.amount),
                currency=line.net_amount.currency,
                happened_on=issued_on,
                contract_line_id=line.contract_line_id,
                legal_entity_id=legal_entity_id,
            )
        )
        rows.links.append(Link(Kind.INVOICE_LINE, line.invoice_line_id, Kind.INVOICE, invoice_id))


def fold_items(rows: Rows, items: Iterable[invoice_pb2.InvoiceItem]) -> None:
    """What an invoice line billed of which row."""
    for item in items:
        rows.links.append(
            Link(
                Kind.BILLING_EVENT,
                item.billing_event_id,
                Kind.INVOICE_LINE,
                item.invoice_line_id,
                quantity=Decimal(item.quantity),
                amount=Decimal(item.amount.amount),
            )
        )


def fold_payment(rows: Rows, payment: payment_pb2.Payment) -> None:
    """Money that arrived."""
    rows.nodes.append(
        Node(
            kind=Kind.PAYMENT,
            object_id=payment.payment_id,
            label=label(f"{payment.provider} {payment.provider_payment_id}"),
            version=payment.version,
            amount=Decimal(payment.amount.amount),
            currency=payment.amount.currency,
            happened_on=day(payment.received_on),
            legal_entity_id=payment.legal_entity_id or None,
        )
    )


def fold_allocation(rows: Rows, allocation: payment_pb2.PaymentAllocation) -> None:
    """The part of a payment that settles an invoice stands between the two."""
    rows.nodes.append(
        Node(
            kind=Kind.PAYMENT_ALLOCATION,
            object_id=allocation.payment_allocation_id,
            label=f"{allocation.amount.amount} {allocation.amount.currency} settled",
            amount=Decimal(allocation.amount.amount),
            currency=allocation.amount.currency,
            happened_on=day(allocation.allocated_on),
        )
    )
    rows.links.append(
        Link(
            Kind.INVOICE,
            allocation.invoice_id,
            Kind.PAYMENT_ALLOCATION,
            allocation.payment_allocation_id,
        )
    )
    rows.links.append(
        Link(
            Kind.PAYMENT_ALLOCATION,
            allocation.payment_allocation_id,
            Kind.PAYMENT,
            allocation.payment_id,
        )
    )


def fold_journal_entry(rows: Rows, entry: payment_pb2.JournalEntry) -> None:
    """An entry of the books follows from the document or payment it tells of."""
    total = sum((Decimal(line.debit.amount) for line in entry.lines), Decimal(0))
    rows.nodes.append(
        Node(
            kind=Kind.JOURNAL_ENTRY,
            object_id=entry.journal_entry_id,
            label=f"{entry.number} ({entry.fact})",
            amount=total,
            currency=entry.currency,
            happened_on=day(entry.posted_on),
            legal_entity_id=entry.legal_entity_id,
        )
    )
    parent = _JOURNAL_PARENTS.get(entry.fact)
    if parent is not None:
        rows.links.append(Link(parent, entry.fact_id, Kind.JOURNAL_ENTRY, entry.journal_entry_id))


def _plain_label(line: invoice_pb2.InvoiceLine) -> str:
    if line.type in _PERSONAL:
        return f"line {line.position}: {line.quantity} {line.unit}"
    return f"line {line.position}: {line.description}"
