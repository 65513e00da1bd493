"""Milestones as rows."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.milestone import (
    Milestone,
    MilestoneEvent,
    MilestoneNotFound,
    MilestoneStatus,
)
from project_provisioning.wire import milestone as wire
from throughline_core.change import Change
from throughline_core.errors import StaleVersion
from throughline_core.money import Money
from throughline_runtime import outbox


async def get(tx: AsyncConnection, milestone_id: UUID) -> tuple[Milestone, str]:
    """Return a milestone, locked until the transaction ends, and its project's time zone.

    Raises:
        MilestoneNotFound: there is none.
    """
    table, project = tables.milestone, tables.project
    query = (
        select(table, project.c.time_zone)
        .join(project, project.c.project_id == table.c.project_id)
        .where(table.c.milestone_id == milestone_id)
        .with_for_update(of=table)
    )
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise MilestoneNotFound(f"no milestone {milestone_id}", field="milestone_id")
    return milestone_from(row), row.time_zone


async def save(tx: AsyncConnection, change: Change[Milestone, MilestoneEvent]) -> None:
    """Write the new state and queue its events.

    Raises:
        StaleVersion: the stored row is not exactly one version behind.
    """
    milestone, table = change.state, tables.milestone
    written = await tx.execute(
        update(table)
        .where(table.c.milestone_id == milestone.milestone_id)
        .where(table.c.version == milestone.version - 1)
        .values(
            version=milestone.version,
            status=milestone.status,
            completed_on=milestone.completed_on,
            accepted_on=milestone.accepted_on,
            accepted_by=milestone.accepted_by,
            evidence_sha256=milestone.evidence_sha256,
        )
    )
    if written.rowcount != 1:
        raise StaleVersion(f"milestone {milestone.milestone_id} is not at {milestone.version - 1}")
    await outbox.append(tx, map(wire.write_event, change.events))


def values_of(milestone: Milestone) -> dict[str, Any]:
    """Return the row of a milestone."""
    return {
        "milestone_id": milestone.milestone_id,
        "version": milestone.version,
        "project_id": milestone.project_id,
        "contract_id": milestone.contract_id,
        "contract_line_id": milestone.contract_line_id,
        "quote_line_id": milestone.quote_line_id,
        "engagement_id": milestone.engagement_id,
        "correlation_id": milestone.correlation_id,
        "legal_entity_id": milestone.legal_entity_id,
        "position": milestone.position,
        "key": milestone.key,
        "name": milestone.name,
        "amount": milestone.amount.amount,
        "currency": milestone.amount.currency,
        "status": milestone.status,
        "due_on": milestone.due_on,
        "completed_on": milestone.completed_on,
        "accepted_on": milestone.accepted_on,
        "accepted_by": milestone.accepted_by,
        "evidence_sha256": milestone.evidence_sha256,
    }


def milestone_from(row: Row[Any]) -> Milestone:
    """Return the milestone a row holds."""
    return Milestone(
        milestone_id=row.milestone_id,
        version=row.version,
        project_id=row.project_id,
        contract_id=row.contract_id,
        contract_line_id=row.contract_line_id,
        quote_line_id=row.quote_line_id,
        engagement_id=row.engagement_id,
        correlation_id=row.correlation_id,
        legal_entity_id=row.legal_entity_id,
        position=row.position,
        key=row.key,
        name=row.name,
        amount=Money(row.amount, row.currency),
        status=MilestoneStatus(row.status),
        due_on=row.due_on,
        completed_on=row.completed_on,
        accepted_on=row.accepted_on,
        accepted_by=row.accepted_by,
        evidence_sha256=row.evidence_sha256,
    )
