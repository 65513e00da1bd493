"""Milestones: completed by delivery, then accepted or rejected by the client; see `acceptance`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Final
from uuid import UUID

from throughline_core.change import Change
from throughline_core.errors import (
    FailedPrecondition,
    IllegalTransition,
    InvalidArgument,
    NotFound,
)
from throughline_core.money import Money
from throughline_core.transition import move


class MilestoneStatus(StrEnum):
    """Where a milestone stands."""

    PLANNED = "planned"
    COMPLETED = "completed"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


TRANSITIONS: Final[Mapping[MilestoneStatus, frozenset[MilestoneStatus]]] = {
    MilestoneStatus.PLANNED: frozenset({MilestoneStatus.COMPLETED, MilestoneStatus.CANCELLED}),
    MilestoneStatus.COMPLETED: frozenset(
        {MilestoneStatus.ACCEPTED, MilestoneStatus.REJECTED, MilestoneStatus.CANCELLED}
    ),
    MilestoneStatus.REJECTED: frozenset({MilestoneStatus.COMPLETED}),
    MilestoneStatus.ACCEPTED: frozenset({MilestoneStatus.COMPLETED}),
    MilestoneStatus.CANCELLED: frozenset({MilestoneStatus.PLANNED}),
}


class MilestoneNotFound(NotFound):
    """There is no such milestone, or none the caller may see."""

    code = "milestone.not_found"


class DayInFuture(InvalidArgument):
    """The day has not come yet."""

    code = "milestone.day_in_future"


class NotCompleted(FailedPrecondition):
    """Nothing awaits the client's acceptance."""

    code = "milestone.not_completed"


class AlreadyAccepted(FailedPrecondition):
    """The client has accepted it; its day is history."""

    code = "milestone.accepted"


class Cancelled(FailedPrecondition):
    """Nothing is billed for it any more."""

    code = "milestone.cancelled"


class RequestedBeforeCompletion(FailedPrecondition):
    """The client cannot be asked to accept what was not complete."""

    code = "milestone.requested_before_completion"


