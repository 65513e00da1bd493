"""The invoice: its parts, its way from draft to paid, and what each step decides."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from invoice_payment.domain.amounts import (
    RoundingPolicy,
    TaxedLine,
    TaxTreatment,
    Totals,
    totals_of,
)
from invoice_payment.domain.line import Line
from invoice_payment.domain.party import Party
from invoice_payment.domain.series import Number, Taken, canonical, chained_hash
from invoice_payment.domain.tax import TaxCase, TaxRule, treatment_of
from throughline_core.change import Change
from throughline_core.errors import FailedPrecondition, PermissionDenied
from throughline_core.money import Money
from throughline_core.period import Period
from throughline_core.transition import move


class ApproverDraftedIt(PermissionDenied):
    """Four eyes: who started the run does not approve its drafts."""

    code = "invoice.approver_drafted_it"


class TotalNegative(FailedPrecondition):
    """An invoice asks for money; what is owed to the customer takes a credit note."""

    code = "invoice.total_negative"


class DocumentNotFailed(FailedPrecondition):
    """The document is made, or about to be; there is nothing to retry."""

    code = "invoice.document_not_failed"


class InvoiceStatus(StrEnum):
    """Where an invoice stands."""

    DRAFT = "draft"
    TAX_PENDING = "tax_pending"
    READY = "ready"
    APPROVED = "approved"
    ISSUED = "issued"
    PARTIALLY_PAID = "partially_paid"
    PAID = "paid"
    VOIDED = "voided"


TRANSITIONS: Final[Mapping[InvoiceStatus, frozenset[InvoiceStatus]]] = {
    InvoiceStatus.DRAFT: frozenset({InvoiceStatus.TAX_PENDING, InvoiceStatus.READY}),
    InvoiceStatus.TAX_PENDING: frozenset(
        {InvoiceStatus.TAX_PENDING, InvoiceStatus.READY, InvoiceStatus.VOIDED}
    ),
    InvoiceStatus.READY: frozenset({InvoiceStatus.APPROVED, InvoiceStatus.VOIDED}),
    InvoiceStatus.APPROVED: frozenset({InvoiceStatus.ISSUED, InvoiceStatus.VOIDED}),
    InvoiceStatus.ISSUED: frozenset({InvoiceStatus.PARTIALLY_PAID, InvoiceStatus.PAID}),
    InvoiceStatus.PARTIALLY_PAID: frozenset({InvoiceStatus.PARTIALLY_PAID, InvoiceStatus.PAID}),
    InvoiceStatus.PAID: frozenset(),
    InvoiceStatus.VOIDED: frozenset(),
}

OPEN_STATUSES: Final = frozenset({InvoiceStatus.ISSUED, InvoiceStatus.PARTIALLY_PAID})
"""Issued and not fully paid: a payment may settle these."""


class DocumentStep(StrEnum):
    """How far the making of the PDF has come; it begins at issue."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice; immutable in content once it has a number."""

    invoice_id: UUID
    version: int
    status: InvoiceStatus
    legal_entity_id: UUID
    customer_id: UUID
    contract_id: UUID
    contract_number: str
    engagement_id: UUID
    correlation_id: UUID
    currency: str
    purchase_order_number: str
    payment_terms_days: int
    seller: Party
    buyer: Party
    buyer_is_registered: bool
    lines: tuple[Line, ...]
    totals: Totals
    rounding_policy: RoundingPolicy
    service: Period
    tax_point_on: date
    run_id: UUID
    drafted_by: str
    created_at: datetime
    paid: Money
    # How each tax category among the lines is taxed; empty while that is unknown.
    treatments: Mapping[str, TaxTreatment] = field(default_factory=dict)
    approved_by: str = ""
    void_reason: str = ""
    number: Number | None = None
    issued_on: date | None = None
    due_on: date | None = None
    previous_hash: str = ""
    content_hash: str = ""
    document_step: DocumentStep | None = None
    document_sha256: str = ""

    @property
    def open_amount(self) -> Money:
        """What is still to be paid."""
        return self.totals.gross - self.paid


@dataclass(frozen=True, slots=True)
class InvoiceDrafted:
    """A draft came to be, or its tax became known."""

    invoice: Invoice


@dataclass(frozen=True, slots=True)
class TaxRuleMissing:
    """The draft waits for rules for these cases. Told to people, not to other services."""

    invoice: Invoice
    cases: tuple[TaxCase, ...]


@dataclass(frozen=True, slots=True)
class InvoiceApproved:
    """A second person approved the draft."""

    invoice: Invoice


@dataclass(frozen=True, slots=True)
class InvoiceIssued:
    """The invoice got its number and is final; `content` is what its hash seals."""

    invoice: Invoice
    content: str


@dataclass(frozen=True, slots=True)
class InvoiceVoided:
    """The draft was given up; its items are free."""

    invoice: Invoice


@dataclass(frozen=True, slots=True)
class InvoiceSettled:
    """A payment settled a part of the invoice, or all of it."""

    invoice: Invoice
    payment_allocation_id: UUID
    payment_id: UUID
    amount: Money
    allocated_on: date


InvoiceEvent = (
    InvoiceDrafted
    | TaxRuleMissing
    | InvoiceApproved
    | InvoiceIssued
    | InvoiceVoided
    | InvoiceSettled
)
InvoiceChange = Change[Invoice, InvoiceEvent]


