"""Whatever happens in whatever order, the ledger agrees with a reference of plain sums."""

from dataclasses import replace
from decimal import Decimal
from itertools import count

from billing_event_builders import (
    ENTITY,
    HOURS,
    NOW,
    a_book,
    a_card,
    a_customer,
    a_line,
    an_entry,
    an_id,
    an_item,
    eur,
    some_facts,
    some_terms,
)
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from billing_event.domain.decision import Judge
from billing_event.domain.hold import PERSONAL, HoldId, HoldReason, OpenHold
from billing_event.domain.position import BillingEventId, EventStatus, Row
from billing_event.domain.release import ReleasePolicy
from billing_event.domain.source import SourceItem, SourceItemId
from billing_event.domain.standing import Reversal, Standing
from throughline_core.quantity import billed_hours

FINAL = (EventStatus.RELEASED, EventStatus.REVERSED)
RATES = {"consultant": Decimal(100), "architect": Decimal("133.37")}


class LedgerMachine(RuleBasedStateMachine):
    """Keeps what decisions would write, and beside it only what was approved and agreed."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = count(1)
        self.items: dict[SourceItemId, SourceItem] = {}
        self.rows: dict[BillingEventId, Row] = {}
        self.unrated: dict[SourceItemId, OpenHold] = {}
        self.cancelled: set[SourceItemId] = set()
        self.taken = Decimal(0)
        self.agreed = Decimal(0)
        self.is_published = False
        self.is_on_hold = False

    @initialize(agreed=st.integers(0, 3000), threshold=st.sampled_from([0, 400, 5000]))
    def sign(self, agreed: int, threshold: int) -> None:
        self.agreed = Decimal(agreed)
        self.policy = ReleasePolicy(ENTITY, 1, eur(threshold), "user:finance", NOW)

    @property
    def enforced(self) -> Decimal:
        return max(self.agreed, self.taken)

    def judge(self) -> Judge:
        cards = [a_card(an_entry("133.37", role="architect"))] if self.is_published else []
        customer = a_customer(is_on_credit_hold=self.is_on_hold)
        facts = some_facts(some_terms(a_line()), cards=cards, customer=customer)
        book = a_book((HOURS, str(self.enforced - self.taken)))
        return Judge(facts, book, {ENTITY: self.policy}, at=NOW)

    def write(self, judge: Judge) -> None:
        decision = judge.decision
        for row in (*decision.rated, *decision.changed):
            known = self.rows.get(row.billing_event_id)
            assert (row.version == 1) if known is None else (row.version == known.version + 1)
            holds = tuple(replace(hold, hold_id=self.new_id()) for hold in row.holds)
            self.rows[row.billing_event_id] = replace(row, holds=holds)
        for row in decision.rated:
            if row.reverses is not None:
                gone = self.rows[row.reverses]
                assert not gone.is_taken_back
                self.rows[row.reverses] = replace(gone, is_taken_back=True)
        for opened in decision.opened:
            if opened.row is None:
                hold = replace(opened.hold, hold_id=self.new_id())
                self.unrated[opened.item.source_item_id] = hold
        for row in decision.rated:
            self.unrated.pop(row.item.source_item_id, None)
        for item, _ in decision.covered:
            self.unrated.pop(item.source_item_id, None)
        self.taken += sum((each.amount for each in judge.book.reservations), Decimal(0))

    def new_id(self) -> HoldId:
        return HoldId(an_id(f"{next(self.numbers):x}"))

    def standing_of(self, item: SourceItem) -> Standing:
        rows = [row for row in self.rows.values() if row.item is item]
        hold = self.unrated.get(item.source_item_id)
        return Standing(item, tuple(rows), (hold,) if hold else ())

    def standings(self) -> list[Standing]:
        """Return what is looked at again: a thing without row and hold never is."""
        found = map(self.standing_of, self.items.values())
        return [standing for standing in found if standing.rows or standing.item_holds]

    def look_again(self) -> None:
        judge = self.judge()
        judge.decide_again(self.standings())
        self.write(judge)
        if judge.book.given_back:
            self.look_again()

    @rule(minutes=st.integers(-300, 600).filter(bool), role=st.sampled_from(sorted(RATES)))
    def approve(self, minutes: int, role: str) -> None:
        number = SourceItemId(an_id(f"15{next(self.numbers):06x}"))
        item = an_item(source_item_id=number, minutes=minutes, role=role)
        self.items[number] = item
        judge = self.judge()
        judge.decide_new([item])
        self.write(judge)
        if judge.book.given_back:
            self.look_again()

    @rule(number=st.integers(0, 40))
    def take_back(self, number: int) -> None:
        whole = [
            item
            for item in self.items.values()
            if item.source_item_id not in self.cancelled and item.reverses_item_id is None
        ]
        if not whole:
            return
        original = whole[number % len(whole)]
        standing = self.standing_of(original)
        taker = replace(
            original,
            source_item_id=SourceItemId(an_id(f"16{next(self.numbers):06x}")),
            minutes=-original.minutes,
            reverses_item_id=original.source_item_id,
        )
        self.items[taker.source_item_id] = taker
        self.cancelled |= {original.source_item_id, taker.source_item_id}
        judge = self.judge()
        judge.decide_reversals([Reversal(taker, (), standing)])
        self.write(judge)
        if judge.book.given_back:
            self.look_again()

    @rule(agreed=st.integers(0, 3000))
    def agree_on_another_limit(self, agreed: int) -> None:
        self.agreed = Decimal(agreed)
        self.look_again()

    @rule()
    def publish_a_card(self) -> None:
        self.is_published = True
        self.look_again()

    @rule(is_on_hold=st.booleans())
    def judge_credit(self, is_on_hold: bool) -> None:
        self.is_on_hold = is_on_hold
        self.look_again()

    @rule(number=st.integers(0, 20))
    def place_a_hold(self, number: int) -> None:
        free = [
            row
            for row in self.rows.values()
            if row.status not in FINAL
            and all(hold.reason is not HoldReason.MANUAL for hold in row.holds)
        ]
        if free:
            judge = self.judge()
            judge.hold(free[number % len(free)], OpenHold(HoldReason.MANUAL, "wait"))
            self.write(judge)

    @rule()
    def clear_the_manual_holds(self) -> None:
        manual = {
            hold.hold_id
            for row in self.rows.values()
            for hold in row.holds
            if hold.reason is HoldReason.MANUAL and hold.hold_id is not None
        }
        judge = self.judge()
        judge.decide_again(self.standings(), dropping=manual)
        self.write(judge)
        self.look_again()

    @rule()
    def release_what_is_eligible(self) -> None:
        eligible = [r for r in self.rows.values() if r.status is EventStatus.ELIGIBLE]
        judge = self.judge()
        judge.release(eligible, by="user:finance")
        self.write(judge)

    @invariant()
    def each_thing_is_worth_its_hours_once_or_waits_for_a_rate(self) -> None:
        for number, item in self.items.items():
            rows = [row for row in self.rows.values() if row.item is item]
            if number in self.cancelled and not rows:
                assert number not in self.unrated
                continue
            if item.role == "architect" and not self.is_published:
                assert not rows
                assert self.unrated[number].reason is HoldReason.MISSING_RATE
                continue
            hours = billed_hours(item.minutes)
            assert number not in self.unrated
            assert sum(row.quantity for row in rows) == hours
            assert sum(row.minutes for row in rows) == item.minutes
            assert sum(row.amount.amount for row in rows) == hours * RATES[item.role]

    @invariant()
    def what_was_taken_back_is_worth_nothing_and_what_was_not_released_never_is(self) -> None:
        for item in self.items.values():
            if item.reverses_item_id is None:
                continue
            pair = [
                row
                for row in self.rows.values()
                if row.item.source_item_id in {item.source_item_id, item.reverses_item_id}
            ]
            assert sum(row.amount.amount for row in pair) == 0
            assert {row.status for row in pair} <= set(FINAL)
            for row in pair:
                if row.reverses is not None:
                    assert row.status is self.rows[row.reverses].status

    @invariant()
    def the_limit_is_what_the_rows_it_let_pass_are_worth(self) -> None:
        passed = [row for row in self.rows.values() if not is_limited(row)]
        assert sum((row.amount.amount for row in passed), Decimal(0)) == self.taken
        assert self.taken <= self.enforced

    @invariant()
    def no_work_is_held_for_room_that_is_there(self) -> None:
        for item in self.items.values():
            held = [row for row in self.rows.values() if row.item is item and is_limited(row)]
            if held and not any(h.reason in PERSONAL for row in held for h in row.holds):
                assert self.enforced - self.taken < RATES[item.role] / 100

    @invariant()
    def a_row_is_held_exactly_while_it_has_a_reason(self) -> None:
        for row in self.rows.values():
            assert (row.status is EventStatus.HELD) == bool(row.holds)
            if self.is_on_hold and row.status not in FINAL:
                assert any(hold.reason is HoldReason.CREDIT_HOLD for hold in row.holds)

    @invariant()
    def looking_again_changes_nothing(self) -> None:
        judge = self.judge()
        judge.decide_again(self.standings())
        assert not judge.decision.rated
        assert not judge.decision.changed
        assert not judge.book.reservations


def is_limited(row: Row) -> bool:
    return any(hold.reason is HoldReason.LIMIT_EXCEEDED for hold in row.holds)


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
