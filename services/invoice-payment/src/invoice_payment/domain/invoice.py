"""The invoice: its parts, its way from draft to paid, and what each step decides."""

from collections.abc import Iterable, Mapping
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
    untaxed,
)
from invoice_payment.domain.line import Line
from invoice_payment.domain.party import Party
from invoice_payment.domain.series import Number
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


class DocumentType(StrEnum):
    """What kind of document it is; each has a number series of its own name."""

    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"


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
    CREDITED = "credited"


TRANSITIONS: Final[Mapping[InvoiceStatus, frozenset[InvoiceStatus]]] = {
    InvoiceStatus.DRAFT: frozenset({InvoiceStatus.TAX_PENDING, InvoiceStatus.READY}),
    InvoiceStatus.TAX_PENDING: frozenset(
        {InvoiceStatus.TAX_PENDING, InvoiceStatus.READY, InvoiceStatus.VOIDED}
    ),
    InvoiceStatus.READY: frozenset({InvoiceStatus.APPROVED, InvoiceStatus.VOIDED}),
    InvoiceStatus.APPROVED: frozenset({InvoiceStatus.ISSUED, InvoiceStatus.VOIDED}),
    InvoiceStatus.ISSUED: frozenset(
        {InvoiceStatus.PARTIALLY_PAID, InvoiceStatus.PAID, InvoiceStatus.CREDITED}
    ),
    InvoiceStatus.PARTIALLY_PAID: frozenset({InvoiceStatus.PARTIALLY_PAID, InvoiceStatus.PAID}),
    InvoiceStatus.PAID: frozenset(),
    InvoiceStatus.VOIDED: frozenset(),
    InvoiceStatus.CREDITED: frozenset(),
}

UNISSUED: Final = frozenset(
    {
        InvoiceStatus.DRAFT,
        InvoiceStatus.TAX_PENDING,
        InvoiceStatus.READY,
        InvoiceStatus.APPROVED,
    }
)
"""Drafts: what is on them may still leave them."""

OPEN_STATUSES: Final = frozenset({InvoiceStatus.ISSUED, InvoiceStatus.PARTIALLY_PAID})
"""Issued and not fully settled: a payment or a credit may settle these."""


@dataclass(frozen=True, slots=True)
class Credits:
    """What a credit note says of the invoice it takes back, in part or in full, and why."""

    invoice_id: UUID
    number: str
    issued_on: date
    reason: str


class DocumentStep(StrEnum):
    """How far the making of the PDF has come; it begins at issue."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice or credit note; immutable in content once it has a number.

    A credit note is an invoice below zero: its quantities and amounts are negative, and `paid` is
    what of it settled invoices. It prints, and leaves this service, with positive ones.
    """

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
    # None on a credit note.
    run_id: UUID | None
    drafted_by: str
    created_at: datetime
    paid: Money
    # What credit notes settled of it.
    credited: Money
    document_type: DocumentType = DocumentType.INVOICE
    # Of a credit note only.
    credits: Credits | None = None
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
        """What is still to be settled; of a credit note, below zero, the credit not applied."""
        return self.totals.gross - self.paid - self.credited

    @property
    def is_credit_note(self) -> bool:
        """Whether it takes an invoice back."""
        return self.document_type is DocumentType.CREDIT_NOTE


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


@dataclass(frozen=True, slots=True)
class InvoiceCredited:
    """A credit note became final and settled `applied` of the `invoice` it names.

    `content` is what the credit note's hash seals.
    """

    credit_note: Invoice
    content: str
    invoice: Invoice
    applied: Money


@dataclass(frozen=True, slots=True)
class CreditApplied:
    """The rest of a credit note settled a part of a further invoice, or all of it."""

    credit_application_id: UUID
    credit_note: Invoice
    invoice: Invoice
    amount: Money
    applied_on: date


InvoiceEvent = (
    InvoiceDrafted
    | TaxRuleMissing
    | InvoiceApproved
    | InvoiceIssued
    | InvoiceVoided
    | InvoiceSettled
    | InvoiceCredited
    | CreditApplied
)
InvoiceChange = Change[Invoice, InvoiceEvent]


