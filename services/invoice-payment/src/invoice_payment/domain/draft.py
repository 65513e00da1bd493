"""Drafting: which items share an invoice and a line, and what the line says."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

from invoice_payment.domain.amounts import RoundingPolicy, line_net, untaxed
from invoice_payment.domain.invoice import (
    Invoice,
    InvoiceChange,
    InvoiceStatus,
    determine_tax,
)
from invoice_payment.domain.item import ItemType, Treatment
from invoice_payment.domain.line import Line
from invoice_payment.domain.party import Party
from invoice_payment.domain.tax import TaxRule
from throughline_core.money import Money
from throughline_core.period import Period

DESCRIPTION_LENGTH_MAX: Final = 200
"""Characters of a line's text; the annex of the document has the whole of it."""


class InvoiceGrouping(StrEnum):
    """Which items of a run share an invoice."""

    CONTRACT = "contract"
    CONTRACT_LINE = "contract_line"


class LineDetail(StrEnum):
    """How much detail the lines for time show."""

    ROLE = "role"
    PERSON = "person"
    ENTRY = "entry"


class ReratingPolicy(StrEnum):
    """What a difference found after invoicing becomes."""

    DEBIT_CREDIT = "debit_credit"
    CREDIT_AND_REBILL = "credit_and_rebill"


@dataclass(frozen=True, slots=True)
class SoldLine:
    """What a contract line contributes to an invoice: its place and its text."""

    position: int
    description: str


@dataclass(frozen=True, slots=True)
class Terms:
    """A contract as invoicing needs it."""

    contract_id: UUID
    version: int
    number: str
    legal_entity_id: UUID
    currency: str
    payment_terms_days: int
    purchase_order_number: str
    invoice_grouping: InvoiceGrouping
    line_detail: LineDetail
    engagement_id: UUID
    correlation_id: UUID
    lines: Mapping[UUID, SoldLine]
    # None while it is not told: then all payers pay by the contract's terms.
    bill_to_customer_id: UUID | None = None
    rerating_policy: ReratingPolicy = ReratingPolicy.DEBIT_CREDIT


@dataclass(frozen=True, slots=True)
class Buyer:
    """A bill-to customer; `is_registered` when its tax registration passed the check.

    `payment_terms_days` are its own, for where a contract agreed on terms with another payer.
    """

    party: Party
    is_registered: bool
    payment_terms_days: int | None = None


@dataclass(frozen=True, slots=True)
class LineItems:
    """Items that become one line, summed; texts are those of the first of them."""

    invoice_line_id: UUID
    contract_line_id: UUID
    quote_line_id: UUID
    type: ItemType
    quantity: Decimal
    unit: str
    unit_rate: Money
    tax_category: str
    recognised: Money
    service: Period
    item_count: int
    role: str
    person_name: str
    description: str
    treatment: Treatment = Treatment.INVOICED
    purchase_order_number: str = ""


@dataclass(frozen=True, slots=True)
class LineRest:
    """What is left of a draft's line when items have left it."""

    invoice_line_id: UUID
    quantity: Decimal
    recognised: Money
    service: Period
    item_count: int


@dataclass(frozen=True, slots=True)
class Run:
    """What all drafts of a run have in common."""

    run_id: UUID
    started_by: str
    drafted_at: datetime
    rounding_policy: RoundingPolicy
    seller: Party
    rules: tuple[TaxRule, ...]


