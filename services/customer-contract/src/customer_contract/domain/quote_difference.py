"""What two versions of an offer say differently, line by line."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from customer_contract.domain.quote import Quote
from customer_contract.domain.service_line import ServiceLine
from customer_contract.domain.term_change import TermChangeKind, line_terms
from customer_contract.domain.values import QuoteLineId
from throughline_core.money import Money


@dataclass(frozen=True, slots=True)
class QuoteDifference:
    """One difference; no line = the offer as a whole, no term = a whole line.

    `position` is the line's on the newer document that has it. A line that was added or dropped
    shows its net total.
    """

    kind: TermChangeKind
    quote_line_id: QuoteLineId | None
    position: int
    term: str
    old_value: str
    new_value: str


def compare(before: Quote, after: Quote) -> tuple[QuoteDifference, ...]:
    """Return what differs, the offer's own terms first, then the lines in their order."""
    return (
        *_altered(None, 0, _quote_terms(before), _quote_terms(after)),
        *_compare_lines(before, after),
    )


def rise(before: Quote, after: Quote) -> Money | None:
    """Return by how much the total rises, None where the currency is another."""
    if before.currency != after.currency:
        return None
    return after.net_total - before.net_total


def _compare_lines(before: Quote, after: Quote) -> Iterator[QuoteDifference]:
    former = {line.quote_line_id: line for line in before.lines}
    for line in after.lines:
        old = former.pop(line.quote_line_id, None)
        if old is None:
            yield _whole(TermChangeKind.ADDED, line)
        else:
            yield from _altered(line.quote_line_id, line.position, _terms(old), _terms(line))
    for line in former.values():
        yield _whole(TermChangeKind.ENDED, line)


def _whole(kind: TermChangeKind, line: ServiceLine) -> QuoteDifference:
    total = _terms(line)["net_total"]
    old, new = ("", total) if kind is TermChangeKind.ADDED else (total, "")
    return QuoteDifference(kind, line.quote_line_id, line.position, "", old, new)


def _altered(
    line_id: QuoteLineId | None, position: int, before: Mapping[str, str], after: Mapping[str, str]
) -> Iterator[QuoteDifference]:
    for term in dict.fromkeys((*before, *after)):
        old, new = before.get(term, ""), after.get(term, "")
        if old == new:
            continue
        kind = TermChangeKind.ALTERED
        if not old or not new:
            kind = TermChangeKind.ENDED if old else TermChangeKind.ADDED
        yield QuoteDifference(kind, line_id, position, term, old, new)


def _quote_terms(quote: Quote) -> Mapping[str, str]:
    terms = {
        "customer_id": str(quote.customer_id),
        "legal_entity_id": str(quote.legal_entity_id),
        "currency": quote.currency,
        "start_on": quote.start_on.isoformat(),
        "end_on": quote.end_on.isoformat(),
        "payment_terms_days": str(quote.payment_terms_days),
        "purchase_order_number": quote.purchase_order_number,
        "valid_until": "" if quote.valid_until is None else quote.valid_until.isoformat(),
    }
    return {name: value for name, value in terms.items() if value}


def _terms(line: ServiceLine) -> Mapping[str, str]:
    delivery = line.delivery
    terms = {
        "service_code": line.service_code,
        "billing_model": line.billing_model.value,
        **line_terms(line),
        "template_code": line.template_code,
        "delivering_legal_entity_id": str(delivery.legal_entity_id or ""),
        "region": delivery.region,
        "revenue_method": delivery.revenue_method.value,
        "dimensions.department": delivery.dimensions.department,
        "dimensions.practice": delivery.dimensions.practice,
    }
    return {name: value for name, value in terms.items() if value}
