"""The rows of a project and its parts, to and from the values they stand for."""

from typing import Any

from sqlalchemy import Row

from project_provisioning.domain.milestone import Milestone
from project_provisioning.domain.project import (
    LineBudget,
    Project,
    ProjectLine,
    ProjectStatus,
    RoleRequirement,
    Task,
)
from project_provisioning.domain.template import BillingModel, BudgetKind
from project_provisioning.repository.party_rows import (
    customer_from,
    customer_values,
    entity_from,
    entity_values,
)
from throughline_core.money import Money


def project_values(project: Project) -> dict[str, Any]:
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
        "region": project.region,
        "master_project_id": project.master_project_id,
        "selling_legal_entity_id": project.selling_legal_entity_id,
        "contract_version": project.contract_version,
        "manager_person_id": project.manager_person_id,
        "work_ends_on": project.work_ends_on,
        "closed_reason": project.closed_reason,
        "requires_assignment": project.requires_assignment,
        "customer": customer_values(project.customer),
        "legal_entity": entity_values(project.legal_entity),
        "selling_entity_version": project.selling_entity_version,
    }


def project_from(
    row: Row[Any],
    *,
    lines: tuple[ProjectLine, ...],
    tasks: tuple[Task, ...],
    milestones: tuple[Milestone, ...],
    role_requirements: tuple[RoleRequirement, ...],
    budgets: tuple[LineBudget, ...],
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
        selling_legal_entity_id=row.selling_legal_entity_id,
        region=row.region,
        master_project_id=row.master_project_id,
        contract_version=row.contract_version,
        manager_person_id=row.manager_person_id,
        work_ends_on=row.work_ends_on,
        closed_reason=row.closed_reason,
        budgets=budgets,
        requires_assignment=row.requires_assignment,
        customer=customer_from(row.customer),
        legal_entity=entity_from(row.legal_entity),
        selling_entity_version=row.selling_entity_version,
    )


def line_values(project: Project, line: ProjectLine) -> dict[str, Any]:
    return {
        "project_id": project.project_id,
        "contract_line_id": line.contract_line_id,
        "quote_line_id": line.quote_line_id,
        "position": line.position,
        "billing_model": line.billing_model,
        "net_total": line.net_total.amount,
        "currency": line.net_total.currency,
        "starts_on": line.starts_on,
        "ends_on": line.ends_on,
        "ended_on": line.ended_on,
        "template": line.template,
    }


def line_from(row: Row[Any]) -> ProjectLine:
    return ProjectLine(
        contract_line_id=row.contract_line_id,
        quote_line_id=row.quote_line_id,
        position=row.position,
        billing_model=BillingModel(row.billing_model),
        net_total=Money(row.net_total, row.currency),
        starts_on=row.starts_on,
        ends_on=row.ends_on,
        ended_on=row.ended_on,
        template=row.template,
    )


def task_values(project: Project, task: Task) -> dict[str, Any]:
    return {
        "project_id": project.project_id,
        "task_id": task.task_id,
        "contract_line_id": task.contract_line_id,
        "position": task.position,
        "phase": task.phase,
        "name": task.name,
        "billable": task.billable,
        "closed": task.closed,
        "parent_task_id": task.parent_task_id,
        "wbs_code": task.wbs_code,
        "starts_on": task.starts_on,
        "ends_on": task.ends_on,
        "planned_minutes": task.planned_minutes,
        "work_ends_on": task.work_ends_on,
        "predecessor_task_ids": list(task.predecessor_task_ids),
    }


def task_from(row: Row[Any]) -> Task:
    return Task(
        task_id=row.task_id,
        position=row.position,
        phase=row.phase,
        name=row.name,
        contract_line_id=row.contract_line_id,
        billable=row.billable,
        closed=row.closed,
        parent_task_id=row.parent_task_id,
        wbs_code=row.wbs_code,
        starts_on=row.starts_on,
        ends_on=row.ends_on,
        planned_minutes=row.planned_minutes,
        work_ends_on=row.work_ends_on,
        predecessor_task_ids=tuple(row.predecessor_task_ids),
    )


def role_values(project: Project, requirement: RoleRequirement) -> dict[str, Any]:
    return {
        "project_id": project.project_id,
        "contract_line_id": requirement.contract_line_id,
        "position": requirement.position,
        "role": requirement.role,
        "planned_hours": requirement.planned_hours,
    }


def role_from(row: Row[Any]) -> RoleRequirement:
    return RoleRequirement(row.contract_line_id, row.position, row.role, row.planned_hours)


def budget_values(project: Project, budget: LineBudget) -> dict[str, Any]:
    return {
        "project_id": project.project_id,
        "contract_line_id": budget.contract_line_id,
        "kind": budget.kind,
        "amount": budget.amount,
    }


def budget_from(row: Row[Any]) -> LineBudget:
    return LineBudget(row.contract_line_id, BudgetKind(row.kind), row.amount)
