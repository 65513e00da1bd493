"""The credit note: lines, tax and totals that mirror the invoice it takes back."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from invoice_payment.domain.amounts import RoundingPolicy, TaxGroup, Totals, line_net
from invoice_payment.domain.credit import Claimed, Part
from invoice_payment.domain.invoice import Credits, DocumentType, Invoice, InvoiceStatus
from invoice_payment.domain.line import Disposition, Line
from throughline_core.errors import FailedPrecondition
from throughline_core.ids import derived_id
from throughline_core.money import Money
from throughline_core.period import Period


class TotalNotPositive(FailedPrecondition):
    """A credit note gives back; what asks for more is an invoice."""

    code = "credit.total_not_positive"


@dataclass(frozen=True, slots=True)
class Taken:
    """What the other credit notes of an invoice state: net by line, base and tax by group."""

    nets: Mapping[UUID, Money] = field(default_factory=dict)
    groups: Mapping[tuple[str, Decimal], tuple[Money, Money]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """Who drafts which credit note when, and why."""

    credit_note_id: UUID
    reason: str
    by: str
    at: datetime


def draft_credit_note(
    invoice: Invoice,
    claims: Sequence[Claimed],
    taken: Taken,
    parts: Sequence[Part],
    request: Request,
) -> Invoice:
    """Return the credit note over `parts` of the invoice, ready to be approved.

    Prices, tax codes, rates and tax point are the invoice's. A line, or a group of tax, of which
    nothing is left afterwards is credited with its rest, so that all credits sum to the invoice.
    Until then rounding takes no more than the rest, where that has one sign; beside work that the
    invoice takes back, the rest says nothing about a part of it.

    Raises:
        TotalNotPositive: it would ask the customer for money.
    """
    credited = {(part.claim.billing_event_id, part.claim.portion): part for part in parts}
    remaining = {
        (claim.billing_event_id, claim.portion): _rest(claim, credited) for claim in claims
    }
    open_lines = {
        claim.invoice_line_id
        for claim in claims
        if remaining[claim.billing_event_id, claim.portion]
    }
    lines = _lines(invoice, claims, parts, taken, open_lines, request)
    totals = _totals(invoice, claims, lines, taken, open_lines)
    if totals.gross < Money.zero(invoice.currency):
        raise TotalNotPositive(
            f"these lines and items sum to {totals.gross}",
            field="lines",
            advice="choose lines that give money back; bill the others on an invoice",
        )
    assert invoice.number is not None, "only what is issued is credited"
    assert invoice.issued_on is not None
    return credit_note_of(
        invoice,
        tuple(map(_negative, lines)),
        Totals(-totals.net, -totals.tax, tuple(map(_negative_group, totals.groups))),
        request,
    )


def credit_note_of(
    invoice: Invoice, lines: tuple[Line, ...], totals: Totals, request: Request
) -> Invoice:
    """Return a credit note ready to be approved: what the invoice says, with these lines."""
    assert invoice.number is not None, "only what is issued is credited"
    assert invoice.issued_on is not None
    orders = {line.purchase_order_number for line in lines}
    return Invoice(
        invoice_id=request.credit_note_id,
        version=1,
        status=InvoiceStatus.READY,
        legal_entity_id=invoice.legal_entity_id,
        customer_id=invoice.customer_id,
        contract_id=invoice.contract_id,
        contract_number=invoice.contract_number,
        engagement_id=invoice.engagement_id,
        correlation_id=invoice.correlation_id,
        currency=invoice.currency,
        purchase_order_number=invoice.purchase_order_number if orders == {""} else "",
        payment_terms_days=0,
        seller=invoice.seller,
        buyer=invoice.buyer,
        buyer_is_registered=invoice.buyer_is_registered,
        lines=lines,
        totals=totals,
        rounding_policy=invoice.rounding_policy,
        service=Period(
            min(line.service.start for line in lines), max(line.service.end for line in lines)
        ),
        tax_point_on=invoice.tax_point_on,
        run_id=None,
        drafted_by=request.by,
        created_at=request.at,
        paid=Money.zero(invoice.currency),
        credited=Money.zero(invoice.currency),
        document_type=DocumentType.CREDIT_NOTE,
        credits=Credits(invoice.invoice_id, invoice.number.text, invoice.issued_on, request.reason),
        treatments=invoice.treatments,
    )


def line_id_of(credit_note_id: UUID, invoice_line_id: UUID, disposition: Disposition) -> UUID:
    """Return the id of the credit note's line that takes back a line of the invoice."""
    return derived_id("credit_line", credit_note_id, invoice_line_id, disposition.value)


def _rest(claim: Claimed, credited: Mapping[tuple[UUID, int], Part]) -> Decimal:
    """Return what is left of a claim once `credited` is; what is taken back otherwise counts."""
    part = credited.get((claim.billing_event_id, claim.portion))
    return claim.quantity - claim.credited_quantity - (part.quantity if part else 0)


