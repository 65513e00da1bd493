"""Drafting: which items share an invoice and a line, and what the line says."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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
from invoice_payment.domain.item import ItemType
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


@dataclass(frozen=True, slots=True)
class Buyer:
    """A bill-to customer; `is_registered` when its tax registration passed the check."""

    party: Party
    is_registered: bool


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

    Items of one invoice are in the contract's currency. The tax point is the last day of service.
    """
    lines = _lines(terms, items)
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
        purchase_order_number=terms.purchase_order_number,
        payment_terms_days=terms.payment_terms_days,
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
    )
    return determine_tax(draft, run.rules)


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


def _lines(terms: Terms, items: Iterable[LineItems]) -> tuple[Line, ...]:
    unknown = SoldLine(position=len(terms.lines) + 1, description="")
    described = [
        (sold.position, describe(sold.description, terms.line_detail, group), group)
        for group in items
        for sold in (terms.lines.get(group.contract_line_id, unknown),)
    ]
    described.sort(
        key=lambda each: (each[0], each[2].service.start, each[1], each[2].unit_rate.amount)
    )
    return tuple(
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
        )
        for position, (_, text, group) in enumerate(described, start=1)
    )
