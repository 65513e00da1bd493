"""Prices approved things: resolves the rate as of the work date, or says what stands in the way."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final
from uuid import UUID

from billing_event.domain.hold import HoldReason, OpenHold
from billing_event.domain.position import Portion, Rating, Unit, portion_of
from billing_event.domain.source import ItemType, SourceItem
from billing_event.domain.terms import (
    BillingModel,
    CardEntry,
    ContractTerms,
    CustomerState,
    Facts,
    LineTerms,
    RateCard,
    TaxStatus,
    cards_of,
)
from throughline_core.money import RATE_PLACES, Money
from throughline_core.quantity import TimeRounding, billed_hours
from throughline_core.rounding import exact_product, round_half_away

_ONE: Final = Decimal(1)
_TAXABLE: Final = (TaxStatus.VALID, TaxStatus.NOT_REQUIRED)
_FEE_MODELS: Final = (BillingModel.FIXED_FEE, BillingModel.RECURRING)
_TERM_BOUND: Final = (ItemType.TIME, ItemType.EXPENSE)


@dataclass(frozen=True, slots=True)
class Priced:
    """A price, and the reasons that follow from the facts why it may not be released yet."""

    rating: Rating
    portion: Portion
    holds: tuple[OpenHold, ...]


@dataclass(frozen=True, slots=True)
class Unratable:
    """No price can be found until something changes."""

    hold: OpenHold


@dataclass(frozen=True, slots=True)
class Covered:
    """Nothing is billed for the thing itself: the fee of its line covers it."""

    explanation: str


Outcome = Priced | Unratable | Covered


@dataclass(frozen=True, slots=True)
class Rate:
    """The price of an hour and the path by which it was found."""

    hourly: Money
    explanation: str
    rate_card_id: UUID | None = None
    rate_card_version: int | None = None


def resolve_rate(
    item: SourceItem,
    terms: ContractTerms,
    line: LineTerms,
    cards: Sequence[tuple[str, RateCard]],
) -> Rate | None:
    """Return the rate of the role worked in as of the work date; the first match wins.

    The line's own rate, then on each card in its order: the person's, then the most specific of
    role, level and region.
    """
    agreed = line.rates.get(item.role)
    if agreed is not None:
        return Rate(
            agreed,
            f"contract line rate of {item.role}: {agreed} an hour"
            f" (terms version {terms.contract_version})",
        )
    for standing, card in cards:
        entry = _best(card.entries.get(item.role, ()), item)
        if entry is not None:
            return Rate(
                entry.hourly_rate,
                f"{standing} {card.code} version {card.version}, {_scope(entry)}:"
                f" {entry.hourly_rate} an hour from {entry.valid_from}",
                card.rate_card_id,
                card.version,
            )
    return None


def _best(entries: Iterable[CardEntry], item: SourceItem) -> CardEntry | None:
    fitting = [
        entry
        for entry in entries
        if entry.is_valid_on(item.service_from)
        and entry.person_id in (None, item.person_id)
        and entry.level in (None, item.level)
        and entry.region in (None, item.region)
    ]
    return max(fitting, key=_specificity, default=None)


def _specificity(entry: CardEntry) -> tuple[bool, bool, bool, date]:
    return (
        entry.person_id is not None,
        entry.level is not None,
        entry.region is not None,
        entry.valid_from,
    )


def _scope(entry: CardEntry) -> str:
    words = [entry.role, entry.level or "", entry.region or ""]
    if entry.person_id is not None:
        words.append("for this person")
    return " ".join(word for word in words if word)


class Rater:
    """Rates the items of one batch by one state of the facts, each distinct question once."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._cards: dict[UUID, list[tuple[str, RateCard]]] = {}
        self._hourly: dict[tuple[object, ...], _Hourly | Unratable] = {}
        self._customer_holds: dict[UUID, tuple[OpenHold, ...]] = {}

    def rate(self, item: SourceItem) -> Outcome:
        """Return the price of an approved, billable thing, or why it has none."""
        if item.contract_id is None or item.contract_line_id is None:
            return _unratable(HoldReason.UNMAPPED, "the work names no contract line")
        terms = self._facts.terms.get(item.contract_id)
        if terms is None:
            return _unratable(
                HoldReason.CONTRACT_NOT_ACTIVE, f"contract {item.contract_id} is not in force"
            )
        line = terms.lines.get(item.contract_line_id)
        if line is None:
            return _unratable(HoldReason.UNMAPPED, _no_line(item, terms))
        if item.type is ItemType.TIME:
            return self._rate_time(item, terms, line)
        return self._rate_agreed(item, terms, line)

    def holds(self, item: SourceItem) -> tuple[OpenHold, ...]:
        """Return the reasons that hold a thing already rated, as the facts are now."""
        terms = self._facts.terms.get(item.contract_id) if item.contract_id else None
        if terms is None or item.contract_line_id is None:
            return ()
        line = terms.lines.get(item.contract_line_id)
        if line is None:
            return (OpenHold(HoldReason.UNMAPPED, _no_line(item, terms)),)
        return self._holds(item, terms, line)

    def _rate_time(self, item: SourceItem, terms: ContractTerms, line: LineTerms) -> Outcome:
        if line.billing_model in _FEE_MODELS:
            return Covered(f"the {line.billing_model.replace('_', ' ')} of the line covers it")
        if line.billing_model is BillingModel.PASS_THROUGH:
            return _unratable(HoldReason.UNMAPPED, "the line bills expenses, not time")
        agreed = (terms.contract_id, line.contract_line_id, item.role)
        found = self._hourly.get(agreed)
        if found is None and item.role in line.rates:
            found = self._hourly[agreed] = self._rate_hour(item, terms, line)
        if found is None:
            question = (*agreed, item.level, item.region, item.person_id, item.service_from)
            found = self._hourly.get(question)
            if found is None:
                found = self._hourly[question] = self._rate_hour(item, terms, line)
        if isinstance(found, Unratable):
            return found
        return Priced(found.rating, found.price(item.minutes), self._holds(item, terms, line))

    def _rate_hour(
        self, item: SourceItem, terms: ContractTerms, line: LineTerms
    ) -> "_Hourly | Unratable":
        cards = self._cards.get(terms.contract_id)
        if cards is None:
            cards = self._cards[terms.contract_id] = cards_of(terms, self._facts.cards)
        rate = resolve_rate(item, terms, line, cards)
        if rate is None:
            return _unratable(
                HoldReason.MISSING_RATE,
                f"no rate for {item.role or 'an unnamed role'} on {item.service_from}",
            )
        if rate.hourly.currency != terms.currency:
            return _foreign(rate.hourly, terms)
        return _Hourly(rating_of(terms, line, Unit.HOUR, rate), terms.time_rounding)

    def _rate_agreed(self, item: SourceItem, terms: ContractTerms, line: LineTerms) -> Outcome:
        assert item.price is not None, "only time comes without a price"
        if item.price.currency != terms.currency:
            return _foreign(item.price, terms)
        price = item.price
        explanation = f"{item.price_basis} (terms version {terms.contract_version})"
        if item.type is ItemType.EXPENSE:
            price = _marked_up(item.price, line.markup_percent)
            markup = f" plus {line.markup_percent:f} %" if line.markup_percent else ""
            explanation = f"cost {item.price}{markup} (terms version {terms.contract_version})"
        unit = Unit.MONTH if item.type is ItemType.RECURRING else Unit.EACH
        rating = rating_of(terms, line, unit, Rate(price, explanation))
        portion = portion_of(price, _ONE, minutes=0)
        return Priced(rating, portion, self._holds(item, terms, line))

    def _holds(
        self, item: SourceItem, terms: ContractTerms, line: LineTerms
    ) -> tuple[OpenHold, ...]:
        holds = self._customer_holds.get(terms.bill_to_customer_id)
        if holds is None:
            customer = self._facts.customers.get(terms.bill_to_customer_id)
            holds = self._customer_holds[terms.bill_to_customer_id] = customer_holds(customer)
        if item.type in _TERM_BOUND and item.service_from not in line.term:
            detail = f"{item.service_from} is outside {line.term.start} to {line.term.end}"
            holds = (*holds, OpenHold(HoldReason.OUTSIDE_TERM, detail))
        if not item.is_accepted:
            detail = "the client has not accepted the milestone"
            if item.refusal:
                detail = f"the client refused the milestone: {item.refusal}"
            holds = (*holds, OpenHold(HoldReason.AWAITING_ACCEPTANCE, detail))
        return holds


