"""The invoice run's phases, and who may move it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from invoice_payment_builders import APPROVER, CUT_OFF, DE01, STARTER, an_id, statuses_without

from invoice_payment.domain.run import (
    REGULAR,
    TRANSITIONS,
    WORKING,
    DifferentContracts,
    InvoiceRun,
    NothingLeftOut,
    Progress,
    RunApproverStartedIt,
    RunStatus,
    approve,
    finish,
    issue,
    require_same,
    resume,
    start,
    stop,
)
from throughline_core.errors import IllegalTransition

AT = datetime(2026, 9, 30, 16, tzinfo=UTC)


def a_run(status: RunStatus = RunStatus.DRAFTING) -> InvoiceRun:
    run = start(an_id("1c1"), DE01, cut_off=CUT_OFF, run_key="", contract_ids=(), by=STARTER, at=AT)
    return replace(run, status=status, cursor=an_id("b1"))


def test_a_run_drafts_is_approved_by_another_person_and_issues() -> None:
    drafted = finish(a_run(), at=AT)
    approved = finish(approve(drafted, by=APPROVER), at=AT)
    issued = finish(issue(approved), at=AT)

    assert [run.status for run in (drafted, approved, issued)] == ["drafted", "approved", "issued"]
    assert issued.approved_by == APPROVER
    assert issued.finished_at == AT


def test_each_phase_begins_at_the_beginning() -> None:
    assert approve(a_run(RunStatus.DRAFTED), by=APPROVER).cursor is None
    assert issue(a_run(RunStatus.APPROVED)).cursor is None


@pytest.mark.parametrize("status", [RunStatus.DRAFTING, RunStatus.ISSUING])
def test_a_stopped_run_goes_on_where_it_stopped(status: RunStatus) -> None:
    run = a_run(status)

    stopped = stop(run)
    resumed = resume(stopped)

    assert stopped.status not in WORKING
    assert (resumed.status, resumed.cursor, resumed.version) == (status, run.cursor, 3)


def test_who_started_a_run_does_not_approve_it() -> None:
    with pytest.raises(RunApproverStartedIt):
        approve(a_run(RunStatus.DRAFTED), by=STARTER)


@pytest.mark.parametrize("status", sorted(set(RunStatus) - {RunStatus.DRAFTING, RunStatus.ISSUING}))
def test_only_what_drafts_or_issues_can_be_stopped(status: RunStatus) -> None:
    with pytest.raises(IllegalTransition):
        stop(a_run(status))


@pytest.mark.parametrize(
    "status", sorted(set(RunStatus) - {RunStatus.DRAFTING_STOPPED, RunStatus.ISSUING_STOPPED})
)
def test_only_what_is_stopped_can_be_resumed(status: RunStatus) -> None:
    with pytest.raises((IllegalTransition, NothingLeftOut)):
        resume(a_run(status))


@pytest.mark.parametrize("status", [RunStatus.DRAFTED, RunStatus.APPROVED, RunStatus.ISSUED])
def test_a_run_at_rest_drafts_again_what_it_left_out(status: RunStatus) -> None:
    run = replace(a_run(status), approved_by=APPROVER, progress=Progress(2, 1, contracts_failed=1))

    resumed = resume(run, left_out=[an_id("b2")])

    assert (resumed.status, resumed.cursor, resumed.approved_by) == ("drafting", None, "")
    assert resumed.retried_contract_ids == (an_id("b2"),)
    assert resumed.progress == Progress(2, 1)
    with pytest.raises(RunApproverStartedIt):
        approve(finish(resumed, at=AT), by=STARTER)


@pytest.mark.parametrize("status", statuses_without(RunStatus.APPROVING, TRANSITIONS))
def test_only_what_is_drafted_can_be_approved(status: RunStatus) -> None:
    with pytest.raises(IllegalTransition):
        approve(a_run(status), by=APPROVER)


@pytest.mark.parametrize(
    "status", sorted(set(RunStatus) - {RunStatus.APPROVED, RunStatus.ISSUING_STOPPED})
)
def test_only_what_is_approved_can_be_issued(status: RunStatus) -> None:
    with pytest.raises(IllegalTransition):
        issue(a_run(status))


@pytest.mark.parametrize("status", sorted(set(RunStatus) - WORKING))
def test_only_a_phase_under_way_can_be_finished(status: RunStatus) -> None:
    with pytest.raises(IllegalTransition):
        finish(a_run(status), at=AT)


def test_the_same_run_for_other_contracts_is_refused() -> None:
    other = replace(a_run(), contract_ids=(an_id("b1"),))

    assert require_same(a_run(), a_run()) == a_run()
    assert a_run().run_key == REGULAR
    with pytest.raises(DifferentContracts):
        require_same(a_run(), other)
