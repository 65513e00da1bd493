"""Issue: a document gets its number and becomes final, sealed and chained to the one before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from invoice_payment.domain.amounts import TaxTreatment, Totals
from invoice_payment.domain.invoice import (
    OPEN_STATUSES,
    DocumentStep,
    Invoice,
    InvoiceChange,
    InvoiceCredited,
    InvoiceIssued,
    InvoiceStatus,
    require_sign,
    step,
)
from invoice_payment.domain.line import Line
from invoice_payment.domain.series import Number, Taken, canonical, chained_hash
from invoice_payment.domain.settlement import credited, settled
from throughline_core.change import Change
from throughline_core.money import Money


@dataclass(frozen=True, slots=True)
class CreditIssued:
    """An issued credit note, the invoice it names as it is after that, and what was settled."""

    change: InvoiceChange
    invoice: Invoice
    applied: Money


def issue(invoice: Invoice, number: Number, *, on: date, previous_hash: str) -> InvoiceChange:
    """Make an approved invoice final under `number`; `on` is a day in the entity's zone.

    Raises:
        IllegalTransition: it is not approved.
        TotalNegative: its total is below zero.
    """
    require_sign(invoice)
    issued, content = _numbered(invoice, number, on=on, previous_hash=previous_hash)
    return Change(issued, (InvoiceIssued(issued, content),))


def issue_credit_note(
    credit_note: Invoice, invoice: Invoice, number: Number, *, on: date, previous_hash: str
) -> CreditIssued:
    """Make an approved credit note final; it settles as much of its invoice as is open.

    Raises:
        IllegalTransition: it is not approved.
    """
    issued, content = _numbered(credit_note, number, on=on, previous_hash=previous_hash)
    is_open = invoice.status in OPEN_STATUSES
    zero = Money.zero(invoice.currency)
    applied = min(invoice.open_amount, -issued.totals.gross) if is_open else zero
    if not applied.is_zero:
        used = settled(issued, -applied)
        issued = replace(used, version=issued.version)
        invoice = credited(invoice, applied)
    event = InvoiceCredited(issued, content, invoice, applied)
    return CreditIssued(Change(issued, (event,)), invoice, applied)


def issue_in_order(invoices: Sequence[Invoice], taken: Taken, *, on: date) -> list[InvoiceChange]:
    """Issue invoices of one series under the numbers taken for them, each chained to the last.

    Raises:
        IllegalTransition, TotalNegative: see `issue`.
    """
    changes = []
    previous_hash = taken.last_hash
    for index, invoice in enumerate(invoices):
        change = issue(invoice, taken.number(index), on=on, previous_hash=previous_hash)
        previous_hash = change.state.content_hash
        changes.append(change)
    return changes


def _numbered(
    document: Invoice, number: Number, *, on: date, previous_hash: str
) -> tuple[Invoice, str]:
    """Return the document as issued, and the content its hash seals."""
    days = 0 if document.is_credit_note else document.payment_terms_days
    issued = step(document, InvoiceStatus.ISSUED)
    if document.totals.gross.is_zero:
        # Nothing will ever settle it.
        issued = replace(issued, status=step(issued, InvoiceStatus.PAID).status)
    numbered = replace(
        issued,
        number=number,
        issued_on=on,
        due_on=on + timedelta(days=days),
        document_step=DocumentStep.PENDING,
        previous_hash=previous_hash,
    )
    content = canonical(_content_of(numbered))
    return replace(numbered, content_hash=chained_hash(previous_hash, content)), content


def printed(document: Invoice) -> Invoice:
    """Return the document with the signs it prints: a credit note states what is given back."""
    if not document.is_credit_note:
        return document
    groups = tuple(
        replace(group, base=-group.base, tax=-group.tax) for group in document.totals.groups
    )
    return replace(
        document,
        lines=tuple(map(printed_line, document.lines)),
        totals=Totals(-document.totals.net, -document.totals.tax, groups),
        paid=-document.paid,
    )


def printed_line(line: Line) -> Line:
    """Return the line of a credit note with the signs it prints."""
    if line.quantity < 0 and line.unit_rate.amount < 0:
        return replace(line, unit_rate=-line.unit_rate, net=-line.net)
    return replace(line, quantity=-line.quantity, net=-line.net)


def _content_of(issued: Invoice) -> dict[str, object]:
    """Return what an issued invoice says, as plain data: the content its hash seals.

    Old hashes are checked over the content stored with them, so it may be added to.
    """
    assert issued.number is not None, "only what is issued has final content"
    invoice, credits = printed(issued), issued.credits
    content: dict[str, object] = {
        "number": issued.number.text,
        "invoice_id": str(invoice.invoice_id),
        "issued_on": str(invoice.issued_on),
        "due_on": str(invoice.due_on),
        "tax_point_on": str(invoice.tax_point_on),
        "service_from": str(invoice.service.start),
        "service_to": str(invoice.service.end),
        "contract_number": invoice.contract_number,
        "purchase_order_number": invoice.purchase_order_number,
        "currency": invoice.currency,
        "payment_terms_days": invoice.payment_terms_days,
        "rounding_policy": invoice.rounding_policy.value,
        "seller": invoice.seller.content,
        "buyer": invoice.buyer.content,
        "lines": [_line_content(line, invoice.treatments) for line in invoice.lines],
        "taxes": [
            {
                "code": group.tax_code,
                "rate_percent": f"{group.rate_percent:.2f}",
                "base": _plain(group.base),
                "tax": _plain(group.tax),
                "exemption_reason": group.exemption_reason,
            }
            for group in invoice.totals.groups
        ],
        "net_total": _plain(invoice.totals.net),
        "tax_total": _plain(invoice.totals.tax),
        "gross_total": _plain(invoice.totals.gross),
    }
    if credits is not None:
        content["credits"] = {
            "invoice_id": str(credits.invoice_id),
            "number": credits.number,
            "issued_on": str(credits.issued_on),
            "reason": credits.reason,
        }
    return content


def _plain(money: Money) -> str:
    """Return an amount with its currency's decimals, whatever scale it was stored with."""
    return f"{money.rounded().amount:f}"


def _line_content(line: Line, treatments: Mapping[str, TaxTreatment]) -> dict[str, object]:
    treatment, order = treatments[line.tax_category], line.purchase_order_number
    return {
        "invoice_line_id": str(line.invoice_line_id),
        "position": line.position,
        "description": line.description,
        "quantity": line.printed_quantity,
        "unit": line.unit,
        "unit_rate": f"{line.unit_rate.amount.normalize():f}",
        "net": _plain(line.net),
        "tax_code": treatment.tax_code,
        "rate_percent": f"{treatment.rate_percent:.2f}",
        "service_from": str(line.service.start),
        "service_to": str(line.service.end),
        **({"purchase_order_number": order} if order else {}),
    }