def _lines(
    invoice: Invoice,
    claims: Iterable[Claimed],
    parts: Sequence[Part],
    taken: Taken,
    open_lines: Collection[UUID],
    request: Request,
) -> list[Line]:
    """Return the lines of the credit note, above zero, in the order of the invoice's."""
    by_line: dict[tuple[UUID, Disposition], list[Part]] = defaultdict(list)
    for part in parts:
        by_line[part.claim.invoice_line_id, part.disposition].append(part)
    of_line: dict[UUID, list[Claimed]] = defaultdict(list)
    for claim in claims:
        of_line[claim.invoice_line_id].append(claim)
    zero = Money.zero(invoice.currency)
    lines: list[Line] = []
    for line in invoice.lines:
        rest = line.net - taken.nets.get(line.invoice_line_id, zero)
        chosen = [
            (disposition, by_line[line.invoice_line_id, disposition])
            for disposition in Disposition
            if (line.invoice_line_id, disposition) in by_line
        ]
        for number, (disposition, own) in enumerate(chosen, start=1):
            quantity = sum((part.quantity for part in own), Decimal(0))
            is_last = number == len(chosen) and line.invoice_line_id not in open_lines
            product = line_net(quantity, line.unit_rate)
            net = rest if is_last else _at_most(product, rest, of_line[line.invoice_line_id])
            rest -= net
            lines.append(
                Line(
                    invoice_line_id=line_id_of(
                        request.credit_note_id, line.invoice_line_id, disposition
                    ),
                    position=len(lines) + 1,
                    description=line.description,
                    contract_line_id=line.contract_line_id,
                    quote_line_id=line.quote_line_id,
                    type=line.type,
                    quantity=quantity,
                    unit=line.unit,
                    unit_rate=line.unit_rate,
                    net=net,
                    tax_category=line.tax_category,
                    service=Period(
                        min(part.claim.service.start for part in own),
                        max(part.claim.service.end for part in own),
                    ),
                    item_count=len(own),
                    recognised=Money.total((part.recognised for part in own), invoice.currency),
                    treatment=line.treatment,
                    purchase_order_number=line.purchase_order_number,
                    credits_line_id=line.invoice_line_id,
                    disposition=disposition,
                )
            )
    return lines


def _totals(
    invoice: Invoice,
    claims: Iterable[Claimed],
    lines: Iterable[Line],
    taken: Taken,
    open_lines: Collection[UUID],
) -> Totals:
    """Return the totals of the credit note, above zero, in the invoice's order of rounding."""
    group_of = {line.invoice_line_id: _group_of(invoice, line) for line in invoice.lines}
    open_groups = {group_of[line_id] for line_id in open_lines}
    of_group: dict[tuple[str, Decimal], list[Claimed]] = defaultdict(list)
    for claim in claims:
        of_group[group_of[claim.invoice_line_id]].append(claim)
    by_group: dict[tuple[str, Decimal], list[Line]] = defaultdict(list)
    for line in lines:
        by_group[_group_of(invoice, line)].append(line)
    zero = Money.zero(invoice.currency)
    groups = []
    for original in invoice.totals.groups:
        key = (original.tax_code, original.rate_percent)
        if key not in by_group:
            continue
        base_taken, tax_taken = taken.groups.get(key, (zero, zero))
        base, tax = original.base - base_taken, original.tax - tax_taken
        if key in open_groups:
            own = _taxed(by_group[key], original.rate_percent, invoice.rounding_policy)
            # Lines that were held to their rest sum to no more than the group's.
            is_sum = invoice.rounding_policy is not RoundingPolicy.PRECISE_SUM
            base = own[0] if is_sum else _at_most(own[0], base, of_group[key])
            tax = _at_most(own[1], tax, of_group[key])
        groups.append(
            TaxGroup(*key, base=base, tax=tax, exemption_reason=original.exemption_reason)
        )
    return Totals(
        Money.total((group.base for group in groups), invoice.currency),
        Money.total((group.tax for group in groups), invoice.currency),
        tuple(groups),
    )


def _taxed(
    lines: Sequence[Line], rate_percent: Decimal, policy: RoundingPolicy
) -> tuple[Money, Money]:
    """Return base and tax of credited lines of one code and rate."""
    currency, share = lines[0].net.currency, rate_percent / 100
    if policy is RoundingPolicy.PRECISE_SUM:
        exact = Money.total((line.unit_rate * line.quantity for line in lines), currency)
        return exact.rounded(), (exact * share).rounded()
    base = Money.total((line.net for line in lines), currency)
    if policy is RoundingPolicy.PER_LINE:
        return base, Money.total(((line.net * share).rounded() for line in lines), currency)
    return base, (base * share).rounded()


def _at_most(amount: Money, rest: Money, claims: Iterable[Claimed]) -> Money:
    """Return the amount, or the rest of the claims where rounding would take more than there is.

    A rest of both signs bounds nothing: one side of it is more than both together.
    """
    zero = Money.zero(amount.currency)
    left = [(claim.unit_rate * _rest(claim, {})).amount for claim in claims]
    if any(each < 0 for each in left) and any(each > 0 for each in left):
        return amount
    if amount < zero:
        return max(amount, min(rest, zero))
    return min(amount, max(rest, zero))


def _group_of(invoice: Invoice, line: Line) -> tuple[str, Decimal]:
    treatment = invoice.treatments[line.tax_category]
    return treatment.tax_code, treatment.rate_percent


def _negative(line: Line) -> Line:
    return replace(line, quantity=-line.quantity, net=-line.net, recognised=-line.recognised)


def _negative_group(group: TaxGroup) -> TaxGroup:
    return replace(group, base=-group.base, tax=-group.tax)
