"""Costs of people and of their approved time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.cost import CostGrouping, PersonCost, SummaryTooLarge
from project_provisioning.domain.person import Sight
from project_provisioning.queries import time as person_queries
from project_provisioning.queries.paging import by_id, cut, within
from project_provisioning.repository.cost import cost_from
from throughline_runtime.fields import read_date
from throughline_runtime.page import Page

SUMS_MAX: Final = 2000

_cost, _own = tables.time_cost, tables.person_cost
_missing, _entry = tables.time_cost_missing, tables.time_entry
_KEYS: Final[dict[CostGrouping, ColumnElement[Any]]] = {
    CostGrouping.PROJECT: _cost.c.project_id,
    CostGrouping.TASK: _cost.c.task_id,
    CostGrouping.PERSON: _cost.c.person_id,
    CostGrouping.MONTH: func.to_char(_cost.c.work_date, "YYYY-MM"),
}


@dataclass(frozen=True, slots=True)
class Selection:
    """Which time: None is all; days are `[worked_from, worked_before)`."""

    project_id: UUID | None = None
    task_id: UUID | None = None
    person_id: UUID | None = None
    legal_entity_id: UUID | None = None
    worked_from: date | None = None
    worked_before: date | None = None


async def person_costs(
    tx: AsyncConnection, person_id: UUID, *, sight: Sight, page: Page
) -> tuple[list[PersonCost], str]:
    """Return a person's costs, oldest first, and the next page's token.

    Raises:
        PersonNotFound: there is no such person the caller may see.
    """
    await person_queries.get_person(tx, person_id, sight)
    query = within(select(_own), _own.c.legal_entity_id, sight)
    query = query.where(_own.c.person_id == person_id)
    if page.after is not None:
        query = query.where(_own.c.valid_from > read_date("page_token", page.after[0]))
    query = query.order_by(_own.c.valid_from).limit(page.size + 1)
    kept, token = cut((await tx.execute(query)).all(), page, lambda row: row.valid_from)
    return list(map(cost_from, kept)), token


async def time_costs(
    tx: AsyncConnection, selection: Selection, *, sight: Sight, page: Page
) -> tuple[Sequence[Row[Any]], str]:
    """Return costs by entry, and the next page's token."""
    query = _selected(select(_cost), _cost, selection, sight)
    rows = (await tx.execute(by_id(query, _cost.c.time_entry_id, page))).all()
    return cut(rows, page, lambda row: row.time_entry_id)


async def time_cost_summary(
    tx: AsyncConnection, grouping: CostGrouping, selection: Selection, *, sight: Sight
) -> tuple[Sequence[Row[Any]], int]:
    """Return sums by key and currency, and how many entries of the selection lack a cost.

    Raises:
        SummaryTooLarge: there are more than `SUMS_MAX`.
    """
    key = _KEYS[grouping].label("key")
    billable = case((_cost.c.billable, _cost.c.minutes), else_=0)
    query = select(
        key,
        _cost.c.currency,
        func.sum(_cost.c.minutes).label("minutes"),
        func.sum(billable).label("billable_minutes"),
        func.sum(_cost.c.amount).label("amount"),
    )
    grouped = _selected(query, _cost, selection, sight).group_by(key, _cost.c.currency)
    rows = (await tx.execute(grouped.order_by(key, _cost.c.currency).limit(SUMS_MAX + 1))).all()
    if len(rows) > SUMS_MAX:
        raise SummaryTooLarge(
            f"there are more than {SUMS_MAX} sums",
            field="group_by",
            advice="narrow the selection, or group by something wider",
        )
    waiting = (
        select(func.count())
        .select_from(_missing)
        .join(_entry, _entry.c.time_entry_id == _missing.c.time_entry_id)
    )
    return rows, int(await tx.scalar(_selected(waiting, _entry, selection, sight)) or 0)


def _selected(query: Select[Any], table: Any, selection: Selection, sight: Sight) -> Select[Any]:
    query = within(query, table.c.legal_entity_id, sight)
    wanted = (
        (table.c.project_id, selection.project_id),
        (table.c.task_id, selection.task_id),
        (table.c.person_id, selection.person_id),
        (table.c.legal_entity_id, selection.legal_entity_id),
    )
    for column, value in wanted:
        if value is not None:
            query = query.where(column == value)
    if selection.worked_from is not None:
        query = query.where(table.c.work_date >= selection.worked_from)
    if selection.worked_before is not None:
        query = query.where(table.c.work_date < selection.worked_before)
    return query
