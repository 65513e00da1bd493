"""Milestones, and what happened to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Date, Row, Select, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.milestone import Milestone, MilestoneNotFound, MilestoneStatus
from project_provisioning.domain.person import Sight
from project_provisioning.queries.paging import by_id, cut, within
from project_provisioning.repository import milestone
from throughline_runtime.fields import MalformedField
from throughline_runtime.page import Page

_milestone, _project, _step = tables.milestone, tables.project, tables.milestone_step

_OPEN = (MilestoneStatus.PLANNED, MilestoneStatus.REJECTED)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which milestones. `overdue_at` keeps those whose day had passed there and that were open."""

    contract_id: UUID | None = None
    project_id: UUID | None = None
    legal_entity_id: UUID | None = None
    status: MilestoneStatus | None = None
    due_from: date | None = None
    due_before: date | None = None
    overdue_at: datetime | None = None


async def get_milestone(tx: AsyncConnection, milestone_id: UUID, sight: Sight) -> Milestone:
    """Return a milestone.

    Raises:
        MilestoneNotFound: there is none the caller may see.
    """
    query = select(_milestone).where(_milestone.c.milestone_id == milestone_id)
    row = (await tx.execute(within(query, _milestone.c.legal_entity_id, sight))).one_or_none()
    if row is None:
        raise MilestoneNotFound(f"no milestone {milestone_id}", field="milestone_id")
    return milestone.milestone_from(row)


async def milestones(
    tx: AsyncConnection, wanted: Filter, *, sight: Sight, page: Page
) -> tuple[list[Milestone], str]:
    """Return milestones by id, and the next page's token."""
    query = _filtered(within(select(_milestone), _milestone.c.legal_entity_id, sight), wanted)
    rows = (await tx.execute(by_id(query, _milestone.c.milestone_id, page))).all()
    kept, token = cut(rows, page, lambda row: row.milestone_id)
    return list(map(milestone.milestone_from, kept)), token


async def steps(
    tx: AsyncConnection, milestone_id: UUID, *, sight: Sight, page: Page
) -> tuple[Sequence[Row[Any]], str]:
    """Return what happened to a milestone, oldest first, and the next page's token.

    Raises:
        MilestoneNotFound: there is none the caller may see.
    """
    await get_milestone(tx, milestone_id, sight)
    query = select(_step).where(_step.c.milestone_id == milestone_id)
    if page.after is not None:
        query = query.where(_step.c.milestone_version > _version_after(page.after[0]))
    query = query.order_by(_step.c.milestone_version).limit(page.size + 1)
    return cut((await tx.execute(query)).all(), page, lambda row: row.milestone_version)


def _filtered(query: Select[Any], wanted: Filter) -> Select[Any]:
    for column, value in (
        (_milestone.c.contract_id, wanted.contract_id),
        (_milestone.c.project_id, wanted.project_id),
        (_milestone.c.legal_entity_id, wanted.legal_entity_id),
        (_milestone.c.status, wanted.status),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.due_from is not None:
        query = query.where(_milestone.c.due_on >= wanted.due_from)
    if wanted.due_before is not None:
        query = query.where(_milestone.c.due_on < wanted.due_before)
    if wanted.overdue_at is not None:
        today = cast(func.timezone(_project.c.time_zone, wanted.overdue_at), Date)
        query = (
            query.join(_project, _project.c.project_id == _milestone.c.project_id)
            .where(_milestone.c.status.in_(_OPEN))
            .where(_milestone.c.due_on < today)
        )
    return query


def _version_after(token: str) -> int:
    if not token.isdecimal():
        raise MalformedField(
            "page_token is not one this list gave out",
            field="page_token",
            advice="send next_page_token of the page before, or none to begin anew",
        )
    return int(token)
