"""Plans: tasks, estimates, progress, costs, budgets, planned revenue, baselines."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.assignment import Assignment, Booking
from project_provisioning.domain.baseline import Baseline, BaselineNotFound
from project_provisioning.domain.budget import Budget, budget_of
from project_provisioning.domain.person import Sight
from project_provisioning.domain.policy import PlanPolicy
from project_provisioning.domain.progress import (
    CostProgress,
    Estimate,
    Progress,
    TaskProgress,
    by_line,
    cost_at_completion,
    task_progress,
    total,
)
from project_provisioning.domain.project import Project, Task, TaskNotFound
from project_provisioning.domain.revenue import PlannedRevenue, line_of, plan_revenue
from project_provisioning.queries.paging import after, cut, within
from project_provisioning.queries.provisioning import get_project
from project_provisioning.repository import assignment as assignments
from project_provisioning.repository import baseline as baselines
from project_provisioning.repository import plan as repository
from project_provisioning.wire.priced import read_orders, read_priced_lines
from throughline_core.money import Money
from throughline_runtime.fields import MalformedField
from throughline_runtime.page import Page

_task, _project = tables.task, tables.project
_estimate, _baseline = tables.task_estimate, tables.baseline


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks of a project. `under` is what a task consists of."""

    under: UUID | None = None
    contract_line_id: UUID | None = None
    closed: bool | None = None
    planned_from: date | None = None
    planned_before: date | None = None


@dataclass(frozen=True, slots=True)
class Coverage:
    """Hours of a role on a line that are needed, and that are booked."""

    contract_line_id: UUID
    role: str
    required: Decimal
    hard: Decimal
    soft: Decimal

    @property
    def open(self) -> Decimal:
        """Required hours nobody is booked for."""
        return max(self.required - self.hard - self.soft, Decimal(0))


@dataclass(frozen=True, slots=True)
class HandOff:
    """What staffing and forecasting need of a project, in one reading."""

    project: Project
    baseline_number: int
    roles: Sequence[Coverage]
    assignments: Sequence[Assignment]
    revenue: Sequence[PlannedRevenue]


async def tasks(
    tx: AsyncConnection, project_id: UUID, wanted: TaskFilter, *, sight: Sight, page: Page
) -> tuple[list[Task], str]:
    """Return a project's tasks in the order of the plan, and the next page's token.

    Raises:
        ProjectNotFound: there is none the caller may see.
    """
    project = await get_project(tx, project_id, sight)
    kept = [task for task in project.tasks if _is_wanted(task, wanted, project)]
    if page.after is not None:
        kept = [task for task in kept if task.position > _number_after(page)]
    shown, token = cut(kept, page, lambda task: task.position)
    return list(shown), token


async def get_task(tx: AsyncConnection, task_id: UUID, sight: Sight) -> tuple[Task, Project]:
    """Return a task and its project.

    Raises:
        TaskNotFound: there is none the caller may see.
    """
    query = select(_task.c.project_id).join(_project, _project.c.project_id == _task.c.project_id)
    query = within(query.where(_task.c.task_id == task_id), _project.c.legal_entity_id, sight)
    project_id = await tx.scalar(query)
    if project_id is None:
        raise TaskNotFound(f"no task {task_id}", field="task_id")
    project = await get_project(tx, project_id, sight)
    return next(task for task in project.tasks if task.task_id == task_id), project


async def estimates(
    tx: AsyncConnection, task_id: UUID, *, sight: Sight, page: Page
) -> tuple[list[Estimate], str]:
    """Return the estimates of a task, latest first, and the next page's token.

    Raises:
        TaskNotFound: there is none the caller may see.
    """
    await get_task(tx, task_id, sight)
    query = select(_estimate).where(_estimate.c.task_id == task_id)
    if page.after is not None:
        query = query.where(_estimate.c.estimate_id < after(page))
    query = query.order_by(_estimate.c.estimate_id.desc()).limit(page.size + 1)
    kept, token = cut((await tx.execute(query)).all(), page, lambda row: row.estimate_id)
    return list(map(_estimate_from, kept)), token


async def progress(
    tx: AsyncConnection, project_id: UUID, sight: Sight
) -> tuple[list[TaskProgress], dict[UUID, Progress], Progress]:
    """Return how far a project's tasks, contract lines and the project itself are.

    Raises:
        ProjectNotFound: there is none the caller may see.
    """
    project = await get_project(tx, project_id, sight)
    each = task_progress(project.tasks, await repository.done(tx, project_id))
    return each, by_line(each), total(each)


async def costs(
    tx: AsyncConnection, project_id: UUID, sight: Sight
) -> tuple[list[CostProgress], list[tuple[UUID, CostProgress]]]:
    """Return what a project costs so far and at completion, and what each contract line does.

    Raises:
        ProjectNotFound: there is none the caller may see.
    """
    _, lines, whole = await progress(tx, project_id, sight)
    by_currency: defaultdict[str, tuple[Money, int]] = defaultdict()
    of_line: defaultdict[UUID, list[tuple[Money, int]]] = defaultdict(list)
    for line, amount, minutes in await repository.costs(tx, project_id):
        so_far, before = by_currency.get(amount.currency, (Money.zero(amount.currency), 0))
        by_currency[amount.currency] = (so_far + amount, before + minutes)
        of_line[line].append((amount, minutes))
    return cost_at_completion(list(by_currency.values()), whole), [
        (line, cost)
        for line, costed in of_line.items()
        for cost in cost_at_completion(costed, lines[line])
    ]


