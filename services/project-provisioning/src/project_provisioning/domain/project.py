"""Projects: what is delivered under one contract by one legal entity, made whole or not at all."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from project_provisioning.domain.milestone import Milestone, MilestoneStatus
from project_provisioning.domain.run import Run, SoldLine, Terms
from project_provisioning.domain.template import BillingModel, Template
from throughline_core.change import Change
from throughline_core.errors import FailedPrecondition, NotFound
from throughline_core.ids import derived_id
from throughline_core.money import Money

_NAME_LENGTH_MAX = 120


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


@dataclass(frozen=True, slots=True)
class Task:
    """A piece of work people record time on; `billable` only under a line billed by time."""

    task_id: UUID
    position: int
    phase: str
    name: str
    contract_line_id: UUID
    billable: bool
    closed: bool = False


@dataclass(frozen=True, slots=True)
class RoleRequirement:
    """Hours of a role the plan needs under one line."""

    contract_line_id: UUID
    position: int
    role: str
    planned_hours: Decimal


@dataclass(frozen=True, slots=True)
class ProjectLine:
    """A contract line the project delivers: what expenses, budgets and plans refer to."""

    contract_line_id: UUID
    quote_line_id: UUID
    position: int
    billing_model: BillingModel
    net_total: Money


@dataclass(frozen=True, slots=True)
class Project:
    """A project with its plan. `budget` is the planned revenue before tax."""

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


@dataclass(frozen=True, slots=True)
class ProjectActivated:
    """The project came to be and takes time from now on."""

    project: Project
    run_id: UUID


ProjectEvent = ProjectActivated


def project_id_of(terms: Terms) -> UUID:
    """Return the one project of a contract and its delivering entity."""
    return derived_id("project", terms.contract_id, terms.legal_entity_id)


def plan_project(
    run: Run, templates: Mapping[str, Template], *, number: str, at: datetime
) -> Change[Project, ProjectEvent]:
    """Return the project that `run` makes of its contract with the pinned `templates`.

    Ids are derived from the contract, its lines and the keys of tasks and milestones, so that
    making it twice makes the same one. Milestone amounts sum to their line's net total.
    """
    terms = run.terms
    project_id = project_id_of(terms)
    lines = sorted(terms.lines, key=lambda line: line.position)
    project = Project(
        project_id=project_id,
        version=1,
        number=number,
        name=_name(terms, lines),
        status=ProjectStatus.ACTIVE,
        contract_id=terms.contract_id,
        engagement_id=terms.engagement_id,
        correlation_id=terms.correlation_id,
        customer_id=terms.customer_id,
        legal_entity_id=terms.legal_entity_id,
        time_zone=terms.time_zone,
        starts_on=terms.starts_on,
        ends_on=terms.ends_on,
        budget=Money.total((line.net_total for line in lines), terms.currency),
        activated_at=at,
        templates=run.pinned_templates,
        lines=tuple(map(_plan_line, lines)),
        tasks=tuple(_plan_tasks(project_id, lines, templates)),
        milestones=tuple(_plan_milestones(project_id, terms, lines)),
        role_requirements=tuple(_plan_roles(lines, templates)),
    )
    return Change(project, (ProjectActivated(project, run.run_id),))


def close_task(project: Project, task_id: UUID) -> Change[Project, ProjectEvent]:
    """Take no more time on a task of the project.

    Raises:
        TaskNotFound: the project has no such task.
        TaskClosed: it is closed already.
    """
    task = next((task for task in project.tasks if task.task_id == task_id), None)
    if task is None:
        raise TaskNotFound(f"no task {task_id}", field="task_id", advice="check the id")
    if task.closed:
        raise TaskClosed(f"task {task.name} is closed already")
    tasks = tuple(
        replace(task, closed=task.closed or task.task_id == task_id) for task in project.tasks
    )
    return Change(replace(project, tasks=tasks, version=project.version + 1), ())


def _name(terms: Terms, lines: list[SoldLine]) -> str:
    """Return the contract's number and what was sold first."""
    words = [terms.contract_number, *(line.description for line in lines[:1])]
    return " ".join(words)[:_NAME_LENGTH_MAX]


def _plan_line(line: SoldLine) -> ProjectLine:
    return ProjectLine(
        contract_line_id=line.contract_line_id,
        quote_line_id=line.quote_line_id,
        position=line.position,
        billing_model=line.billing_model,
        net_total=line.net_total,
    )


def _plan_tasks(
    project_id: UUID, lines: list[SoldLine], templates: Mapping[str, Template]
) -> Iterator[Task]:
    planned = (
        (line, phase, task)
        for line in lines
        for phase, task in templates[line.template_code].tasks()
    )
    for position, (line, phase, task) in enumerate(planned, start=1):
        yield Task(
            task_id=derived_id("task", project_id, line.contract_line_id, task.key),
            position=position,
            phase=phase.name,
            name=task.name,
            contract_line_id=line.contract_line_id,
            billable=task.billable and line.billing_model is BillingModel.TIME_AND_MATERIALS,
        )


def _plan_milestones(project_id: UUID, terms: Terms, lines: list[SoldLine]) -> Iterator[Milestone]:
    planned = (
        (line, part, amount)
        for line in lines
        if line.billing_model is BillingModel.FIXED_FEE
        for part, amount in zip(
            line.milestones,
            line.net_total.split([part.share_percent for part in line.milestones]),
            strict=True,
        )
    )
    for position, (line, part, amount) in enumerate(planned, start=1):
        yield Milestone(
            milestone_id=derived_id("milestone", project_id, line.contract_line_id, part.key),
            version=1,
            project_id=project_id,
            contract_id=terms.contract_id,
            contract_line_id=line.contract_line_id,
            quote_line_id=line.quote_line_id,
            engagement_id=terms.engagement_id,
            correlation_id=terms.correlation_id,
            legal_entity_id=terms.legal_entity_id,
            position=position,
            key=part.key,
            name=part.name,
            amount=amount,
            status=MilestoneStatus.PLANNED,
            due_on=part.due_on,
        )


def _plan_roles(
    lines: list[SoldLine], templates: Mapping[str, Template]
) -> Iterator[RoleRequirement]:
    """Yield the hours agreed by role; where a line agreed none, those its template asks for."""
    for line in lines:
        hours = {sold.role: sold.planned_hours for sold in line.roles if sold.planned_hours > 0}
        if not hours:
            roles = templates[line.template_code].roles
            hours = {role.role: role.hours_of(line.quantity) for role in roles}
        for position, (role, planned_hours) in enumerate(hours.items(), start=1):
            yield RoleRequirement(line.contract_line_id, position, role, planned_hours)
