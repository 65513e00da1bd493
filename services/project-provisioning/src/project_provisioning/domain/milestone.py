"""Milestones: completed by delivery, then accepted or rejected by the client."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Final
from uuid import UUID

from throughline_core.change import Change
from throughline_core.errors import FailedPrecondition, InvalidArgument, NotFound
from throughline_core.money import Money
from throughline_core.transition import move


class MilestoneStatus(StrEnum):
    """Where a milestone stands."""

    PLANNED = "planned"
    COMPLETED = "completed"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


TRANSITIONS: Final[Mapping[MilestoneStatus, frozenset[MilestoneStatus]]] = {
    MilestoneStatus.PLANNED: frozenset({MilestoneStatus.COMPLETED}),
    MilestoneStatus.COMPLETED: frozenset({MilestoneStatus.ACCEPTED, MilestoneStatus.REJECTED}),
    MilestoneStatus.REJECTED: frozenset({MilestoneStatus.COMPLETED}),
    MilestoneStatus.ACCEPTED: frozenset(),
}


class MilestoneNotFound(NotFound):
    """There is no such milestone, or none the caller may see."""

    code = "milestone.not_found"


class DayInFuture(InvalidArgument):
    """The day has not come yet."""

    code = "milestone.day_in_future"


class AcceptedBeforeCompletion(FailedPrecondition):
    """The client cannot accept what was not complete."""

    code = "milestone.accepted_before_completion"


class WithoutEvidence(InvalidArgument):
    """Nothing shows that the client accepted."""

    code = "milestone.without_evidence"


class EvidenceDiffers(InvalidArgument):
    """The hash is not that of the document sent with it."""

    code = "milestone.evidence_differs"


@dataclass(frozen=True, slots=True)
class Milestone:
    """A result the client signs off; `amount` is billed on acceptance, before tax."""

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


@dataclass(frozen=True, slots=True)
class MilestoneCompleted:
    """Delivery says the milestone is complete."""

    milestone: Milestone


@dataclass(frozen=True, slots=True)
class MilestoneAccepted:
    """The client accepted it in full."""

    milestone: Milestone


@dataclass(frozen=True, slots=True)
class MilestoneRejected:
    """The client refused it."""

    milestone: Milestone
    reason: str


MilestoneEvent = MilestoneCompleted | MilestoneAccepted | MilestoneRejected


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The client's sign-off; `evidence_sha256` is the hash of the document that shows it."""

    accepted_by: str
    accepted_on: date
    evidence_sha256: str


def complete(milestone: Milestone, *, on: date, today: date) -> Change[Milestone, MilestoneEvent]:
    """Say that the milestone was complete on `on`; `today` is a day in the contract's zone.

    Raises:
        IllegalTransition: it is neither planned nor rejected.
        DayInFuture: `on` is after `today`.
    """
    completed = replace(_step(milestone, MilestoneStatus.COMPLETED), completed_on=on)
    _refuse_future(on, today, "completed_on")
    return Change(completed, (MilestoneCompleted(completed),))


def accept(
    milestone: Milestone, acceptance: Acceptance, *, today: date
) -> Change[Milestone, MilestoneEvent]:
    """Record the client's acceptance of the whole milestone.

    Raises:
        IllegalTransition: it is not completed.
        DayInFuture: the client cannot have signed after `today`.
        AcceptedBeforeCompletion: the client signed before the milestone was complete.
        WithoutEvidence: there is no hash of a document.
    """
    stepped = _step(milestone, MilestoneStatus.ACCEPTED)
    _refuse_future(acceptance.accepted_on, today, "accepted_on")
    assert milestone.completed_on is not None
    if acceptance.accepted_on < milestone.completed_on:
        raise AcceptedBeforeCompletion(
            f"milestone {milestone.key} was complete on {milestone.completed_on}",
            field="accepted_on",
            advice="send the day the client signed",
        )
    if not acceptance.evidence_sha256:
        raise WithoutEvidence(
            "an acceptance needs the document that shows it",
            field="evidence",
            advice="send the signed document, or the hash of the one kept elsewhere",
        )
    accepted = replace(
        stepped,
        accepted_by=acceptance.accepted_by,
        accepted_on=acceptance.accepted_on,
        evidence_sha256=acceptance.evidence_sha256,
    )
    return Change(accepted, (MilestoneAccepted(accepted),))


def reject(milestone: Milestone, reason: str) -> Change[Milestone, MilestoneEvent]:
    """Record the client's refusal; the milestone may be completed again.

    Raises:
        IllegalTransition: it is not completed.
    """
    rejected = _step(milestone, MilestoneStatus.REJECTED)
    return Change(rejected, (MilestoneRejected(rejected, reason),))


def _step(milestone: Milestone, target: MilestoneStatus) -> Milestone:
    status = move(f"milestone {milestone.key}", milestone.status, target, TRANSITIONS)
    return replace(milestone, status=status, version=milestone.version + 1)


def _refuse_future(day: date, today: date, field: str) -> None:
    if day > today:
        raise DayInFuture(
            f"{day} is after {today}", field=field, advice="send the day on which it happened"
        )
