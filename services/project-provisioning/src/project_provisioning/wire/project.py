"""Projects as messages."""

from decimal import Decimal
from typing import Final

from project_provisioning.domain.project import (
    Project,
    ProjectActivated,
    ProjectStatus,
    RoleRequirement,
    Task,
)
from project_provisioning.wire.milestone import write_milestone
from throughline.project_provisioning.events.v1 import project_provisioning_events_pb2 as events_pb
from throughline.project_provisioning.v1 import project_pb2 as pb
from throughline_runtime.events import Outgoing
from throughline_runtime.fields import EnumMap, write_date, write_id, write_instant, write_money

STATUSES: Final = EnumMap(pb.ProjectStatus, ProjectStatus)
_HUNDREDTH: Final = Decimal("0.01")


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
        tasks=map(_write_task, project.tasks),
        milestones=map(write_milestone, project.milestones),
        role_requirements=map(_write_requirement, project.role_requirements),
        activated_at=write_instant(project.activated_at),
        templates=project.templates,
    )


def _write_task(task: Task) -> pb.Task:
    return pb.Task(
        task_id=write_id(task.task_id),
        phase=task.phase,
        name=task.name,
        contract_line_id=write_id(task.contract_line_id),
        billable=task.billable,
        closed=task.closed,
    )


def _write_requirement(requirement: RoleRequirement) -> pb.RoleRequirement:
    return pb.RoleRequirement(
        role=requirement.role,
        planned_hours=str(requirement.planned_hours.quantize(_HUNDREDTH)),
        contract_line_id=write_id(requirement.contract_line_id),
    )


def write_event(event: ProjectActivated) -> Outgoing:
    """Return the event to publish."""
    project = event.project
    message = events_pb.ProjectActivated(
        project=write_project(project),
        run_id=write_id(event.run_id),
        engagement_id=write_id(project.engagement_id),
        correlation_id=write_id(project.correlation_id),
    )
    return Outgoing(message, project.project_id, project.version)
