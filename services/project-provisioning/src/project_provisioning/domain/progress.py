"""Progress: hours done, hours to be done, and what both come to at completion."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

from project_provisioning.domain.capacity import hours_of, percent_of
from project_provisioning.domain.closing import require_active
from project_provisioning.domain.project import Project, Task, TaskClosed
from throughline_core.errors import FailedPrecondition, InvalidArgument
from throughline_core.money import Money

_ALL: Final = Decimal(100)
_NONE: Final = Decimal(0)


class EstimateInFuture(InvalidArgument):
    """Nobody knows the work of days to come."""

    code = "estimate.day_in_future"


class EstimateBeforeLatest(FailedPrecondition):
    """A later day was estimated already."""

    code = "estimate.before_latest"


class Basis(StrEnum):
    """Where the hours that remain were taken from."""

    ENTERED = "entered"
    PLANNED = "planned"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Estimate:
    """Hours a task still takes, with the work up to and including `as_of` done."""

    estimate_id: UUID
    task_id: UUID
    remaining_hours: Decimal
    as_of: date
    note: str
    entered_by: str
    entered_at: datetime


@dataclass(frozen=True, slots=True)
class Done:
    """Approved minutes of a task, the latest estimate of what remains, and minutes done since."""

    minutes: int = 0
    estimated_hours: Decimal | None = None
    minutes_since: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """Hours planned, approved and remaining."""

    planned: Decimal
    approved: Decimal
    remaining: Decimal

    @property
    def at_completion(self) -> Decimal:
        """Approved and remaining hours."""
        return self.approved + self.remaining

    @property
    def complete_percent(self) -> Decimal:
        """Approved hours in percent of those at completion, 0 to 100 with two decimals."""
        return min(max(percent_of(self.approved, self.at_completion) or _NONE, _NONE), _ALL)

    def __add__(self, other: "Progress") -> "Progress":
        return Progress(
            self.planned + other.planned,
            self.approved + other.approved,
            self.remaining + other.remaining,
        )


NO_PROGRESS: Final = Progress(_NONE, _NONE, _NONE)


@dataclass(frozen=True, slots=True)
class TaskProgress:
    """How far a task is, and where that was taken from."""

    task: Task
    progress: Progress
    basis: Basis


@dataclass(frozen=True, slots=True)
class CostProgress:
    """What hours cost so far, and at completion; None where no hour was costed yet."""

    approved: Money
    at_completion: Money | None
    uncosted: Decimal

    @property
    def complete_percent(self) -> Decimal | None:
        """Cost so far in percent of the cost at completion; None where that is not known."""
        if self.at_completion is None:
            return None
        return percent_of(self.approved.amount, self.at_completion.amount)


def check_estimate(
    estimate: Estimate, project: Project, *, latest: date | None, today: date
) -> Task:
    """Return the task an estimate is for, once the estimate is found sound.

    Raises:
        ProjectClosed, TaskClosed: nothing remains.
        EstimateInFuture: it takes work of days to come into account.
        EstimateBeforeLatest: the latest one takes later days into account.
    """
    require_active(project)
    task = next(task for task in project.tasks if task.task_id == estimate.task_id)
    if task.closed:
        raise TaskClosed(f"task {task.name} is closed", advice="reopen it first")
    if estimate.as_of > today:
        raise EstimateInFuture(
            f"{estimate.as_of} is after {today}",
            field="as_of",
            advice="send today or an earlier day",
        )
    if latest is not None and estimate.as_of < latest:
        raise EstimateBeforeLatest(
            f"the latest estimate is as of {latest}",
            field="as_of",
            advice="send that day or a later one",
        )
    return task


def task_progress(tasks: Iterable[Task], done: Mapping[UUID, Done]) -> list[TaskProgress]:
    """Return how far each task is; a task's hours are its own, not those of its parts."""
    return [_task_progress(task, done.get(task.task_id, Done())) for task in tasks]


def by_line(tasks: Iterable[TaskProgress]) -> dict[UUID, Progress]:
    """Return the sums over the tasks of each contract line."""
    lines: dict[UUID, Progress] = {}
    for each in tasks:
        line = each.task.contract_line_id
        lines[line] = lines.get(line, NO_PROGRESS) + each.progress
    return lines


def total(tasks: Iterable[TaskProgress]) -> Progress:
    """Return the sum over all tasks."""
    return sum((each.progress for each in tasks), NO_PROGRESS)


def cost_at_completion(
    costed: Sequence[tuple[Money, int]], progress: Progress
) -> list[CostProgress]:
    """Return the cost in each currency, from its amount so far and the minutes that has paid for.

    What remains is shared by the minutes costed in each currency, at the average cost there.
    """
    minutes = sum(each for _, each in costed)
    uncosted = max(progress.approved - hours_of(minutes), _NONE)
    return [
        CostProgress(
            approved=amount.rounded(),
            at_completion=(amount * (1 + progress.remaining / hours_of(minutes))).rounded()
            if minutes > 0
            else (amount.rounded() if progress.remaining == 0 else None),
            uncosted=uncosted,
        )
        for amount, _ in costed
    ]


def _task_progress(task: Task, done: Done) -> TaskProgress:
    planned, approved = hours_of(task.planned_minutes or 0), hours_of(done.minutes)
    if task.closed:
        remaining, basis = _NONE, Basis.CLOSED
    elif done.estimated_hours is not None:
        remaining, basis = done.estimated_hours - hours_of(done.minutes_since), Basis.ENTERED
    else:
        remaining, basis = planned - approved, Basis.PLANNED
    return TaskProgress(task, Progress(planned, approved, max(remaining, _NONE)), basis)
