"""Whatever is asked of a contract in whatever order, its versions tell one consistent history.

The reference knows no versions. It is a list of what was agreed, in the order it was recorded: from
which day on which terms have which value. The terms of a day, as known at an instant, are what was
recorded by then for that day or an earlier one, the last word counting.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from customer_contract_builders import (
    END,
    START,
    a_change_order,
    a_contract,
    a_quote,
    a_signature,
    an_amendment,
    an_id,
    eur,
)
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from customer_contract.domain import change_order as orders
from customer_contract.domain import contract as domain
from customer_contract.domain import contract_state as state
from customer_contract.domain.change_order_content import (
    AlteredLine,
    ChangeOrderContent,
    EndedLine,
    LimitMove,
)
from customer_contract.domain.change_order_record import OPEN, ChangeOrder, Grounds
from customer_contract.domain.contract_terms import Contract
from customer_contract.domain.values import ChangeOrderId
from throughline_core.change import Change
from throughline_core.errors import Refusal
from throughline_core.money import Money

DAY = timedelta(days=1)
LIMITS = st.sampled_from([None, eur("1000"), eur("2000.5")])
RATES = st.sampled_from([eur("180"), eur("190"), eur("200")])
OFFSETS = st.integers(-60, 20)
RARELY = st.sampled_from([False, False, False, False, True])
SENIORS = "senior_consultant"

Terms = dict[str, Any]


@dataclass(slots=True)
class Agreed:
    """A change order of the machine: what it sets, and how much was recorded at its approval."""

    order: ChangeOrder
    sets: Terms
    approved_at: int = 0


class ContractHistory(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.contract = a_contract()
        self.history: list[Contract] = []
        self.today = date(2026, 8, 24)
        self.closed_through: date | None = None
        self.status = "draft"
        self.log: list[tuple[date, datetime, Terms]] = []
        self.orders: list[Agreed] = []
        self.instant = datetime(2026, 8, 24, tzinfo=UTC)

    # The reference.

    def terms_of(self, day: date, *, recorded: int | None = None) -> Terms:
        """Return what counts on a day, by the first so many records, None = by all of them."""
        terms: Terms = {}
        for effective_on, _, sets in self.log[:recorded]:
            if effective_on <= day:
                terms |= sets
        return terms

    def days_from(self, day: date) -> list[date]:
        return [day, *sorted({begins for begins, _, _ in self.log if begins > day})]

    def changed(self, agreed: Agreed, day: date, *, recorded: int | None = None) -> Terms:
        before = self.terms_of(day, recorded=recorded)
        return {key: (before[key], new) for key, new in agreed.sets.items() if before[key] != new}

    def fits(self, agreed: Agreed) -> bool:
        """Whether the change order can be applied to what is agreed now, and changes something."""
        effective_on = agreed.order.effective_on
        if not START <= effective_on < END:
            return False
        days = self.days_from(effective_on)
        for day in days:
            ended_on = self.terms_of(day)["ended_on"]
            if "ended_on" in agreed.sets and ended_on is not None and ended_on <= effective_on:
                return False
        return any(self.changed(agreed, day) for day in days)

    def is_stale(self, agreed: Agreed) -> bool:
        return any(
            self.changed(agreed, day) != self.changed(agreed, day, recorded=agreed.approved_at)
            for day in (agreed.order.effective_on, date.max)
        )

    def is_closed(self, agreed: Agreed) -> bool:
        return self.closed_through is not None and agreed.order.effective_on <= self.closed_through

    @property
    def grounds(self) -> Grounds:
        return Grounds(tuple(self.history), self.closed_through, self.today)

    # What people do.

    @initialize(begun=st.sampled_from(["draft", "signed", "active", "active", "active"]))
    def begin(self, begun: str) -> None:
        if begun != "draft":
            self.sign(days_ago=0)
        self.today = START + 60 * DAY
        if begun == "active":
            self.activate()

    @rule(days=st.integers(1, 40))
    def wait(self, days: int) -> None:
        self.today += timedelta(days)

    @precondition(lambda self: self.status == "draft")
    @rule()
    def redraft(self) -> None:
        self.contract = domain.redraft(
            self.contract, a_quote(), time_zone="Europe/Berlin", recorded=an_amendment()
        )

    @rule(days_ago=st.integers(0, 30))
    def sign(self, days_ago: int) -> None:
        signature = a_signature(signed_on=self.today - timedelta(days_ago))
        legal = self.status == "draft"
        recorded = an_amendment(recorded_at=self._tick())
        if self._decided(
            legal,
            lambda: state.sign(self.contract, signature, recorded=recorded, today=self.today),
        ):
            self.status = "signed"
            sets = {"limit": None, "line_limit": eur("60000"), "rate": eur("180")}
            begins = min(signature.signed_on, START)
            self.log.append((begins, recorded.recorded_at, sets | {"ended_on": None}))
            self.history.append(self.contract)

    @rule()
    def activate(self) -> None:
        legal = self.status == "signed" and START <= self.today < END
        if self._decided(
            legal,
            lambda: state.activate(self.contract, on=self.today, today=self.today, at=self._tick()),
        ):
            self._moved_to("active")

    @precondition(lambda self: self.log)
    @rule(is_meant=RARELY)
    def terminate(self, is_meant: bool) -> None:
        if not is_meant:
            return
        legal = self.status in {"signed", "active"} and self.today < END
        if self._decided(
            legal,
            lambda: state.terminate(
                self.contract, on=self.today, today=self.today, reason="over", at=self._tick()
            ),
        ):
            self._moved_to("terminated")

    @precondition(lambda self: self.log)
    @rule(is_meant=RARELY)
    def complete(self, is_meant: bool) -> None:
        if not is_meant:
            return
        open_orders = sum(one.order.status in OPEN for one in self.orders)
        legal = self.status == "active" and open_orders == 0
        if self._decided(
            legal,
            lambda: state.complete(
                self.contract,
                on=self.today,
                today=self.today,
                open_change_orders=open_orders,
                at=self._tick(),
            ),
        ):
            self._moved_to("completed")

    @rule(limit=LIMITS)
    def change_limit(self, limit: Money | None) -> None:
        legal = self.status == "active" and self.terms_of(date.max)["limit"] != limit
        recorded = an_amendment(recorded_at=self._tick())
        if self._decided(
            legal,
            lambda: domain.change_limit(
                self.contract, limit, contract_line_id=None, recorded=recorded, today=self.today
            ),
        ):
            begins = max(self.today, *(begins for begins, _, _ in self.log))
            self.log.append((begins, recorded.recorded_at, {"limit": limit}))
            self.history.append(self.contract)

    @rule(days=st.integers(20, 120), is_meant=RARELY)
    def close_books(self, days: int, is_meant: bool) -> None:
        if not is_meant:
            return
        self.closed_through = self.today - timedelta(days)

    @precondition(lambda self: self.history and len(self.orders) < 6)
    @rule(
        offset=OFFSETS,
        limit=st.none() | LIMITS.map(LimitMove),
        line_limit=st.none() | LIMITS.map(LimitMove),
        rate=st.none() | RATES,
        ends=RARELY,
        goes_on=st.booleans(),
    )
    def draft_change(
        self,
        offset: int,
        limit: LimitMove | None,
        line_limit: LimitMove | None,
        rate: Money | None,
        ends: bool,
        goes_on: bool,
    ) -> None:
        effective_on = self.today + timedelta(offset)
        sets: Terms = {}
        if limit:
            sets["limit"] = limit.limit
        if line_limit:
            sets["line_limit"] = line_limit.limit
        if rate:
            sets["rate"] = rate
        if ends:
            sets["ended_on"] = effective_on
        content = ChangeOrderContent(
            altered=(self._alteration(line_limit, rate),) if line_limit or rate else (),
            ended=(EndedLine(self.contract.lines[3].contract_line_id),) if ends else (),
            limit=limit,
        )
        order_id = ChangeOrderId(an_id(f"c0{len(self.orders)}"))
        order = a_change_order(change_order_id=order_id, effective_on=effective_on)
        agreed = Agreed(order, sets)
        legal = self.status in {"signed", "active"} and self.fits(agreed)
        try:
            agreed.order = orders.draft(
                self.grounds,
                content,
                change_order_id=order_id,
                number=f"CO-{len(self.orders)}",
                reason="agreed",
                effective_on=effective_on,
                by="olga",
            )
        except Refusal:
            assert not legal
            return
        assert legal
        self.orders.append(agreed)
        if goes_on:
            self.propose_change(agreed)
            self.approve_change(agreed, by="ines")

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def agree_on_change(self, data: st.DataObject) -> None:
        agreed = data.draw(st.sampled_from(self.orders))
        self.propose_change(agreed)
        self.approve_change(agreed, by="ines")

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), by=st.sampled_from(["olga", "ines"]))
    def decide_on_change(self, data: st.DataObject, by: str) -> None:
        self.approve_change(data.draw(st.sampled_from(self.orders)), by=by)

    def propose_change(self, agreed: Agreed) -> None:
        legal = (
            agreed.order.status in {"draft", "approved"}
            and self.status in {"signed", "active"}
            and not self.is_closed(agreed)
            and self.fits(agreed)
        )
        self._order(agreed, legal, lambda: orders.propose(agreed.order, self.grounds, by="olga"))

    def approve_change(self, agreed: Agreed, *, by: str) -> None:
        legal = (
            agreed.order.status == "proposed"
            and by != "olga"
            and self.status in {"signed", "active"}
            and not self.is_closed(agreed)
            and self.fits(agreed)
        )
        signature = a_signature(signed_on=self.today)
        if self._order(
            agreed,
            legal,
            lambda: (
                orders.approve(
                    agreed.order, self.grounds, by=by, signature=signature, at=self._tick()
                ).state
            ),
        ):
            agreed.approved_at = len(self.log)

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), is_meant=RARELY)
    def withdraw_change(self, data: st.DataObject, is_meant: bool) -> None:
        if not is_meant:
            return
        agreed = data.draw(st.sampled_from(self.orders))
        legal = agreed.order.status in OPEN
        self._order(agreed, legal, lambda: orders.withdraw(agreed.order, reason="not wanted"))

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def apply_change(self, data: st.DataObject) -> None:
        waiting = [one for one in self.orders if one.order.status == "approved"]
        agreed = data.draw(st.sampled_from(waiting or self.orders))
        legal = (
            agreed.order.status == "approved"
            and self.status == "active"
            and agreed.order.effective_on <= self.today
            and not self.is_closed(agreed)
            and self.fits(agreed)
            and not self.is_stale(agreed)
        )
        recorded = an_amendment(recorded_at=self._tick())
        kept = [*self.history]
        try:
            applied, changes = orders.apply(agreed.order, self.grounds, recorded=recorded)
        except Refusal:
            assert not legal
            return
        assert legal
        agreed.order = applied
        self.log.append((applied.effective_on, recorded.recorded_at, agreed.sets))
        for change in changes:
            assert change.state.version == self.contract.version + 1
            [event] = change.events
            assert event.is_retroactive == (_begins(event.contract) < self.today)
            self.contract = change.state
            self.history.append(change.state)
        assert self.history[: len(kept)] == kept

    # What has to hold.

    @invariant()
    def the_state_is_the_references(self) -> None:
        assert self.contract.status == self.status
        if self.log:
            assert _shown(self.contract) == self.terms_of(date.max)

    @invariant()
    def versions_are_numbered_without_a_gap(self) -> None:
        numbers = [version.contract_version for version in self.history]
        assert numbers == list(range(1, len(numbers) + 1))

    @invariant()
    def every_day_is_told_as_the_reference_tells_it(self) -> None:
        for recorded in range(1, len(self.log) + 1):
            known_at = self.log[recorded - 1][1]
            known = [one for one in self.history if one.amendment.recorded_at <= known_at]
            for day in self.days_from(self.log[0][0]):
                counting = [one for one in known if _begins(one) <= day]
                shown = state.as_of(counting[-1], day, known_at=known_at)
                assert _shown(shown) == self.terms_of(day, recorded=recorded)

    @invariant()
    def nothing_holds_before_the_first_signature(self) -> None:
        if self.history:
            day_before = _begins(self.history[0]) - DAY
            assert not [one for one in self.history if _begins(one) <= day_before]

    # How it is asked.

    def _alteration(self, limit: LimitMove | None, rate: Money | None) -> AlteredLine:
        line = self.contract.lines[1]
        rates = None
        if rate is not None:
            agreed = self.history[0].lines[1].terms.terms.rates
            rates = tuple(
                replace(one, hourly_rate=rate) if one.role == SENIORS else one for one in agreed
            )
        return AlteredLine(line.contract_line_id, rates=rates, limit=limit)

    def _tick(self) -> datetime:
        self.instant += timedelta(seconds=1)
        return self.instant

    def _moved_to(self, status: str) -> None:
        self.status = status
        if self.history:
            # Each version is stored beside where the contract stands now.
            self.history = [
                replace(
                    one,
                    version=self.contract.version,
                    status=self.contract.status,
                    activated_on=self.contract.activated_on,
                    terminated_on=self.contract.terminated_on,
                    termination_reason=self.contract.termination_reason,
                    completed_on=self.contract.completed_on,
                    learned=self.contract.learned,
                )
                for one in self.history
            ]

    def _decided(self, legal: bool, decide: Callable[[], Change[Contract, Any]]) -> bool:
        """Decide; what the reference forbids is refused and changes nothing."""
        before = self.contract
        try:
            change = decide()
        except Refusal:
            assert not legal
            return False
        assert legal
        assert change.state.version == before.version + 1
        assert all(event.contract == change.state for event in change.events)
        self.contract = change.state
        return True

    def _order(self, agreed: Agreed, legal: bool, decide: Callable[[], ChangeOrder]) -> bool:
        before = agreed.order
        try:
            agreed.order = decide()
        except Refusal:
            assert not legal
            return False
        assert legal
        assert agreed.order.version == before.version + 1
        return True


def _begins(version: Contract) -> date:
    assert version.amendment.effective_on is not None
    return version.amendment.effective_on


def _shown(contract: Contract) -> Terms:
    terms = contract.lines[1].terms.terms
    return {
        "limit": contract.billing.not_to_exceed,
        "line_limit": terms.not_to_exceed,
        "rate": next(one.hourly_rate for one in terms.rates if one.role == SENIORS),
        "ended_on": contract.lines[3].ended_on,
    }


TestContractHistory = ContractHistory.TestCase
TestContractHistory.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
