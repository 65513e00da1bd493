"""What a judge does about rows that people give up, take up again, or want back from invoicing."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

from billing_event.domain.claim import ClaimKind
from billing_event.domain.decision import Judge
from billing_event.domain.hold import HoldReason, OpenHold
from billing_event.domain.position import (
    EventStatus,
    Row,
    apart,
    cut,
    mirror,
    mirror_apart,
    moved,
    portion_from,
)
from billing_event.domain.review import is_limited
from billing_event.domain.standing import HoldOpened, Settlement, Standing
from billing_event.domain.write_off import NoRoom
from throughline_core.money import Money


def give_up(judge: Judge, row: Row) -> Row:
    """Write all of a row off; what it took of limits is free again."""
    if not is_limited(row):
        judge.book.write_off(moved(row, EventStatus.WRITTEN_OFF))
    judge.decision.cleared += [hold.hold_id for hold in row.holds if hold.hold_id is not None]
    gone = moved(row, EventStatus.WRITTEN_OFF)
    judge.decision.changed.append(gone)
    judge.decision.settled.append(Settlement(gone, ClaimKind.WRITE_OFF, judge.today(row.rating)))
    return gone


def give_up_part(judge: Judge, standing: Standing, row: Row, quantity: Decimal) -> Row:
    """Write a part of a row off: it is taken back, and what stays and what goes are rows apart."""
    last_part = max(each.part for each in standing.rows)
    on = judge.today(row.rating)
    taker, stays, gone = _cut_off(row, quantity, last_part=last_part, at=judge.at, on=on)
    stays = replace(stays, holds=tuple(replace(hold, hold_id=None) for hold in row.holds))
    judge.decision.rated += [taker, stays, gone]
    judge.decision.opened += [HoldOpened(row.item, stays, hold) for hold in stays.holds]
    if not is_limited(row):
        judge.book.give_back(taker, row)
        judge.book.take(stays)
    if row.status is not EventStatus.RELEASED:
        judge.decision.cleared += [each.hold_id for each in row.holds if each.hold_id is not None]
        judge.decision.changed.append(moved(row, EventStatus.REVERSED))
    judge.decision.settled.append(Settlement(gone, ClaimKind.WRITE_OFF, on))
    return gone


def give_up_rest(judge: Judge, standing: Standing, row: Row, given_up: Decimal) -> Row:
    """Write off what credit notes left of a released row, of which they gave up the other part."""
    written = (each for each in judge.decision.rated if each.item == row.item)
    last_part = max(each.part for each in (*standing.rows, *written))
    on = judge.today(row.rating)
    rows = _rest_off(row, given_up, last_part=last_part, at=judge.at, on=on)
    taker, *off = rows
    judge.decision.rated += rows
    judge.decision.settled += [Settlement(each, ClaimKind.WRITE_OFF, on) for each in off]
    judge.book.give_back(taker, row)
    return rows[-1]


def take_up(judge: Judge, row: Row, holds: Sequence[OpenHold]) -> Row:
    """Let a row that was written off count again, held as people had held it before.

    One that had been released is so again; any other waits for the checkpoint, or for a limit that
    has no room for it any more.

    Raises:
        NoRoom: it had been released, and a limit has no room for it.
    """
    room = judge.book.room(row.rating, row.item)
    fits = room is None or row.amount.amount <= room
    left = None if room is None else Money(room, row.amount.currency)
    if row.released_by:
        if not fits:
            raise NoRoom(
                f"a limit has room for {left} of the {row.amount} of {row.billing_event_id}",
                advice="agree a higher limit first",
            )
        back = moved(row, EventStatus.RELEASED)
    else:
        again = list(holds)
        if not fits:
            words = f"a limit has room for {left} of it"
            again.append(OpenHold(HoldReason.LIMIT_EXCEEDED, words))
        back = moved(row, EventStatus.HELD if again else EventStatus.ELIGIBLE, tuple(again))
        judge.decision.opened += [HoldOpened(row.item, back, hold) for hold in again]
    if fits:
        judge.book.take(back)
    judge.decision.changed.append(back)
    judge.decision.settled.append(
        Settlement(back, ClaimKind.WRITE_OFF, judge.today(row.rating), gives_back=True)
    )
    return back


def withdraw(judge: Judge, row: Row, hold: OpenHold | None) -> None:
    """Take the release of a row back; it waits for a person again, held by `hold` if there is one.

    A row that was taken back meanwhile is released anew, for the two to meet where invoices are
    made; one that is not released any more stays where it is.
    """
    if row.status is not EventStatus.RELEASED:
        return
    if row.is_taken_back:
        judge.decision.changed.append(replace(row, version=row.version + 1))
        return
    back = replace(moved(row, EventStatus.ELIGIBLE), released_by="")
    if hold is not None:
        back = replace(back, status=EventStatus.HELD, holds=(hold,))
        judge.decision.opened.append(HoldOpened(row.item, back, hold))
    judge.decision.changed.append(back)


def _cut_off(
    row: Row, quantity: Decimal, *, last_part: int, at: datetime, on: date
) -> tuple[Row, Row, Row]:
    """Return the row that takes `row` back, what stays of it, and what is cut off.

    What stays is where `row` is, what is cut off is written off; the three sum to nothing new.
    """
    off, rest = cut(row.rating, portion_from(row), quantity)
    taker = mirror(row, row.item, part=last_part + 1, at=at, on=on, by=row.released_by)
    stays = apart(row, last_part + 2, rest, at=at, on=on)
    gone = apart(row, last_part + 3, off, at=at, on=on)
    return taker, stays, replace(gone, status=EventStatus.WRITTEN_OFF, released_by="", holds=())


def _rest_off(
    row: Row, given_up: Decimal, *, last_part: int, at: datetime, on: date
) -> tuple[Row, Row, Row, Row]:
    """Return the rows that write off what credit notes left of a released row.

    The first takes that rest back, where invoices are made; the next two move what was given up to
    a row of its own, and cancel each other; the last is the rest, written off.
    """
    parts = (last_part + 1, last_part + 2)
    taker, cancelled = mirror_apart(
        row, row.item, given_up, parts=parts, at=at, on=on, by=row.released_by
    )
    off, rest = cut(row.rating, portion_from(row), given_up)
    kept = apart(row, last_part + 3, off, at=at, on=on)
    gone = apart(row, last_part + 4, rest, at=at, on=on)
    return (
        taker,
        cancelled,
        replace(kept, status=EventStatus.WRITTEN_OFF, released_by=""),
        replace(gone, status=EventStatus.WRITTEN_OFF),
    )
