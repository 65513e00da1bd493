"""A provisioning run goes on, pauses or waits; it never half-makes a project."""

from dataclasses import replace
from datetime import timedelta

import pytest
from project_provisioning_builders import AT, TIME_LINE, a_run, an_id, the_templates, the_terms

from project_provisioning.domain.check import TEMPLATE_UNFIT, Check
from project_provisioning.domain.run import (
    TRANSITIONS,
    UNDER_WAY,
    AmendmentFinal,
    RunCancelled,
    RunKind,
    RunPaused,
    RunResumed,
    RunState,
    begin_validation,
    cancel,
    complete,
    judge,
    postpone,
    receive,
    resume,
    wait_seconds,
)
from throughline_core.change import Change
from throughline_core.errors import IllegalTransition

LATER = AT + timedelta(hours=1)
PASSED = Check("customer.credit_hold", True, "finance", "")
TAX_ID = Check(
    "customer.tax_id_invalid",
    False,
    "sales_operations",
    "correct the customer's tax registration",
)


def test_a_contract_has_one_run_whatever_is_redelivered() -> None:
    first, again = (receive(the_terms(), at=at, kind=RunKind.DELIVERY) for at in (AT, LATER))

    assert first.run_id == again.run_id
    assert (first.state, first.version) == (RunState.RECEIVED, 1)


def test_each_later_version_of_the_terms_has_one_more() -> None:
    runs = [
        receive(the_terms(contract_version=version), at=AT, kind=kind)
        for version, kind in ((1, RunKind.DELIVERY), (2, RunKind.AMENDMENT), (3, RunKind.AMENDMENT))
    ]

    assert len({run.run_id for run in runs}) == 3


def test_validation_pins_the_latest_versions() -> None:
    run = a_run(RunState.RECEIVED, pins={})

    change = begin_validation(run, {"advisory": 3, "discovery": 1, "other": 9}, at=LATER)

    assert change.state.pins == {"advisory": 3, "discovery": 1}
    assert change.state.pinned_templates == ("advisory@3", "discovery@1")


def test_a_run_goes_on_when_every_check_passes() -> None:
    change = judge(a_run(attempts=4), [PASSED], at=LATER)

    assert change.state.state is RunState.PROVISIONING
    assert change.state.attempts == 0
    assert all(check.passed for check in change.state.checks)
    assert change.events == ()


def test_a_failed_check_pauses_with_reason_owner_and_advice() -> None:
    change = judge(a_run(), [PASSED, TAX_ID], at=LATER)

    assert change.state.state is RunState.PAUSED
    assert change.state.blocker == TAX_ID
    assert change.events == (RunPaused(change.state, TAX_ID),)


def test_a_template_that_does_not_serve_its_line_loses_its_pin_and_no_other_does() -> None:
    unfit = Check(TEMPLATE_UNFIT, False, "pmo", "publish another", (str(TIME_LINE),))

    paused = judge(a_run(), [PASSED, unfit], at=LATER).state

    assert paused.blocker == unfit
    assert set(paused.pins) == set(the_templates()) - {"advisory"}


def test_a_paused_run_whose_checks_pass_goes_on_by_itself() -> None:
    paused = a_run(RunState.PAUSED, checks=(TAX_ID,))

    change = judge(paused, [PASSED], at=LATER)

    assert change.state.state is RunState.PROVISIONING
    assert change.events == (RunResumed(change.state),)


def test_a_paused_run_that_would_stop_at_the_same_check_stays_as_it_is() -> None:
    paused = a_run(RunState.PAUSED, checks=(TAX_ID,))

    assert judge(paused, [PASSED, TAX_ID], at=LATER) == Change(paused, ())


def test_a_paused_run_that_stops_at_another_check_says_so() -> None:
    paused = a_run(RunState.PAUSED, checks=(TAX_ID,))
    hold = Check("customer.credit_hold", False, "finance", "release the hold")

    change = judge(paused, [hold], at=LATER)

    assert change.state.version == paused.version + 1
    assert change.events == (RunPaused(change.state, hold),)


def test_a_resumed_run_keeps_its_pins_and_takes_the_version_that_mends_it() -> None:
    paused = a_run(RunState.PAUSED, checks=(TAX_ID,), pins={"discovery": 1})

    change = resume(paused, {"discovery": 2, "advisory": 5}, at=LATER)

    assert change.state.pins == {"discovery": 1, "advisory": 5}
    assert change.state.state is RunState.VALIDATING
    assert change.events == (RunResumed(change.state),)


@pytest.mark.parametrize("state", sorted(set(RunState) - {RunState.PAUSED}))
def test_only_a_paused_run_is_resumed(state: RunState) -> None:
    with pytest.raises(IllegalTransition):
        resume(a_run(state), {}, at=LATER)


def test_a_run_names_the_projects_it_made_the_master_first() -> None:
    change = complete(a_run(RunState.PROVISIONING), [an_id("111"), an_id("112")], at=LATER)

    assert change.state.state is RunState.ACTIVATED
    assert change.state.project_id == an_id("111")


@pytest.mark.parametrize("state", sorted(RunState))
def test_a_run_is_given_up_once(state: RunState) -> None:
    run = a_run(state, checks=(TAX_ID,))
    if RunState.CANCELLED in TRANSITIONS[state]:
        cancelled = cancel(run, "the deal fell through", at=LATER).state
        assert cancelled.cancellation_reason == "the deal fell through"
        assert cancelled.blocker is None
        assert isinstance(cancel(run, "no", at=LATER).events[0], RunCancelled)
    else:
        with pytest.raises(IllegalTransition):
            cancel(run, "too late", at=LATER)


@pytest.mark.parametrize("state", sorted(RunState))
def test_only_a_run_under_way_waits(state: RunState) -> None:
    run = a_run(state, checks=(TAX_ID,), attempts=2)
    if state in UNDER_WAY:
        waiting = postpone(run, at=LATER).state
        assert waiting == replace(run, version=3, attempts=3, changed_at=LATER)
    else:
        with pytest.raises(IllegalTransition):
            postpone(run, at=LATER)


def test_waits_double_up_to_a_minute() -> None:
    assert [wait_seconds(attempts) for attempts in (0, 1, 2, 3)] == [0.5, 1, 2, 4]
    assert wait_seconds(500) == 60


def test_what_a_change_order_did_is_not_taken_back_by_cancelling() -> None:
    followed = a_run(RunState.ACTIVATED, kind=RunKind.AMENDMENT)

    with pytest.raises(AmendmentFinal):
        cancel(followed, "no", at=LATER)
