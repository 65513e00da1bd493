"""Prices approved things: resolves the rate as of the work date, or says what stands in the way."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final
from uuid import UUID

from billing_event.domain.agreement import Facts
from billing_event.domain.amount_bound import too_large
from billing_event.domain.drawing import BEYOND, Drawing
from billing_event.domain.exchange import cost_in, rate_in
from billing_event.domain.expense import in_currency, marked_up, not_billed
from billing_event.domain.found_line import FoundLine, order_of, outside_of, rating_of
from billing_event.domain.hold import HoldReason, OpenHold, WayOut
from billing_event.domain.hourly import Hourly
from billing_event.domain.limit import LimitBook, payer_account_id
from billing_event.domain.payer import Split
from billing_event.domain.position import (
    Portion,
    RateRule,
    Rating,
    Row,
    Treatment,
    Unit,
    portion_of,
)
from billing_event.domain.rate import Rate, resolve_rate
from billing_event.domain.source import CustomerId, ItemType, SourceItem
from billing_event.domain.terms import (
    BillingModel,
    ContractTerms,
    CustomerState,
    RateCard,
    TaxStatus,
    cards_of,
)
from throughline_core.money import RATE_PLACES, Money
from throughline_core.quantity import billed_hours
from throughline_core.rounding import round_half_away

_ONE: Final = Decimal(1)
_AGREED_RULES: Final[Mapping[ItemType, RateRule]] = {
    ItemType.EXPENSE: RateRule.COST_PLUS,
    ItemType.USAGE: RateRule.USAGE_TIER,
}
_TAXABLE: Final = (TaxStatus.VALID, TaxStatus.NOT_REQUIRED)
_FEE_MODELS: Final = (BillingModel.FIXED_FEE, BillingModel.RECURRING, BillingModel.USAGE)
_STOPS_WORK: Final = (HoldReason.OUTSIDE_TERM, HoldReason.CONTRACT_NOT_ACTIVE)
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


Outcome = Priced | Drawing | Unratable | Covered


class Rater:
    """Rates the items of one batch by one state of the facts, each distinct question once.

    The `book` tells what payers by amount may still pay: what is rated has to be taken from it
    before the next thing is.
    """

    def __init__(self, facts: Facts, book: LimitBook | None = None) -> None:
        self._facts = facts
        self._book = book or LimitBook()
        self._cards: dict[UUID, list[tuple[str, RateCard]]] = {}
        self._hourly: dict[tuple[object, ...], Hourly | Unratable] = {}
        self._standing_holds: dict[tuple[UUID, CustomerId], tuple[OpenHold, ...]] = {}
        self._lines: dict[tuple[object, ...], FoundLine | OpenHold] = {}
        self._priced_hours: dict[tuple[int, int, int], Priced | Unratable] = {}

    def rate(self, item: SourceItem) -> Outcome:
        """Return the price of an approved, billable thing, or why it has none."""
        found = self._find(item)
        if isinstance(found, OpenHold):
            return Unratable(found)
        if item.type is ItemType.TIME:
            return self._rate_time(item, found)
        return self._rate_agreed(item, found)

    def rate_again(self, item: SourceItem, taken: Iterable[Row]) -> Outcome:
        """Return the price of a thing that took these rows' amounts: they are left to it again."""
        with self._book.without(taken):
            return self.rate(item)

    def holds(self, item: SourceItem, payer: CustomerId) -> tuple[OpenHold, ...]:
        """Return the reasons that hold what a payer bears of a thing, as the facts are now."""
        if item.contract_id not in self._facts.agreements or item.contract_line_id is None:
            return ()
        found = self._find(item)
        return (found,) if isinstance(found, OpenHold) else self._holds(item, found, payer)

    def _find(self, item: SourceItem) -> FoundLine | OpenHold:
        """Return the line as it holds for the day of the thing, or why there is none."""
        key = item.contract_id, item.contract_line_id, item.service_from
        found = self._lines.get(key)
        if found is None:
            found = self._lines[key] = self._look_up(item)
        return found

    def _look_up(self, item: SourceItem) -> FoundLine | OpenHold:
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
        order = order_of(terms, line, item.service_from)
        if order is None and any(
            each.is_for(line.contract_line_id) for each in terms.purchase_orders
        ):
            detail = f"no purchase order of the contract pays for {item.service_from}"
            return OpenHold(HoldReason.UNMAPPED, detail, way_out=_NO_ORDER)
        return FoundLine(agreement, terms, line, order)

    def _rate_time(self, item: SourceItem, found: FoundLine) -> Outcome:
        line = found.line
        if line.billing_model in _FEE_MODELS:
            return Covered(f"the {line.billing_model.replace('_', ' ')} of the line covers it")
        if line.billing_model is BillingModel.PASS_THROUGH:
            return _unratable(HoldReason.UNMAPPED, "the line bills expenses, not time")
        if line.billing_model is BillingModel.RETAINER:
            return self._draw_time(item, found)
        hourly = self._hour(item, found)
        if isinstance(hourly, Unratable):
            return hourly
        if hourly.split is not None:
            whole = hourly.price(item.minutes)
            return self._priced(item, found, hourly.split.of_hours(whole, self._room))
        # Of one day and price, so that it comes to the same and is held for the same reasons.
        key = id(found), id(hourly), item.minutes
        priced = self._priced_hours.get(key)
        if priced is None:
            whole = hourly.price(item.minutes)
            priced = self._priced_hours[key] = self._priced(item, found, [(hourly.rating, whole)])
        return priced

    def _hour(self, item: SourceItem, found: FoundLine) -> Hourly | Unratable:
        terms, line = found.terms, found.line
        agreed = (
            terms.contract_id,
            terms.contract_version,
            line.contract_line_id,
            found.order and found.order.number,
            item.role,
            item.activity,
        )
        agreed_rate = None if line.person_rates else line.rates.get(item.role)
        is_of_role = agreed_rate is not None and agreed_rate.currency == terms.currency
        own = () if is_of_role else (item.level, item.region, item.person_id, item.service_from)
        question = (*agreed, *own)
        hourly = self._hourly.get(question)
        if hourly is None:
            hourly = self._hourly[question] = self._rate_hour(item, found)
        return hourly

    def _rate_hour(self, item: SourceItem, found: FoundLine) -> Hourly | Unratable:
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
            converted = rate_in(self._facts.exchange, rate, terms, item.service_from)
            if converted is None:
                return self._foreign(rate.unit, item, terms)
            rate = converted
        return Hourly(rating_of(found, Unit.HOUR, rate), terms.time_rounding, terms.payers)

    def _rate_agreed(self, item: SourceItem, found: FoundLine) -> Outcome:
        assert item.price is not None, "only time comes without a price"
        terms, line = found.terms, found.line
        refused = not_billed(item, line)
        if refused is not None:
            return Unratable(refused)
        agreed = in_currency(item.price, item.receipt_price, terms.currency)
        converted = None if agreed is not None else cost_in(self._facts.exchange, item, terms)
        price = converted.price if converted else agreed
        if price is None:
            return self._foreign(item.receipt_price or item.price, item, terms)
        explanation = f"{item.price_basis} (terms version {terms.contract_version})"
        if item.type is ItemType.EXPENSE:
            percent = line.markups.get(item.category, line.markup_percent)
            cost, price = price, marked_up(price, percent)
            origin = f" ({converted.conversion.from_price} {converted.words})" if converted else ""
            markup = f" plus {percent:f} %" if percent else ""
            explanation = f"cost {cost}{origin}{markup} (terms version {terms.contract_version})"
        is_month = item.type is ItemType.RECURRING and line.period_months == 1
        unit = Unit.MONTH if is_month else Unit.EACH
        conversion = converted.conversion if converted else None
        base = conversion.from_price if conversion else agreed or price
        rule = _AGREED_RULES.get(item.type, RateRule.AGREED)
        rating = rating_of(found, unit, Rate(price, base, rule, explanation, conversion=conversion))
        if line.retainer is not None and item.type is ItemType.RECURRING:
            rating = replace(rating, treatment=Treatment.PREPAYMENT)
        if item.type is ItemType.EXPENSE and line.retainer and line.retainer.hours is None:
            if price.amount < 0:
                return _takes_back_nothing()
            return self._drawing(item, found, rating, portion_of(price, _ONE, minutes=0))
        if terms.payers:
            parts = Split(rating, terms.payers).of_amount(price, self._room)
            return self._priced(item, found, parts)
        return self._priced(item, found, [(rating, portion_of(price, _ONE, minutes=0))])

    def _draw_time(self, item: SourceItem, found: FoundLine) -> Outcome:
        """Return how time draws on a retainer: its hours, or their price at the agreed rates."""
        terms, line, retainer = found.terms, found.line, found.line.retainer
        if item.minutes < 0:
            return _takes_back_nothing()
        if retainer is None:
            what = "the retainer has no block"
            return Unratable(OpenHold(HoldReason.UNMAPPED, what, way_out=_BY_HAND))
        if retainer.hours is None:
            hourly = self._hour(item, found)
            if isinstance(hourly, Unratable):
                return hourly
            return self._drawing(item, found, hourly.rating, hourly.price(item.minutes))
        hours = billed_hours(item.minutes, terms.time_rounding)
        price = line.unit_price
        each = price.amount / retainer.hours if retainer.hours else Decimal(0)
        words = f"retainer of {retainer.hours:f} hours for {price}"
        unit = Money(round_half_away(each, RATE_PLACES), price.currency)
        words = f"{words} (terms version {terms.contract_version})"
        rate = Rate(unit, unit, RateRule.RETAINER_BLOCK, words)
        rating = rating_of(found, Unit.HOUR, rate)
        whole = portion_of(rate.unit, hours, minutes=item.minutes)
        return self._drawing(item, found, rating, whole)

    def _drawing(
        self, item: SourceItem, found: FoundLine, rating: Rating, whole: Portion
    ) -> Outcome:
        """Return work that draws; what the customer owes elsewhere does not stop it."""
        assert found.line.retainer is not None, "only a retainer is drawn on"
        for hold in self._holds(item, found, rating.bill_to_customer_id):
            if hold.reason in _STOPS_WORK:
                return Unratable(hold)
        drawn = replace(rating, treatment=Treatment.DRAWN)
        beyond = too_large(rating, whole)
        if beyond is not None:
            return Unratable(beyond)
        return Drawing(drawn, whole, found.line.retainer)

    def beyond(self, item: SourceItem, drawing: Drawing, rest: Portion) -> Priced | Unratable:
        """Return what becomes of work beyond a retainer's balance: billed by itself, or held."""
        if drawing.is_held_beyond:
            return Priced((Share(drawing.rating, rest, (BEYOND,)),))
        found = self._find(item)
        assert isinstance(found, FoundLine), "it was found when it was rated"
        if item.type is ItemType.EXPENSE:
            rating = replace(drawing.rating, treatment=Treatment.INVOICED)
            parts = [(rating, rest)]
            if found.terms.payers:
                parts = Split(rating, found.terms.payers).of_amount(rest.amount, self._room)
            return self._priced(item, found, parts)
        hourly: Hourly | Unratable
        overage = drawing.terms.overage_rate
        if overage is None:
            hourly = self._hour(item, found)
        else:
            words = f"overage of the retainer: {overage} an hour"
            rate = Rate(overage, overage, RateRule.RETAINER_OVERAGE, words)
            rating = rating_of(found, Unit.HOUR, rate)
            hourly = Hourly(rating, found.terms.time_rounding, found.terms.payers)
        if isinstance(hourly, Unratable):
            return hourly
        whole = portion_of(hourly.rating.unit_rate, rest.quantity, minutes=rest.minutes)
        if hourly.split is None:
            return self._priced(item, found, [(hourly.rating, whole)])
        return self._priced(item, found, hourly.split.of_hours(whole, self._room))

    def _foreign(self, price: Money, item: SourceItem, terms: ContractTerms) -> Unratable:
        detail = self._facts.exchange.missing(
            price,
            terms.currency,
            service_on=item.service_from,
            legal_entity_id=terms.legal_entity_id,
        )
        return _unratable(HoldReason.MISSING_FX_RATE, detail)

    def _priced(
        self, item: SourceItem, found: FoundLine, parts: list[tuple[Rating, Portion]]
    ) -> Priced | Unratable:
        for rating, part in parts:
            beyond = too_large(rating, part)
            if beyond is not None:
                return Unratable(beyond)
        return Priced(
            tuple(
                Share(rating, part, self._holds(item, found, rating.bill_to_customer_id))
                for rating, part in parts
            )
        )

    def _room(self, rating: Rating) -> Decimal | None:
        account_id = payer_account_id(rating.contract_id, rating.bill_to_customer_id)
        return self._book.agreed_room(account_id)

    def _holds(self, item: SourceItem, found: FoundLine, payer: CustomerId) -> tuple[OpenHold, ...]:
        holds = self._of_payer(found.agreement.newest, payer)
        if item.type in _TERM_BOUND:
            outside = outside_of(item.service_from, found)
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

    def _of_payer(self, terms: ContractTerms, payer: CustomerId) -> tuple[OpenHold, ...]:
        """Return what holds everything a customer pays of a contract, by its newest terms."""
        holds = self._standing_holds.get((terms.contract_id, payer))
        if holds is None:
            holds = customer_holds(self._facts.customers.get(payer))
            if terms.has_holdback:
                detail = "the contract has a holdback, which is not supported yet"
                holds = (*holds, OpenHold(HoldReason.UNMAPPED, detail, way_out=_BY_HAND))
            self._standing_holds[terms.contract_id, payer] = holds
        return holds


def _takes_back_nothing() -> Unratable:
    """Return why work below zero waits: only the row it drew says which block it gives back to."""
    what = "it is below zero and names nothing that it takes back from the retainer"
    return Unratable(OpenHold(HoldReason.UNMAPPED, what, way_out=_BY_HAND))


def _each_reason_once(holds: tuple[OpenHold, ...]) -> tuple[OpenHold, ...]:
    """Return the holds; of two of one reason the words of the first stand for both."""
    if len(holds) < 2:  # nothing to compare
        return holds
    return tuple({hold.reason: hold for hold in reversed(holds)}.values())[::-1]


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


def _unratable(reason: HoldReason, detail: str) -> Unratable:
    return Unratable(OpenHold(reason, detail))
