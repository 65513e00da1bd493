"""Delivery completes a milestone and puts it to the client, who may reject it."""

from datetime import date

import pytest
from project_provisioning_builders import the_milestone

from project_provisioning.domain.milestone import (
    AlreadyAccepted,
    Cancelled,
    DayInFuture,
    Milestone,
    MilestoneCompleted,
    MilestoneRejected,
    MilestoneStatus,
    NotCompleted,
    RequestedBeforeCompletion,
    StepKind,
    cancel,
    complete,
    reject,
    request_acceptance,
    reschedule,
)
from throughline_core.errors import IllegalTransition

TODAY = date(2026, 9, 14)
COMPLETED = the_milestone(MilestoneStatus.COMPLETED, version=2, completed_on=date(2026, 9, 11))


@pytest.mark.parametrize("status", [MilestoneStatus.PLANNED, MilestoneStatus.REJECTED])
def test_a_planned_or_rejected_milestone_is_completed(status: MilestoneStatus) -> None:
    change = complete(the_milestone(status), on=date(2026, 9, 11), today=TODAY)

    assert change.state.status is MilestoneStatus.COMPLETED
    assert change.state.version == 2
    assert change.events == (MilestoneCompleted(change.state),)


@pytest.mark.parametrize(
    "status", [MilestoneStatus.COMPLETED, MilestoneStatus.ACCEPTED, MilestoneStatus.CANCELLED]
)
def test_no_other_milestone_is_completed(status: MilestoneStatus) -> None:
    with pytest.raises(IllegalTransition):
        complete(the_milestone(status), on=TODAY, today=TODAY)


def test_nothing_is_complete_tomorrow() -> None:
    with pytest.raises(DayInFuture):
        complete(the_milestone(), on=date(2026, 9, 15), today=TODAY)


def test_what_was_rejected_and_is_complete_again_has_to_be_put_to_the_client_anew() -> None:
    rejected = the_milestone(
        MilestoneStatus.REJECTED,
        completed_on=date(2026, 9, 10),
        acceptance_requested_on=date(2026, 9, 11),
    )

    assert complete(rejected, on=TODAY, today=TODAY).state.acceptance_requested_on is None


def test_asking_the_client_is_kept_with_document_and_addressee() -> None:
    change = request_acceptance(
        COMPLETED, on=TODAY, today=TODAY, addressed_to="Clara Neumann", document_sha256="9c" * 32
    )

    assert change.state.acceptance_requested_on == TODAY
    assert change.state.status is MilestoneStatus.COMPLETED
    assert change.events == ()
    [step] = change.steps
    assert (step.kind, step.party) == (StepKind.REQUESTED, "Clara Neumann")
    assert step.document_sha256 == "9c" * 32


@pytest.mark.parametrize(
    ("milestone", "on", "refusal"),
    [
        (the_milestone(), TODAY, NotCompleted),
        (COMPLETED, date(2026, 9, 10), RequestedBeforeCompletion),
        (COMPLETED, date(2026, 9, 15), DayInFuture),
    ],
)
def test_the_client_is_asked_after_completion_and_not_tomorrow(
    milestone: Milestone, on: date, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        request_acceptance(milestone, on=on, today=TODAY, addressed_to="C", document_sha256="")


def test_a_rejection_says_why() -> None:
    change = reject(COMPLETED, "the integration view is missing", today=TODAY)

    assert change.state.status is MilestoneStatus.REJECTED
    assert change.events == (MilestoneRejected(change.state, "the integration view is missing"),)
    assert change.steps[0].reason == "the integration view is missing"


@pytest.mark.parametrize("status", sorted(set(MilestoneStatus) - {MilestoneStatus.COMPLETED}))
def test_only_a_completed_milestone_is_rejected(status: MilestoneStatus) -> None:
    with pytest.raises(IllegalTransition):
        reject(the_milestone(status), "not there", today=TODAY)


@pytest.mark.parametrize("status", sorted(set(MilestoneStatus) - {MilestoneStatus.PLANNED}))
def test_what_was_begun_is_not_cancelled_unless_it_awaits_the_client(
    status: MilestoneStatus,
) -> None:
    if status is MilestoneStatus.COMPLETED:
        assert cancel(the_milestone(status)).amount.is_zero
        return
    with pytest.raises(IllegalTransition):
        cancel(the_milestone(status))


def test_what_is_cancelled_is_not_moved() -> None:
    with pytest.raises(Cancelled):
        reschedule(the_milestone(MilestoneStatus.CANCELLED), date(2026, 10, 1), "no more")


def test_a_milestone_is_moved_until_it_is_accepted() -> None:
    change = reschedule(the_milestone(), date(2026, 10, 1), "the client is away")

    assert (change.state.due_on, change.state.version) == (date(2026, 10, 1), 2)
    assert change.steps[0].kind is StepKind.RESCHEDULED
    with pytest.raises(AlreadyAccepted):
        reschedule(the_milestone(MilestoneStatus.ACCEPTED), date(2026, 10, 1), "too late")
