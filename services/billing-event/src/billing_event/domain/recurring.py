"""The billing calendar of recurring lines: which periods are charged, how much, and when."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Final, NewType
from uuid import UUID

from billing_event.domain.agreement import Agreement
from billing_event.domain.source import (
    ContractId,
    ContractLineId,
    ItemType,
    LegalEntityId,
    SourceItem,
    SourceItemId,
)
from billing_event.domain.step import SourceStep, StepState
from billing_event.domain.terms import BillingModel, ContractTerms, LineTerms, Proration
from throughline_core.errors import InvalidArgument
from throughline_core.ids import derived_id
from throughline_core.money import Money
from throughline_core.period import Period, add_months, prorate

RecurringPeriodId = NewType("RecurringPeriodId", UUID)

DAYS_AHEAD_MAX: Final = 31

# The block of a retainer falls due like a period, always in advance: it is a prepayment.
_PERIODIC: Final = (BillingModel.RECURRING, BillingModel.RETAINER)


@dataclass(frozen=True, slots=True)
class RecurringPeriod:
    """One billing period of a recurring line, or the part of it inside the line's term.

    `contract_version` is that of the terms by which it is priced.
    """

    recurring_period_id: RecurringPeriodId
    contract_id: ContractId
    contract_line_id: ContractLineId
    contract_version: int
    engagement_id: UUID
    legal_entity_id: LegalEntityId
    service: Period
    due_on: date
    amount: Money
    description: str
    explanation: str


class TooFarAhead(InvalidArgument):
    """Charges are not made for a day that lies more than a month ahead."""

    code = "recurring.too_far_ahead"


def require_near(through: date, *, today: date) -> None:
    """Check that charges up to `through` may be made today.

    Raises:
        TooFarAhead: it is more than 31 days away.
    """
    if through > today + timedelta(days=DAYS_AHEAD_MAX):
        raise TooFarAhead(
            f"{through} is more than {DAYS_AHEAD_MAX} days after {today}",
            field="through_date",
            advice="name a day of this month end; later periods are charged when they fall due",
        )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a period lies: its part inside the term, its whole, and the terms of its first day."""

    part: Period
    whole: Period
    terms: ContractTerms
    line: LineTerms

    @property
    def period_id(self) -> RecurringPeriodId:
        # By the whole period, so that a term that grows or shrinks charges it only once.
        return RecurringPeriodId(
            derived_id(
                "recurring_period",
                self.terms.contract_id,
                self.line.contract_line_id,
                self.whole.start,
            )
        )


def plan(agreement: Agreement) -> list[RecurringPeriod]:
    """Return the periods of all recurring lines, in order of service for each line.

    A period is priced by the terms of its first day, and waits while these may be missing. Where a
    line, or by termination the contract, ends within a period, the part up to there is charged; a
    contract that was completed charges the period it was completed in whole.
    """
    return [_period(place, place.terms, place.line) for place in _places(agreement)]


def _places(agreement: Agreement) -> Iterator[_Place]:
    for newest in agreement.newest.lines.values():
        if newest.billing_model not in _PERIODIC:
            continue
        for term in charged_term(agreement, newest):
            for part, whole in chain(term, _rhythm(agreement, newest)):
                found = agreement.line_on(newest.contract_line_id, part.start)
                if found is not None and not is_over(agreement, part.start):
                    yield _Place(part, whole, *found)


def chain(
    term: Period, rhythm: Callable[[date], tuple[int, int]]
) -> Iterator[tuple[Period, Period]]:
    """Yield billing periods, each by the months and anchor day that hold on its first day.

    The first one begins on the last anchor day by the start of the term. A rhythm that changes does
    so with the next period; up to a new anchor day that is a part of one. Each comes as its part
    inside the term, without a day of the one before, and its whole.
    """
    day = term.start
    while day < term.end:
        months, anchor_day = rhythm(day)
        start = add_months(day, 0, anchor_day=anchor_day)
        if start > day:
            start = add_months(start, -1, anchor_day=anchor_day)
        whole = Period(start, add_months(start, months, anchor_day=anchor_day))
        yield Period(day, min(whole.end, term.end)), whole
        day = whole.end


def corrections(agreement: Agreement, charged: Iterable[RecurringPeriod]) -> list[RecurringPeriod]:
    """Return charged periods that have other days by now, as they are to be charged.

    Whichever way a start or an end has moved; one of which no day is left costs nothing. They are
    priced by the terms they were charged by: a new price alone corrects nothing that was charged,
    that is for a re-rating to decide. While terms may be missing that decide where the periods of a
    line lie, they stay; so does what a line had charged that is charged otherwise by now.
    """
    places = {place.period_id: place for place in _places(agreement)}
    found = []
    for period in charged:
        line = agreement.newest.lines.get(period.contract_line_id)
        if line is None or line.billing_model not in _PERIODIC:
            continue
        if agreement.line_on(line.contract_line_id, line.term.start) is None:
            continue
        place = places.get(period.recurring_period_id)
        is_void = period.amount.is_zero
        if place is not None and place.part == period.service and not is_void:
            continue
        corrected = (
            _nothing_of(period) if place is None else _charged_anew(agreement, period, place)
        )
        if (corrected.service, corrected.amount) != (period.service, period.amount):
            found.append(corrected)
    return found


