"""Leave."""

from datetime import date
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.leave import Leave, LeaveKind, LeaveStatus
from project_provisioning.domain.person import Sight
from project_provisioning.queries.paging import after, cut, own, within
from project_provisioning.repository.leave import LEAVES, leave_from
from throughline_runtime.page import Page

_leave = tables.leave


async def leaves(
    tx: AsyncConnection,
    *,
    person_id: UUID | None,
    status: LeaveStatus | None,
    kind: LeaveKind | None,
    first_on: date | None,
    before: date | None,
    sight: Sight,
    page: Page,
) -> tuple[list[Leave], str]:
    """Return leave, latest recorded first, and the next page's token."""
    query = own(within(LEAVES, _leave.c.legal_entity_id, sight), sight)
    if person_id is not None:
        query = query.where(_leave.c.person_id == person_id)
    if status is not None:
        query = query.where(_leave.c.status == status)
    if kind is not None:
        query = query.where(_leave.c.kind == kind)
    if first_on is not None:
        query = query.where(_leave.c.ends_on > first_on)
    if before is not None:
        query = query.where(_leave.c.starts_on < before)
    if page.after is not None:
        query = query.where(_leave.c.leave_id < after(page))
    query = query.order_by(_leave.c.leave_id.desc()).limit(page.size + 1)
    kept, token = cut((await tx.execute(query)).all(), page, lambda row: row.leave_id)
    return list(map(leave_from, kept)), token
