"""Projects as rows: the project with its lines, tasks, milestones, roles and budgets."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, Select, Table, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.milestone import Milestone, MilestoneStatus
from project_provisioning.domain.project import (
    Project,
    ProjectEvent,
    TaskNotFound,
)
from project_provisioning.repository import milestone as milestones
from project_provisioning.repository.project_rows import (
    budget_from,
    budget_values,
    line_from,
    line_values,
    project_from,
    project_values,
    role_from,
    role_values,
    task_from,
    task_values,
)
from project_provisioning.repository.rows import Write, Writing
from project_provisioning.wire import project as wire
from throughline_core.change import Change
from throughline_core.errors import StaleVersion
from throughline_runtime import audit, outbox

ProjectChange = Change[Project, ProjectEvent]

_NUMBERS: Final = text(
    "SELECT nextval('project_number') AS number FROM generate_series(1, :count) ORDER BY number"
)

# What was recorded on a project that stands in the way of taking it back.
_RECORDED: Final = text("""
    SELECT project_id,
        EXISTS (SELECT FROM time_entry AS one
                WHERE one.project_id = project.project_id) AS time_entries,
        EXISTS (SELECT FROM expense_line AS one
                WHERE one.project_id = project.project_id) AS expenses,
        EXISTS (SELECT FROM milestone AS one
                WHERE one.project_id = project.project_id
                  AND one.status NOT IN ('planned', 'cancelled')) AS completed_milestones,
        EXISTS (SELECT FROM assignment AS one
                WHERE one.project_id = project.project_id AND NOT one.ended) AS assignments
    FROM project WHERE project_id = ANY(CAST(:project_ids AS uuid[]))
""")

_FIXED: Final = frozenset({"project_id", "number", "quote_line_id", "activated_at"})
"""Columns that stay what they were when a row was made."""

_UNBEGUN: Final = (MilestoneStatus.PLANNED, MilestoneStatus.CANCELLED)


async def next_numbers(tx: AsyncConnection, count: int) -> Sequence[str]:
    """Return fresh numbers for people, rising: `P-000031`."""
    rows = await tx.execute(_NUMBERS, {"count": count})
    return [f"P-{row.number:06d}" for row in rows]


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


async def get_of_contracts(tx: AsyncConnection, contract_ids: Iterable[UUID]) -> list[Project]:
    """Return the contracts' projects, locked with their milestones; masters first."""
    table = tables.project
    return await _locked(tx, select(table).where(table.c.contract_id.in_(list(contract_ids))))


async def get_locked(tx: AsyncConnection, project_ids: Iterable[UUID]) -> list[Project]:
    """Return those of the projects that exist, locked with their milestones; masters first."""
    table = tables.project
    return await _locked(tx, select(table).where(table.c.project_id.in_(list(project_ids))))


async def obstacles_of(
    tx: AsyncConnection, project_ids: Sequence[UUID]
) -> Mapping[UUID, tuple[str, ...]]:
    """Return what was recorded on each project, in words; the projects are locked already."""
    rows = await tx.execute(_RECORDED, {"project_ids": project_ids})
    kinds = ("time_entries", "expenses", "completed_milestones", "assignments")
    return {
        row.project_id: tuple(kind.replace("_", " ") for kind in kinds if getattr(row, kind))
        for row in rows
    }


async def ends_of(tx: AsyncConnection, contract_ids: Iterable[UUID]) -> Mapping[UUID, date]:
    """Return the first day without work of those contracts that ended."""
    table = tables.contract_end
    query = select(table).where(table.c.contract_id.in_(list(contract_ids)))
    return {row.contract_id: row.work_ends_on for row in await tx.execute(query)}


async def note_ends(tx: AsyncConnection, ends: Mapping[UUID, tuple[date, int]]) -> None:
    """Keep the first day without work of contracts that ended, with the contracts' versions."""
    statement = insert(tables.contract_end)
    await tx.execute(
        statement.on_conflict_do_update(
            index_elements=["contract_id"],
            set_={
                "work_ends_on": statement.excluded.work_ends_on,
                "version": statement.excluded.version,
            },
            where=tables.contract_end.c.version < statement.excluded.version,
        ),
        [
            {"contract_id": contract_id, "work_ends_on": ends_on, "version": version}
            for contract_id, (ends_on, version) in sorted(ends.items())
        ],
    )


async def save(tx: AsyncConnection, change: ProjectChange) -> None:
    """Write the new state of one project; see `save_all`."""
    await save_all(tx, [change])


