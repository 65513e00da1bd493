"""Edits of a plan, and why one is refused."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from throughline_core.errors import AlreadyExists, FailedPrecondition, InvalidArgument


class TaskExists(AlreadyExists):
    """There is a task of this id."""

    code = "task.exists"


class TaskOpen(FailedPrecondition):
    """The task takes time already."""

    code = "task.open"


class ParentUnknown(InvalidArgument):
    """The project has no such task to be a part of, or no such neighbour there."""

    code = "task.parent_unknown"


class ParentClosed(FailedPrecondition):
    """A closed task can have no open part."""

    code = "task.parent_closed"


class LineUnknown(InvalidArgument):
    """The project delivers no such contract line, or no longer."""

    code = "task.line_unknown"


class TaskNotBillable(InvalidArgument):
    """Time is not what the contract line is billed by."""

    code = "task.not_billable"


class DatesReversed(InvalidArgument):
    """A task ends after it begins, and has both days or none."""

    code = "task.dates_reversed"


class OutsideProject(InvalidArgument):
    """The task does not lie within the project's term."""

    code = "task.outside_project"


class PredecessorUnknown(InvalidArgument):
    """The project has no such task to wait for."""

    code = "task.predecessor_unknown"


class DependencyCycle(InvalidArgument):
    """A task would have to be finished before it can begin."""

    code = "task.dependency_cycle"


class TreeCycle(InvalidArgument):
    """A task would be a part of itself."""

    code = "task.tree_cycle"


class EditAmbiguous(InvalidArgument):
    """An edit says nothing, or more than one thing."""

    code = "task.edit_ambiguous"


@dataclass(frozen=True, slots=True)
class Timing:
    """When a task is planned, for how many minutes and after which others; None = not planned."""

    starts_on: date | None = None
    ends_on: date | None = None
    planned_minutes: int | None = None
    predecessor_task_ids: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class Add:
    """A new task; what is None or empty comes from its parent or its contract line."""

    task_id: UUID
    name: str
    parent_task_id: UUID | None = None
    after_task_id: UUID | None = None
    phase: str = ""
    contract_line_id: UUID | None = None
    billable: bool | None = None
    timing: Timing = Timing()


@dataclass(frozen=True, slots=True)
class Update:
    """What the plan says about a task from now on; `billable` None leaves that as it is."""

    task_id: UUID
    name: str
    phase: str
    billable: bool | None
    timing: Timing


@dataclass(frozen=True, slots=True)
class Move:
    """Where a task goes with all its parts; None is the top, and the last place there."""

    task_id: UUID
    parent_task_id: UUID | None
    after_task_id: UUID | None


@dataclass(frozen=True, slots=True)
class Close:
    """A task that takes no more time, nor do its parts."""

    task_id: UUID


@dataclass(frozen=True, slots=True)
class Reopen:
    """A task that takes time again."""

    task_id: UUID


Edit = Add | Update | Move | Close | Reopen
