"""Whatever is asked of a contract in whatever order, its versions tell one consistent history."""

from collections.abc import Callable
from datetime import date, timedelta

from customer_contract_builders import (
    a_contract,
    a_quote,
    a_signature,
    an_amendment,
    eur,
)
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from customer_contract.domain import contract as domain
from customer_contract.domain.contract_terms import Contract, ContractStatus
from throughline_core.change import Change
from throughline_core.errors import Refusal
from throughline_core.money import Money

LIMITS = st.sampled_from([None, eur("0"), eur("1000"), eur("2000.5")])
LINES = st.sampled_from([None, 0, 1, 2, 3])
LIMITED_LINES = {None, 1, 3}

Decision = Callable[[], Change[Contract, domain.ContractEvent]]


class ContractHistory(RuleBasedStateMachine):
    """The reference is a status, a limit for each place that has one, and a list of versions."""

    def __init__(self) -> None:
        super().__init__()
        self.contract = a_contract()
        self.today = date(2026, 8, 24)
        self.status = "draft"
        self.limits: dict[int | None, Money | None] = {None: None, 1: eur("60000"), 3: None}
        self.history: list[Contract] = []

    @rule(days=st.integers(1, 120))
    def wait(self, days: int) -> None:
        self.today += timedelta(days)

    @rule()
    def sign(self) -> None:
        signature = a_signature(signed_on=self.today)
        legal = self.status == "draft"
        if self._try(legal, lambda: domain.sign(self.contract, signature, today=self.today)):
            self.status = "signed"
            self.history.append(self.contract)

    @rule()
    def activate(self) -> None:
        in_term = self.contract.start_on <= self.today < self.contract.end_on
        legal = self.status == "signed" and in_term
        if self._try(
            legal, lambda: domain.activate(self.contract, on=self.today, today=self.today)
        ):
            self.status = "active"

    @rule()
    def terminate(self) -> None:
        legal = self.status in {"signed", "active"} and self.today < self.contract.end_on
        if self._try(
            legal,
            lambda: domain.terminate(self.contract, on=self.today, today=self.today, reason="over"),
        ):
            self.status = "terminated"

    @rule(limit=LIMITS, line=LINES)
    def change_limit(self, limit: Money | None, line: int | None) -> None:
        legal = (
            self.status == "active"
            and line in LIMITED_LINES
            and limit != eur("0")
            and limit != self.limits.get(line)
        )
        line_id = None if line is None else self.contract.lines[line].contract_line_id
        if self._try(
            legal,
            lambda: domain.change_limit(
                self.contract,
                limit,
                contract_line_id=line_id,
                recorded=an_amendment(),
                today=self.today,
            ),
        ):
            self.limits[line] = limit
            self.history.append(self.contract)

    @precondition(lambda self: self.status == "draft")
    @rule()
    def redraft(self) -> None:
        self.contract = domain.redraft(
            self.contract, a_quote(), time_zone="Europe/Berlin", recorded=an_amendment()
        )

    def _try(self, legal: bool, decide: Decision) -> bool:
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

    @invariant()
    def the_state_is_the_references(self) -> None:
        assert self.contract.status == self.status
        assert self.contract.billing.not_to_exceed == self.limits[None]
        for line in (1, 3):
            assert self.contract.lines[line].terms.terms.not_to_exceed == self.limits[line]

    @invariant()
    def versions_follow_each_other_and_stay(self) -> None:
        numbers = [version.contract_version for version in self.history]
        assert numbers == list(range(1, len(numbers) + 1))
        days = [version.amendment.effective_on for version in self.history]
        assert None not in days
        assert days == sorted(day for day in days if day)

    @invariant()
    def a_past_day_is_told_from_the_present_alone(self) -> None:
        signature = self.contract.signature
        if signature is None:
            return
        shown = domain.as_of(self.contract, signature.signed_on)
        activated_on, ended_on = self.contract.activated_on, self.contract.terminated_on
        if ended_on == signature.signed_on:
            assert shown.status is ContractStatus.TERMINATED
        elif activated_on == signature.signed_on:
            assert shown.status is ContractStatus.ACTIVE
        else:
            assert shown.status is ContractStatus.SIGNED


TestContractHistory = ContractHistory.TestCase
TestContractHistory.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