async def budget(tx: AsyncConnection, project_id: UUID, sight: Sight) -> tuple[Budget, PlanPolicy]:
    """Return a project's budgets, and the policy that says when they are told.

    Raises:
        ProjectNotFound: there is none the caller may see.
    """
    project = await get_project(tx, project_id, sight)
    terms = (await repository.terms_of(tx, [project])).get(project_id)
    delivered = (await repository.delivered(tx, [project_id]))[project_id]
    figures = budget_of(project, read_priced_lines(terms, project), read_orders(terms), delivered)
    return figures, await plan_policy(tx, project.legal_entity_id)


async def planned_revenue(
    tx: AsyncConnection, project_id: UUID, sight: Sight
) -> tuple[Project, list[PlannedRevenue]]:
    """Return a project's planned revenue by contract line, month and element.

    Raises:
        ProjectNotFound: there is none the caller may see.
    """
    project = await get_project(tx, project_id, sight)
    return project, await _revenue(tx, project, await assignments.of_project(tx, project_id))


async def hand_off(tx: AsyncConnection, project_id: UUID, sight: Sight) -> HandOff:
    """Return a project's resource plan and planned revenue.

    Raises:
        ProjectNotFound: there is none the caller may see.
    """
    project = await get_project(tx, project_id, sight)
    booked = await assignments.of_project(tx, project_id)
    return HandOff(
        project,
        await baselines.latest_number(tx, project_id),
        _coverage(project, booked),
        booked,
        await _revenue(tx, project, booked),
    )


async def plan_policy(tx: AsyncConnection, legal_entity_id: UUID) -> PlanPolicy:
    """Return a legal entity's policy, the default where none was recorded."""
    return (await repository.policies(tx, [legal_entity_id]))[legal_entity_id]


async def list_baselines(
    tx: AsyncConnection, project_id: UUID, *, sight: Sight, page: Page
) -> tuple[list[Baseline], str]:
    """Return a project's baselines, latest first and without items, and the next page's token.

    Raises:
        ProjectNotFound: there is none the caller may see.
    """
    await get_project(tx, project_id, sight)
    columns = [column for column in _baseline.c if column.name != "items"]
    query = select(*columns).where(_baseline.c.project_id == project_id)
    if page.after is not None:
        query = query.where(_baseline.c.number < _number_after(page))
    query = query.order_by(_baseline.c.number.desc()).limit(page.size + 1)
    kept, token = cut((await tx.execute(query)).all(), page, lambda row: row.number)
    return list(map(baselines.header_from, kept)), token


async def get_baseline(
    tx: AsyncConnection, project_id: UUID, number: int, sight: Sight
) -> Baseline:
    """Return a baseline with its items.

    Raises:
        BaselineNotFound: there is none the caller may see.
    """
    query: Select[Any] = (
        select(_baseline)
        .join(_project, _project.c.project_id == _baseline.c.project_id)
        .where(_baseline.c.project_id == project_id)
        .where(_baseline.c.number == number)
    )
    row = (await tx.execute(within(query, _project.c.legal_entity_id, sight))).one_or_none()
    if row is None:
        raise BaselineNotFound(f"project {project_id} has no baseline {number}", field="number")
    return baselines.baseline_from(row)


async def _revenue(
    tx: AsyncConnection, project: Project, booked: Sequence[Assignment]
) -> list[PlannedRevenue]:
    terms = (await repository.terms_of(tx, [project])).get(project.project_id)
    return plan_revenue(project, read_priced_lines(terms, project), booked)


def _coverage(project: Project, booked: Sequence[Assignment]) -> list[Coverage]:
    hours: defaultdict[tuple[UUID, str, Booking], Decimal] = defaultdict(Decimal)
    for each in booked:
        line = line_of(project, each)
        if line is not None:
            hours[line, each.role, each.booking] += each.planned_hours
    required = {
        (each.contract_line_id, each.role): each.planned_hours for each in project.role_requirements
    }
    keys = dict.fromkeys((*required, *((line, role) for line, role, _ in hours)))
    return [
        Coverage(
            line,
            role,
            required.get((line, role), Decimal(0)),
            hours[line, role, Booking.HARD],
            hours[line, role, Booking.SOFT],
        )
        for line, role in keys
    ]


def _is_wanted(task: Task, wanted: TaskFilter, project: Project) -> bool:
    if wanted.under is not None:
        whole = next((each for each in project.tasks if each.task_id == wanted.under), None)
        if whole is None or not task.wbs_code.startswith(f"{whole.wbs_code}."):
            return False
    if wanted.contract_line_id not in (None, task.contract_line_id):
        return False
    if wanted.planned_from is not None and (task.ends_on or date.min) <= wanted.planned_from:
        return False
    if wanted.planned_before is not None and (task.starts_on or date.max) >= wanted.planned_before:
        return False
    return wanted.closed in (None, task.closed)


def _estimate_from(row: Row[Any]) -> Estimate:
    return Estimate(
        row.estimate_id,
        row.task_id,
        row.remaining_hours,
        row.as_of,
        row.note,
        row.entered_by,
        row.entered_at,
    )


def _number_after(page: Page) -> int:
    """Return the number a page goes on after; call it only where there is one."""
    assert page.after is not None
    if not page.after[0].isdecimal():
        raise MalformedField(
            "page_token is not one this list gave out",
            field="page_token",
            advice="send next_page_token of the page before, or none to begin anew",
        )
    return int(page.after[0])