def draft_invoice(
    run: Run, invoice_id: UUID, terms: Terms, buyer: Buyer, items: Sequence[LineItems]
) -> InvoiceChange:
    """Return the draft over `items`, taxed if the rules allow; it is the first version.

    Items of one invoice have one payer and the contract's currency. The tax point is the last day
    of service. The order all lines are paid by is the invoice's; where several are, lines name it.
    """
    lines, order = lines_of(terms, items)
    service = Period(
        min(line.service.start for line in lines), max(line.service.end for line in lines)
    )
    draft = Invoice(
        invoice_id=invoice_id,
        version=0,
        status=InvoiceStatus.DRAFT,
        legal_entity_id=run.seller.party_id,
        customer_id=buyer.party.party_id,
        contract_id=terms.contract_id,
        contract_number=terms.number,
        engagement_id=terms.engagement_id,
        correlation_id=terms.correlation_id,
        currency=terms.currency,
        purchase_order_number=order,
        payment_terms_days=_terms_days(terms, buyer),
        seller=run.seller,
        buyer=buyer.party,
        buyer_is_registered=buyer.is_registered,
        lines=lines,
        totals=untaxed(Money.total((line.net for line in lines), terms.currency)),
        rounding_policy=run.rounding_policy,
        service=service,
        tax_point_on=last_day(service),
        run_id=run.run_id,
        drafted_by=run.started_by,
        created_at=run.drafted_at,
        paid=Money.zero(terms.currency),
        credited=Money.zero(terms.currency),
    )
    return determine_tax(draft, run.rules)


def redraft_lines(lines: Sequence[Line], left: Sequence[LineRest]) -> tuple[Line, ...]:
    """Return the lines of a draft over the items `left` on it, in their order and words."""
    items = {each.invoice_line_id: each for each in left}
    kept = [line for line in lines if line.invoice_line_id in items]
    return tuple(
        replace(
            line,
            position=position,
            quantity=group.quantity,
            net=line_net(group.quantity, line.unit_rate),
            service=group.service,
            item_count=group.item_count,
            recognised=group.recognised,
        )
        for position, line in enumerate(kept, start=1)
        for group in (items[line.invoice_line_id],)
    )


def _terms_days(terms: Terms, buyer: Buyer) -> int:
    """Return the days to pay: those agreed with the contract's own payer, else the payer's."""
    is_own = terms.bill_to_customer_id in {None, buyer.party.party_id}
    if is_own or buyer.payment_terms_days is None:
        return terms.payment_terms_days
    return buyer.payment_terms_days


def last_day(service: Period) -> date:
    """Return the last day of a service period."""
    return service.end - timedelta(days=1)


def describe(sold: str, detail: LineDetail, items: LineItems) -> str:
    """Return the text of a line: what was sold, then what distinguishes this line."""
    role = items.role.replace("_", " ")
    if items.type is not ItemType.TIME:
        own = items.description
    elif detail is LineDetail.ROLE:
        own = role
    elif detail is LineDetail.PERSON:
        own = f"{items.person_name}, {role}" if role else items.person_name
    else:
        own = f"{items.person_name}, {items.description}"
    text = own if not sold or own.startswith(sold) else f"{sold}: {own}"
    if len(text) > DESCRIPTION_LENGTH_MAX:
        text = f"{text[: DESCRIPTION_LENGTH_MAX - 1].rstrip()}…"
    return text


def lines_of(terms: Terms, items: Iterable[LineItems]) -> tuple[tuple[Line, ...], str]:
    """Return the lines in their order, and the purchase order that pays for all of them, if any."""
    unknown = SoldLine(position=len(terms.lines) + 1, description="")
    described = [
        (sold.position, describe(sold.description, terms.line_detail, group), group)
        for group in items
        for sold in (terms.lines.get(group.contract_line_id, unknown),)
    ]
    described.sort(
        key=lambda each: (
            each[0],
            each[2].service.start,
            each[1],
            each[2].unit_rate.amount,
            each[2].purchase_order_number,
        )
    )
    orders = {
        group.purchase_order_number or terms.purchase_order_number for _, _, group in described
    }
    common = orders.pop() if len(orders) == 1 else ""
    lines = tuple(
        Line(
            invoice_line_id=group.invoice_line_id,
            position=position,
            description=text,
            contract_line_id=group.contract_line_id,
            quote_line_id=group.quote_line_id,
            type=group.type,
            quantity=group.quantity,
            unit=group.unit,
            unit_rate=group.unit_rate,
            net=line_net(group.quantity, group.unit_rate),
            tax_category=group.tax_category,
            service=group.service,
            item_count=group.item_count,
            recognised=group.recognised,
            treatment=group.treatment,
            purchase_order_number=""
            if common
            else group.purchase_order_number or terms.purchase_order_number,
        )
        for position, (_, text, group) in enumerate(described, start=1)
    )
    return lines, common