def determine_tax(invoice: Invoice, rules: Iterable[TaxRule]) -> InvoiceChange:
    """Tax the draft by the rules; without a rule for each of its categories it waits.

    Gives back the invoice as it is, without an event, when it waited before and still has to.
    """
    known = tuple(rules)
    cases = tax_cases(invoice)
    found = {category: treatment_of(case, known) for category, case in cases.items()}
    treatments = {category: how for category, how in found.items() if how is not None}
    if len(treatments) == len(cases):
        ready = replace(
            step(invoice, InvoiceStatus.READY),
            treatments=treatments,
            totals=_taxed_totals(invoice, treatments),
        )
        return Change(ready, (InvoiceDrafted(ready),))
    missing = tuple(cases[category] for category, how in found.items() if how is None)
    if invoice.status is InvoiceStatus.TAX_PENDING:
        return Change(invoice, ())
    waiting = step(invoice, InvoiceStatus.TAX_PENDING)
    return Change(waiting, (InvoiceDrafted(waiting), TaxRuleMissing(waiting, missing)))


def redraft(invoice: Invoice, lines: tuple[Line, ...], rules: Iterable[TaxRule]) -> InvoiceChange:
    """Make a draft anew over the `lines` that are left, taxed again; it is to be approved again.

    Raises:
        IllegalTransition: it is issued or voided.
    """
    if invoice.status not in UNISSUED:
        step(invoice, InvoiceStatus.READY)
    service = Period(
        min(line.service.start for line in lines), max(line.service.end for line in lines)
    )
    anew = replace(
        invoice,
        status=InvoiceStatus.DRAFT,
        approved_by="",
        lines=lines,
        totals=untaxed(Money.total((line.net for line in lines), invoice.currency)),
        treatments={},
        service=service,
        tax_point_on=service.end - timedelta(days=1),
    )
    return determine_tax(anew, rules)


def approve(invoice: Invoice, *, by: str) -> InvoiceChange:
    """Approve a draft for issue; `by` is the token subject of the person.

    Raises:
        IllegalTransition: it is not ready.
        ApproverDraftedIt: the same person started the run.
        TotalNegative: its total is below zero.
    """
    require_sign(invoice)
    approved = replace(step(invoice, InvoiceStatus.APPROVED), approved_by=by)
    if by == invoice.drafted_by:
        raise ApproverDraftedIt(
            f"{by} drafted invoice {invoice.invoice_id}", advice="ask a second person to approve it"
        )
    return Change(approved, (InvoiceApproved(approved),))


def require_sign(invoice: Invoice) -> None:
    """Raise `TotalNegative` for an invoice that would pay the customer."""
    if invoice.is_credit_note:
        return
    total = min(invoice.totals.net, invoice.totals.gross)
    if total < Money.zero(invoice.currency):
        raise TotalNegative(
            f"invoice {invoice.invoice_id} sums to {total}",
            field="invoice_id",
            advice="void it, which frees its items: they need a credit note, or later work that"
            " outweighs them",
        )


def void(invoice: Invoice, *, reason: str) -> InvoiceChange:
    """Give up an invoice that is not issued.

    Raises:
        IllegalTransition: it is issued, or voided already.
    """
    voided = replace(step(invoice, InvoiceStatus.VOIDED), void_reason=reason)
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


def step(invoice: Invoice, target: InvoiceStatus) -> Invoice:
    """Return the document in the next status and version, if the table allows the step."""
    kind = invoice.document_type.replace("_", " ")
    subject = f"{kind} {invoice.number.text if invoice.number else invoice.invoice_id}"
    status = move(subject, invoice.status, target, TRANSITIONS)
    return replace(invoice, status=status, version=invoice.version + 1)


def tax_cases(invoice: Invoice) -> dict[str, TaxCase]:
    """Return how each tax category among the lines presents itself to the rules."""
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
