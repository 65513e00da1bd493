"""Milestones: completed, put to the client, accepted, rejected, withdrawn, moved."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.domain import acceptance as acceptances
from project_provisioning.domain import milestone as domain
from project_provisioning.domain.acceptance import Acceptance, Withdrawal
from project_provisioning.domain.document import Document
from project_provisioning.domain.milestone import Milestone, MilestoneStatus
from project_provisioning.repository import document as document_repository
from project_provisioning.repository import milestone as repository
from throughline_runtime.clock import Clock
from throughline_runtime.identity import require_entity


@dataclass(frozen=True, slots=True)
class Request:
    """What was put to the client: to whom and when, by default today; a document, or its hash."""

    addressed_to: str
    requested_on: date | None
    document_sha256: str
    document: Document | None


async def complete_milestone(
    tx: AsyncConnection, milestone_id: UUID, *, on: date | None, by: str, clock: Clock
) -> Milestone:
    """Say that a milestone is complete since `on`, by default today in the contract's zone.

    Raises:
        MilestoneNotFound, EntityForbidden, IllegalTransition, DayInFuture, StaleVersion.
    """
    milestone, time_zone = await _get(tx, milestone_id)
    today = clock.today(time_zone)
    change = domain.complete(milestone, on=on or today, today=today)
    await repository.save(tx, change, by=by, at=clock.now())
    return change.state


async def request_acceptance(
    tx: AsyncConnection, milestone_id: UUID, request: Request, *, by: str, clock: Clock
) -> Milestone:
    """Note that the client was asked to accept, and keep what was sent along.

    Raises:
        MilestoneNotFound, EntityForbidden, NotCompleted, DayInFuture, StaleVersion.
        RequestedBeforeCompletion: see `domain.milestone.request_acceptance`.
    """
    milestone, time_zone = await _get(tx, milestone_id)
    today = clock.today(time_zone)
    change = domain.request_acceptance(
        milestone,
        on=request.requested_on or today,
        today=today,
        addressed_to=request.addressed_to,
        document_sha256=request.document_sha256,
    )
    if request.document is not None:
        await document_repository.add(tx, request.document, by=by)
    await repository.save(tx, change, by=by, at=clock.now())
    return change.state


async def accept_milestone(
    tx: AsyncConnection,
    milestone_id: UUID,
    acceptance: Acceptance,
    evidence: Document | None,
    *,
    clock: Clock,
) -> tuple[Milestone, Milestone | None]:
    """Record the client's acceptance, and keep the evidence when it was sent along.

    Returns the milestone and, after the acceptance of a share, the one that holds the rest.

    Raises:
        MilestoneNotFound, EntityForbidden, IllegalTransition, DayInFuture, StaleVersion.
        AcceptedBeforeCompletion, WithoutEvidence, ShareAmbiguous, ShareOutOfRange: see
            `domain.acceptance.accept`.
    """
    milestone, time_zone = await _get(tx, milestone_id)
    change = acceptances.accept(
        milestone,
        acceptance,
        today=clock.today(time_zone),
        taken_keys=await repository.keys_of_line(tx, milestone),
    )
    if evidence is not None:
        await document_repository.add(tx, evidence, by=acceptance.recorded_by)
    await repository.save(tx, change, by=acceptance.recorded_by, at=clock.now())
    return change.state, change.rest


async def reject_milestone(
    tx: AsyncConnection, milestone_id: UUID, *, reason: str, by: str, clock: Clock
) -> Milestone:
    """Record the client's refusal.

    Raises:
        MilestoneNotFound, EntityForbidden, IllegalTransition, StaleVersion.
    """
    milestone, time_zone = await _get(tx, milestone_id)
    change = domain.reject(milestone, reason, today=clock.today(time_zone))
    await repository.save(tx, change, by=by, at=clock.now())
    return change.state


async def begin_withdrawal(
    tx: AsyncConnection, milestone_id: UUID, *, reason: str, by: str
) -> Withdrawal | None:
    """Note that an acceptance is being taken back; None when there is no acceptance.

    Raises:
        MilestoneNotFound, EntityForbidden.
    """
    milestone, _ = await _get(tx, milestone_id)
    if milestone.status is not MilestoneStatus.ACCEPTED:
        return None
    withdrawal = Withdrawal(milestone_id, milestone.version, reason, by)
    await repository.begin_withdrawal(tx, withdrawal)
    return withdrawal


async def end_withdrawal(tx: AsyncConnection, milestone_id: UUID) -> None:
    """Give up taking an acceptance back."""
    await repository.end_withdrawal(tx, milestone_id)


async def withdraw_acceptance(
    tx: AsyncConnection, milestone_id: UUID, *, reason: str, by: str, clock: Clock
) -> tuple[Milestone, Milestone | None]:
    """Take an acceptance back that billing-event has forgotten already.

    Returns the milestone and the rest that went back into it, if any.

    Raises:
        MilestoneNotFound, EntityForbidden, NotAccepted, StaleVersion.
    """
    milestone, time_zone = await _get(tx, milestone_id)
    rest = await repository.rest_of(tx, milestone)
    change = acceptances.withdraw(milestone, reason, today=clock.today(time_zone), rest=rest)
    await repository.end_withdrawal(tx, milestone_id)
    await repository.save(tx, change, by=by, at=clock.now())
    return change.state, change.rest


async def _get(tx: AsyncConnection, milestone_id: UUID) -> tuple[Milestone, str]:
    milestone, time_zone = await repository.get(tx, milestone_id)
    require_entity(milestone.legal_entity_id)
    return milestone, time_zone
