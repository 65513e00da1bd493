"""Decides what becomes of approved things: rated for the first time, or looked at again.

Both take a whole batch and the same few values; what they return is all that is written. Looking
at a thing again while the facts are the same decides nothing, so it may be done at any time.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from billing_event.domain.agreement import Facts
from billing_event.domain.hold import PERSONAL, TOLD, HoldId, HoldReason, OpenHold
from billing_event.domain.limit import LimitBook, fitting_quantity
from billing_event.domain.position import (
    BillingEventId,
    EventKind,
    EventStatus,
    Portion,
    Rating,
    Row,
    cut,
    live_rows,
    mirror,
    moved,
    row_id,
)
from billing_event.domain.rating import Covered, Priced, Rater, Share, Unratable
from billing_event.domain.release import BY_POLICY, Policies, passes
from billing_event.domain.source import AGREED, SourceItem, SourceItemId
from billing_event.domain.standing import Decision, HoldOpened, Reversal, Standing
from throughline_core.money import Money


class Judge:
    """Decides over the things of one batch, in their order, by one state of facts and limits."""

    def __init__(self, facts: Facts, book: LimitBook, policies: Policies, *, at: datetime) -> None:
        self.decision = Decision()
        self.book = book
        self._facts = facts
        self._rater = Rater(facts)
        self._policies = policies
        self._at = at
        self._days: dict[str, date] = {}

    @property
    def epoch(self) -> int:
        """The state of the facts everything is decided by."""
        return self._facts.epoch

    def decide_new(self, items: Iterable[SourceItem]) -> None:
        """Rate things for the first time; what is not billable stays a cost and gets no row."""
        for item in items:
            if item.is_billable:
                self._rate(item)

    def decide_again(
        self, standings: Iterable[Standing], *, dropping: Collection[HoldId] = ()
    ) -> None:
        """Look at things again, without the holds a person lets go by `dropping` them."""
        for standing in standings:
            if standing.rows:
                self._review(standing, dropping)
            else:
                self._retry(standing)

    def decide_reversals(self, reversals: Iterable[Reversal]) -> None:
        """Take things back: row by row at the rates frozen on them, or as never rated."""
        taken: set[SourceItemId] = set()
        for reversal in reversals:
            item, original = reversal.item, reversal.original
            if original is None or _is_taken_back(original, taken):
                if item.is_billable and not reversal.waits:
                    self.decision.opened.append(HoldOpened(item, None, _waits(reversal)))
                continue
            taken.add(original.item.source_item_id)
            self.decision.cleared += _ids(reversal.waits)
            rows = live_rows(original.rows)
            for part, row in enumerate(rows, start=1):
                self._take_back(row, item, part)
            if not rows:
                self._explain_unrated(item, original)

    def hold(self, row: Row, hold: OpenHold) -> None:
        """Put one more hold on a row that was not released."""
        held = moved(row, EventStatus.HELD, (*row.holds, hold))
        self.decision.changed.append(held)
        self.decision.opened.append(HoldOpened(row.item, held, hold))

    def release(self, rows: Iterable[Row], *, by: str) -> None:
        """Let eligible rows pass the checkpoint on a person's word."""
        self.decision.changed += [
            replace(moved(row, EventStatus.RELEASED), released_by=by) for row in rows
        ]

    def _take_back(self, row: Row, item: SourceItem, part: int) -> None:
        """Append the row of `item` that takes `row` back, and let that go no further."""
        mirrored = mirror(
            row, item, part=part, at=self._at, on=self._today(row.rating), by=BY_POLICY
        )
        self.decision.rated.append(mirrored)
        if not _is_limited(row):
            self.book.take(mirrored)
        if row.status is not EventStatus.RELEASED:
            self.decision.cleared += _ids(row.holds)
            self.decision.changed.append(moved(row, EventStatus.REVERSED))

    def _explain_unrated(self, item: SourceItem, original: Standing) -> None:
        """Say of two things that cancel each other why neither has a row."""
        self.decision.cleared += _ids(original.item_holds)
        if original.item_holds:
            taken = Covered(f"taken back by {item.source_item_id} before it was rated")
            self.decision.covered.append((original.item, taken))
        if item.is_billable:
            words = f"takes back {original.item.source_item_id}, which was not billed"
            self.decision.covered.append((item, Covered(words)))

    def _rate(self, item: SourceItem, *, after: int = 0) -> None:
        """Rate a thing; its rows are numbered on from `after`."""
        if item.type in AGREED and item.price is not None and item.price.is_zero:
            self.decision.covered.append((item, Covered("nothing of it is to be paid")))
            return
        outcome = self._rater.rate(item)
        if isinstance(outcome, Priced):
            for share in outcome.shares:
                after += self._append(item, share, after=after)
        elif isinstance(outcome, Unratable):
            self.decision.opened.append(HoldOpened(item, None, outcome.hold))
        else:
            self.decision.covered.append((item, outcome))

    def _append(self, item: SourceItem, share: Share, *, after: int) -> int:
        """Add the rows of a share, what is over a limit as one of its own; return how many."""
        rating, whole = share.rating, share.portion
        kind = EventKind.REVERSAL if item.minutes < 0 else EventKind.ORIGINAL
        fits = whole.quantity
        if self.book.limits(rating):
            fits = fitting_quantity(rating, whole, self.book.room(rating))
        if fits == whole.quantity:
            self._add(item, rating, after + 1, kind, whole, share.holds)
            return 1
        over = (*share.holds, _over_limit())
        if not fits:
            self._add(item, rating, after + 1, kind, whole, over)
            return 1
        under, rest = cut(whole, rating.unit_rate, fits)
        self._add(item, rating, after + 1, kind, under, share.holds)
        self._add(item, rating, after + 2, kind, rest, over)
        return 2

    def _add(
        self,
        item: SourceItem,
        rating: Rating,
        part: int,
        kind: EventKind,
        portion: Portion,
        holds: tuple[OpenHold, ...],
    ) -> None:
        amount = portion.amount
        is_free = not holds and passes(self._policies.get(rating.legal_entity_id), amount)
        row = Row(
            billing_event_id=row_id(item.source_item_id, part),
            item=item,
            rating=rating,
            part=part,
            kind=kind,
            quantity=portion.quantity,
            minutes=portion.minutes,
            amount=amount,
            rated_at=self._at,
            rated_on=self._today(rating),
            status=_status(holds, is_free=is_free),
            version=1,
            released_by=BY_POLICY if is_free else "",
            holds=holds,
        )
        self.decision.rated.append(row)
        if holds:
            self.decision.opened += [HoldOpened(item, row, hold) for hold in holds]
        if not (holds and _is_limited(row)):
            self.book.take(row)

    def _retry(self, standing: Standing) -> None:
        outcome = self._rater.rate(standing.item)
        if isinstance(outcome, Unratable) and _reasons(standing.item_holds) == {
            outcome.hold.reason
        }:
            return
        self.decision.cleared += _ids(standing.item_holds)
        self._rate(standing.item, after=max((row.part for row in standing.rows), default=0))

    def _review(self, standing: Standing, dropping: Collection[HoldId]) -> None:
        live = live_rows(standing.rows)
        if not live:
            if standing.item_holds:
                self._retry(standing)
            return
        if _is_restated(standing.item, live):
            self._restate(standing, live)
            return
        wanted = self._rater.holds(standing.item)
        freed = self._free(standing, live, wanted, dropping)
        ready: list[Row] = []
        for row in live:
            if row.status is EventStatus.RELEASED:
                continue
            is_freed = row.billing_event_id in freed
            holds = _holds_now(row, wanted, dropping, is_freed=is_freed)
            if set(holds) == set(row.holds):
                continue
            self._note(row, holds)
            if holds:
                self.decision.changed.append(moved(row, EventStatus.HELD, holds))
            else:
                ready.append(row)
        self._admit(ready)

    def _restate(self, standing: Standing, live: Sequence[Row]) -> None:
        """Take back what counted, and rate the thing anew as it is agreed now."""
        last = max(row.part for row in standing.rows)
        for part, row in enumerate(live, start=last + 1):
            self._take_back(row, standing.item, part)
        self._rate(standing.item, after=last + len(live))

    def _note(self, row: Row, holds: Sequence[OpenHold]) -> None:
        kept = set(_ids(holds))
        self.decision.cleared += [each for each in _ids(row.holds) if each not in kept]
        later = replace(row, version=row.version + 1)
        self.decision.opened += [
            HoldOpened(row.item, later, hold) for hold in holds if hold.hold_id is None
        ]

    def _admit(self, ready: Sequence[Row]) -> None:
        """Make rows eligible; by policy they pass at once, the rows of one thing together."""
        is_free = all(
            passes(self._policies.get(row.rating.legal_entity_id), row.amount) for row in ready
        )
        for row in ready:
            admitted = moved(row, _status((), is_free=is_free))
            self.decision.changed.append(
                replace(admitted, released_by=BY_POLICY if is_free else "")
            )

    def _free(
        self,
        standing: Standing,
        live: Sequence[Row],
        wanted: tuple[OpenHold, ...],
        dropping: Collection[HoldId],
    ) -> Collection[BillingEventId]:
        """Reserve for the rows that no limit stops any longer, and return which these are.

        Where only a part fits, the rows stay and two more say what moved: one takes the part off
        what is held, one bills it.
        """
        limited = [row for row in live if _is_limited(row)]
        if not limited or any(_is_personal(row, dropping) for row in limited):
            return ()
        rating, whole = limited[0].rating, _sum(limited)
        fits = fitting_quantity(rating, whole, self.book.room(rating))
        if fits == whole.quantity:
            for row in limited:
                self.book.take(row)
            return {row.billing_event_id for row in limited}
        if fits:
            moving, _ = cut(whole, rating.unit_rate, fits)
            item, part = standing.item, 1 + max(row.part for row in standing.rows)
            kind, over = EventKind.ADJUSTMENT, (*wanted, _over_limit())
            self._add(item, rating, part, kind, _negative(moving), over)
            self._add(item, rating, part + 1, kind, moving, wanted)
        return ()

    def _today(self, rating: Rating) -> date:
        zone = self._facts.agreements[rating.contract_id].newest.time_zone
        if zone not in self._days:
            self._days[zone] = self._at.astimezone(ZoneInfo(zone)).date()
        return self._days[zone]


