"""A provisioning run goes on, pauses or waits; it never half-makes a project."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from project_provisioning_builders import (
    AT,
    a_line,
    a_milestone_plan,
    a_run,
    a_template,
    an_id,
    the_templates,
    the_terms,
)

from project_provisioning.domain.run import (
    TRANSITIONS,
    UNDER_WAY,
    Check,
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
from project_provisioning.domain.template import BillingModel
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
    first, again = receive(the_terms(), at=AT), receive(the_terms(), at=LATER)

    assert first.run_id == again.run_id
    assert (first.state, first.version) == (RunState.RECEIVED, 1)


def test_validation_pins_the_latest_versions() -> None:
    run = a_run(RunState.RECEIVED, pins={})

    change = begin_validation(run, {"advisory": 3, "discovery": 1, "other": 9}, at=LATER)

    assert change.state.pins == {"advisory": 3, "discovery": 1}
    assert change.state.pinned_templates == ("advisory@3", "discovery@1")


def test_a_run_goes_on_when_every_check_passes() -> None:
    change = judge(a_run(attempts=4), [PASSED], the_templates(), at=LATER)

    assert change.state.state is RunState.PROVISIONING
    assert change.state.attempts == 0
    assert all(check.passed for check in change.state.checks)
    assert change.events == ()


def test_a_failed_check_pauses_with_reason_owner_and_advice() -> None:
    change = judge(a_run(), [PASSED, TAX_ID], the_templates(), at=LATER)

    assert change.state.state is RunState.PAUSED
    assert change.state.blocker == TAX_ID
    assert change.events == (RunPaused(change.state, TAX_ID),)


def test_a_missing_template_is_the_pmos_to_mend() -> None:
    templates = {code: each for code, each in the_templates().items() if code != "advisory"}

    paused = judge(a_run(), [], templates, at=LATER).state

    assert paused.blocker == Check(
        "template.missing", False, "pmo", "publish delivery template advisory"
    )


def test_a_template_that_does_not_serve_the_line_loses_its_pin_and_no_other_does() -> None:
    unfit = a_template("advisory", BillingModel.FIXED_FEE)

    paused = judge(a_run(), [], {**the_templates(), "advisory": unfit}, at=LATER).state

    assert paused.blocker is not None
    assert paused.blocker.code == "template.billing_model_unsupported"
    assert set(paused.pins) == set(the_templates()) - {"advisory"}


@pytest.mark.parametrize("shares", [(), ("40",), ("40", "60.0001")])
def test_a_fixed_fee_without_a_whole_milestone_plan_is_for_sales_operations(
    shares: tuple[str, ...],
) -> None:
    plan = tuple(
        a_milestone_plan(f"m{index}", "Milestone", share, AT.date())
        for index, share in enumerate(shares)
    )
    line = a_line(BillingModel.FIXED_FEE, template_code="discovery", milestones=plan)

    paused = judge(a_run(terms=the_terms(lines=(line,))), [], the_templates(), at=LATER).state

    assert paused.blocker is not None
    assert paused.blocker.code == "contract_line.milestones_missing"
    assert paused.blocker.owner == "sales_operations"


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


def test_a_run_that_made_its_project_names_it() -> None:
    change = complete(a_run(RunState.PROVISIONING), an_id("111"), at=LATER)

    assert change.state.state is RunState.ACTIVATED
    assert change.state.project_id == an_id("111")


@pytest.mark.parametrize("state", sorted(RunState))
def test_a_run_is_given_up_until_its_project_exists(state: RunState) -> None:
    run = a_run(state, checks=(TAX_ID,))
    if RunState.CANCELLED in TRANSITIONS[state]:
        cancelled = cancel(run, "the deal fell through", at=LATER).state
        assert cancelled.cancellation_reason == "the deal fell through"
        assert cancelled.blocker is None
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


def test_shares_are_exact() -> None:
    plan = tuple(
        a_milestone_plan(key, key, share, AT.date())
        for key, share in (("a", "33.3333"), ("b", "33.3333"), ("c", "33.3334"))
    )
    line = a_line(BillingModel.FIXED_FEE, template_code="discovery", milestones=plan)
    assert sum(part.share_percent for part in plan) == Decimal(100)

    judged = judge(a_run(terms=the_terms(lines=(line,))), [], the_templates(), at=LATER)

    assert judged.state.state is RunState.PROVISIONING