async def save_all(tx: AsyncConnection, changes: Sequence[ProjectChange]) -> None:
    """Write projects whole, new and changed ones, and queue their events.

    One statement for all of it, however many. Of milestones only those are written that nobody
    has begun: the others have a life of their own.

    Raises:
        StaleVersion: a stored row is not exactly one version behind, or a new one is there already.
    """
    moved = [change for change in changes if change.events]
    projects = [change.state for change in moved]
    if not projects:
        return
    written = await _SAVE.save(
        tx,
        [project_values(project) for project in projects],
        [line_values(p, line) for p in projects for line in p.lines],
        [task_values(p, task) for p in projects for task in p.tasks],
        [role_values(p, role) for p in projects for role in p.role_requirements],
        [budget_values(p, each) for p in projects for each in p.budgets],
        [milestones.values_of(each) for p in projects for each in _open_of(p)],
    )
    if written != len(projects):
        raise StaleVersion("a project was changed by somebody else")
    for project in projects:
        audit.touch(tx, project.project_id, engagement_id=project.engagement_id)
    await outbox.append(tx, [wire.write_event(event) for each in moved for event in each.events])


async def assemble(
    tx: AsyncConnection, rows: Sequence[Row[Any]], *, lock: bool = False
) -> list[Project]:
    """Return the projects of these rows with their children: five queries, however many."""
    ids = [row.project_id for row in rows]
    lines = await _children(tx, tables.project_line, ids, "position")
    tasks = await _children(tx, tables.task, ids, "position", "contract_line_id")
    roles = await _children(tx, tables.role_requirement, ids, "position")
    budgets = await _children(tx, tables.project_budget, ids, "kind")
    plans = await _children(tx, tables.milestone, ids, "position", "milestone_id", lock=lock)
    return [
        project_from(
            row,
            lines=tuple(map(line_from, lines[row.project_id])),
            tasks=tuple(map(task_from, tasks[row.project_id])),
            milestones=tuple(map(milestones.milestone_from, plans[row.project_id])),
            role_requirements=tuple(
                map(role_from, _by_line(roles[row.project_id], lines[row.project_id]))
            ),
            budgets=tuple(
                map(budget_from, _by_line(budgets[row.project_id], lines[row.project_id]))
            ),
        )
        for row in rows
    ]


async def _locked(tx: AsyncConnection, query: Select[Any]) -> list[Project]:
    table = tables.project
    ordered = query.order_by(
        table.c.contract_id, table.c.master_project_id.is_not(None), table.c.project_id
    )
    return await assemble(tx, (await tx.execute(ordered.with_for_update())).all(), lock=True)


async def _children(
    tx: AsyncConnection,
    table: Table,
    project_ids: Sequence[UUID],
    *order: str,
    lock: bool = False,
) -> Mapping[UUID, list[Row[Any]]]:
    found: defaultdict[UUID, list[Row[Any]]] = defaultdict(list)
    query = (
        select(table)
        .where(table.c.project_id.in_(project_ids))
        .order_by(*(table.c[name] for name in order))
    )
    for row in await tx.execute(query.with_for_update() if lock else query):
        found[row.project_id].append(row)
    return found


def _by_line(parts: Iterable[Row[Any]], lines: Iterable[Row[Any]]) -> list[Row[Any]]:
    """Return parts of lines in the lines' order; within a line they stay in theirs."""
    places = {line.contract_line_id: line.position for line in lines}
    return sorted(parts, key=lambda part: places.get(part.contract_line_id, 0))


def _open_of(project: Project) -> Iterable[Milestone]:
    return (each for each in project.milestones if each.status in _UNBEGUN)


def _whole(table: Table) -> Write:
    """Return that rows are written whole, known ones over what they were."""
    kept = {*(column.name for column in table.primary_key), *_FIXED}
    return Write(table, tuple(each.name for each in table.columns if each.name not in kept))


def _save() -> Writing:
    project = replace(_whole(tables.project), only_if="project.version = excluded.version - 1")
    milestone = Write(
        tables.milestone,
        ("version", "status", "name", "amount", "due_on"),
        "milestone.status IN ('planned', 'cancelled') AND milestone.version = excluded.version - 1",
    )
    parts = (tables.project_line, tables.task, tables.role_requirement, tables.project_budget)
    return Writing(project, *map(_whole, parts), milestone)


_SAVE: Final = _save()
