"""Projects: what is delivered under one contract by one legal entity in one region."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

from project_provisioning.domain.milestone import Milestone
from project_provisioning.domain.party import CustomerFacts, EntityFacts
from project_provisioning.domain.template import BillingModel, BudgetKind
from project_provisioning.domain.terms import Workstream
from throughline_core.change import Change
from throughline_core.errors import FailedPrecondition, NotFound
from throughline_core.ids import derived_id
from throughline_core.money import Money

CANCELLED: Final = "cancelled"


class ProjectStatus(StrEnum):
    """Where a project stands."""

    ACTIVE = "active"
    CLOSED = "closed"


class ProjectNotFound(NotFound):
    """There is no such project, or none the caller may see."""

    code = "project.not_found"


class TaskNotFound(NotFound):
    """There is no such task, or none the caller may see."""

    code = "task.not_found"


class TaskClosed(FailedPrecondition):
    """The task is closed already."""

    code = "task.closed"


class ProjectInUse(FailedPrecondition):
    """Something was recorded on the project, so it cannot be taken back."""

    code = "provisioning_run.project_in_use"


@dataclass(frozen=True, slots=True)
class Task:
    """A piece of work people record time on; `billable` only under a line billed by time.

    `[starts_on, ends_on)` is planned, as are the minutes; None = not planned. No time is taken for
    days from `work_ends_on` on.
    """

    task_id: UUID
    position: int
    phase: str
    name: str
    contract_line_id: UUID
    billable: bool
    closed: bool = False
    parent_task_id: UUID | None = None
    wbs_code: str = ""
    starts_on: date | None = None
    ends_on: date | None = None
    planned_minutes: int | None = None
    work_ends_on: date | None = None
    predecessor_task_ids: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class RoleRequirement:
    """Hours of a role the plan needs under one line."""

    contract_line_id: UUID
    position: int
    role: str
    planned_hours: Decimal


@dataclass(frozen=True, slots=True)
class LineBudget:
    """What one line is planned to take: the project's currency, or hours."""

    contract_line_id: UUID
    kind: BudgetKind
    amount: Decimal


@dataclass(frozen=True, slots=True)
class ProjectLine:
    """A contract line the project delivers: what expenses, budgets and plans refer to.

    `template` is the version it was planned from, `code@version`; empty = not known any more.
    """

    contract_line_id: UUID
    quote_line_id: UUID
    position: int
    billing_model: BillingModel
    net_total: Money
    starts_on: date
    ends_on: date
    ended_on: date | None = None
    template: str = ""


@dataclass(frozen=True, slots=True)
class Project:
    """A project with its plan. `budget` is the planned revenue before tax.

    No work is taken for days from `work_ends_on` on; None = the contract is in force. `customer`
    and `legal_entity`, the delivering one, are None while nothing is known of them; the selling
    entity's version is 0 then.
    """

    project_id: UUID
    version: int
    number: str
    name: str
    status: ProjectStatus
    contract_id: UUID
    engagement_id: UUID
    correlation_id: UUID
    customer_id: UUID
    legal_entity_id: UUID
    time_zone: str
    starts_on: date
    ends_on: date
    budget: Money
    activated_at: datetime
    templates: tuple[str, ...]
    lines: tuple[ProjectLine, ...]
    tasks: tuple[Task, ...]
    milestones: tuple[Milestone, ...]
    role_requirements: tuple[RoleRequirement, ...]
    selling_legal_entity_id: UUID
    region: str = ""
    master_project_id: UUID | None = None
    contract_version: int = 1
    manager_person_id: UUID | None = None
    work_ends_on: date | None = None
    closed_reason: str = ""
    budgets: tuple[LineBudget, ...] = ()
    requires_assignment: bool = False
    customer: CustomerFacts | None = None
    legal_entity: EntityFacts | None = None
    selling_entity_version: int = 0

    @property
    def workstream(self) -> Workstream:
        """Who delivers it, and where."""
        return Workstream(self.legal_entity_id, self.region)


@dataclass(frozen=True, slots=True)
class ProjectActivated:
    """The project came to be and takes time from now on."""

    project: Project
    run_id: UUID


@dataclass(frozen=True, slots=True)
class ProjectChanged:
    """The project's plan, terms or state changed."""

    project: Project
    change_order_id: UUID | None = None


ProjectEvent = ProjectActivated | ProjectChanged


def project_id_of(contract_id: UUID, workstream: Workstream) -> UUID:
    """Return the one project of a contract, its delivering entity and its region."""
    region = (workstream.region,) if workstream.region else ()
    return derived_id("project", contract_id, workstream.legal_entity_id, *region)


def end_work(project: Project, on: date) -> Change[Project, ProjectEvent]:
    """Take no more work for days from `on` on; what ended earlier stays as it is."""
    if project.work_ends_on is not None and project.work_ends_on <= on:
        return Change(project, ())
    return changed(replace(project, work_ends_on=on))


def take_back(project: Project, obstacles: tuple[str, ...]) -> Change[Project, ProjectEvent]:
    """Close a project of a run that is cancelled; `obstacles` name what was recorded on it.

    Raises:
        ProjectInUse: there are obstacles.
    """
    if obstacles:
        raise ProjectInUse(
            f"project {project.number} has {', '.join(obstacles)}",
            field="run_id",
            advice="terminate the contract instead: what was recorded stays, and no more is taken",
        )
    if project.status is ProjectStatus.CLOSED:
        return Change(project, ())
    closed = replace(project, status=ProjectStatus.CLOSED, closed_reason=CANCELLED)
    return changed(
        replace(closed, tasks=tuple(replace(task, closed=True) for task in project.tasks))
    )


def changed(project: Project, change_order_id: UUID | None = None) -> Change[Project, ProjectEvent]:
    """Return the project, already altered, as its next version."""
    following = replace(project, version=project.version + 1)
    return Change(following, (ProjectChanged(following, change_order_id),))
