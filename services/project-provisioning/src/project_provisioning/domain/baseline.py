"""Baselines: dated snapshots of a plan, and how two of them differ.

A snapshot is a list of parts, each with named figures written as the API writes them, so that two
snapshots of any age can be compared figure by figure.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from uuid import UUID

from project_provisioning.domain.assignment import Assignment
from project_provisioning.domain.capacity import hours_of
from project_provisioning.domain.milestone import MilestoneStatus
from project_provisioning.domain.progress import Progress
from project_provisioning.domain.project import Project, Task
from project_provisioning.domain.revenue import PlannedRevenue, total
from throughline_core.errors import FailedPrecondition, NotFound
from throughline_core.money import Money

FIRST_LABEL = "Baseline at activation"
FIRST_REASON = "taken when the project was activated"


class BaselineNotFound(NotFound):
    """The project has no baseline of this number, or none the caller may see."""

    code = "baseline.not_found"


class BaselineUnchanged(FailedPrecondition):
    """The plan is the one of the latest baseline."""

    code = "baseline.unchanged"


class ItemKind(StrEnum):
    """What a part of a snapshot is about."""

    PROJECT = "project"
    TASK = "task"
    MILESTONE = "milestone"
    ROLE = "role"
    ASSIGNMENT = "assignment"
    REVENUE = "revenue"


class DifferenceKind(StrEnum):
    """How a part differs."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Item:
    """One part of a snapshot, known by its key within its kind."""

    kind: ItemKind
    key: str
    name: str
    figures: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Baseline:
    """A dated snapshot; `contract_version` is the version of the terms the plan followed."""

    baseline_id: UUID
    project_id: UUID
    number: int
    label: str
    reason: str
    taken_on: date
    taken_by: str
    taken_at: datetime
    contract_version: int
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure that differs; `change` is new less old where both are numbers of one unit."""

    kind: DifferenceKind
    item_kind: ItemKind
    key: str
    name: str
    figure: str
    old_value: str
    new_value: str
    change: str


def snapshot(
    project: Project,
    assignments: Sequence[Assignment],
    revenue: Sequence[PlannedRevenue],
    progress: Progress,
) -> tuple[Item, ...]:
    """Return the plan as it is now, part by part."""
    return (
        _of_project(project, revenue, progress),
        *map(_of_task, project.tasks),
        *_of_milestones(project),
        *_of_roles(project),
        *map(_of_assignment, sorted(assignments, key=lambda each: each.assignment_id)),
        *_of_revenue(revenue, project.budget.currency),
    )


def refuse_unchanged(before: Sequence[Item] | None, now: Sequence[Item]) -> None:
    """Refuse a baseline that would say what the latest one says.

    Raises:
        BaselineUnchanged: nothing differs.
    """
    if before is not None and next(compare(before, now), None) is None:
        raise BaselineUnchanged(
            "the plan is the one of the latest baseline",
            field="project_id",
            advice="change the plan first",
        )


def compare(before: Sequence[Item], after: Sequence[Item]) -> Iterator[Difference]:
    """Yield each figure that differs, in the order of the later snapshot, what is gone last."""
    old = {(item.kind, item.key): item for item in before}
    new = {(item.kind, item.key): item for item in after}
    for key, item in new.items():
        known = old.get(key)
        kind = DifferenceKind.ADDED if known is None else DifferenceKind.CHANGED
        figures = {} if known is None else {"name": known.name, **known.figures}
        yield from _differences(kind, item, figures, {"name": item.name, **item.figures})
    for key, item in old.items():
        if key not in new:
            figures = {"name": item.name, **item.figures}
            yield from _differences(DifferenceKind.REMOVED, item, figures, {})


def _differences(
    kind: DifferenceKind, item: Item, old: Mapping[str, str], new: Mapping[str, str]
) -> Iterator[Difference]:
    for figure in dict.fromkeys((*new, *old)):
        was, now = old.get(figure, ""), new.get(figure, "")
        if was != now:
            change = _change(was, now)
            yield Difference(kind, item.kind, item.key, item.name, figure, was, now, change)


def _change(old: str, new: str) -> str:
    """Return new less old where both are amounts of one currency, or plain numbers; else empty."""
    (was, _, unit), (now, _, other_unit) = old.partition(" "), new.partition(" ")
    if unit != other_unit:
        return ""
    try:
        difference = f"{Decimal(now) - Decimal(was):f}"
    except InvalidOperation:
        return ""
    return f"{difference} {unit}" if unit else difference


def _of_project(project: Project, revenue: Sequence[PlannedRevenue], progress: Progress) -> Item:
    currency = project.budget.currency
    return Item(
        ItemKind.PROJECT,
        str(project.project_id),
        project.name,
        {
            "starts_on": str(project.starts_on),
            "ends_on": str(project.ends_on),
            "budget": _money(project.budget),
            "planned_hours": str(progress.planned),
            "at_completion_hours": str(progress.at_completion),
            "planned_revenue": _money(total(revenue, currency)),
        },
    )


def _of_task(task: Task) -> Item:
    return Item(
        ItemKind.TASK,
        str(task.task_id),
        task.name,
        {
            "wbs_code": task.wbs_code,
            "starts_on": _day(task.starts_on),
            "ends_on": _day(task.ends_on),
            "planned_hours": ""
            if task.planned_minutes is None
            else str(hours_of(task.planned_minutes)),
            "closed": str(task.closed).lower(),
        },
    )


def _of_milestones(project: Project) -> Iterator[Item]:
    for milestone in project.milestones:
        if milestone.status is MilestoneStatus.CANCELLED:
            continue
        yield Item(
            ItemKind.MILESTONE,
            str(milestone.milestone_id),
            milestone.name,
            {
                "due_on": _day(milestone.due_on),
                "amount": _money(milestone.amount),
                "status": milestone.status,
            },
        )


def _of_roles(project: Project) -> Iterator[Item]:
    for each in project.role_requirements:
        key = f"{each.contract_line_id}/{each.role}"
        yield Item(ItemKind.ROLE, key, each.role, {"planned_hours": f"{each.planned_hours:.2f}"})


def _of_assignment(assignment: Assignment) -> Item:
    return Item(
        ItemKind.ASSIGNMENT,
        str(assignment.assignment_id),
        assignment.role,
        {
            "person_id": str(assignment.person_id),
            "starts_on": str(assignment.starts_on),
            "ends_on": str(assignment.ends_on),
            "planned_hours": f"{assignment.planned_hours:.2f}",
            "booking": "ended" if assignment.ended else assignment.booking,
        },
    )


def _of_revenue(revenue: Iterable[PlannedRevenue], currency: str) -> Iterator[Item]:
    amounts: defaultdict[tuple[UUID, str], Money] = defaultdict(lambda: Money.zero(currency))
    for row in revenue:
        if row.amount is not None:
            amounts[row.contract_line_id, row.month] += row.amount
    for (line, month), amount in amounts.items():
        yield Item(ItemKind.REVENUE, f"{line}/{month}", month, {"amount": _money(amount)})


def _day(day: date | None) -> str:
    return "" if day is None else str(day)


def _money(amount: Money) -> str:
    return str(amount.rounded())
