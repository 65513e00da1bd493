"""Plans: a project's tasks as a tree of any depth, edited in order, all of it or nothing.

The order of the plan is depth first; a task's position is its place in that order, its WBS code the
way to it: `2.1.3` is the third part of the first task of the second phase. A phase is a run of
tasks at the top that have its name and belong to one contract line.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from itertools import groupby
from typing import Final
from uuid import UUID

from project_provisioning.domain.closing import require_active
from project_provisioning.domain.project import (
    Project,
    ProjectEvent,
    ProjectLine,
    Task,
    TaskClosed,
    TaskNotFound,
    changed,
)
from project_provisioning.domain.task_edit import (
    Add,
    Close,
    DatesReversed,
    DependencyCycle,
    Edit,
    LineUnknown,
    Move,
    OutsideProject,
    ParentClosed,
    ParentUnknown,
    PredecessorUnknown,
    Reopen,
    TaskExists,
    TaskNotBillable,
    TaskOpen,
    Timing,
    TreeCycle,
    Update,
)
from project_provisioning.domain.template import BillingModel
from throughline_core.change import Change
from throughline_core.errors import Refusal

CLOCK_MODELS: Final = frozenset({BillingModel.TIME_AND_MATERIALS, BillingModel.RETAINER})
"""Billing models under which approved time is billed."""


def edit(project: Project, edits: Sequence[tuple[str, Edit]]) -> Change[Project, ProjectEvent]:
    """Make the edits in order; each comes with the path of its request field.

    Raises:
        ProjectClosed: the project's plan is history.
        TaskNotFound, TaskClosed, TaskExists, TaskOpen, ParentUnknown, ParentClosed, LineUnknown,
        TaskNotBillable, DatesReversed, OutsideProject, PredecessorUnknown, DependencyCycle,
        TreeCycle: the first edit that cannot be made; its field names it.
    """
    require_active(project)
    tree = _Tree(project)
    for path, each in edits:
        try:
            tree.apply(each)
        except Refusal as refusal:
            refusal.field = ".".join(filter(None, (path, refusal.field))) or None
            raise
    return changed(replace(project, tasks=tuple(tree.numbered())))


class _Tree:
    """The tasks while they are edited: by id, and the ids under each task in order."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._tasks = {task.task_id: task for task in project.tasks}
        self._parts: dict[UUID | None, list[UUID]] = {None: []}
        for task in sorted(project.tasks, key=lambda task: task.position):
            self._parts.setdefault(task.parent_task_id, []).append(task.task_id)

    def apply(self, edit: Edit) -> None:
        """Make one edit."""
        if isinstance(edit, Add):
            self._add(edit)
        elif isinstance(edit, Update):
            self._update(edit)
        elif isinstance(edit, Move):
            self._move(edit)
        elif isinstance(edit, Close):
            self._close(edit)
        else:
            self._reopen(edit)

    def numbered(self) -> Iterator[Task]:
        """Yield the tasks in the order of the plan with their positions and WBS codes."""
        for position, (task_id, code) in enumerate(self._walk(None, ""), start=1):
            yield replace(self._tasks[task_id], position=position, wbs_code=code)

    def _walk(self, under: UUID | None, prefix: str) -> Iterator[tuple[UUID, str]]:
        """Yield all that is under a task, depth first, each with its WBS code."""
        left = self._coded(under, prefix)
        while left:
            task_id, code = left.pop()
            yield task_id, code
            left += self._coded(task_id, f"{code}.")

    def _coded(self, under: UUID | None, prefix: str) -> list[tuple[UUID, str]]:
        """Return the parts of a task with their codes, the last one first."""
        numbered = enumerate(self._parts.get(under, ()), start=1)
        if under is not None:
            return [(task_id, f"{prefix}{number}") for number, task_id in numbered][::-1]
        phases = groupby(self._parts[None], key=self._phase_of)
        return [
            (task_id, f"{phase}.{number}")
            for phase, (_, ids) in enumerate(phases, start=1)
            for number, task_id in enumerate(ids, start=1)
        ][::-1]

    def _phase_of(self, task_id: UUID) -> tuple[UUID, str]:
        task = self._tasks[task_id]
        return task.contract_line_id, task.phase

    def _add(self, new: Add) -> None:
        if new.task_id in self._tasks:
            raise TaskExists(
                f"there is a task {new.task_id}", field="task_id", advice="send another id, or none"
            )
        parent = self._parent(new.parent_task_id)
        line = self._line(new.contract_line_id or (parent.contract_line_id if parent else None))
        task = Task(
            task_id=new.task_id,
            position=len(self._tasks) + 1,
            phase=new.phase or (parent.phase if parent else ""),
            name=new.name,
            contract_line_id=line.contract_line_id,
            billable=_billable(line, new.billable),
            parent_task_id=new.parent_task_id,
        )
        self._tasks[new.task_id] = task
        self._place(new.task_id, new.parent_task_id, new.after_task_id)
        self._time(task, new.timing)

    def _update(self, update: Update) -> None:
        task = self._open_task(update.task_id)
        billable = task.billable
        if update.billable is not None:
            billable = _billable(self._line_of(task), update.billable)
        named = replace(task, name=update.name, phase=update.phase, billable=billable)
        self._time(named, update.timing)

    def _move(self, move: Move) -> None:
        task = self._open_task(move.task_id)
        self._parent(move.parent_task_id)
        parts = {each for each, _ in self._walk(task.task_id, "")}
        if move.parent_task_id in parts | {task.task_id}:
            raise TreeCycle(
                f"task {task.name} would be a part of itself",
                field="parent_task_id",
                advice="move it under a task that is no part of it",
            )
        self._parts[task.parent_task_id].remove(task.task_id)
        self._tasks[task.task_id] = replace(task, parent_task_id=move.parent_task_id)
        self._place(task.task_id, move.parent_task_id, move.after_task_id)
        self._refuse_dependency_cycle("parent_task_id")

    def _close(self, close: Close) -> None:
        task = self._open_task(close.task_id)
        parts = [task_id for task_id, _ in self._walk(task.task_id, "")]
        for task_id in (task.task_id, *parts):
            self._tasks[task_id] = replace(self._tasks[task_id], closed=True)

    def _reopen(self, reopen: Reopen) -> None:
        task = self._task(reopen.task_id)
        if not task.closed:
            raise TaskOpen(f"task {task.name} is open", field="task_id")
        self._parent(task.parent_task_id)
        self._tasks[task.task_id] = replace(task, closed=False)

    def _task(self, task_id: UUID) -> Task:
        task = self._tasks.get(task_id)
        if task is None:
            raise TaskNotFound(f"no task {task_id} in this project", field="task_id")
        return task

    def _open_task(self, task_id: UUID) -> Task:
        task = self._task(task_id)
        if task.closed:
            raise TaskClosed(
                f"task {task.name} is closed", field="task_id", advice="reopen it first"
            )
        return task

    def _parent(self, task_id: UUID | None) -> Task | None:
        if task_id is None:
            return None
        parent = self._tasks.get(task_id)
        if parent is None:
            raise ParentUnknown(
                f"no task {task_id} in this project",
                field="parent_task_id",
                advice="send the id of a task of the same project, or none for the top",
            )
        if parent.closed:
            raise ParentClosed(
                f"task {parent.name} is closed",
                field="parent_task_id",
                advice="reopen it first, or choose another",
            )
        return parent

    def _line_of(self, task: Task) -> ProjectLine:
        return next(
            line for line in self._project.lines if line.contract_line_id == task.contract_line_id
        )

    def _line(self, contract_line_id: UUID | None) -> ProjectLine:
        for line in self._project.lines:
            if line.contract_line_id == contract_line_id and line.ended_on is None:
                return line
        raise LineUnknown(
            f"the project delivers no contract line {contract_line_id}",
            field="contract_line_id",
            advice="send a line of the project that has not ended, or a parent that has one",
        )

    def _place(self, task_id: UUID, parent_id: UUID | None, after_id: UUID | None) -> None:
        neighbours = self._parts.setdefault(parent_id, [])
        if after_id is None and parent_id is None:
            phases = list(map(self._phase_of, neighbours))
            alike = [i for i, phase in enumerate(phases, 1) if phase == self._phase_of(task_id)]
            neighbours.insert(alike[-1] if alike else len(neighbours), task_id)
        elif after_id is None:
            neighbours.append(task_id)
        elif after_id in neighbours:
            neighbours.insert(neighbours.index(after_id) + 1, task_id)
        else:
            raise ParentUnknown(
                f"task {after_id} is no neighbour there",
                field="after_task_id",
                advice="send a task with the same parent, or none for the last place",
            )

    def _time(self, task: Task, timing: Timing) -> None:
        """Keep a task with its schedule, once that is found sound."""
        _refuse_dates(self._project, timing)
        for task_id in timing.predecessor_task_ids:
            if task_id not in self._tasks:
                raise PredecessorUnknown(
                    f"no task {task_id} in this project",
                    field="predecessor_task_ids",
                    advice="send ids of tasks of the same project",
                )
        self._tasks[task.task_id] = replace(
            task,
            starts_on=timing.starts_on,
            ends_on=timing.ends_on,
            planned_minutes=timing.planned_minutes,
            predecessor_task_ids=timing.predecessor_task_ids,
        )
        if timing.predecessor_task_ids:
            self._refuse_dependency_cycle("predecessor_task_ids")

    def _refuse_dependency_cycle(self, field: str) -> None:
        try:
            TopologicalSorter(_order(self._tasks)).prepare()
        except CycleError as error:
            raise DependencyCycle(
                "a task would have to be finished before it can begin",
                field=field,
                advice="a task waits neither for its own parts nor for what waits for them",
            ) from error