def _status(holds: Collection[OpenHold], *, is_free: bool) -> EventStatus:
    if holds:
        return EventStatus.HELD
    return EventStatus.RELEASED if is_free else EventStatus.ELIGIBLE


def _over_limit() -> OpenHold:
    return OpenHold(HoldReason.LIMIT_EXCEEDED, "the part over the agreed not-to-exceed")


def _holds_now(
    row: Row,
    wanted: Iterable[OpenHold],
    dropping: Collection[HoldId],
    *,
    is_freed: bool,
) -> tuple[OpenHold, ...]:
    """Return the holds a row has by the facts, keeping what facts do not decide."""
    present = {hold.reason: hold for hold in row.holds}
    kept = [
        hold
        for hold in row.holds
        if (hold.reason in PERSONAL and hold.hold_id not in dropping)
        or (hold.reason is HoldReason.LIMIT_EXCEEDED and not is_freed)
    ]
    return (*kept, *(_present_or_new(present.get(hold.reason), hold) for hold in wanted))


def _present_or_new(present: OpenHold | None, wanted: OpenHold) -> OpenHold:
    if present is None or (wanted.reason in TOLD and wanted.detail != present.detail):
        return wanted
    return present


def _is_restated(item: SourceItem, live: Sequence[Row]) -> bool:
    """Whether the rows of an agreed amount are no longer what is agreed, or no longer released.

    Time and expenses do not change after approval: they are taken back and entered anew.
    """
    if item.type not in AGREED or item.price is None:
        return False
    if not item.is_accepted and any(row.status is EventStatus.RELEASED for row in live):
        return True
    return _sum(live).amount != item.price


