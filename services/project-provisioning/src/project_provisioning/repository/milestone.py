"""Milestones as rows, with all that happened to them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.acceptance import Withdrawal, rest_id_of
from project_provisioning.domain.milestone import (
    Milestone,
    MilestoneChange,
    MilestoneNotFound,
    MilestoneStatus,
    Step,
)
from project_provisioning.wire import milestone as wire
from throughline_core.errors import StaleVersion
from throughline_core.money import Money
from throughline_runtime import audit, exceptions, outbox

AWAITING: Final = "milestone_acceptance"
"""The kind of exception that a milestone becomes which waits too long for the client."""


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


async def project_of(tx: AsyncConnection, milestone_id: UUID) -> UUID:
    """Return the project a milestone belongs to.

    Raises:
        MilestoneNotFound: there is no such milestone.
    """
    table = tables.milestone
    query = select(table.c.project_id).where(table.c.milestone_id == milestone_id)
    project_id: UUID | None = await tx.scalar(query)
    if project_id is None:
        raise MilestoneNotFound(f"no milestone {milestone_id}", field="milestone_id")
    return project_id


async def keys_of_line(tx: AsyncConnection, milestone: Milestone) -> frozenset[str]:
    """Return the keys of all milestones of the same project and contract line."""
    table = tables.milestone
    query = (
        select(table.c.key)
        .where(table.c.project_id == milestone.project_id)
        .where(table.c.contract_line_id == milestone.contract_line_id)
    )
    return frozenset((await tx.execute(query)).scalars())


async def save(tx: AsyncConnection, change: MilestoneChange, *, by: str, at: datetime) -> None:
    """Write the new state, the rest that was split off or came back, and the history; queue events.

    Milestones that no longer wait for the client leave the exceptions.

    Raises:
        StaleVersion: a stored row is not at the version the decision was made on.
    """
    milestone, rest = change.state, change.rest
    await _move(tx, milestone, after=change.steps[0].milestone.version - 1)
    if rest is not None and rest.version == 1:
        audit.touch(tx, rest.milestone_id)
        await tx.execute(insert(tables.milestone), [values_of(rest)])
    elif rest is not None:
        await _move(tx, rest, after=rest.version - 1)
    steps = [_step_values(step, by=by, at=at) for step in change.steps]
    await tx.execute(insert(tables.milestone_step), steps)
    settled = [
        each.milestone_id
        for each in (milestone, rest)
        if each is not None and each.status is not MilestoneStatus.COMPLETED
    ]
    if settled:
        await exceptions.close(tx, AWAITING, settled)
    await outbox.append(tx, map(wire.write_event, change.events))


async def rest_of(tx: AsyncConnection, accepted: Milestone) -> Milestone | None:
    """Return what an acceptance left over, locked until the transaction ends; None if nothing."""
    table = tables.milestone
    query = select(table).where(table.c.milestone_id == rest_id_of(accepted)).with_for_update()
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else milestone_from(row)


async def begin_withdrawal(tx: AsyncConnection, withdrawal: Withdrawal) -> None:
    """Note that an acceptance is being taken back, so that it is finished whatever happens."""
    table = tables.milestone_withdrawal
    values = {
        "milestone_version": withdrawal.milestone_version,
        "reason": withdrawal.reason,
        "requested_by": withdrawal.requested_by,
        # On the database's clock: the one by which it is found again.
        "requested_at": func.now(),
    }
    statement = upsert(table).values(milestone_id=withdrawal.milestone_id, **values)
    await tx.execute(
        statement.on_conflict_do_update(index_elements=[table.c.milestone_id], set_=values)
    )


async def end_withdrawal(tx: AsyncConnection, milestone_id: UUID) -> None:
    """Forget that an acceptance is being taken back: it was, or it cannot be."""
    table = tables.milestone_withdrawal
    await tx.execute(delete(table).where(table.c.milestone_id == milestone_id))


async def withdrawals_left(
    tx: AsyncConnection, *, older_than: timedelta, size: int
) -> Sequence[Withdrawal]:
    """Return withdrawals nobody has finished, at most `size`, the oldest first."""
    table = tables.milestone_withdrawal
    query = (
        select(table)
        .where(table.c.requested_at < func.now() - older_than)
        .order_by(table.c.requested_at)
        .limit(size)
    )
    return [
        Withdrawal(row.milestone_id, row.milestone_version, row.reason, row.requested_by)
        for row in await tx.execute(query)
    ]


async def _move(tx: AsyncConnection, milestone: Milestone, *, after: int) -> None:
    table = tables.milestone
    written = await tx.execute(
        update(table)
        .where(table.c.milestone_id == milestone.milestone_id)
        .where(table.c.version == after)
        .values(
            version=milestone.version,
            status=milestone.status,
            amount=milestone.amount.amount,
            due_on=milestone.due_on,
            completed_on=milestone.completed_on,
            accepted_on=milestone.accepted_on,
            accepted_by=milestone.accepted_by,
            evidence_sha256=milestone.evidence_sha256,
            recorded_by=milestone.recorded_by,
            acceptance_requested_on=milestone.acceptance_requested_on,
        )
    )
    if written.rowcount != 1:
        raise StaleVersion(f"milestone {milestone.milestone_id} is not at {after}")
    audit.touch(tx, milestone.milestone_id, engagement_id=milestone.engagement_id)


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
        "recorded_by": milestone.recorded_by,
        "acceptance_requested_on": milestone.acceptance_requested_on,
        "split_from_milestone_id": milestone.split_from_milestone_id,
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
        recorded_by=row.recorded_by,
        acceptance_requested_on=row.acceptance_requested_on,
        split_from_milestone_id=row.split_from_milestone_id,
    )


def _step_values(step: Step, *, by: str, at: datetime) -> dict[str, Any]:
    milestone = step.milestone
    return {
        "milestone_id": milestone.milestone_id,
        "milestone_version": milestone.version,
        "kind": step.kind,
        "happened_on": step.happened_on,
        "party": step.party,
        "document_sha256": step.document_sha256,
        "amount": milestone.amount.amount,
        "currency": milestone.amount.currency,
        "reason": step.reason,
        "recorded_by": by,
        "recorded_at": at,
    }
