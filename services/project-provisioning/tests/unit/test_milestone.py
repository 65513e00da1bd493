"""Delivery completes a milestone, the client accepts or rejects it."""

from datetime import date

import pytest
from project_provisioning_builders import the_milestone

from project_provisioning.domain.milestone import (
    Acceptance,
    AcceptedBeforeCompletion,
    DayInFuture,
    MilestoneAccepted,
    MilestoneCompleted,
    MilestoneRejected,
    MilestoneStatus,
    WithoutEvidence,
    accept,
    complete,
    reject,
)
from throughline_core.errors import IllegalTransition

TODAY = date(2026, 9, 14)
COMPLETED = the_milestone(MilestoneStatus.COMPLETED, version=2, completed_on=date(2026, 9, 11))
SIGNED = Acceptance("Clara Neumann", date(2026, 9, 14), "9c" * 32)


@pytest.mark.parametrize("status", [MilestoneStatus.PLANNED, MilestoneStatus.REJECTED])
def test_a_planned_or_rejected_milestone_is_completed(status: MilestoneStatus) -> None:
    change = complete(the_milestone(status), on=date(2026, 9, 11), today=TODAY)

    assert change.state.status is MilestoneStatus.COMPLETED
    assert change.state.version == 2
    assert change.events == (MilestoneCompleted(change.state),)


@pytest.mark.parametrize("status", [MilestoneStatus.COMPLETED, MilestoneStatus.ACCEPTED])
def test_no_other_milestone_is_completed(status: MilestoneStatus) -> None:
    with pytest.raises(IllegalTransition):
        complete(the_milestone(status), on=TODAY, today=TODAY)


def test_nothing_is_complete_tomorrow() -> None:
    with pytest.raises(DayInFuture):
        complete(the_milestone(), on=date(2026, 9, 15), today=TODAY)


def test_the_client_accepts_what_is_complete() -> None:
    change = accept(COMPLETED, SIGNED, today=TODAY)

    accepted = change.state
    assert (accepted.status, accepted.version) == (MilestoneStatus.ACCEPTED, 3)
    assert (accepted.accepted_by, accepted.accepted_on) == ("Clara Neumann", TODAY)
    assert change.events == (MilestoneAccepted(accepted),)


@pytest.mark.parametrize("status", sorted(set(MilestoneStatus) - {MilestoneStatus.COMPLETED}))
def test_only_a_completed_milestone_is_judged(status: MilestoneStatus) -> None:
    with pytest.raises(IllegalTransition):
        accept(the_milestone(status), SIGNED, today=TODAY)
    with pytest.raises(IllegalTransition):
        reject(the_milestone(status), "not there")


def test_the_client_cannot_accept_before_completion() -> None:
    early = Acceptance("Clara Neumann", date(2026, 9, 10), "9c" * 32)

    with pytest.raises(AcceptedBeforeCompletion):
        accept(COMPLETED, early, today=TODAY)


def test_the_client_cannot_have_signed_tomorrow() -> None:
    with pytest.raises(DayInFuture):
        accept(COMPLETED, Acceptance("Clara Neumann", date(2026, 9, 15), "9c" * 32), today=TODAY)


def test_an_acceptance_needs_evidence() -> None:
    with pytest.raises(WithoutEvidence):
        accept(COMPLETED, Acceptance("Clara Neumann", TODAY, ""), today=TODAY)


def test_a_rejection_says_why() -> None:
    change = reject(COMPLETED, "the integration view is missing")

    assert change.state.status is MilestoneStatus.REJECTED
    assert change.events == (MilestoneRejected(change.state, "the integration view is missing"),)
