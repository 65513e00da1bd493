"""Whatever is drawn, given back, ended and moved, hours and money of retainers are conserved."""

from collections import Counter
from copy import deepcopy
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import count

from billing_event_builders import (
    HOURS,
    TERM,
    a_judge,
    a_line,
    an_agreement,
    an_id,
    an_item,
    eur,
    some_facts,
    some_terms,
)
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from billing_event.domain.limit import LimitBook
from billing_event.domain.position import BillingEventId, EventStatus, Row, live_rows
from billing_event.domain.recurring import plan
from billing_event.domain.retainer import (
    Block,
    PeriodStatus,
    RetainerPeriod,
    RetainerPeriodId,
    blocks_of,
)
from billing_event.domain.retainer_book import RetainerBook
from billing_event.domain.retainer_movement import Lapsed
from billing_event.domain.retainer_plan import Replan, replan
from billing_event.domain.source import SourceItem, SourceItemId
from billing_event.domain.standing import Reversal, Standing
from billing_event.domain.terms import BillingModel, Overage, RetainerTerms, RollOver
from throughline_core.money import Money
from throughline_testing.drill import in_drill

ZERO = Decimal(0)
ENDED = (PeriodStatus.CLOSED, PeriodStatus.VOID)


class RetainerMachine(RuleBasedStateMachine):
    """A year of one retainer by the month; beside it only what was bought and what was worked."""

    @initialize(
        hours=st.sampled_from([None, "7", "20", "13.37"]),
        price=st.sampled_from(["1000.00", "999.99", "3000.00"]),
        roll_over=st.sampled_from(RollOver),
        percent=st.sampled_from([0, 33, 50, 100]),
        expires=st.integers(0, 3),
        overage=st.sampled_from(Overage),
    )
    def sign(
        self,
        hours: str | None,
        price: str,
        roll_over: RollOver,
        percent: int,
        expires: int,
        overage: Overage,
    ) -> None:
        self.terms = RetainerTerms(
            None if hours is None else Decimal(hours),
            roll_over,
            Decimal(percent),
            expires,
            overage,
            None,
        )
        self.line = a_line(
            billing_model=BillingModel.RETAINER, retainer=self.terms, unit_price=eur(price)
        )
        self.facts = some_facts(some_terms(self.line))
        self.ended_on = TERM.end
        self.periods = [RetainerPeriod(block, self.terms) for block in self.blocks(TERM.end)]
        self.day = TERM.start
        self.numbers = count(1)
        self.items: list[SourceItem] = []
        self.rows: dict[BillingEventId, Row] = {}
        self.origins: dict[BillingEventId, RetainerPeriodId] = {}
        self.gone: set[SourceItemId] = set()
        self.added: dict[RetainerPeriodId, list[tuple[Decimal, Money]]] = {}
        self.lapses: dict[tuple[RetainerPeriodId, RetainerPeriodId], Lapsed] = {}
        self.lapsed = ZERO
        self.gave_back_late = False

    def blocks(self, ended_on: date) -> list[Block]:
        line = self.line if ended_on == TERM.end else replace(self.line, ended_on=ended_on)
        agreement = an_agreement(some_terms(line))
        return blocks_of(agreement, plan(agreement))

    def book(self) -> RetainerBook:
        return RetainerBook(self.periods, self.origins, self.lapses)

    def keep(self, book: RetainerBook) -> None:
        self.lapsed += sum(book.lapsed.values(), ZERO)
        for movement in book.movements:
            if movement.kind == "draw" and movement.billing_event_id is not None:
                self.origins[movement.billing_event_id] = movement.origin_period_id
            elif movement.kind == "lapse":
                of = movement.retainer_period_id, movement.origin_period_id
                lost = self.lapses.get(of, Lapsed())
                quantity, value = lost.quantity - movement.quantity, lost.value - movement.value
                self.lapses[of] = Lapsed(quantity, value)

    def judged(self, decide: str, *args: object) -> None:
        book = LimitBook(retainers=self.book())
        judge = a_judge(self.facts, book, threshold="100000.00")
        judge.at = judge.at.replace(year=self.day.year, month=self.day.month, day=self.day.day)
        getattr(judge, decide)(*args)
        for row in (*judge.decision.rated, *judge.decision.changed):
            self.rows[row.billing_event_id] = row
        for row in judge.decision.rated:
            if row.reverses is not None:
                self.rows[row.reverses] = replace(self.rows[row.reverses], is_taken_back=True)
        self.keep(book.retainers)
        if book.given_back:
            self.look_again()

    def rows_of(self, item: SourceItem) -> tuple[Row, ...]:
        return tuple(row for row in self.rows.values() if row.item is item)

    def look_again(self) -> None:
        standings = [Standing(item, self.rows_of(item)) for item in self.items]
        self.judged("decide_again", [each for each in standings if each.rows])

    @rule(minutes=st.integers(1, 900), days_ago=st.integers(0, 45))
    def work(self, minutes: int, days_ago: int) -> None:
        day = min(self.day - timedelta(days=days_ago), self.ended_on - timedelta(days=1))
        if day < TERM.start:
            return
        item = an_item(
            source_item_id=SourceItemId(an_id(f"15{next(self.numbers):06x}")),
            minutes=minutes,
            service_from=day,
            service_to=day + timedelta(days=1),
        )
        self.items.append(item)
        self.judged("decide_new", [item])

    @rule(number=st.integers(0, 30))
    def take_back(self, number: int) -> None:
        whole = [each for each in self.items if each.source_item_id not in self.gone]
        whole = [each for each in whole if each.reverses_item_id is None]
        if not whole:
            return
        original = whole[number % len(whole)]
        taker = replace(
            original,
            source_item_id=SourceItemId(an_id(f"16{next(self.numbers):06x}")),
            minutes=-original.minutes,
            reverses_item_id=original.source_item_id,
        )
        self.items.append(taker)
        self.gone |= {original.source_item_id, taker.source_item_id}
        standing = Standing(original, self.rows_of(original))
        over = {each.retainer_period_id for each in self.periods if each.status in ENDED}
        self.gave_back_late |= any(row.retainer_period_id in over for row in standing.rows)
        self.judged("decide_reversals", [Reversal(taker, (), standing)])

    @rule(days=st.integers(1, 70))
    def let_time_pass(self, days: int) -> None:
        self.day = min(self.day + timedelta(days=days), date(2027, 8, 31))
        book = self.book()
        for _ in range(2):
            book.turn(HOURS, self.day)
        self.keep(book)

    @rule(hours=st.integers(1, 10), each=st.integers(0, 200), number=st.integers(0, 30))
    def top_up(self, hours: int, each: int, number: int) -> None:
        able = [p for p in self.periods if p.status in (PeriodStatus.OPEN, PeriodStatus.PLANNED)]
        if able:
            period = able[number % len(able)]
            quantity = Decimal(hours if self.terms.hours else each * hours + 1)
            price = eur(each * hours) if self.terms.hours else eur(str(quantity))
            book = self.book()
            book.top_up(period, quantity, price)
            self.added.setdefault(period.retainer_period_id, []).append((quantity, price))
            self.keep(book)
            self.look_again()

    @rule(days=st.none() | st.integers(-60, 120))
    def move_the_end(self, days: int | None) -> None:
        self.ended_on = TERM.end
        if days is not None:
            self.ended_on = min(max(self.day + timedelta(days=days), TERM.start), TERM.end)
        before = deepcopy((self.periods, self.lapses, self.lapsed))
        self._end(date(2026, 10, 17))
        self._end(self.ended_on)
        around = self.figures()
        self.periods, self.lapses, self.lapsed = before
        self._end(self.ended_on)
        # What comes back after an end finds the room that others left, not the one there was.
        if not self.gave_back_late:
            assert self.figures() == around, "where an end was before does not count"
        book = self._ended(self.ended_on)
        assert not book.movements, "nothing moves a second time"
        self.look_again()

    def _end(self, ended_on: date) -> None:
        book = self._ended(ended_on)
        book.turn(HOURS, self.day)
        self.keep(book)

    def _ended(self, ended_on: date) -> RetainerBook:
        """Bring the periods to an end, as it is done with those that are kept."""
        blocks = {each.retainer_period_id: each for each in self.blocks(ended_on)}
        known = {each.retainer_period_id for each in self.periods}
        for period in list(self.periods):
            if period.status is PeriodStatus.PLANNED and period.retainer_period_id in blocks:
                period.block = blocks[period.retainer_period_id]
            elif self._is_unused(period) and period.retainer_period_id not in blocks:
                self.periods.remove(period)
        new = [each for each in blocks if each not in known]
        self.periods += [RetainerPeriod(blocks[each], self.terms) for each in new]
        book = self.book()
        replan(book, HOURS, Replan(blocks, added=self.added, new=new))
        return book

    def _is_unused(self, period: RetainerPeriod) -> bool:
        is_planned = period.status is PeriodStatus.PLANNED and not period.buckets
        return is_planned and period.retainer_period_id not in self.added

    def figures(self) -> dict[date, tuple[Decimal, ...]]:
        """Return what was granted, carried, drawn and lapsed of the periods that have begun."""
        found = {
            each.block.service.start: (
                each.granted,
                each.carried_in,
                each.drawn,
                each.carried_out,
                each.lapsed,
                each.overdrawn,
            )
            for each in self.periods
            if each.block.service.start <= self.day
        }
        return {start: figures for start, figures in found.items() if any(figures)}

    @invariant()
    def each_period_adds_up_and_none_is_below_zero(self) -> None:
        for each in self.periods:
            assert each.granted + each.carried_in == (
                each.drawn + each.carried_out + each.lapsed + each.balance
            )
            for bucket in each.buckets.values():
                assert bucket.quantity >= 0
                assert bucket.value >= 0
            is_begun = each.status is not PeriodStatus.PLANNED
            is_void = each.status is PeriodStatus.VOID
            added = self.added.get(each.retainer_period_id, ())
            assert each.granted - each.overdrawn == (
                (each.block.quantity if is_begun else ZERO)
                + (ZERO if is_void else sum((quantity for quantity, _ in added), ZERO))
            )
            own = each.buckets.get(each.retainer_period_id)
            assert not (own and own.quantity and each.overdrawn)
            if each.status in ENDED:
                assert each.balance == 0
        carried = Counter[str]()
        for each in self.periods:
            carried["out"] += each.carried_out  # type: ignore[assignment]  # decimals
            carried["in"] += each.carried_in  # type: ignore[assignment]  # decimals
        assert carried["out"] == carried["in"]

    @invariant()
    def what_was_paid_is_drawn_left_or_lapsed(self) -> None:
        begun = [each for each in self.periods if each.status is not PeriodStatus.PLANNED]
        paid = sum((each.block.price.amount for each in begun), ZERO)
        for each in self.periods:
            if each.status is not PeriodStatus.VOID:
                added = self.added.get(each.retainer_period_id, ())
                paid += sum((price.amount for _, price in added), ZERO)
        left = sum((b.value for each in self.periods for b in each.buckets.values()), ZERO)
        left -= sum((each.overdrawn_value for each in self.periods), ZERO)
        drawn = [row for row in self.rows.values() if row.retainer_period_id is not None]
        assert paid == sum((row.amount.amount for row in drawn), left + self.lapsed)

    @invariant()
    def all_work_is_drawn_billed_or_waits(self) -> None:
        for item in self.items:
            live = live_rows(self.rows_of(item))
            if item.source_item_id in self.gone:
                assert not live
                continue
            assert sum(row.minutes for row in live) == item.minutes
            for row in live:
                is_drawn = row.retainer_period_id is not None
                waits = row.status is EventStatus.HELD
                assert is_drawn or waits or row.rating.treatment == "invoiced"
                assert abs(row.amount.amount - row.quantity * row.rating.unit_rate.amount) <= (
                    Decimal("0.000001") * max(abs(row.quantity), Decimal(1))
                )


RetainerMachine.TestCase.settings = settings(
    max_examples=in_drill(2_000, otherwise=30),
    stateful_step_count=in_drill(40, otherwise=25),
    deadline=None,
)
TestRetainers = RetainerMachine.TestCase