class StepKind(StrEnum):
    """What happened to a milestone."""

    COMPLETED = "completed"
    REQUESTED = "requested"
    ACCEPTED = "accepted"
    ACCEPTED_IN_PART = "accepted_in_part"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    RESCHEDULED = "rescheduled"
    SPLIT_OFF = "split_off"
    MERGED = "merged"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Milestone:
    """A result the client signs off; `amount` is billed on acceptance, before tax.

    A cancelled one has no amount.
    """

    milestone_id: UUID
    version: int
    project_id: UUID
    contract_id: UUID
    contract_line_id: UUID
    quote_line_id: UUID
    engagement_id: UUID
    correlation_id: UUID
    legal_entity_id: UUID
    position: int
    key: str
    name: str
    amount: Money
    status: MilestoneStatus
    due_on: date | None
    completed_on: date | None = None
    accepted_on: date | None = None
    accepted_by: str = ""
    evidence_sha256: str = ""
    recorded_by: str = ""
    acceptance_requested_on: date | None = None
    split_from_milestone_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened to a milestone, and the state it left.

    `happened_on` is the new day of one that was moved; `party` is who signed or was asked for the
    client.
    """

    milestone: Milestone
    kind: StepKind
    happened_on: date
    party: str = ""
    document_sha256: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class MilestoneCompleted:
    """Delivery says the milestone is complete."""

    milestone: Milestone


@dataclass(frozen=True, slots=True)
class MilestoneAccepted:
    """The client accepted it; `rest` is what was not accepted, a milestone of its own."""

    milestone: Milestone
    rest: Milestone | None = None


@dataclass(frozen=True, slots=True)
class MilestoneRejected:
    """The client refused it."""

    milestone: Milestone
    reason: str


@dataclass(frozen=True, slots=True)
class AcceptanceWithdrawn:
    """An acceptance was taken back before anything of it was billed; `rest` went back into it."""

    milestone: Milestone
    reason: str
    rest: Milestone | None = None


MilestoneEvent = MilestoneCompleted | MilestoneAccepted | MilestoneRejected | AcceptanceWithdrawn


@dataclass(frozen=True, slots=True)
class MilestoneChange(Change[Milestone, MilestoneEvent]):
    """A decision on a milestone: its history grows by `steps`, the first of them its own.

    `rest` is what was split off, or what came back; one of the steps is its.
    """

    steps: tuple[Step, ...]
    rest: Milestone | None = None


def complete(milestone: Milestone, *, on: date, today: date) -> MilestoneChange:
    """Say that the milestone was complete on `on`; `today` is a day in the contract's zone.

    Raises:
        IllegalTransition: it is neither planned nor rejected.
        DayInFuture: `on` is after `today`.
    """
    if milestone.status is MilestoneStatus.ACCEPTED:
        # The way back from an acceptance is its withdrawal.
        raise IllegalTransition(f"milestone {milestone.key} is accepted")
    completed = replace(
        step_to(milestone, MilestoneStatus.COMPLETED), completed_on=on, acceptance_requested_on=None
    )
    refuse_future(on, today, "completed_on")
    step = Step(completed, StepKind.COMPLETED, on)
    return MilestoneChange(completed, (MilestoneCompleted(completed),), (step,))


def request_acceptance(
    milestone: Milestone, *, on: date, today: date, addressed_to: str, document_sha256: str
) -> MilestoneChange:
    """Note that the client was asked to accept; it may be asked again.

    Raises:
        NotCompleted: nothing awaits acceptance.
        DayInFuture: `on` is after `today`.
        RequestedBeforeCompletion: `on` is before the day it was complete.
    """
    if milestone.status is not MilestoneStatus.COMPLETED:
        raise NotCompleted(
            f"milestone {milestone.key} is {milestone.status}", advice="complete it first"
        )
    refuse_future(on, today, "requested_on")
    assert milestone.completed_on is not None
    if on < milestone.completed_on:
        raise RequestedBeforeCompletion(
            f"milestone {milestone.key} was complete on {milestone.completed_on}",
            field="requested_on",
            advice="send the day the client was asked",
        )
    asked = replace(milestone, version=milestone.version + 1, acceptance_requested_on=on)
    step = Step(asked, StepKind.REQUESTED, on, addressed_to, document_sha256)
    return MilestoneChange(asked, (), (step,))


def reject(milestone: Milestone, reason: str, *, today: date) -> MilestoneChange:
    """Record the client's refusal; the milestone may be completed again.

    Raises:
        IllegalTransition: it is not completed.
    """
    rejected = step_to(milestone, MilestoneStatus.REJECTED)
    step = Step(rejected, StepKind.REJECTED, today, reason=reason)
    return MilestoneChange(rejected, (MilestoneRejected(rejected, reason),), (step,))


def reschedule(milestone: Milestone, due_on: date, reason: str) -> MilestoneChange:
    """Move the day the milestone is planned to be complete.

    Raises:
        AlreadyAccepted, Cancelled: it is accepted, or cancelled.
    """
    if milestone.status is MilestoneStatus.ACCEPTED:
        raise AlreadyAccepted(f"milestone {milestone.key} was accepted on {milestone.accepted_on}")
    if milestone.status is MilestoneStatus.CANCELLED:
        raise Cancelled(
            f"milestone {milestone.key} is cancelled",
            field="milestone_id",
            advice="move one that is still agreed, or agree it anew by a change order",
        )
    moved = replace(milestone, version=milestone.version + 1, due_on=due_on)
    return MilestoneChange(moved, (), (Step(moved, StepKind.RESCHEDULED, due_on, reason=reason),))


def cancel(milestone: Milestone) -> Milestone:
    """Return a milestone for which nothing is billed any more.

    Raises:
        IllegalTransition: it is neither planned nor complete.
    """
    cancelled = step_to(milestone, MilestoneStatus.CANCELLED)
    return replace(cancelled, amount=Money.zero(milestone.amount.currency))


def step_to(milestone: Milestone, target: MilestoneStatus) -> Milestone:
    """Return the milestone in its next state.

    Raises:
        IllegalTransition: it cannot get there from where it is.
    """
    status = move(f"milestone {milestone.key}", milestone.status, target, TRANSITIONS)
    return replace(milestone, status=status, version=milestone.version + 1)


def refuse_future(day: date, today: date, field: str) -> None:
    """Refuse a day after `today`.

    Raises:
        DayInFuture: it is.
    """
    if day > today:
        raise DayInFuture(
            f"{day} is after {today}", field=field, advice="send the day on which it happened"
        )
