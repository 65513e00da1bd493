"""Rated rows: what an approved thing is worth by its terms, and how far it has come."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final, NewType
from uuid import UUID

from billing_event.domain.hold import OpenHold
from billing_event.domain.source import (
    ContractId,
    ContractLineId,
    CustomerId,
    LegalEntityId,
    SourceItem,
    SourceItemId,
)
from throughline_core.errors import FailedPrecondition, NotFound
from throughline_core.ids import derived_id
from throughline_core.money import Money
from throughline_core.quantity import TimeRounding
from throughline_core.rounding import exact_product, round_half_away
from throughline_core.transition import move

BillingEventId = NewType("BillingEventId", UUID)


class EventKind(StrEnum):
    """How a row came about; the position of a thing is the sum of its rows."""

    ORIGINAL = "original"
    REVERSAL = "reversal"
    ADJUSTMENT = "adjustment"


class EventStatus(StrEnum):
    """How far a row has come; whether it is invoiced follows from its allocations.

    A reversed row and the one that takes it back sum to zero; neither is ever released. A row that
    is written off counts again once that is undone.
    """

    HELD = "held"
    ELIGIBLE = "eligible"
    RELEASED = "released"
    REVERSED = "reversed"
    WRITTEN_OFF = "written_off"


class EventType(StrEnum):
    """What a row bills: the type of its thing, or work that draws on a retainer."""

    TIME = "time"
    EXPENSE = "expense"
    MILESTONE = "milestone"
    RECURRING = "recurring"
    PROGRESS = "progress"
    USAGE = "usage"
    RETAINER_DRAW = "retainer_draw"
    ADJUSTMENT = "adjustment"


class Treatment(StrEnum):
    """What becomes of a row that was released: invoiced when earned, or before, or not at all."""

    INVOICED = "invoiced"
    PREPAYMENT = "prepayment"
    DRAWN = "drawn"


TRANSITIONS: Final[Mapping[EventStatus, frozenset[EventStatus]]] = {
    EventStatus.HELD: frozenset(
        {
            EventStatus.ELIGIBLE,
            EventStatus.RELEASED,
            EventStatus.REVERSED,
            EventStatus.WRITTEN_OFF,
        }
    ),
    EventStatus.ELIGIBLE: frozenset(
        {EventStatus.HELD, EventStatus.RELEASED, EventStatus.REVERSED, EventStatus.WRITTEN_OFF}
    ),
    # Withdrawn from a draft, it waits for the checkpoint again.
    EventStatus.RELEASED: frozenset({EventStatus.ELIGIBLE, EventStatus.WRITTEN_OFF}),
    EventStatus.REVERSED: frozenset(),
    EventStatus.WRITTEN_OFF: frozenset(
        {EventStatus.HELD, EventStatus.ELIGIBLE, EventStatus.RELEASED}
    ),
}


class RateRule(StrEnum):
    """By which rule the price of a unit was found; the cards in the order they are asked."""

    LINE_PERSON = "line_person"
    LINE_ROLE = "line_role"
    CONTRACT_CARD = "contract_card"
    CUSTOMER_CARD = "customer_card"
    ENTITY_CARD = "entity_card"
    FIRM_CARD = "firm_card"
    AGREED = "agreed"
    COST_PLUS = "cost_plus"
    RETAINER_BLOCK = "retainer_block"
    RETAINER_OVERAGE = "retainer_overage"
    USAGE_TIER = "usage_tier"


class Unit(StrEnum):
    """What a quantity counts."""

    HOUR = "hour"
    EACH = "each"
    MONTH = "month"


# Hours are printed with two decimals, a share of anything else with four.
QUANTITY_PLACES: Final[Mapping[Unit, int]] = {Unit.HOUR: 2, Unit.EACH: 4, Unit.MONTH: 4}
AMOUNT_PLACES: Final = 6
"""Decimals an amount has before a document rounds it: more than quantity times a rate of four."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """How a price came into the contract's currency: units of that for one of the other.

    `rate_on` is the day the rate is of, `source` who published it.
    """

    from_price: Money
    rate: Decimal
    rate_on: date
    source: str


@dataclass(frozen=True, slots=True)
class Rating:
    """The terms a row copies: what one unit costs, how that was found, and who is invoiced.

    `unit_rate` has the `multiplier` of a special activity in it, which is None for ordinary work.
    `purchase_order_number` is the order that pays, empty where the contract names none.
    `share_percent` is what the payer bears where several share the bill, None for all of it.
    `base_rate` is the price before factor, markup and conversion; it and `rule` are None on rows
    from before they were kept. `rounding` is how minutes became hours, None for all but time.
    """

    contract_id: ContractId
    contract_version: int
    contract_line_id: ContractLineId
    quote_line_id: UUID
    engagement_id: UUID
    correlation_id: UUID
    bill_to_customer_id: CustomerId
    legal_entity_id: LegalEntityId
    unit: Unit
    unit_rate: Money
    tax_category: str
    rate_card_id: UUID | None
    rate_card_version: int | None
    explanation: str
    delivering_entity_id: LegalEntityId | None = None
    multiplier: Decimal | None = None
    purchase_order_number: str = ""
    treatment: Treatment = Treatment.INVOICED
    share_percent: Decimal | None = None
    conversion: Conversion | None = None
    rule: RateRule | None = None
    base_rate: Money | None = None
    rounding: TimeRounding | None = None


@dataclass(frozen=True, slots=True)
class Portion:
    """How much of a thing a row stands for, and its exact price."""

    quantity: Decimal
    minutes: int
    amount: Money


@dataclass(frozen=True, slots=True)
class Row:
    """A billing event: an appended row of money, and beside it the state that may move.

    `part` numbers the rows of one thing from 1. `rated_on` is the civil day of `rated_at` in the
    contract's zone. `holds` are open ones; a row is held while it has any. `released_by` is a token
    subject, `policy`, or empty before release. `reverses` is the row this one takes back;
    `is_taken_back` whether another takes this one back. On a difference that a re-rating posted,
    `adjusts` is the invoiced row it corrects and `rerating_run_id` the run; `retainer_period_id` is
    the period a draw drew on.
    """

    billing_event_id: BillingEventId
    item: SourceItem
    rating: Rating
    part: int
    kind: EventKind
    quantity: Decimal
    minutes: int
    amount: Money
    rated_at: datetime
    rated_on: date
    status: EventStatus
    version: int
    released_by: str
    holds: tuple[OpenHold, ...]
    reverses: BillingEventId | None = None
    is_taken_back: bool = False
    adjusts: BillingEventId | None = None
    rerating_run_id: UUID | None = None
    retainer_period_id: UUID | None = None

    @property
    def event_type(self) -> EventType:
        """What the row bills, as documents and events call it."""
        return type_of(self.rating, self.item)


class BillingEventNotFound(NotFound):
    """No such rated row, or none the caller may see."""

    code = "billing_event.not_found"


class AlreadyReleased(FailedPrecondition):
    """The row may be invoiced already."""

    code = "billing_event.already_released"


def type_of(rating: Rating, item: SourceItem) -> EventType:
    """Return what a row of a thing under these terms bills."""
    if rating.treatment is Treatment.DRAWN:
        return EventType.RETAINER_DRAW
    return EventType(item.type)


def portion_of(unit_rate: Money, quantity: Decimal, *, minutes: int) -> Portion:
    """Price a quantity: quantity times rate, to the millionth for a rate of over four decimals."""
    exact = exact_product(unit_rate.amount, quantity)
    return Portion(
        quantity, minutes, Money(round_half_away(exact, AMOUNT_PLACES), unit_rate.currency)
    )


def one_at(amount: Money) -> Portion:
    """Return an agreed amount, or a part of one: one at that price, less one where it is owed."""
    return Portion(Decimal(-1 if amount.amount < 0 else 1), 0, amount)


def portion_from(row: "Row") -> Portion:
    """Return what a row stands for."""
    return Portion(row.quantity, row.minutes, row.amount)


def rated_at(rating: Rating, portion: Portion) -> Rating:
    """Return the terms of a portion: a part of an agreed amount is one at its own price."""
    if rating.unit is Unit.HOUR or portion.quantity * rating.unit_rate.amount == (
        portion.amount.amount
    ):
        return rating
    price = portion.amount if portion.quantity > 0 else -portion.amount
    return replace(rating, unit_rate=price)


def cut(rating: Rating, whole: Portion, quantity: Decimal) -> tuple[Portion, Portion]:
    """Cut a portion in two, the first of `quantity`; they sum to the whole in money and minutes.

    An agreed amount is cut in the smallest unit of its currency, as payers share it, so that the
    parts sum to it as printed as well.
    """
    minutes = round(whole.minutes * quantity / whole.quantity)
    first = portion_of(rating.unit_rate, quantity, minutes=minutes)
    if rating.unit is not Unit.HOUR:
        first = one_at(first.amount.rounded())
    return first, less(rating, whole, first)


def less(rating: Rating, whole: Portion, part: Portion) -> Portion:
    """Return what a part leaves of a portion."""
    amount = whole.amount - part.amount
    if rating.unit is not Unit.HOUR:
        return one_at(amount)
    return Portion(whole.quantity - part.quantity, whole.minutes - part.minutes, amount)


def row_id(source_item_id: SourceItemId, part: int) -> BillingEventId:
    """Return the id of the nth row of an approved thing."""
    return BillingEventId(derived_id("billing_event", source_item_id, part))


def moved(row: Row, status: EventStatus, holds: tuple[OpenHold, ...] = ()) -> Row:
    """Return the row with another status or other holds, one version on.

    Raises:
        IllegalTransition: the row was released before.
    """
    if status is not row.status:
        move(f"billing event {row.billing_event_id}", row.status, status, TRANSITIONS)
    return replace(row, status=status, holds=holds, version=row.version + 1)


def live_rows(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Return the rows that count: neither taken back, nor taking another back."""
    return tuple(row for row in rows if row.reverses is None and not row.is_taken_back)