def determine_tax(invoice: Invoice, rules: Iterable[TaxRule]) -> InvoiceChange:
    """Tax the draft by the rules; without a rule for each of its categories it waits.

    Gives back the invoice as it is, without an event, when it waited before and still has to.
    """
    known = tuple(rules)
    cases = _tax_cases(invoice)
    found = {category: treatment_of(case, known) for category, case in cases.items()}
    treatments = {category: how for category, how in found.items() if how is not None}
    if len(treatments) == len(cases):
        ready = replace(
            _step(invoice, InvoiceStatus.READY),
            treatments=treatments,
            totals=_taxed_totals(invoice, treatments),
        )
        return Change(ready, (InvoiceDrafted(ready),))
    missing = tuple(cases[category] for category, how in found.items() if how is None)
    if invoice.status is InvoiceStatus.TAX_PENDING:
        return Change(invoice, ())
    waiting = _step(invoice, InvoiceStatus.TAX_PENDING)
    return Change(waiting, (InvoiceDrafted(waiting), TaxRuleMissing(waiting, missing)))


def approve(invoice: Invoice, *, by: str) -> InvoiceChange:
    """Approve a draft for issue; `by` is the token subject of the person.

    Raises:
        IllegalTransition: it is not ready.
        ApproverDraftedIt: the same person started the run.
        TotalNegative: its total is below zero.
    """
    _require_not_negative(invoice)
    approved = replace(_step(invoice, InvoiceStatus.APPROVED), approved_by=by)
    if by == invoice.drafted_by:
        raise ApproverDraftedIt(
            f"{by} drafted invoice {invoice.invoice_id}", advice="ask a second person to approve it"
        )
    return Change(approved, (InvoiceApproved(approved),))


def issue(invoice: Invoice, number: Number, *, on: date, previous_hash: str) -> InvoiceChange:
    """Make an approved invoice final under `number`; `on` is a day in the entity's zone.

    Raises:
        IllegalTransition: it is not approved.
        TotalNegative: its total is below zero.
    """
    _require_not_negative(invoice)
    numbered = replace(
        _step(invoice, InvoiceStatus.ISSUED),
        number=number,
        issued_on=on,
        due_on=on + timedelta(days=invoice.payment_terms_days),
        document_step=DocumentStep.PENDING,
        previous_hash=previous_hash,
    )
    content = canonical(_content_of(numbered))
    issued = replace(numbered, content_hash=chained_hash(previous_hash, content))
    return Change(issued, (InvoiceIssued(issued, content),))


def _require_not_negative(invoice: Invoice) -> None:
    """Raise `TotalNegative` for an invoice that would pay the customer."""
    total = min(invoice.totals.net, invoice.totals.gross)
    if total < Money.zero(invoice.currency):
        raise TotalNegative(
            f"invoice {invoice.invoice_id} sums to {total}",
            field="invoice_id",
            advice="void it, which frees its items: they need a credit note, or later work that"
            " outweighs them",
        )


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


def void(invoice: Invoice, *, reason: str) -> InvoiceChange:
    """Give up an invoice that is not issued.

    Raises:
        IllegalTransition: it is issued, or voided already.
    """
    voided = replace(_step(invoice, InvoiceStatus.VOIDED), void_reason=reason)
    return Change(voided, (InvoiceVoided(voided),))


def retry_document(invoice: Invoice) -> Invoice:
    """Let the PDF be made again; what the invoice says, and so its version, stays.

    Raises:
        DocumentNotFailed: it did not fail.
    """
    if invoice.document_step is not DocumentStep.FAILED:
        state = invoice.document_step or "not begun: the invoice is not issued"
        raise DocumentNotFailed(
            f"the document of invoice {invoice.invoice_id} is {state}",
            advice="retry only a document whose step has failed",
        )
    return replace(invoice, document_step=DocumentStep.PENDING)


def settled(invoice: Invoice, amount: Money) -> Invoice:
    """Return the invoice after `amount`, at most what is open, was paid.

    Raises:
        IllegalTransition: it is not open.
    """
    paid = invoice.paid + amount
    whole = paid >= invoice.totals.gross
    status = InvoiceStatus.PAID if whole else InvoiceStatus.PARTIALLY_PAID
    return replace(_step(invoice, status), paid=paid)


def _content_of(invoice: Invoice) -> dict[str, object]:
    """Return what an issued invoice says, as plain data: the content its hash seals.

    Old hashes are checked over the content stored with them, so it may be added to.
    """
    assert invoice.number is not None, "only what is issued has final content"
    return {
        "number": invoice.number.text,
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


def _plain(money: Money) -> str:
    """Return an amount with its currency's decimals, whatever scale it was stored with."""
    return f"{money.rounded().amount:f}"


def _line_content(line: Line, treatments: Mapping[str, TaxTreatment]) -> dict[str, object]:
    treatment = treatments[line.tax_category]
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
    }


def _step(invoice: Invoice, target: InvoiceStatus) -> Invoice:
    subject = f"invoice {invoice.number.text if invoice.number else invoice.invoice_id}"
    status = move(subject, invoice.status, target, TRANSITIONS)
    return replace(invoice, status=status, version=invoice.version + 1)


def _tax_cases(invoice: Invoice) -> dict[str, TaxCase]:
    return {
        category: TaxCase(
            invoice.seller.address.country,
            invoice.buyer.address.country,
            invoice.buyer_is_registered,
            category,
            invoice.tax_point_on,
        )
        for category in sorted({line.tax_category for line in invoice.lines})
    }


def _taxed_totals(invoice: Invoice, treatments: Mapping[str, TaxTreatment]) -> Totals:
    lines = [
        TaxedLine(line.quantity, line.unit_rate, treatments[line.tax_category])
        for line in invoice.lines
    ]
    return totals_of(lines, invoice.rounding_policy, invoice.currency)