def step_of(period: RecurringPeriod, *, version: int) -> SourceStep:
    """Return the word that a charged period has these days, and this price, from now on."""
    return SourceStep(
        source_item_id=SourceItemId(period.recurring_period_id),
        version=version,
        state=StepState.REPRICED,
        price=period.amount,
        service_from=period.service.start,
        service_to=period.service.end,
        reason=period.explanation,
    )


def _nothing_of(period: RecurringPeriod) -> RecurringPeriod:
    nothing = Money.zero(period.amount.currency)
    return replace(period, amount=nothing, explanation="nothing of it is left")


def _charged_anew(agreement: Agreement, period: RecurringPeriod, place: _Place) -> RecurringPeriod:
    """Return a charged period with the days it has now, by the terms it was charged by.

    A price is that of a rhythm, and of a block of a retainer: where these changed as well, it is
    priced by the terms of its first day.
    """
    for terms in agreement.versions:
        line = terms.lines.get(period.contract_line_id)
        if line is None or terms.contract_version != period.contract_version:
            continue
        has_price = (line.period_months, line.anchor_day, line.retainer) == (
            place.line.period_months,
            place.line.anchor_day,
            None,
        )
        if has_price:
            return _period(place, terms, line)
    return _period(place, place.terms, place.line)


def _rhythm(agreement: Agreement, newest: LineTerms) -> Callable[[date], tuple[int, int]]:
    """Return what gives months and anchor day of a line by the terms of a day."""

    def on(day: date) -> tuple[int, int]:
        found = agreement.line_on(newest.contract_line_id, day)
        line = newest if found is None else found[1]
        return line.period_months, line.anchor_day

    return on


def charged_term(agreement: Agreement, line: LineTerms) -> Iterator[Period]:
    """Yield the days a line is charged for, unless it ended before it began."""
    ends = [line.term.end]
    if line.ended_on is not None:
        ends.append(line.ended_on)
    if agreement.ending is not None and agreement.ending.is_early:
        ends.append(agreement.ending.on)
    if line.term.start < min(ends):
        yield Period(line.term.start, min(ends))


def is_over(agreement: Agreement, day: date) -> bool:
    """Whether the contract is in force no longer on a day."""
    return agreement.ending is not None and day >= agreement.ending.on


def _period(place: _Place, terms: ContractTerms, priced_by: LineTerms) -> RecurringPeriod:
    """Return a period at the price of a line by some version of its terms."""
    part, line = place.part, place.line
    amount, explanation = _price(priced_by, part, place.whole)
    last_day = part.end - timedelta(days=1)
    return RecurringPeriod(
        place.period_id,
        terms.contract_id,
        line.contract_line_id,
        terms.contract_version,
        terms.engagement_id,
        terms.legal_entity_id,
        part,
        part.start if line.in_advance or line.retainer is not None else last_day,
        amount,
        f"{line.description}, {part.start} to {last_day}",
        explanation,
    )


def _price(line: LineTerms, part: Period, whole: Period) -> tuple[Money, str]:
    each = "a month" if line.period_months == 1 else f"each {line.period_months} months"
    if part == whole or line.proration is Proration.NONE:
        return line.unit_price, f"agreed price {each}: {line.unit_price}"
    if line.proration is Proration.THIRTY_DAYS:
        days = _days_of_thirty(part, line.anchor_day)
        all_days = _days_of_thirty(whole, line.anchor_day)
        amount = (line.unit_price * (Decimal(days) / Decimal(all_days))).rounded()
        words = f"{days} of {all_days} days, each month as 30, of {line.unit_price} {each}"
        return amount, words
    amount = (line.unit_price * prorate(part, whole)).rounded()
    return amount, f"{part.days} of {whole.days} days of {line.unit_price} {each}"


def _days_of_thirty(period: Period, anchor_day: int) -> int:
    """Return the days of a period when every month has thirty (30E/360).

    An anchor day that a short month brought forward counts as the day it stands for, so that every
    whole period has thirty days for each of its months.
    """

    def place(day: date) -> int:
        is_anchor = day == add_months(day, 0, anchor_day=anchor_day)
        return (day.year * 12 + day.month) * 30 + min(anchor_day if is_anchor else day.day, 30)

    return place(period.end) - place(period.start)


def source_item_of(period: RecurringPeriod) -> SourceItem:
    """Return the thing that is billed when a period is due; nobody had to approve it."""
    return SourceItem(
        source_item_id=SourceItemId(period.recurring_period_id),
        type=ItemType.RECURRING,
        contract_id=period.contract_id,
        contract_line_id=period.contract_line_id,
        engagement_id=period.engagement_id,
        delivering_entity_id=period.legal_entity_id,
        description=period.description,
        service_from=period.service.start,
        service_to=period.service.end,
        price=period.amount,
        price_basis=period.explanation,
    )