def apart(row: Row, part: int, portion: Portion, *, at: datetime, on: date) -> Row:
    """Return a portion of a row as another row of the same thing, where the row is."""
    return replace(
        row,
        billing_event_id=row_id(row.item.source_item_id, part),
        part=part,
        kind=EventKind.ADJUSTMENT,
        rating=rated_at(row.rating, portion),
        quantity=portion.quantity,
        minutes=portion.minutes,
        amount=portion.amount,
        rated_at=at,
        rated_on=on,
        version=1,
        reverses=None,
    )


def mirror_apart(
    row: Row,
    item: SourceItem,
    given_up: Decimal,
    *,
    parts: tuple[int, int],
    at: datetime,
    on: date,
    by: str,
) -> tuple[Row, Row]:
    """Return the rows of `item` that take `row` back: what still counts, and what is given up."""
    whole = mirror(row, item, part=parts[0], at=at, on=on, by=by)
    off, rest = cut(row.rating, portion_from(whole), -given_up)
    gone = replace(
        apart(whole, parts[1], off, at=at, on=on), status=EventStatus.WRITTEN_OFF, released_by=""
    )
    counts = replace(
        whole,
        rating=rated_at(row.rating, rest),
        quantity=rest.quantity,
        minutes=rest.minutes,
        amount=rest.amount,
    )
    return counts, gone


def mirror(row: Row, item: SourceItem, *, part: int, at: datetime, on: date, by: str) -> Row:
    """Return the row of `item` that takes `row` back, at the rate and terms frozen on it.

    It follows at once where the row went: released by `by` if that was, so that the two meet
    where invoices are made, or written off; else neither is ever released.
    """
    is_settled = row.status in (EventStatus.RELEASED, EventStatus.WRITTEN_OFF)
    return replace(
        row,
        billing_event_id=row_id(item.source_item_id, part),
        item=item,
        part=part,
        kind=EventKind.REVERSAL,
        quantity=-row.quantity,
        minutes=-row.minutes,
        amount=-row.amount,
        rated_at=at,
        rated_on=on,
        status=row.status if is_settled else EventStatus.REVERSED,
        version=1,
        released_by=by if row.status is EventStatus.RELEASED else "",
        holds=(),
        reverses=row.billing_event_id,
    )
