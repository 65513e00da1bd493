"""The fault drill in short form, and its negative controls."""

from dataclasses import replace

import pytest
from e2e_sandbox import Sandbox, sandbox
from faults.command import SHORT, WITHOUT_INBOX
from faults.drill import Plan, run, tell_opening

SHORTER = Plan(seconds=5, kills=1, clients=4, seed=2, kills_at_month_end=False)


@pytest.fixture(scope="module")
def stage(proving_ground: Sandbox) -> Sandbox:
    """A platform on which the story has begun."""
    tell_opening(proving_ground)
    return proving_ground


@pytest.mark.timeout(600)
def test_nothing_is_lost_doubled_or_off_by_a_cent_whatever_is_killed(stage: Sandbox) -> None:
    outcome = run(stage, SHORT)
    assert outcome.failures == []
    assert sum(deaths.kills for deaths in outcome.deaths.values()) > SHORT.kills
    assert len(outcome.ledger.time) > 100
    assert outcome.ledger.repetitions["answer lost"] > 0
    assert outcome.redelivered >= outcome.echoed > 0


@pytest.mark.timeout(600)
def test_clients_that_forget_their_keys_are_found_out(stage: Sandbox) -> None:
    outcome = run(stage, replace(SHORTER, kills=0, forgets_keys=True), code="FORGETS")
    doubled = {station.name: station.doubled for station in outcome.verdict.stations}
    assert doubled["approved"] == doubled["on invoices"] > 0


@pytest.mark.timeout(600)
def test_without_the_inbox_the_drill_fails() -> None:
    with sandbox(environment=WITHOUT_INBOX) as stack:
        tell_opening(stack)
        outcome = run(stack, SHORTER)
    assert not outcome.is_settled
    # Derived ids keep the money exact even then: the inbox is the second lock, and the proof.
    assert outcome.verdict.money_is_exact
