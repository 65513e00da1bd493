"""Projects as rows: the project with its lines, tasks, milestones and role requirements."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Table, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.milestone import Milestone
from project_provisioning.domain.project import (
    Project,
    ProjectEvent,
    ProjectLine,
    ProjectStatus,
    RoleRequirement,
    Task,
    TaskNotFound,
)
from project_provisioning.domain.template import BillingModel
from project_provisioning.repository import milestone as milestones
from project_provisioning.wire import project as wire
from throughline_core.change import Change
from throughline_core.errors import StaleVersion
from throughline_core.money import Money
from throughline_runtime import audit, outbox


async def next_number(tx: AsyncConnection) -> str:
    """Return a fresh number for people: `P-000031`."""
    number = await tx.scalar(select(tables.project_number.next_value()))
    return f"P-{number:06d}"


async def add(tx: AsyncConnection, change: Change[Project, ProjectEvent]) -> None:
    """Write a new project whole, one statement for each table, and queue its events."""
    project = change.state
    await tx.execute(insert(tables.project), _values(project))
    children: Sequence[tuple[Table, Iterable[Mapping[str, Any]]]] = (
        (tables.project_line, map(_line_values, project.lines)),
        (tables.task, map(_task_values, project.tasks)),
        (tables.role_requirement, map(_role_values, project.role_requirements)),
    )
    for table, values in children:
        rows = [{"project_id": project.project_id, **row} for row in values]
        if rows:
            await tx.execute(insert(table), rows)
    if project.milestones:
        plan = list(map(milestones.values_of, project.milestones))
        await tx.execute(insert(tables.milestone), plan)
    await outbox.append(tx, map(wire.write_event, change.events))


async def get_of_task(tx: AsyncConnection, task_id: UUID) -> Project:
    """Return the project of a task, locked until the transaction ends.

    Raises:
        TaskNotFound: there is no such task.
    """
    task, project = tables.task, tables.project
    query = (
        select(project)
        .join(task, task.c.project_id == project.c.project_id)
        .where(task.c.task_id == task_id)
        .with_for_update(of=project)
    )
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise TaskNotFound(f"no task {task_id}", field="task_id")
    [found] = await assemble(tx, [row])
    return found


async def get_all(tx: AsyncConnection, project_ids: Iterable[UUID]) -> Mapping[UUID, Project]:
    """Return those of the projects that exist, by id."""
    table = tables.project
    query = select(table).where(table.c.project_id.in_(list(project_ids)))
    found = await assemble(tx, (await tx.execute(query)).all())
    return {project.project_id: project for project in found}


async def save(tx: AsyncConnection, change: Change[Project, ProjectEvent]) -> None:
    """Write the new state of a project and of its tasks.

    Raises:
        StaleVersion: the stored row is not exactly one version behind.
    """
    project, table, task = change.state, tables.project, tables.task
    written = await tx.execute(
        update(table)
        .where(table.c.project_id == project.project_id)
        .where(table.c.version == project.version - 1)
        .values(version=project.version, status=project.status)
    )
    if written.rowcount != 1:
        raise StaleVersion(f"project {project.project_id} is not at {project.version - 1}")
    audit.touch(tx, project.project_id, engagement_id=project.engagement_id)
    closed = [each.task_id for each in project.tasks if each.closed]
    await tx.execute(update(task).where(task.c.task_id.in_(closed)).values(closed=True))
    await outbox.append(tx, map(wire.write_event, change.events))


async def assemble(tx: AsyncConnection, rows: Sequence[Row[Any]]) -> list[Project]:
    """Return the projects of these rows with their children: four queries, however many."""
    ids = [row.project_id for row in rows]
    lines = await _children(tx, tables.project_line, ids)
    tasks = await _children(tx, tables.task, ids)
    roles = await _children(tx, tables.role_requirement, ids)
    plans = await _children(tx, tables.milestone, ids)
    return [
        _project_from(
            row,
            lines=tuple(map(_line_from, lines[row.project_id])),
            tasks=tuple(map(_task_from, tasks[row.project_id])),
            milestones=tuple(map(milestones.milestone_from, plans[row.project_id])),
            role_requirements=tuple(map(_role_from, roles[row.project_id])),
        )
        for row in rows
    ]


async def _children(
    tx: AsyncConnection, table: Table, project_ids: Sequence[UUID]
) -> Mapping[UUID, list[Row[Any]]]:
    found: defaultdict[UUID, list[Row[Any]]] = defaultdict(list)
    query = (
        select(table)
        .where(table.c.project_id.in_(project_ids))
        .order_by(table.c.position, table.c.contract_line_id)
    )
    for row in await tx.execute(query):
        found[row.project_id].append(row)
    return found


def _values(project: Project) -> dict[str, Any]:
    return {
        "project_id": project.project_id,
        "version": project.version,
        "number": project.number,
        "name": project.name,
        "status": project.status,
        "contract_id": project.contract_id,
        "engagement_id": project.engagement_id,
        "correlation_id": project.correlation_id,
        "customer_id": project.customer_id,
        "legal_entity_id": project.legal_entity_id,
        "time_zone": project.time_zone,
        "starts_on": project.starts_on,
        "ends_on": project.ends_on,
        "budget": project.budget.amount,
        "currency": project.budget.currency,
        "templates": list(project.templates),
        "activated_at": project.activated_at,
    }


def _project_from(
    row: Row[Any],
    *,
    lines: tuple[ProjectLine, ...],
    tasks: tuple[Task, ...],
    milestones: tuple[Milestone, ...],
    role_requirements: tuple[RoleRequirement, ...],
) -> Project:
    return Project(
        project_id=row.project_id,
        version=row.version,
        number=row.number,
        name=row.name,
        status=ProjectStatus(row.status),
        contract_id=row.contract_id,
        engagement_id=row.engagement_id,
        correlation_id=row.correlation_id,
        customer_id=row.customer_id,
        legal_entity_id=row.legal_entity_id,
        time_zone=row.time_zone,
        starts_on=row.starts_on,
        ends_on=row.ends_on,
        budget=Money(row.budget, row.currency),
        activated_at=row.activated_at,
        templates=tuple(row.templates),
        lines=lines,
        tasks=tasks,
        milestones=milestones,
        role_requirements=role_requirements,
    )


def _line_values(line: ProjectLine) -> dict[str, Any]:
    return {
        "contract_line_id": line.contract_line_id,
        "quote_line_id": line.quote_line_id,
        "position": line.position,
        "billing_model": line.billing_model,
        "net_total": line.net_total.amount,
        "currency": line.net_total.currency,
    }


def _line_from(row: Row[Any]) -> ProjectLine:
    return ProjectLine(
        contract_line_id=row.contract_line_id,
        quote_line_id=row.quote_line_id,
        position=row.position,
        billing_model=BillingModel(row.billing_model),
        net_total=Money(row.net_total, row.currency),
    )


def _task_values(task: Task) -> dict[str, Any]:
    return {
        "task_id": task.task_id,
        "contract_line_id": task.contract_line_id,
        "position": task.position,
        "phase": task.phase,
        "name": task.name,
        "billable": task.billable,
        "closed": task.closed,
    }


def _task_from(row: Row[Any]) -> Task:
    return Task(
        task_id=row.task_id,
        position=row.position,
        phase=row.phase,
        name=row.name,
        contract_line_id=row.contract_line_id,
        billable=row.billable,
        closed=row.closed,
    )


def _role_values(requirement: RoleRequirement) -> dict[str, Any]:
    return {
        "contract_line_id": requirement.contract_line_id,
        "position": requirement.position,
        "role": requirement.role,
        "planned_hours": requirement.planned_hours,
    }


def _role_from(row: Row[Any]) -> RoleRequirement:
    return RoleRequirement(row.contract_line_id, row.position, row.role, row.planned_hours)