class _Hourly:
    """One resolved rate, and what it makes of each number of minutes met so far."""

    def __init__(self, rating: Rating, rounding: TimeRounding) -> None:
        self.rating = rating
        self._rounding = rounding
        self._prices: dict[int, Portion] = {}

    def price(self, minutes: int) -> Portion:
        found = self._prices.get(minutes)
        if found is None:
            hours = billed_hours(minutes, self._rounding)
            found = portion_of(self.rating.unit_rate, hours, minutes=minutes)
            self._prices[minutes] = found
        return found


def customer_holds(customer: CustomerState | None) -> tuple[OpenHold, ...]:
    """Return why nothing of a customer may be released; one not heard of yet could be on hold."""
    if customer is None:
        return (OpenHold(HoldReason.TAX_INVALID, "the bill-to customer is not known here yet"),)
    holds = []
    if customer.is_on_credit_hold:
        reason = customer.credit_hold_reason or "no reason given"
        holds.append(OpenHold(HoldReason.CREDIT_HOLD, f"customer on credit hold: {reason}"))
    if customer.tax_status not in _TAXABLE:
        detail = f"tax registration of the customer is {customer.tax_status}"
        holds.append(OpenHold(HoldReason.TAX_INVALID, detail))
    return tuple(holds)


def rating_of(terms: ContractTerms, line: LineTerms, unit: Unit, rate: Rate) -> Rating:
    """Copy the terms a row keeps, whatever becomes of them later."""
    return Rating(
        contract_id=terms.contract_id,
        contract_version=terms.contract_version,
        contract_line_id=line.contract_line_id,
        quote_line_id=line.quote_line_id,
        engagement_id=terms.engagement_id,
        correlation_id=terms.correlation_id,
        bill_to_customer_id=terms.bill_to_customer_id,
        legal_entity_id=terms.legal_entity_id,
        unit=unit,
        unit_rate=rate.hourly,
        tax_category=line.tax_category,
        rate_card_id=rate.rate_card_id,
        rate_card_version=rate.rate_card_version,
        explanation=rate.explanation,
    )


def _unratable(reason: HoldReason, detail: str) -> Unratable:
    return Unratable(OpenHold(reason, detail))


def _foreign(price: Money, terms: ContractTerms) -> Unratable:
    detail = f"no rate of exchange from {price.currency} to {terms.currency}"
    return _unratable(HoldReason.MISSING_FX_RATE, detail)


def _no_line(item: SourceItem, terms: ContractTerms) -> str:
    return f"line {item.contract_line_id} is not in the terms version {terms.contract_version}"


def _marked_up(cost: Money, percent: Decimal) -> Money:
    """Return the cost plus the markup as a unit rate: exact up to the six decimals a rate has."""
    exact = exact_product(cost.amount, _ONE + percent.scaleb(-2))
    return Money(round_half_away(exact, RATE_PLACES), cost.currency)
