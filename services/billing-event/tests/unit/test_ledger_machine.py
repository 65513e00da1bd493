"""Whatever happens in whatever order, the ledger agrees with a reference of plain sums."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from billing_event_builders import an_id, an_item
from billing_event_ledger import ZERO, Ledger, is_limited
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from billing_event.domain.giving_up import give_up, give_up_part, take_up, withdraw
from billing_event.domain.hold import PERSONAL, HoldReason, OpenHold
from billing_event.domain.position import EventStatus, Row, live_rows
from billing_event.domain.rerating import Action
from billing_event.domain.rerating_run import ReratingRunId
from billing_event.domain.review import by_payer
from billing_event.domain.source import SourceItem, SourceItemId
from billing_event.domain.standing import Reversal
from billing_event.domain.terms import ReratingPolicy
from billing_event.domain.write_off import OPEN, NoRoom
from throughline_core.quantity import billed_hours
from throughline_testing.drill import in_drill

SETTLED = (EventStatus.RELEASED, EventStatus.REVERSED, EventStatus.WRITTEN_OFF)
ARCHITECT = Decimal("133.37")
ANY = st.integers(0, 40)


class LedgerMachine(RuleBasedStateMachine):
    """Lets decisions happen to a ledger, and keeps beside it only what was approved and agreed.

    The reference is plain: the rate each thing was last priced at, and lists of what documents
    billed and gave back.
    """

    @initialize(
        agreed=st.integers(0, 3000),
        threshold=st.sampled_from([0, 400, 5000]),
        is_shared=st.booleans(),
        policy=st.sampled_from(ReratingPolicy),
    )
    def sign(self, agreed: int, threshold: int, *, is_shared: bool, policy: ReratingPolicy) -> None:
        self.ledger = Ledger(
            Decimal(agreed), Decimal(threshold), is_shared=is_shared, policy=policy
        )
        self.rates: dict[SourceItemId, Decimal] = {}
        self.cancelled: set[SourceItemId] = set()
        self.invoiced: list[tuple[Row, Decimal]] = []
        self.credited: list[tuple[Row, Decimal]] = []
        for minutes in (60, 475, 600):
            self.approve(minutes, "consultant")

    # --- work and what takes it back ---

    @rule(
        minutes=st.integers(-300, 600).filter(bool),
        role=st.sampled_from(["consultant", "architect"]),
    )
    def approve(self, minutes: int, role: str) -> None:
        number = SourceItemId(an_id(self.ledger.next_id("15")))
        item = self.ledger.add(an_item(source_item_id=number, minutes=minutes, role=role))
        self.rates[number] = ARCHITECT if role == "architect" else self.ledger.rate
        self.ledger.decide(lambda judge: judge.decide_new([item]))

    @rule(at=ANY)
    def take_back(self, at: int) -> None:
        whole = [item for item in self.originals() if item.source_item_id not in self.cancelled]
        if not whole:
            return
        original = whole[at % len(whole)]
        taker = self.ledger.add(
            replace(
                original,
                source_item_id=SourceItemId(an_id(self.ledger.next_id("16"))),
                minutes=-original.minutes,
                reverses_item_id=original.source_item_id,
            )
        )
        self.cancelled |= {original.source_item_id, taker.source_item_id}
        reversal = Reversal(taker, (), self.ledger.standing_of(original))
        self.ledger.decide(lambda judge: judge.decide_reversals([reversal]))

    @rule(at=ANY, minutes=st.integers(1, 600))
    def enter_anew(self, at: int, minutes: int) -> None:
        before = len(self.cancelled)
        self.take_back(at)
        if len(self.cancelled) > before:
            self.approve(minutes, "consultant")

    # --- what is agreed ---

    @rule(agreed=st.integers(0, 3000))
    def agree_on_another_limit(self, agreed: int) -> None:
        self.ledger.agreed = Decimal(agreed)
        self.ledger.look_again()

    @rule(is_soft=st.booleans())
    def enforce(self, *, is_soft: bool) -> None:
        self.ledger.is_soft = is_soft
        self.ledger.look_again()

    @rule()
    def publish_a_card(self) -> None:
        self.ledger.is_published = True
        self.ledger.look_again()

    @rule(is_on_hold=st.booleans())
    def judge_credit(self, *, is_on_hold: bool) -> None:
        self.ledger.is_on_hold = is_on_hold
        self.ledger.look_again()

    @rule(rate=st.sampled_from(["90", "100", "133.33", "0"]))
    def agree_on_another_rate(self, rate: str) -> None:
        self.ledger.rate = Decimal(rate)
        self.ledger.look_again()

    @precondition(lambda self: any(map(self.is_invoiced, self.originals())))
    @rule(at=ANY, rate=st.sampled_from(["90", "110", "133.33", "0"]))
    def rerate_what_is_invoiced(self, at: int, rate: str) -> None:
        self.rerate(at, rate)

    @rule(at=ANY, rate=st.sampled_from(["90", "110", "133.33", "0"]))
    def rerate(self, at: int, rate: str) -> None:
        """Rate a thing anew, by another rate, as a run would that was approved."""
        self.agree_on_another_rate(rate)
        rated = [item for item in self.originals() if live_rows(self.ledger.rows_of(item))]
        invoiced = [item for item in rated if self.is_invoiced(item)]
        chosen = invoiced or rated
        if not chosen:
            return
        item = chosen[at % len(chosen)]
        standing, claims, judge = (
            self.ledger.standing_of(item),
            self.ledger.claims(),
            self.ledger.judge(),
        )
        finding = judge.comparer({}, moves_payers=False).compare(standing, claims)
        assert finding is not None
        if finding.action is Action.CANNOT or not finding.is_different:
            return
        run_id = ReratingRunId(an_id("9001"))
        self.ledger.decide(
            lambda judge: judge.rerate(standing, claims, finding, run_id=run_id, by="user:lead")
        )
        self.ledger.look_again()
        if item.role == "consultant":
            self.rates[item.source_item_id] = self.ledger.rate

    # --- the checkpoint ---

    @rule(at=ANY)
    def place_a_hold(self, at: int) -> None:
        row = self.chosen(at, lambda row: row.status not in SETTLED and not is_manual(row))
        if row is not None:
            self.ledger.decide(lambda judge: judge.hold(row, OpenHold(HoldReason.MANUAL, "wait")))

    @rule()
    def clear_the_manual_holds(self) -> None:
        manual = {
            hold.hold_id
            for row in self.ledger.rows.values()
            for hold in row.holds
            if hold.reason is HoldReason.MANUAL and hold.hold_id is not None
        }
        self.ledger.look_again(dropping=manual)

    @rule()
    def release_what_is_eligible(self) -> None:
        rows = [r for r in self.ledger.rows.values() if r.status is EventStatus.ELIGIBLE]
        self.ledger.decide(lambda judge: judge.release(rows, by="user:finance"))

    @rule(at=ANY, is_held=st.booleans())
    def withdraw_a_release(self, at: int, *, is_held: bool) -> None:
        row = self.chosen(at, lambda row: row.status is EventStatus.RELEASED and is_open(row))
        if row is not None and not self.ledger.claimed.get(row.billing_event_id):
            hold = OpenHold(HoldReason.MANUAL, "in October") if is_held else None
            self.ledger.decide(lambda judge: withdraw(judge, row, hold))
            self.ledger.look_again()

    # --- documents ---

    @precondition(lambda self: self.chosen(0, is_released))
    @rule(at=ANY, percent=st.sampled_from([1, 33, 50, 100]))
    def invoice(self, at: int, percent: int) -> None:
        row = self.chosen(at, is_released)
        if row is None:
            return
        rest = row.quantity - self.ledger.claimed.get(row.billing_event_id, ZERO)
        self.ledger.claim(row, part := a_part(rest, percent))
        self.invoiced.append((row, part))

    @precondition(lambda self: any(self.ledger.claimed.values()))
    @rule(at=ANY, percent=st.sampled_from([1, 33, 50, 100]))
    def credit(self, at: int, percent: int) -> None:
        claimed = self.ledger.claimed
        row = self.chosen(at, lambda row: bool(claimed.get(row.billing_event_id)))
        if row is not None:
            part = a_part(claimed[row.billing_event_id], percent)
            self.ledger.claim(row, -part)
            self.credited.append((row, part))

    # --- giving up ---

    @rule(at=ANY)
    def write_off(self, at: int) -> None:
        row = self.chosen(at, self.can_be_given_up)
        if row is not None:
            self.ledger.decide(lambda judge: give_up(judge, row))
            self.ledger.look_again()

    @rule(at=ANY, percent=st.sampled_from([1, 33, 50]))
    def write_off_a_part(self, at: int, percent: int) -> None:
        row = self.chosen(at, lambda row: self.can_be_given_up(row) and row.quantity > 0)
        if row is None or not (part := a_part(row.quantity, percent)) < row.quantity or not part:
            return
        standing = self.ledger.standing_of(row.item)
        self.ledger.decide(lambda judge: give_up_part(judge, standing, row, part))
        self.ledger.look_again()

    @precondition(lambda self: bool(self.ledger.given_up))
    @rule(at=ANY)
    def undo_a_write_off(self, at: int) -> None:
        row = self.chosen(
            at,
            lambda row: (
                row.status is EventStatus.WRITTEN_OFF
                and row.reverses is None
                and not row.is_taken_back
            ),
        )
        if row is None:
            return
        try:
            self.ledger.decide(lambda judge: take_up(judge, row, ()))
        except NoRoom:
            room = self.ledger.room
            assert room is not None
            assert row.amount.amount > room
        self.ledger.look_again()

    # --- what must be so at any moment ---

    @invariant()
    def each_thing_is_worth_its_hours_once_or_waits_for_a_rate(self) -> None:
        for number, item in self.ledger.items.items():
            rows, waits = self.ledger.rows_of(item), number in self.ledger.unrated
            if number in self.cancelled:
                assert not waits
            elif item.role == "architect" and not self.ledger.is_published:
                assert not rows
                assert self.ledger.unrated[number].reason is HoldReason.MISSING_RATE
            else:
                hours = billed_hours(item.minutes)
                assert not waits
                assert sum(row.quantity for row in rows) == hours
                assert sum(row.minutes for row in rows) == item.minutes
                assert sum(row.amount.amount for row in rows) == hours * self.rates[number]

    @invariant()
    def what_was_taken_back_is_worth_nothing(self) -> None:
        for item in self.ledger.items.values():
            if item.reverses_item_id is None:
                continue
            original = self.ledger.items[item.reverses_item_id]
            pair = [*self.ledger.rows_of(original), *self.ledger.rows_of(item)]
            assert sum(row.amount.amount for row in pair) == 0
            assert not live_rows(pair)

    @invariant()
    def rated_is_open_and_invoiced_less_credited_and_written_off(self) -> None:
        billed = sum((part for _, part in self.invoiced), ZERO)
        given_back = sum((part for _, part in self.credited), ZERO)
        assert sum(self.ledger.claimed.values(), ZERO) == billed - given_back
        for row_id, claimed in self.ledger.claimed.items():
            low, high = sorted((ZERO, self.ledger.rows[row_id].quantity))
            assert low <= claimed <= high
        assert self.ledger.given_up == {
            row.billing_event_id
            for row in self.ledger.rows.values()
            if row.status is EventStatus.WRITTEN_OFF
        }
        assert not any(self.ledger.claimed.get(row_id) for row_id in self.ledger.given_up)

    @invariant()
    def the_limit_is_what_the_rows_it_let_pass_are_worth(self) -> None:
        passed = [
            row.amount.amount
            for row in self.ledger.rows.values()
            if not is_limited(row) and row.status is not EventStatus.WRITTEN_OFF
        ]
        assert sum(passed, ZERO) == self.ledger.taken
        assert self.ledger.taken <= self.ledger.enforced

    @invariant()
    def no_work_is_held_for_room_that_is_there(self) -> None:
        for item in self.ledger.items.values():
            held = [row for row in self.ledger.rows_of(item) if is_limited(row)]
            if held and not any(h.reason in PERSONAL for row in held for h in row.holds):
                room = self.ledger.room
                assert room is not None
                assert room < max(row.rating.unit_rate.amount for row in held) / 100

    @invariant()
    def a_row_is_held_exactly_while_it_has_a_reason(self) -> None:
        for row in self.ledger.rows.values():
            assert (row.status is EventStatus.HELD) == bool(row.holds)
            if row.status is not EventStatus.WRITTEN_OFF:
                assert (row.status is EventStatus.RELEASED) == bool(row.released_by)
            if self.ledger.is_on_hold and row.status not in SETTLED:
                assert any(hold.reason is HoldReason.CREDIT_HOLD for hold in row.holds)

    @invariant()
    def looking_again_changes_nothing(self) -> None:
        judge = self.ledger.judge()
        judge.decide_again(self.ledger.standings())
        assert not judge.decision.rated
        assert not judge.decision.changed
        assert not judge.book.reservations

    # --- choosing ---

    def originals(self) -> list[SourceItem]:
        return [item for item in self.ledger.items.values() if item.reverses_item_id is None]

    def chosen(self, at: int, is_meant: Callable[[Row], bool]) -> Row | None:
        rows = [row for row in self.ledger.rows.values() if is_meant(row)]
        return rows[at % len(rows)] if rows else None

    def is_invoiced(self, item: SourceItem) -> bool:
        claimed = self.ledger.claimed
        return any(
            claimed.get(row.billing_event_id) for row in live_rows(self.ledger.rows_of(item))
        )

    def can_be_given_up(self, row: Row) -> bool:
        """Whether a row is open; of what a limit let go in part, not one of its rows alone."""
        is_claimed = bool(self.ledger.claimed.get(row.billing_event_id))
        held = [each for each in live_rows(self.ledger.rows_of(row.item)) if is_limited(each)]
        is_alone = not is_limited(row) or len(list(by_payer(held))) == len(held)
        return row.status in OPEN and is_open(row) and not is_claimed and is_alone


def is_open(row: Row) -> bool:
    return row.reverses is None and not row.is_taken_back


def is_released(row: Row) -> bool:
    return row.status is EventStatus.RELEASED


def is_manual(row: Row) -> bool:
    return any(hold.reason is HoldReason.MANUAL for hold in row.holds)


def a_part(quantity: Decimal, percent: int) -> Decimal:
    """Return a share of a quantity, in printed hundredths; all of it for 100."""
    return (quantity * percent / 100).quantize(Decimal("0.01"))


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(
    max_examples=in_drill(2_000, otherwise=80),
    stateful_step_count=in_drill(40, otherwise=25),
    deadline=None,
)
