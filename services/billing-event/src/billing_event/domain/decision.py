"""Decides what becomes of approved things: rated for the first time, or looked at again.

Both take a whole batch and the same few values; what they return is all that is written. Looking
at a thing again while the facts are the same decides nothing, so it may be done at any time.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from billing_event.domain.agreement import Facts
from billing_event.domain.claim import ClaimKind
from billing_event.domain.drawing import Drawing, DrawnPart, is_undrawn, parts_of
from billing_event.domain.hold import HoldId, OpenHold
from billing_event.domain.limit import LimitBook
from billing_event.domain.moving import follows_payer
from billing_event.domain.payer import is_unsplit
from billing_event.domain.position import (
    BillingEventId,
    EventKind,
    EventStatus,
    Portion,
    Rating,
    Row,
    less,
    live_rows,
    mirror,
    mirror_apart,
    moved,
    rated_at,
    row_id,
)
from billing_event.domain.rating import Covered, Outcome, Priced, Rater, Share, Unratable
from billing_event.domain.release import BY_POLICY, Policies, passes
from billing_event.domain.restating import restated, still_given_up
from billing_event.domain.retainer_movement import Drawn
from billing_event.domain.review import (
    by_payer,
    has_taken,
    holds_now,
    ids_of,
    is_due,
    is_limited,
    is_news,
    is_personal,
    is_restated,
    is_taken_back,
    negative,
    sum_of,
    waits_of,
)
from billing_event.domain.source import AGREED, ContractId, CustomerId, SourceItem, SourceItemId
from billing_event.domain.standing import Decision, HoldOpened, Reversal, Settlement, Standing
from throughline_core.money import Money

_SETTLED: Final = (EventStatus.RELEASED, EventStatus.WRITTEN_OFF)


class Judge:
    """Decides over the things of one batch, in their order, by one state of facts and limits."""

    def __init__(self, facts: Facts, book: LimitBook, policies: Policies, *, at: datetime) -> None:
        self.decision = Decision()
        self.book = book
        self._facts = facts
        self._rater = Rater(facts, book)
        self._policies = policies
        self.at = at
        self._days: dict[str, date] = {}

    @property
    def epoch(self) -> int:
        """The state of the facts everything is decided by."""
        return self._facts.epoch

    def knows(self, contract_id: ContractId) -> bool:
        """Whether a contract is among those it decides by, the limits of which are locked."""
        return contract_id in self._facts.agreements

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
            if original is None or is_taken_back(original, taken):
                if item.is_billable and not reversal.waits:
                    self.decision.opened.append(HoldOpened(item, None, waits_of(reversal)))
                continue
            taken.add(original.item.source_item_id)
            self.decision.cleared += ids_of(reversal.waits)
            rows, last = live_rows(original.rows), 0
            for row in rows:
                last = self._take_back_left(row, item, original.given_up, after=last)
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
        mirrored = mirror(row, item, part=part, at=self.at, on=self.today(row.rating), by=BY_POLICY)
        self.decision.rated.append(mirrored)
        if has_taken(row):
            self.book.give_back(mirrored, row)
        if row.status is EventStatus.WRITTEN_OFF:
            self.decision.settled.append(
                Settlement(mirrored, ClaimKind.WRITE_OFF, mirrored.rated_on)
            )
        elif row.retainer_period_id is not None:
            self.book.retainers.turn(row.rating.contract_line_id, mirrored.rated_on)
            self.book.retainers.give_back(mirrored, row)
            self.book.given_back.add(row.rating.contract_id)
            self.decision.settled.append(
                Settlement(mirrored, ClaimKind.RETAINER, mirrored.rated_on)
            )
        elif row.status is not EventStatus.RELEASED:
            self.decision.cleared += ids_of(row.holds)
            self.decision.changed.append(moved(row, EventStatus.REVERSED))

    def _take_back_left(
        self, row: Row, item: SourceItem, given_up: Mapping[BillingEventId, Decimal], *, after: int
    ) -> int:
        """Take back what credit notes did not give up of a row; return the last row added."""
        gone = given_up.get(row.billing_event_id)
        if gone is None:
            self._take_back(row, item, after + 1)
        elif gone == row.quantity:
            self._take_back(replace(row, status=EventStatus.WRITTEN_OFF), item, after + 1)
        else:
            self._take_back_rest(row, item, (after + 1, after + 2), gone)
            return after + 2
        return after + 1

    def _take_back_rest(
        self, row: Row, item: SourceItem, parts: tuple[int, int], given_up: Decimal
    ) -> None:
        """Take a released row back of which credit notes gave a part up.

        That part was credited: its mirror is written off, and only the rest goes to invoicing.
        """
        on = self.today(row.rating)
        rest, gone = mirror_apart(row, item, given_up, parts=parts, at=self.at, on=on, by=BY_POLICY)
        self.decision.rated += [rest, gone]
        self.book.give_back(rest, row)
        self.decision.settled.append(Settlement(gone, ClaimKind.WRITE_OFF, on))

    def _explain_unrated(self, item: SourceItem, original: Standing) -> None:
        """Say of two things that cancel each other why neither has a row."""
        self.decision.cleared += ids_of(original.item_holds)
        if original.item_holds:
            taken = Covered(f"taken back by {item.source_item_id} before it was rated")
            self.decision.covered.append((original.item, taken))
        if item.is_billable:
            words = f"takes back {original.item.source_item_id}, which was not billed"
            self.decision.covered.append((item, Covered(words)))

    def _rate(self, item: SourceItem, *, after: int = 0) -> None:
        """Rate a thing; its rows are numbered on from `after`."""
        self._post(item, self._price(item), after=after)

    def _price(self, item: SourceItem) -> Outcome:
        if item.price is not None and item.price.is_zero and item.type in AGREED:
            return Covered("nothing of it is to be paid")
        return self._rater.rate(item)

    def _post(self, item: SourceItem, outcome: Outcome, *, after: int) -> None:
        if isinstance(outcome, Priced):
            for share in outcome.shares:
                after += self._append(item, share, after=after)
        elif isinstance(outcome, Drawing):
            self._draw(item, outcome, after=after)
        elif isinstance(outcome, Unratable):
            self.decision.opened.append(HoldOpened(item, None, outcome.hold))
        else:
            self.decision.covered.append((item, outcome))

    def _draw(self, item: SourceItem, drawing: Drawing, *, after: int) -> int:
        """Add the rows a retainer pays for, then those of what is beyond it; return the last."""
        parts, beyond = self._drawn(item, drawing)
        if isinstance(beyond, Unratable):
            self.decision.opened.append(HoldOpened(item, None, beyond.hold))
            return after
        last = after
        for part in parts:
            last += 1
            rating, portion = part.rating, part.portion
            self._add(item, rating, last, EventKind.ORIGINAL, portion, (), drawn=part.drawn)
        for share in beyond.shares:
            last += self._append(item, share, after=last)
        return last

    def _drawn(
        self, item: SourceItem, drawing: Drawing
    ) -> tuple[Sequence[DrawnPart], Priced | Unratable]:
        rating = drawing.rating
        self.book.retainers.turn(rating.contract_line_id, self.today(rating))
        parts, rest = parts_of(item, drawing, self.book.retainers)
        return parts, Priced(()) if rest is None else self._rater.beyond(item, drawing, rest)

    def _draw_again(
        self, standing: Standing, live: Sequence[Row], dropping: Collection[HoldId]
    ) -> bool:
        """Rate anew what a retainer had nothing left for, if it has now; say whether it did.

        At the price it waited with: a draw is worth what its block was paid, and what goes on
        waiting is not priced anew by terms that changed meanwhile.
        """
        waiting = [row for row in live if is_undrawn(row)]
        if not waiting or any(is_personal(row, dropping) for row in waiting):
            return False
        outcome = self._rater.rate(standing.item)
        if not isinstance(outcome, Drawing):
            return False
        last = first = max(row.part for row in standing.rows)
        for rows in by_payer(waiting):
            drawing = replace(outcome, rating=rows[0].rating, whole=sum_of(rows))
            parts, beyond = self._drawn(standing.item, drawing)
            if isinstance(beyond, Unratable) or (not parts and drawing.is_held_beyond):
                continue
            for row in rows:
                last += 1
                self._take_back(row, standing.item, last)
            last = self._draw(standing.item, drawing, after=last)
        return last > first

    def _append(self, item: SourceItem, share: Share, *, after: int) -> int:
        """Add the rows of a share, what is over a limit as one of its own; return how many."""
        rating, whole = share.rating, share.portion
        kind = EventKind.REVERSAL if item.minutes < 0 else EventKind.ORIGINAL
        fits, stop = self.book.fit(item, rating, whole)
        if stop is None:
            self._add(item, rating, after + 1, kind, whole, share.holds)
            return 1
        over = (*share.holds, stop)
        if fits is None:
            self._add(item, rating, after + 1, kind, whole, over)
            return 1
        self._add(item, rating, after + 1, kind, fits, share.holds)
        self._add(item, rating, after + 2, kind, less(rating, whole, fits), over)
        return 2

    def _add(
        self,
        item: SourceItem,
        rating: Rating,
        part: int,
        kind: EventKind,
        portion: Portion,
        holds: tuple[OpenHold, ...],
        *,
        drawn: Drawn | None = None,
    ) -> None:
        amount = portion.amount
        today = self.today(rating)
        is_free = not holds and (drawn is not None or self._passes(rating, item, amount, today))
        row = Row(
            billing_event_id=row_id(item.source_item_id, part),
            item=item,
            rating=rated_at(rating, portion),
            part=part,
            kind=kind,
            quantity=portion.quantity,
            minutes=portion.minutes,
            amount=amount,
            rated_at=self.at,
            rated_on=today,
            status=_status(holds, is_free=is_free),
            version=1,
            released_by=BY_POLICY if is_free else "",
            holds=holds,
            retainer_period_id=None if drawn is None else drawn.period.retainer_period_id,
        )
        self.decision.rated.append(row)
        if drawn is not None:
            self.book.retainers.take(drawn, row)
            self.decision.settled.append(Settlement(row, ClaimKind.RETAINER, today))
        if holds:
            self.decision.opened += [HoldOpened(item, row, hold) for hold in holds]
        if not (holds and is_limited(row)):
            self.book.take(row)

    def _retry(self, standing: Standing) -> None:
        outcome = self._rater.rate(standing.item)
        if isinstance(outcome, Unratable) and standing.item_holds:
            hold = outcome.hold
            if not any(is_news(present, hold) for present in standing.item_holds):
                return
        self.decision.cleared += ids_of(standing.item_holds)
        self._rate(standing.item, after=max((row.part for row in standing.rows), default=0))

    def _review(self, standing: Standing, dropping: Collection[HoldId]) -> None:
        live = live_rows(standing.rows)
        if not live:
            if standing.item_holds or is_due(standing):
                self._retry(standing)
            return
        is_anew = is_restated(standing.item, live) or self._is_unsplit(live)
        if is_anew or self._follows_payer(standing.item, live):
            self._restate(standing, live, dropping)
            return
        if self._draw_again(standing, live, dropping):
            return
        payers = {row.rating.bill_to_customer_id for row in live}
        wanted = {payer: self._rater.holds(standing.item, payer) for payer in payers}
        freed = self._free(standing, live, wanted, dropping)
        ready: list[Row] = []
        for row in live:
            if row.status in _SETTLED:
                continue
            is_freed = row.billing_event_id in freed
            by_facts = wanted[row.rating.bill_to_customer_id]
            holds = holds_now(row, by_facts, dropping, is_freed=is_freed)
            if set(holds) == set(row.holds):
                continue
            self._note(row, holds)
            if holds:
                self.decision.changed.append(moved(row, EventStatus.HELD, holds))
            else:
                ready.append(row)
        self._admit(ready)

    def _is_unsplit(self, live: Iterable[Row]) -> bool:
        agreements = self._facts.agreements
        return any(is_unsplit(row, agreements[row.rating.contract_id]) for row in live)

    def _follows_payer(self, item: SourceItem, live: Sequence[Row]) -> bool:
        agreement = self._facts.agreements[live[0].rating.contract_id]
        return follows_payer(item, live, agreement, self._rater)

    def _restate(
        self, standing: Standing, live: Sequence[Row], dropping: Collection[HoldId]
    ) -> None:
        """Take back what counted, and rate the thing anew as it is agreed now.

        What was given up of it is not billed again, as far as the thing is still worth that.
        """
        item, last = standing.item, max(row.part for row in standing.rows)
        for row in live:
            if row.status is not EventStatus.WRITTEN_OFF:
                last = self._take_back_left(row, item, standing.given_up, after=last)
        outcome = self._price(item)
        shares = outcome.shares if isinstance(outcome, Priced) else ()
        anew = restated(live, standing.given_up, shares)
        for row in live:
            if row.status is EventStatus.WRITTEN_OFF and row not in anew.kept:
                last += 1
                self._take_back(row, item, last)
        for rating, amount in anew.given_up:
            last += 1
            on = self.today(rating)
            gone = still_given_up(live[0], rating, amount, part=last, at=self.at, on=on)
            self.decision.rated.append(gone)
            self.decision.settled.append(Settlement(gone, ClaimKind.WRITE_OFF, on))
        first_new = len(self.decision.rated)
        self._post(item, Priced(anew.billed) if shares else outcome, after=last)
        self.decision.carry_over(live, first_new, dropping=dropping)

    def _note(self, row: Row, holds: Sequence[OpenHold]) -> None:
        kept = set(ids_of(holds))
        self.decision.cleared += [each for each in ids_of(row.holds) if each not in kept]
        later = replace(row, version=row.version + 1)
        self.decision.opened += [
            HoldOpened(row.item, later, hold) for hold in holds if hold.hold_id is None
        ]

    def _admit(self, ready: Sequence[Row]) -> None:
        """Make rows eligible; by policy they pass at once, the rows of one thing together."""
        is_free = all(
            self._passes(row.rating, row.item, row.amount, self.today(row.rating)) for row in ready
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
        wanted: Mapping[CustomerId, tuple[OpenHold, ...]],
        dropping: Collection[HoldId],
    ) -> Collection[BillingEventId]:
        """Reserve for the rows that no limit stops any longer, and return which these are.

        Where only a part fits, the rows stay and two more say what moved: one takes the part off
        what is held, one bills it.
        """
        limited = [row for row in live if is_limited(row) and not is_undrawn(row)]
        if not limited or any(is_personal(row, dropping) for row in limited):
            return ()
        freed: set[BillingEventId] = set()
        last = max(row.part for row in standing.rows)
        for rows in by_payer(limited):
            rating, whole = rows[0].rating, sum_of(rows)
            fits, stop = self.book.fit(standing.item, rating, whole)
            if stop is None:
                for row in rows:
                    self.book.take(row)
                    freed.add(row.billing_event_id)
            elif fits is not None:
                kind, by_facts = EventKind.ADJUSTMENT, wanted[rating.bill_to_customer_id]
                over = (*by_facts, stop)
                self._add(standing.item, rating, last + 1, kind, negative(fits), over)
                self._add(standing.item, rating, last + 2, kind, fits, by_facts)
                last += 2
        return freed

    def _passes(self, rating: Rating, item: SourceItem, amount: Money, today: date) -> bool:
        policy = self._policies.get(rating.legal_entity_id)
        return passes(policy, rating, item, amount, on=today)

    def today(self, rating: Rating) -> date:
        """Return the civil day of the decision in the zone of a row's contract."""
        zone = self._facts.agreements[rating.contract_id].newest.time_zone
        if zone not in self._days:
            self._days[zone] = self.at.astimezone(ZoneInfo(zone)).date()
        return self._days[zone]


def _status(holds: Collection[OpenHold], *, is_free: bool) -> EventStatus:
    if holds:
        return EventStatus.HELD
    return EventStatus.RELEASED if is_free else EventStatus.ELIGIBLE
