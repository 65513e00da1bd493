"""Hand-overs as rows, and the open projects they are about."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.handover import (
    Handover,
    HandoverNotFound,
    HandoverStatus,
    Pending,
    Wish,
)
from throughline_core.errors import StaleVersion
from throughline_runtime import audit

_CHOSEN: Final = """
    SELECT project_id, number FROM project
    WHERE project.status = 'active' AND manager_person_id = :from_person_id
      AND (CAST(:legal_entity_id AS uuid) IS NULL OR legal_entity_id = :legal_entity_id)
      AND (CAST(:customer_id AS uuid) IS NULL OR customer_id = :customer_id)
      AND (CAST(:project_ids AS uuid[]) = '{}' OR project_id = ANY(:project_ids))
      AND (CAST(:entities AS uuid[]) IS NULL OR legal_entity_id = ANY(:entities))
"""
_NEXT: Final = text(f"{_CHOSEN} ORDER BY project_id LIMIT :size FOR UPDATE")

_REMAINING: Final = text("""
    SELECT handover.handover_id, count(*) AS projects
    FROM manager_handover AS handover
    JOIN project ON project.status = 'active'
        AND project.manager_person_id = handover.from_person_id
        AND (handover.legal_entity_id IS NULL
             OR handover.legal_entity_id = project.legal_entity_id)
        AND (handover.customer_id IS NULL OR handover.customer_id = project.customer_id)
        AND (handover.project_ids = '{}' OR project.project_id = ANY(handover.project_ids))
        AND (handover.entities IS NULL OR project.legal_entity_id = ANY(handover.entities))
    WHERE handover.handover_id = ANY(CAST(:handover_ids AS uuid[]))
      AND handover.finished_at IS NULL
    GROUP BY handover.handover_id
""")

_OUTLOOK: Final = text(f"""
    WITH chosen AS MATERIALIZED ({_CHOSEN})
    SELECT (SELECT count(*) FROM chosen) AS projects,
        ARRAY(SELECT number FROM chosen ORDER BY project_id LIMIT :size) AS numbers,
        sheets.timesheets, sheets.own_timesheets,
        (SELECT count(*) FROM expense_report AS report
         WHERE report.status = 'submitted' AND EXISTS (
             SELECT FROM expense_line AS line JOIN chosen USING (project_id)
             WHERE line.expense_report_id = report.expense_report_id)) AS expense_reports,
        (SELECT count(*) FROM milestone JOIN chosen USING (project_id)
         WHERE milestone.status = 'completed') AS milestones
    FROM (
        SELECT count(*) AS timesheets,
            count(*) FILTER (WHERE sheet.person_id = :to_person_id
                                OR sheet.submitted_by = successor.subject) AS own_timesheets
        FROM timesheet AS sheet
        JOIN time_approval_policy AS policy USING (legal_entity_id)
        LEFT JOIN person AS successor ON successor.person_id = :to_person_id
        WHERE sheet.status = 'submitted' AND policy.approver = 'project_manager' AND EXISTS (
            SELECT FROM time_entry AS entry JOIN chosen USING (project_id)
            WHERE entry.timesheet_id = sheet.timesheet_id)
    ) AS sheets
