"""Prices approved things: resolves the rate as of the work date, or says what stands in the way."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final
from uuid import UUID

from billing_event.domain.agreement import Agreement, Facts
from billing_event.domain.hold import HoldReason, OpenHold, WayOut
from billing_event.domain.position import Portion, Rating, Unit, portion_of
from billing_event.domain.rate import Rate, resolve_rate
from billing_event.domain.source import ItemType, SourceItem
from billing_event.domain.terms import (
    BillingModel,
    ContractTerms,
    CustomerState,
    LineTerms,
    PurchaseOrder,
    RateCard,
    TaxStatus,
    cards_of,
)
from throughline_core.money import RATE_PLACES, Money
from throughline_core.quantity import TimeRounding, billed_hours
from throughline_core.rounding import exact_product, round_half_away

_ONE: Final = Decimal(1)
_TAXABLE: Final = (TaxStatus.VALID, TaxStatus.NOT_REQUIRED)
_FEE_MODELS: Final = (BillingModel.FIXED_FEE, BillingModel.RECURRING, BillingModel.USAGE)
_TERM_BOUND: Final = (ItemType.TIME, ItemType.EXPENSE)
_BY_HAND: Final = WayOut(
    "finance",
    "agree with the customer how it is billed and change the contract, or keep it held until this"
    " is supported",
)
_NO_ORDER: Final = WayOut(
    "sales_operations",
    "have the customer extend the purchase order or send another, and change the contract",
)


@dataclass(frozen=True, slots=True)
class Share:
    """What one payer bears: terms, quantity and price, and why it may not be released yet."""

    rating: Rating
    portion: Portion
    holds: tuple[OpenHold, ...]


@dataclass(frozen=True, slots=True)
class Priced:
    """The price of a thing in as many shares as payers bear it; they sum to the whole."""

    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Unratable:
    """No price can be found until something changes."""

    hold: OpenHold


@dataclass(frozen=True, slots=True)
class Covered:
    """Nothing is billed for the thing itself: the fee of its line covers it."""

    explanation: str


Outcome = Priced | Unratable | Covered


class Rater:
    """Rates the items of one batch by one state of the facts, each distinct question once."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._cards: dict[UUID, list[tuple[str, RateCard]]] = {}
        self._hourly: dict[tuple[object, ...], _Hourly | Unratable] = {}
        self._standing_holds: dict[UUID, tuple[OpenHold, ...]] = {}
        self._lines: dict[tuple[object, ...], _Found | OpenHold] = {}

    def rate(self, item: SourceItem) -> Outcome:
        """Return the price of an approved, billable thing, or why it has none."""
        found = self._find(item)
        if isinstance(found, OpenHold):
            return Unratable(found)
        if item.type is ItemType.TIME:
            return self._rate_time(item, found)
        return self._rate_agreed(item, found)

    def holds(self, item: SourceItem) -> tuple[OpenHold, ...]:
        """Return the reasons that hold a thing already rated, as the facts are now."""
        if item.contract_id not in self._facts.agreements or item.contract_line_id is None:
            return ()
        found = self._find(item)
        return (found,) if isinstance(found, OpenHold) else self._holds(item, found)

    def _find(self, item: SourceItem) -> "_Found | OpenHold":
        """Return the line as it holds for the day of the thing, or why there is none."""
        key = item.contract_id, item.contract_line_id, item.service_from
        found = self._lines.get(key)
        if found is None:
            found = self._lines[key] = self._look_up(item)
        return found

    def _look_up(self, item: SourceItem) -> "_Found | OpenHold":
        if item.contract_id is None or item.contract_line_id is None:
            return OpenHold(HoldReason.UNMAPPED, "the work names no contract line")
        agreement = self._facts.agreements.get(item.contract_id)
        if agreement is None:
            return OpenHold(
                HoldReason.CONTRACT_NOT_ACTIVE, f"contract {item.contract_id} is not in force"
            )
        if agreement.on(item.service_from) is None:
            return OpenHold(
                HoldReason.CONTRACT_NOT_ACTIVE,
                f"not all terms of {item.service_from} have arrived, up to version"
                f" {agreement.newest.contract_version}",
            )
        found = agreement.line_on(item.contract_line_id, item.service_from)
        if found is None:
            version = agreement.newest.contract_version
            detail = f"line {item.contract_line_id} is not in the terms version {version}"
            return OpenHold(HoldReason.UNMAPPED, detail)
        terms, line = found
        order = _order_of(terms, line, item.service_from)
        if order is None and any(
            each.is_for(line.contract_line_id) for each in terms.purchase_orders
        ):
            detail = f"no purchase order of the contract pays for {item.service_from}"
            return OpenHold(HoldReason.UNMAPPED, detail, way_out=_NO_ORDER)
        return _Found(agreement, terms, line, order)

    def _rate_time(self, item: SourceItem, found: "_Found") -> Outcome:
        line = found.line
        if line.billing_model in _FEE_MODELS:
            return Covered(f"the {line.billing_model.replace('_', ' ')} of the line covers it")
        if line.billing_model is BillingModel.PASS_THROUGH:
            return _unratable(HoldReason.UNMAPPED, "the line bills expenses, not time")
        if line.billing_model is BillingModel.RETAINER:
            detail = "the line is a retainer: work draws it down, which is not supported yet"
            return Unratable(OpenHold(HoldReason.UNMAPPED, detail, way_out=_BY_HAND))
        hourly = self._hour(item, found)
        if isinstance(hourly, Unratable):
            return hourly
        share = Share(hourly.rating, hourly.price(item.minutes), self._holds(item, found))
        return Priced((share,))

    def _hour(self, item: SourceItem, found: "_Found") -> "_Hourly | Unratable":
        terms, line = found.terms, found.line
        agreed = (
            terms.contract_id,
            terms.contract_version,
            line.contract_line_id,
            found.order and found.order.number,
            item.role,
            item.activity,
        )
        is_of_role = item.role in line.rates and not line.person_rates
        own = () if is_of_role else (item.level, item.region, item.person_id, item.service_from)
        question = (*agreed, *own)
        hourly = self._hourly.get(question)
        if hourly is None:
            hourly = self._hourly[question] = self._rate_hour(item, found)
        return hourly

    def _rate_hour(self, item: SourceItem, found: "_Found") -> "_Hourly | Unratable":
        terms = found.terms
        cards = self._cards.get(terms.contract_id)
        if cards is None:
            cards = self._cards[terms.contract_id] = cards_of(terms, self._facts.cards)
        rate = resolve_rate(item, terms, found.line, cards)
        if rate is None:
            return _unratable(
                HoldReason.MISSING_RATE,
                f"no rate for {item.role or 'an unnamed role'} on {item.service_from}",
            )
        if rate.unit.currency != terms.currency:
            return _foreign(rate.unit, terms)
        return _Hourly(rating_of(found, Unit.HOUR, rate), terms.time_rounding)

    def _rate_agreed(self, item: SourceItem, found: "_Found") -> Outcome:
        assert item.price is not None, "only time comes without a price"
        terms, line = found.terms, found.line
        price = _in_currency(item.price, item.receipt_price, terms.currency)
        if price is None:
            return _foreign(item.price, terms)
        if line.billing_model is BillingModel.RETAINER and item.type is ItemType.RECURRING:
            detail = "the block of a retainer is a prepayment, which is not supported yet"
            return Unratable(OpenHold(HoldReason.UNMAPPED, detail, way_out=_BY_HAND))
        explanation = f"{item.price_basis} (terms version {terms.contract_version})"
        if item.type is ItemType.EXPENSE:
            cost, price = price, _marked_up(price, line.markup_percent)
            markup = f" plus {line.markup_percent:f} %" if line.markup_percent else ""
            explanation = f"cost {cost}{markup} (terms version {terms.contract_version})"
        is_month = item.type is ItemType.RECURRING and line.period_months == 1
        unit = Unit.MONTH if is_month else Unit.EACH
        rating = rating_of(found, unit, Rate(price, explanation))
        portion = portion_of(price, _ONE, minutes=0)
        return Priced((Share(rating, portion, self._holds(item, found)),))

    def _holds(self, item: SourceItem, found: "_Found") -> tuple[OpenHold, ...]:
        holds = self._of_contract(found.agreement)
        if item.type in _TERM_BOUND:
            outside = _outside(item.service_from, found)
            if outside:
                holds = (*holds, OpenHold(HoldReason.OUTSIDE_TERM, outside))
        if item.type is not ItemType.RECURRING:
            ending = found.agreement.ending
            if ending is not None and item.service_from >= ending.on:
                holds = (*holds, OpenHold(HoldReason.CONTRACT_NOT_ACTIVE, ending.detail))
        if not item.is_accepted:
            detail = item.refusal or "the client has not accepted the milestone"
            holds = (*holds, OpenHold(HoldReason.AWAITING_ACCEPTANCE, detail))
        return _each_reason_once(holds)

    def _of_contract(self, agreement: Agreement) -> tuple[OpenHold, ...]:
        """Return what holds everything of a contract, by its newest terms."""
        terms = agreement.newest
        holds = self._standing_holds.get(terms.contract_id)
        if holds is None:
            customer = self._facts.customers.get(terms.bill_to_customer_id)
            holds = customer_holds(customer)
            special = "several payers" if terms.payer_count > 1 else ""
            if terms.has_holdback:
                special = f"{special} and a holdback" if special else "a holdback"
            if special:
                detail = f"the contract has {special}, which is not supported yet"
                holds = (*holds, OpenHold(HoldReason.UNMAPPED, detail, way_out=_BY_HAND))
            self._standing_holds[terms.contract_id] = holds
        return holds