def _order(tasks: Mapping[UUID, Task]) -> Mapping[tuple[UUID, str], set[tuple[UUID, str]]]:
    """Return what comes before the begin and the end of each task.

    A part begins after the whole has begun and ends before the whole ends, so that a dependency of
    the whole is one of its parts.
    """
    before: dict[tuple[UUID, str], set[tuple[UUID, str]]] = {}
    for task in tasks.values():
        begin, end = (task.task_id, "begin"), (task.task_id, "end")
        before.setdefault(end, set()).add(begin)
        before.setdefault(begin, set()).update((each, "end") for each in task.predecessor_task_ids)
        if task.parent_task_id is not None:
            before[begin].add((task.parent_task_id, "begin"))
            before.setdefault((task.parent_task_id, "end"), set()).add(end)
    return before


def _billable(line: ProjectLine, wanted: bool | None) -> bool:
    """Return whether time on a task of the line is billed: as wanted, or else as the line is."""
    by_time = line.billing_model in CLOCK_MODELS
    if wanted and not by_time:
        raise TaskNotBillable(
            f"the contract line is billed by {line.billing_model}",
            field="billable",
            advice="only time and materials and retainers bill time",
        )
    return by_time if wanted is None else wanted


def _refuse_dates(project: Project, timing: Timing) -> None:
    start, end = timing.starts_on, timing.ends_on
    if start is None and end is None:
        return
    if start is None or end is None or start >= end:
        raise DatesReversed(
            "a task needs a first day and a later first day after, or neither",
            field="starts_on" if start is None else "ends_on",
            advice="send both; the second is the first day no longer planned",
        )
    if start < project.starts_on or end > project.ends_on:
        raise OutsideProject(
            f"the project runs from {project.starts_on} to {project.ends_on}",
            field="starts_on" if start < project.starts_on else "ends_on",
            advice="plan within it, or agree a change order that moves its term",
        )
