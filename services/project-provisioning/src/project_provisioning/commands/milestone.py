"""Milestones: completed, accepted, rejected."""

from datetime import date
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.domain import milestone as domain
from project_provisioning.domain.document import Document
from project_provisioning.domain.milestone import Acceptance, Milestone
from project_provisioning.repository import document as document_repository
from project_provisioning.repository import milestone as repository
from throughline_runtime.clock import Clock
from throughline_runtime.identity import require_entity


async def complete_milestone(
    tx: AsyncConnection, milestone_id: UUID, *, on: date | None, clock: Clock
) -> Milestone:
    """Say that a milestone is complete since `on`, by default today in the contract's zone.

    Raises:
        MilestoneNotFound, EntityForbidden, IllegalTransition, DayInFuture, StaleVersion.
    """
    milestone, time_zone = await repository.get(tx, milestone_id)
    require_entity(milestone.legal_entity_id)
    today = clock.today(time_zone)
    change = domain.complete(milestone, on=on or today, today=today)
    await repository.save(tx, change)
    return change.state


async def accept_milestone(
    tx: AsyncConnection,
    milestone_id: UUID,
    acceptance: Acceptance,
    evidence: Document | None,
    *,
    by: str,
    clock: Clock,
) -> Milestone:
    """Record the client's acceptance, and keep the evidence when it was sent along.

    Raises:
        MilestoneNotFound, EntityForbidden, IllegalTransition, DayInFuture, StaleVersion.
        AcceptedBeforeCompletion, WithoutEvidence: see `domain.milestone.accept`.
    """
    milestone, time_zone = await repository.get(tx, milestone_id)
    require_entity(milestone.legal_entity_id)
    change = domain.accept(milestone, acceptance, today=clock.today(time_zone))
    if evidence is not None:
        await document_repository.add(tx, evidence, by=by)
    await repository.save(tx, change)
    return change.state


async def reject_milestone(tx: AsyncConnection, milestone_id: UUID, *, reason: str) -> Milestone:
    """Record the client's refusal.

    Raises:
        MilestoneNotFound, EntityForbidden, IllegalTransition, StaleVersion.
    """
    milestone, _ = await repository.get(tx, milestone_id)
    require_entity(milestone.legal_entity_id)
    change = domain.reject(milestone, reason)
    await repository.save(tx, change)
    return change.state
