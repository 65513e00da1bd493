"""Projects as messages."""

from decimal import Decimal
from typing import Final

from project_provisioning.domain.project import (
    LineBudget,
    Project,
    ProjectActivated,
    ProjectEvent,
    ProjectStatus,
    RoleRequirement,
    Task,
)
from project_provisioning.domain.template import HOURS_PLACES, BudgetKind
from project_provisioning.wire.milestone import write_milestone
from project_provisioning.wire.party import write_customer, write_entity
from project_provisioning.wire.template import BUDGET_KINDS
from throughline.project_provisioning.events.v1 import project_provisioning_events_pb2 as events_pb
from throughline.project_provisioning.v1 import project_pb2 as pb
from throughline.project_provisioning.v1 import project_service_pb2
from throughline_core.money import Money
from throughline_core.rounding import round_half_away
from throughline_runtime.events import Outgoing
from throughline_runtime.fields import EnumMap, write_date, write_id, write_instant, write_money

STATUSES: Final = EnumMap(pb.ProjectStatus, ProjectStatus)
_MINUTES_OF_HOUR: Final = 60


def write_project(project: Project) -> pb.Project:
    """Return a project with its plan."""
    return pb.Project(
        project_id=write_id(project.project_id),
        version=project.version,
        number=project.number,
        name=project.name,
        status=STATUSES.write(project.status),
        contract_id=write_id(project.contract_id),
        engagement_id=write_id(project.engagement_id),
        correlation_id=write_id(project.correlation_id),
        customer_id=write_id(project.customer_id),
        legal_entity_id=write_id(project.legal_entity_id),
        currency=project.budget.currency,
        starts_on=write_date(project.starts_on),
        ends_on=write_date(project.ends_on),
        budget=write_money(project.budget),
        tasks=map(write_task, project.tasks),
        milestones=map(write_milestone, project.milestones),
        role_requirements=map(_write_requirement, project.role_requirements),
        activated_at=write_instant(project.activated_at),
        templates=project.templates,
        master_project_id=write_id(project.master_project_id) or None,
        selling_legal_entity_id=write_id(project.selling_legal_entity_id),
        region=project.region,
        manager_person_id=write_id(project.manager_person_id) or None,
        contract_version=project.contract_version,
        work_ends_on=write_date(project.work_ends_on) or None,
        closed_reason=project.closed_reason,
        customer=write_customer(project.customer),
        legal_entity=write_entity(project.legal_entity),
        time_zone=project.time_zone,
    )


def write_task(task: Task) -> pb.Task:
    """Return a task."""
    minutes = task.planned_minutes
    return pb.Task(
        task_id=write_id(task.task_id),
        phase=task.phase,
        name=task.name,
        contract_line_id=write_id(task.contract_line_id),
        billable=task.billable,
        closed=task.closed,
        parent_task_id=write_id(task.parent_task_id) or None,
        wbs_code=task.wbs_code,
        starts_on=write_date(task.starts_on) or None,
        ends_on=write_date(task.ends_on) or None,
        planned_hours="" if minutes is None else _hours(Decimal(minutes) / _MINUTES_OF_HOUR),
        work_ends_on=write_date(task.work_ends_on) or None,
        predecessor_task_ids=map(write_id, task.predecessor_task_ids),
    )


def _write_requirement(requirement: RoleRequirement) -> pb.RoleRequirement:
    return pb.RoleRequirement(
        role=requirement.role,
        planned_hours=_hours(requirement.planned_hours),
        contract_line_id=write_id(requirement.contract_line_id),
    )


def write_budget(budget: LineBudget, currency: str) -> project_service_pb2.PlannedBudget:
    """Return what a line is planned to take, in the project's currency unless it is hours."""
    is_hours = budget.kind is BudgetKind.HOURS
    return project_service_pb2.PlannedBudget(
        contract_line_id=write_id(budget.contract_line_id),
        kind=BUDGET_KINDS.write(budget.kind),
        amount=_hours(budget.amount)
        if is_hours
        else write_money(Money(budget.amount, currency)).amount,
        currency="" if is_hours else currency,
    )


def _hours(hours: Decimal) -> str:
    return f"{round_half_away(hours, HOURS_PLACES):.{HOURS_PLACES}f}"


def write_event(event: ProjectEvent) -> Outgoing:
    """Return the event to publish."""
    project = event.project
    message: events_pb.ProjectActivated | events_pb.ProjectChanged
    if isinstance(event, ProjectActivated):
        message = events_pb.ProjectActivated(
            project=write_project(project),
            run_id=write_id(event.run_id),
            engagement_id=write_id(project.engagement_id),
            correlation_id=write_id(project.correlation_id),
        )
    else:
        message = events_pb.ProjectChanged(
            project=write_project(project),
            engagement_id=write_id(project.engagement_id),
            correlation_id=write_id(project.correlation_id),
            change_order_id=write_id(event.change_order_id) or None,
        )
    return Outgoing(message, project.project_id, project.version)