""")


@dataclass(frozen=True, slots=True)
class Outlook:
    """How many open projects a wish is about, the first numbers, and what is pending on them."""

    projects: int
    numbers: Sequence[str]
    pending: Pending


async def outlook(tx: AsyncConnection, wish: Wish, *, size: int) -> Outlook:
    """Return what a wish is about as things stand: one query."""
    values = {**_chosen(wish), "to_person_id": wish.to_person_id, "size": size}
    row = (await tx.execute(_OUTLOOK, values)).one()
    return Outlook(
        projects=row.projects,
        numbers=row.numbers,
        pending=Pending(
            timesheets=row.timesheets,
            own_timesheets=row.own_timesheets,
            expense_reports=row.expense_reports,
            milestones=row.milestones,
        ),
    )


async def next_projects(tx: AsyncConnection, wish: Wish, *, size: int) -> Sequence[UUID]:
    """Lock and return the next projects that are to follow, by id."""
    rows = await tx.execute(_NEXT, {**_chosen(wish), "size": size})
    return [row.project_id for row in rows]


async def remaining(tx: AsyncConnection, handovers: Sequence[Handover]) -> Mapping[UUID, int]:
    """Return how many projects are still to follow in those where any is: one query."""
    ids = [each.handover_id for each in handovers if each.finished_at is None]
    if not ids:
        return {}
    rows = await tx.execute(_REMAINING, {"handover_ids": ids})
    return {row.handover_id: row.projects for row in rows}


async def add(tx: AsyncConnection, handover: Handover) -> None:
    """Write a new hand-over."""
    assert handover.handover_id is not None
    await tx.execute(insert(tables.manager_handover).values(**_values(handover)))
    audit.touch(tx, handover.handover_id)


async def save(tx: AsyncConnection, handover: Handover) -> None:
    """Write the next version of a hand-over.

    Raises:
        StaleVersion: the stored row is not exactly one version behind.
    """
    assert handover.handover_id is not None
    table = tables.manager_handover
    written = await tx.execute(
        update(table)
        .where(table.c.handover_id == handover.handover_id)
        .where(table.c.version == handover.version - 1)
        .values(
            version=handover.version,
            status=handover.status,
            moved_projects=handover.moved_projects,
            finished_at=handover.finished_at,
        )
    )
    if written.rowcount != 1:
        raise StaleVersion(f"hand-over {handover.handover_id} is not at {handover.version - 1}")
    audit.touch(tx, handover.handover_id)


async def get(tx: AsyncConnection, handover_id: UUID) -> Handover:
    """Return a hand-over, locked until the transaction ends.

    Raises:
        HandoverNotFound: there is none.
    """
    table = tables.manager_handover
    query = select(table).where(table.c.handover_id == handover_id).with_for_update()
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise HandoverNotFound(f"no hand-over {handover_id}", field="handover_id")
    return handover_from(row)


async def due(tx: AsyncConnection, today: date) -> Handover | None:
    """Return the hand-over whose day came first, locked; None when none is due."""
    table = tables.manager_handover
    query = (
        select(table)
        .where(table.c.status.in_((HandoverStatus.WAITING, HandoverStatus.RUNNING)))
        .where(table.c.effective_on <= today)
        .order_by(table.c.effective_on, table.c.handover_id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else handover_from(row)


def handover_from(row: Row[Any]) -> Handover:
    """Return the hand-over a row holds."""
    return Handover(
        handover_id=row.handover_id,
        version=row.version,
        status=HandoverStatus(row.status),
        wish=Wish(
            from_person_id=row.from_person_id,
            to_person_id=row.to_person_id,
            effective_on=row.effective_on,
            legal_entity_id=row.legal_entity_id,
            customer_id=row.customer_id,
            project_ids=tuple(row.project_ids),
            entities=None if row.entities is None else frozenset(row.entities),
            reason=row.reason,
        ),
        requested_by=row.requested_by,
        requested_at=row.requested_at,
        pending=Pending(**row.pending),
        moved_projects=row.moved_projects,
        finished_at=row.finished_at,
    )


def _values(handover: Handover) -> dict[str, Any]:
    wish = handover.wish
    return {
        "handover_id": handover.handover_id,
        "version": handover.version,
        "status": handover.status,
        "from_person_id": wish.from_person_id,
        "to_person_id": wish.to_person_id,
        "legal_entity_id": wish.legal_entity_id,
        "customer_id": wish.customer_id,
        "project_ids": list(wish.project_ids),
        "entities": None if wish.entities is None else sorted(wish.entities),
        "effective_on": wish.effective_on,
        "reason": wish.reason,
        "moved_projects": handover.moved_projects,
        "pending": asdict(handover.pending),
        "requested_by": handover.requested_by,
        "requested_at": handover.requested_at,
        "finished_at": handover.finished_at,
    }


def _chosen(wish: Wish) -> dict[str, Any]:
    return {
        "from_person_id": wish.from_person_id,
        "legal_entity_id": wish.legal_entity_id,
        "customer_id": wish.customer_id,
        "project_ids": list(wish.project_ids),
        "entities": None if wish.entities is None else sorted(wish.entities),
    }
