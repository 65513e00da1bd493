"""Baselines: taken at activation, taken anew for a reason; the contract is never touched."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.domain import baseline as domain
from project_provisioning.domain.baseline import FIRST_LABEL, FIRST_REASON, Baseline, Item
from project_provisioning.domain.closing import require_active
from project_provisioning.domain.progress import task_progress, total
from project_provisioning.domain.project import Project
from project_provisioning.domain.revenue import plan_revenue
from project_provisioning.repository import assignment as assignment_repository
from project_provisioning.repository import baseline as repository
from project_provisioning.repository import plan as plan_repository
from project_provisioning.wire.priced import read_priced_lines
from throughline.customer_contract.v1 import contract_pb2
from throughline_core.ids import derived_id
from throughline_runtime.identity import require_entity

_PROVISIONING: Final = "service:project-provisioning"


async def take_first(tx: AsyncConnection, projects: Sequence[Project], *, at: datetime) -> None:
    """Keep the plans of projects that were just activated as their baseline 1.

    Two statements, however many projects; their runs are stored already.
    """
    if not projects:
        return
    terms = await plan_repository.terms_of(tx, projects)
    baselines = [
        _baseline(
            project,
            1,
            FIRST_LABEL,
            FIRST_REASON,
            items=_snapshot_of_new(project, terms.get(project.project_id)),
            by=_PROVISIONING,
            at=at,
        )
        for project in projects
    ]
    await repository.add_all(tx, baselines)


async def take(
    tx: AsyncConnection, project_id: UUID, *, label: str, reason: str, by: str, at: datetime
) -> Baseline:
    """Keep the plan as it is now as the project's next baseline.

    Raises:
        ProjectNotFound, EntityForbidden, ProjectClosed, BaselineUnchanged.
    """
    project = await plan_repository.get(tx, project_id)
    require_entity(project.legal_entity_id)
    require_active(project)
    latest = await repository.latest(tx, project_id)
    items = await snapshot(tx, project)
    domain.refuse_unchanged(latest.items if latest else None, items)
    number = latest.number + 1 if latest else 1
    taken = _baseline(project, number, label, reason, items=items, by=by, at=at)
    await repository.add_all(tx, [taken])
    return taken


async def snapshot(tx: AsyncConnection, project: Project) -> tuple[Item, ...]:
    """Return a project's plan as it is now."""
    terms = await plan_repository.terms_of(tx, [project])
    assignments = await assignment_repository.of_project(tx, project.project_id)
    done = await plan_repository.done(tx, project.project_id)
    lines = read_priced_lines(terms.get(project.project_id), project)
    return domain.snapshot(
        project,
        assignments,
        plan_revenue(project, lines, assignments),
        total(task_progress(project.tasks, done)),
    )


def _snapshot_of_new(project: Project, contract: contract_pb2.Contract | None) -> tuple[Item, ...]:
    revenue = plan_revenue(project, read_priced_lines(contract, project), ())
    return domain.snapshot(project, (), revenue, total(task_progress(project.tasks, {})))


def _baseline(
    project: Project,
    number: int,
    label: str,
    reason: str,
    *,
    items: tuple[Item, ...],
    by: str,
    at: datetime,
) -> Baseline:
    return Baseline(
        baseline_id=derived_id("baseline", project.project_id, number),
        project_id=project.project_id,
        number=number,
        label=label,
        reason=reason,
        taken_on=at.astimezone(ZoneInfo(project.time_zone)).date(),
        taken_by=by,
        taken_at=at,
        contract_version=project.contract_version,
        items=items,
    )
