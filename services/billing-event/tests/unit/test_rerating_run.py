"""Who may move a re-rating run, and what opens one."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from billing_event_builders import ENTITY, NOW, a_card, an_entry, an_id

from billing_event.domain import rerating_run
from billing_event.domain.rerating_card import changed_days
from billing_event.domain.rerating_run import (
    TRANSITIONS,
    Cause,
    Drafted,
    NothingToDo,
    Outdated,
    PeriodReversed,
    Progress,
    ReratingRun,
    ReratingRunId,
    RunStatus,
    Scope,
    SecondPersonRequired,
)
from throughline_core.errors import IllegalTransition
from throughline_core.period import Period


def a_run(status: RunStatus = RunStatus.PREVIEWED, **different: Any) -> ReratingRun:
    run = ReratingRun(
        rerating_run_id=ReratingRunId(an_id("9001")),
        version=3,
        status=status,
        cause=Cause.MANUAL,
        reason="agreed late",
        scope=Scope(ENTITY),
        drafted=Drafted.WAIT,
        moves_payers=False,
        created_at=NOW,
        proposed_by="user:one",
        facts_epoch=7,
        progress=Progress(items_previewed=9, items_different=4),
    )
    return replace(run, **different)


def without(*allowed: RunStatus) -> list[RunStatus]:
    return [status for status in RunStatus if status not in allowed]


def test_a_second_person_approves_what_was_previewed() -> None:
    approved = rerating_run.approve(a_run(), by="user:two", facts_epoch=7)
    assert (approved.status, approved.decided_by, approved.version) == (
        RunStatus.APPLYING,
        "user:two",
        4,
    )


def test_nobody_approves_what_they_proposed_what_is_outdated_or_what_does_nothing() -> None:
    with pytest.raises(SecondPersonRequired):
        rerating_run.approve(a_run(), by="user:one", facts_epoch=7)
    with pytest.raises(Outdated):
        rerating_run.approve(a_run(), by="user:two", facts_epoch=8)
    nothing = a_run(progress=Progress(items_previewed=9, items_different=2, items_skipped=2))
    with pytest.raises(NothingToDo):
        rerating_run.approve(nothing, by="user:two", facts_epoch=7)


@pytest.mark.parametrize("status", without(RunStatus.PREVIEWED))
def test_only_a_previewed_run_is_decided_on(status: RunStatus) -> None:
    run = a_run(status)
    with pytest.raises(IllegalTransition):
        rerating_run.approve(run, by="user:two", facts_epoch=7)
    with pytest.raises(IllegalTransition):
        rerating_run.reject(run, by="user:two", reason="no", at=NOW)


@pytest.mark.parametrize(
    "status", without(RunStatus.PREVIEWING_STOPPED, RunStatus.APPLYING_STOPPED)
)
def test_only_a_stopped_run_is_resumed(status: RunStatus) -> None:
    with pytest.raises(IllegalTransition):
        rerating_run.resume(a_run(status))


@pytest.mark.parametrize(
    "status", without(RunStatus.PREVIEWING, RunStatus.APPLYING, RunStatus.WAITING)
)
def test_only_a_run_that_works_is_stopped(status: RunStatus) -> None:
    with pytest.raises(IllegalTransition):
        rerating_run.stop(a_run(status))


@pytest.mark.parametrize(
    "status", [each for each, targets in TRANSITIONS.items() if RunStatus.CANCELLED not in targets]
)
def test_what_is_being_applied_or_over_is_not_given_up(status: RunStatus) -> None:
    with pytest.raises(IllegalTransition):
        rerating_run.cancel(a_run(status), by="user:one", reason="no", at=NOW)


def test_a_new_preview_forgets_the_one_before_and_who_asked_for_it() -> None:
    again = rerating_run.propose(a_run(), by="user:three", facts_epoch=9)
    assert (again.proposed_by, again.facts_epoch, again.progress) == ("user:three", 9, Progress())


def test_a_run_that_was_approved_and_given_up_shows_both_persons_and_what_it_left() -> None:
    done = Progress(items_different=4, items_applied=1, items_waiting=3)
    run = a_run(RunStatus.WAITING, decided_by="user:two", progress=done)
    given_up = rerating_run.cancel(run, by="user:one", reason="disputed", at=NOW)
    assert (given_up.decided_by, given_up.decision_reason) == ("user:two", "disputed (user:one)")
    assert given_up.status_text == "cancelled, 3 skipped"


def test_the_last_day_does_not_lie_before_the_first() -> None:
    with pytest.raises(PeriodReversed):
        Scope(ENTITY, service_from=date(2026, 9, 2), service_through=date(2026, 9, 1))


def test_a_card_changes_the_days_on_which_a_price_differs() -> None:
    old = a_card(an_entry("100.00"))
    cut = a_card(
        an_entry("100.00", valid_to=date(2026, 10, 1)),
        an_entry("100.00", valid_from=date(2026, 10, 1), valid_to=date(2026, 11, 1)),
        an_entry("110.00", valid_from=date(2026, 11, 1), valid_to=date(2026, 12, 1)),
        an_entry("100.00", valid_from=date(2026, 12, 1)),
    )
    assert changed_days(old, cut) == Period(date(2026, 11, 1), date(2026, 12, 1))
    assert changed_days(old, replace(old, version=2)) is None


def test_a_new_entry_for_a_level_changes_the_days_it_is_valid() -> None:
    old = a_card(an_entry("100.00"))
    level = an_entry("120.00", level="senior", valid_from=date(2026, 6, 1))
    found = changed_days(old, a_card(an_entry("100.00"), level))
    assert found == Period(date(2026, 6, 1), date.max)


def test_another_multiplier_changes_all_days_of_the_card() -> None:
    old = a_card(an_entry("100.00"))
    found = changed_days(old, replace(old, multipliers={"overtime": Decimal("1.5")}))
    assert found == Period(date(2026, 1, 1), date.max)
