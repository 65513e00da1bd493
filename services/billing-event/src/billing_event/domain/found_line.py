"""A contract line as it holds for a day, and the terms that a row billed under it copies."""

from dataclasses import dataclass
from datetime import date

from billing_event.domain.agreement import Agreement
from billing_event.domain.position import Rating, Unit
from billing_event.domain.rate import Rate
from billing_event.domain.terms import ContractTerms, LineTerms, PurchaseOrder


@dataclass(frozen=True, slots=True)
class FoundLine:
    """A line as it holds for a day, the version it is in, and the order that pays, if any."""

    agreement: Agreement
    terms: ContractTerms
    line: LineTerms
    order: PurchaseOrder | None


def order_of(terms: ContractTerms, line: LineTerms, day: date) -> PurchaseOrder | None:
    """Return the order that pays for a line on a day; one that names the line goes first."""
    fitting = [
        order
        for order in terms.purchase_orders
        if order.is_for(line.contract_line_id) and order.is_valid_on(day)
    ]
    return max(fitting, key=lambda order: bool(order.contract_line_ids), default=None)


def outside_of(day: date, found: FoundLine) -> str:
    """Return why a day is outside the term of the line; empty if it is inside."""
    line, terms, agreement = found.line, found.terms, found.agreement
    newest = agreement.newest.lines.get(line.contract_line_id, line)
    if newest.ended_on is not None and day >= newest.ended_on:
        return f"the line ended on {newest.ended_on}"
    if day not in line.term:
        return f"{day} is outside {line.term.start} to {line.term.end}"
    is_first = terms.contract_version == agreement.first_version
    if not is_first and terms.effective_on is not None and day < terms.effective_on:
        return f"the line is in force from {terms.effective_on}"
    return ""


def rating_of(found: FoundLine, unit: Unit, rate: Rate) -> Rating:
    """Copy the terms a row keeps, whatever becomes of them later.

    Price and version are those of the day; who is invoiced follows the newest terms.
    """
    terms, line, newest = found.terms, found.line, found.agreement.newest
    return Rating(
        contract_id=terms.contract_id,
        contract_version=terms.contract_version,
        contract_line_id=line.contract_line_id,
        quote_line_id=line.quote_line_id,
        engagement_id=terms.engagement_id,
        correlation_id=terms.correlation_id,
        bill_to_customer_id=newest.bill_to_customer_id,
        legal_entity_id=newest.legal_entity_id,
        unit=unit,
        unit_rate=rate.unit,
        tax_category=line.tax_category,
        rate_card_id=rate.rate_card_id,
        rate_card_version=rate.rate_card_version,
        explanation=rate.explanation,
        delivering_entity_id=line.delivering_entity_id,
        multiplier=rate.multiplier,
        conversion=rate.conversion,
        rule=rate.rule,
        base_rate=rate.base,
        rounding=terms.time_rounding if unit is Unit.HOUR else None,
        purchase_order_number="" if found.order is None else found.order.number,
    )