def _is_taken_back(original: Standing, taken: Collection[SourceItemId]) -> bool:
    if original.item.source_item_id in taken:
        return True
    return bool(original.rows) and not live_rows(original.rows)


def _waits(reversal: Reversal) -> OpenHold:
    item_id = reversal.item.reverses_item_id
    why = "has not arrived" if reversal.original is None else "was taken back by another before"
    return OpenHold(HoldReason.SOURCE_CHANGED, f"takes back {item_id}, which {why}")


def _is_limited(row: Row) -> bool:
    return any(hold.reason is HoldReason.LIMIT_EXCEEDED for hold in row.holds)


def _is_personal(row: Row, dropping: Collection[HoldId]) -> bool:
    return any(hold.reason in PERSONAL and hold.hold_id not in dropping for hold in row.holds)


def _reasons(holds: Iterable[OpenHold]) -> set[HoldReason]:
    return {hold.reason for hold in holds}


def _ids(holds: Iterable[OpenHold]) -> list[HoldId]:
    return [hold.hold_id for hold in holds if hold.hold_id is not None]


def _sum(rows: Sequence[Row]) -> Portion:
    return Portion(
        sum((row.quantity for row in rows), Decimal(0)),
        sum(row.minutes for row in rows),
        Money.total((row.amount for row in rows), rows[0].amount.currency),
    )


def _negative(portion: Portion) -> Portion:
    return Portion(-portion.quantity, -portion.minutes, -portion.amount)