@dataclass(frozen=True, slots=True)
class _Found:
    """A line as it holds for a day, the version it is in, and the order that pays, if any."""

    agreement: Agreement
    terms: ContractTerms
    line: LineTerms
    order: PurchaseOrder | None


def _order_of(terms: ContractTerms, line: LineTerms, day: date) -> PurchaseOrder | None:
    """Return the order that pays for a line on a day; one that names the line goes first."""
    fitting = [
        order
        for order in terms.purchase_orders
        if order.is_for(line.contract_line_id) and order.is_valid_on(day)
    ]
    return max(fitting, key=lambda order: bool(order.contract_line_ids), default=None)


def _outside(day: date, found: _Found) -> str:
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


def _each_reason_once(holds: tuple[OpenHold, ...]) -> tuple[OpenHold, ...]:
    """Return the holds; of two of one reason the words of the first stand for both."""
    if len(holds) < 2:  # nothing to compare
        return holds
    return tuple({hold.reason: hold for hold in reversed(holds)}.values())[::-1]


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


def rating_of(found: _Found, unit: Unit, rate: Rate) -> Rating:
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
        purchase_order_number="" if found.order is None else found.order.number,
    )


def _unratable(reason: HoldReason, detail: str) -> Unratable:
    return Unratable(OpenHold(reason, detail))


def _foreign(price: Money, terms: ContractTerms) -> Unratable:
    detail = f"no rate of exchange from {price.currency} to {terms.currency}"
    return _unratable(HoldReason.MISSING_FX_RATE, detail)


def _in_currency(cost: Money, receipt: Money | None, currency: str) -> Money | None:
    """Return which of the two is in the currency, the receipt's amount first; None if neither."""
    found = (each for each in (receipt, cost) if each is not None and each.currency == currency)
    return next(found, None)


def _marked_up(cost: Money, percent: Decimal) -> Money:
    """Return the cost plus the markup as a unit rate: exact up to the six decimals a rate has."""
    exact = exact_product(cost.amount, _ONE + percent.scaleb(-2))
    return Money(round_half_away(exact, RATE_PLACES), cost.currency)
