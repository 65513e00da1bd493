"""The ledger in memory: it keeps what decisions would write, and what documents claim of rows."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from decimal import Decimal
from itertools import count

from billing_event_builders import (
    CUSTOMER,
    ENTITY,
    HOURS,
    NOW,
    a_card,
    a_customer,
    a_line,
    a_payer,
    an_agreement,
    an_entry,
    an_id,
    eur,
    some_terms,
)

from billing_event.domain.agreement import Facts
from billing_event.domain.claim import ClaimKind
from billing_event.domain.decision import Judge
from billing_event.domain.hold import HoldId, HoldReason, OpenHold
from billing_event.domain.limit import Account, LimitBook, LimitScope, account_id
from billing_event.domain.position import BillingEventId, EventStatus, Row
from billing_event.domain.release import ReleasePolicy
from billing_event.domain.rerating import Claims
from billing_event.domain.rerating_judge import ReratingJudge
from billing_event.domain.source import CustomerId, SourceItem, SourceItemId
from billing_event.domain.standing import Standing
from billing_event.domain.terms import ReratingPolicy

ZERO = Decimal(0)
SECOND = CustomerId(an_id("c2"))


def is_limited(row: Row) -> bool:
    return any(hold.reason is HoldReason.LIMIT_EXCEEDED for hold in row.holds)


class Ledger:
    """One contract with a limit on its line, by the facts as they are at the moment."""

    def __init__(
        self, agreed: Decimal, threshold: Decimal, *, is_shared: bool, policy: ReratingPolicy
    ) -> None:
        self.items: dict[SourceItemId, SourceItem] = {}
        self.rows: dict[BillingEventId, Row] = {}
        self.unrated: dict[SourceItemId, OpenHold] = {}
        self.claimed: dict[BillingEventId, Decimal] = {}
        self.given_up: set[BillingEventId] = set()
        self.taken = ZERO
        self.agreed, self.rate = agreed, Decimal(100)
        self.is_soft = self.is_published = self.is_on_hold = False
        self._is_shared, self._rerating = is_shared, policy
        self._policy = ReleasePolicy(ENTITY, 1, eur(str(threshold)), "user:finance", NOW)
        self._numbers = count(1)

    @property
    def enforced(self) -> Decimal:
        return max(self.agreed, self.taken)

    @property
    def room(self) -> Decimal | None:
        return None if self.is_soft else self.enforced - self.taken

    def judge(self) -> ReratingJudge:
        payers = (a_payer(CUSTOMER, "60", is_rounding=True), a_payer(SECOND, "40"))
        terms = some_terms(
            a_line(rates={"consultant": eur(str(self.rate))}),
            payers=payers if self._is_shared else (),
            rerating_policy=self._rerating,
        )
        customers = {
            each: a_customer(customer_id=each, is_on_credit_hold=self.is_on_hold)
            for each in (CUSTOMER, SECOND)
        }
        cards = [a_card(an_entry("133.37", role="architect"))] if self.is_published else []
        facts = Facts(1, {terms.contract_id: an_agreement(terms)}, cards, customers)
        account = Account(account_id(terms.contract_id, HOURS), LimitScope.CONTRACT_LINE, self.room)
        return ReratingJudge(facts, LimitBook([account]), {ENTITY: self._policy}, at=NOW)

    def decide(self, act: Callable[[ReratingJudge], object]) -> None:
        """Write what a judge decides; room that is given back lets stopped work go on."""
        judge = self.judge()
        act(judge)
        self._write(judge)
        while judge.book.given_back:
            judge = self.judge()
            judge.decide_again(self.standings())
            self._write(judge)

    def look_again(self, *, dropping: Collection[HoldId] = ()) -> None:
        self.decide(lambda judge: judge.decide_again(self.standings(), dropping=dropping))

    def next_id(self, prefix: str = "") -> str:
        return f"{prefix}{next(self._numbers):06x}"

    def add(self, item: SourceItem) -> SourceItem:
        self.items[item.source_item_id] = item
        return item

    def rows_of(self, item: SourceItem) -> list[Row]:
        return [row for row in self.rows.values() if row.item is item]

    def standing_of(self, item: SourceItem) -> Standing:
        hold = self.unrated.get(item.source_item_id)
        return Standing(item, tuple(self.rows_of(item)), (hold,) if hold else ())

    def standings(self) -> list[Standing]:
        """Return what is looked at again: a thing without row and hold never is."""
        found = map(self.standing_of, self.items.values())
        return [standing for standing in found if standing.rows or standing.item_holds]

    def claims(self) -> Claims:
        return Claims({row_id: claimed for row_id, claimed in self.claimed.items() if claimed})

    def claim(self, row: Row, quantity: Decimal) -> None:
        """Bill a part of a row, or give it back where negative; the database checks the bounds."""
        claimed = self.claimed.get(row.billing_event_id, ZERO) + quantity
        low, high = sorted((ZERO, row.quantity))
        assert low <= claimed <= high
        assert row.status is EventStatus.RELEASED
        self.claimed[row.billing_event_id] = claimed

    def _write(self, judge: Judge) -> None:
        decision = judge.decision
        for row in (*decision.rated, *decision.changed):
            known = self.rows.get(row.billing_event_id)
            assert (row.version == 1) if known is None else (row.version == known.version + 1)
            holds = tuple(self._with_id(hold) for hold in row.holds)
            self.rows[row.billing_event_id] = replace(row, holds=holds)
        for row in decision.rated:
            if row.reverses is not None:
                gone = self.rows[row.reverses]
                assert not gone.is_taken_back
                self.rows[row.reverses] = replace(gone, is_taken_back=True)
        for opened in decision.opened:
            if opened.row is None:
                self.unrated[opened.item.source_item_id] = self._with_id(opened.hold)
        self._forget(row.item for row in decision.rated)
        self._forget(item for item, _ in decision.covered)
        for settlement in decision.settled:
            assert settlement.kind is ClaimKind.WRITE_OFF
            row_id = settlement.row.billing_event_id
            assert (row_id in self.given_up) is settlement.gives_back
            self.given_up ^= {row_id}
        self.taken += sum((each.change for each in judge.book.reservations), ZERO)

    def _forget(self, items: Iterable[SourceItem]) -> None:
        for item in items:
            self.unrated.pop(item.source_item_id, None)

    def _with_id(self, hold: OpenHold) -> OpenHold:
        return replace(hold, hold_id=HoldId(an_id(self.next_id())))
