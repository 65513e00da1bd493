"""What stays given up of an agreed amount that changes: nobody is to bill it again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from billing_event.domain.position import (
    BillingEventId,
    EventStatus,
    Rating,
    Row,
    Unit,
    apart,
    cut,
    one_at,
    portion_from,
    rated_at,
)
from billing_event.domain.rating import Share
from billing_event.domain.source import CustomerId
from throughline_core.money import Money

_NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Restated:
    """An amount rated anew: written-off rows that stay, what else stays given up, what is billed.

    Together they are the new amount.
    """

    kept: tuple[Row, ...]
    given_up: tuple[tuple[Rating, Money], ...]
    billed: tuple[Share, ...]


def restated(
    live: Sequence[Row], given_up: Mapping[BillingEventId, Decimal], shares: Sequence[Share]
) -> Restated:
    """Return how a thing is rated anew of which people, or credit notes, gave something up.

    By how much a payer's share has fallen, so much less of it stays given up, so that the customer
    is credited only what it paid beyond the new amount. What the share has grown by is billed.
    """
    kept: list[Row] = []
    anew: list[tuple[Rating, Money]] = []
    billed: list[Share] = []
    stays = _staying(live, given_up, shares)
    left = dict(stays)
    for row in live:
        payer = row.rating.bill_to_customer_id
        if row.status is EventStatus.WRITTEN_OFF and row.amount.amount <= left.get(payer, _NOTHING):
            kept.append(row)
            left[payer] -= row.amount.amount
    for share in shares:
        payer, whole = share.rating.bill_to_customer_id, share.portion.amount
        gone = _of_share(stays, payer, whole)
        if gone.is_zero:
            billed.append(share)
        elif gone != whole:
            billed.append(replace(share, portion=one_at(whole - gone)))
        own_row = _of_share(left, payer, whole)
        if not own_row.is_zero:
            anew.append((share.rating, own_row))
    return Restated(tuple(kept), tuple(anew), tuple(billed))


def still_given_up(
    before: Row, rating: Rating, amount: Money, *, part: int, at: datetime, on: date
) -> Row:
    """Return what stays given up of a thing as a row of its own, written off."""
    portion = one_at(amount)
    return replace(
        apart(before, part, portion, at=at, on=on),
        rating=rated_at(rating, portion),
        status=EventStatus.WRITTEN_OFF,
        released_by="",
        holds=(),
        adjusts=None,
        rerating_run_id=None,
    )


def _staying(
    live: Sequence[Row], given_up: Mapping[BillingEventId, Decimal], shares: Iterable[Share]
) -> dict[CustomerId, Decimal]:
    """Return how much of each payer's share stays given up."""
    before: dict[CustomerId, Decimal] = {}
    gone: dict[CustomerId, Decimal] = {}
    for row in live:
        payer = row.rating.bill_to_customer_id
        before[payer] = before.get(payer, _NOTHING) + row.amount.amount
        gone[payer] = gone.get(payer, _NOTHING) + _given_up_of(row, given_up)
    now: dict[CustomerId, Decimal] = {}
    for share in shares:
        if share.rating.unit is not Unit.HOUR:
            payer = share.rating.bill_to_customer_id
            now[payer] = now.get(payer, _NOTHING) + share.portion.amount.amount
    return {
        payer: max(gone[payer] - max(before[payer] - amount, _NOTHING), _NOTHING)
        for payer, amount in now.items()
        if payer in gone
    }


def _given_up_of(row: Row, given_up: Mapping[BillingEventId, Decimal]) -> Decimal:
    if row.status is EventStatus.WRITTEN_OFF:
        return row.amount.amount
    quantity = given_up.get(row.billing_event_id)
    if quantity is None:
        return _NOTHING
    return cut(row.rating, portion_from(row), quantity)[0].amount.amount


def _of_share(left: dict[CustomerId, Decimal], payer: CustomerId, whole: Money) -> Money:
    """Take from what is left of a payer as much as its share is."""
    part = min(left.get(payer, _NOTHING), max(whole.amount, _NOTHING))
    if part:
        left[payer] -= part
    return Money(part, whole.currency)
