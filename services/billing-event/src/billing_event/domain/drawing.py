"""Work that a retainer pays for: which part draws on which block, and what is beyond them all."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from billing_event.domain.hold import HoldReason, OpenHold, WayOut
from billing_event.domain.limit import fitting
from billing_event.domain.position import (
    Portion,
    Rating,
    Row,
    Treatment,
    Unit,
    cut,
    less,
    rated_at,
)
from billing_event.domain.retainer import HOURS, Bucket, RetainerPeriod
from billing_event.domain.retainer_book import RetainerBook
from billing_event.domain.retainer_movement import Drawn
from billing_event.domain.source import ItemType, SourceItem
from billing_event.domain.terms import Overage, RetainerTerms
from throughline_core.money import RATE_PLACES, Money
from throughline_core.rounding import round_half_away

_MORE: Final = WayOut(
    "sales_operations", "agree a top-up with the customer, or change what happens to overage"
)
BEYOND: Final = OpenHold(
    HoldReason.LIMIT_EXCEEDED, "nothing is left of the retainer for this day", way_out=_MORE
)


@dataclass(frozen=True, slots=True)
class Drawing:
    """Work on a retainer: at which terms it draws, and how much it is.

    For a block of hours the rate is its price an hour; for one of money the agreed one.
    """

    rating: Rating
    whole: Portion
    terms: RetainerTerms

    @property
    def is_held_beyond(self) -> bool:
        """Whether what is beyond the balance waits, instead of being billed."""
        return self.terms.overage is Overage.HOLD


@dataclass(frozen=True, slots=True)
class DrawnPart:
    """A row of a drawing, with the bucket that pays for it."""

    rating: Rating
    portion: Portion
    drawn: Drawn


def parts_of(
    item: SourceItem, drawing: Drawing, book: RetainerBook
) -> tuple[Sequence[DrawnPart], Portion | None]:
    """Return what of a drawing the open periods pay for, and what is beyond them; None if nothing.

    Nothing is drawn yet.
    """
    rest: Portion | None = drawing.whole
    parts: list[DrawnPart] = []
    for period, bucket in book.buckets(drawing.rating.contract_line_id, item.service_from):
        if rest is None:
            break
        if period.block.unit == HOURS and item.type is not ItemType.TIME:
            continue
        found, rest = _draw(drawing, rest, period, bucket)
        if found is not None:
            parts.append(found)
    return parts, rest


def is_undrawn(row: Row) -> bool:
    """Whether a row waits for a retainer to have more."""
    is_held = any(hold.reason is HoldReason.LIMIT_EXCEEDED for hold in row.holds)
    return is_held and row.rating.treatment is Treatment.DRAWN


def _draw(
    drawing: Drawing, rest: Portion, period: RetainerPeriod, bucket: Bucket
) -> tuple[DrawnPart | None, Portion | None]:
    if period.block.unit == HOURS:
        quantity = min(rest.quantity, bucket.quantity)
        value = bucket.value_of(quantity, period.block.price.currency)
        unit_rate = Money(round_half_away(value / quantity, RATE_PLACES), rest.amount.currency)
        # What is left keeps the price of an hour, whatever this part of a block is worth.
        part, left = cut(drawing.rating, rest, quantity)
        portion = replace(part, amount=Money(value, rest.amount.currency))
        drawn = Drawn(period, bucket, quantity, value)
    else:
        fits = fitting(drawing.rating, rest, bucket.quantity)
        if fits is None:
            return None, rest
        portion, left = fits, less(drawing.rating, rest, fits)
        unit_rate = rated_at(drawing.rating, portion).unit_rate
        drawn = Drawn(period, bucket, portion.amount.amount, portion.amount.amount)
    words = f"{drawing.rating.explanation}; drawn on the block {_name(period, bucket)}"
    rating = replace(drawing.rating, unit_rate=unit_rate, explanation=words)
    is_all = left.quantity == 0 if rating.unit is Unit.HOUR else left.amount.is_zero
    return DrawnPart(rating, portion, drawn), None if is_all else left


def _name(period: RetainerPeriod, bucket: Bucket) -> str:
    if bucket.origin_period_id == period.retainer_period_id:
        return f"of {period.block.service.start} to {period.last_day}"
    return f"from {bucket.origin_from}, carried on"
