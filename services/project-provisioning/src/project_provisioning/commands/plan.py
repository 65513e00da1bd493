"""Plans: tasks edited, projects led, closed and opened again, estimates, milestones moved."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.commands import assignment as assignment_commands
from project_provisioning.commands import following
from project_provisioning.domain import closing
from project_provisioning.domain import milestone as milestones
from project_provisioning.domain import plan as domain
from project_provisioning.domain.following import lead
from project_provisioning.domain.milestone import Milestone
from project_provisioning.domain.policy import PlanPolicy
from project_provisioning.domain.progress import Estimate, check_estimate
from project_provisioning.domain.project import Project, changed
from project_provisioning.domain.task_edit import Add, Edit
from project_provisioning.repository import following as following_repository
from project_provisioning.repository import milestone as milestone_repository
from project_provisioning.repository import person as person_repository
from project_provisioning.repository import plan as repository
from project_provisioning.repository import project as project_repository
from project_provisioning.repository.following import Cause
from throughline_runtime.identity import require_entity


async def edit_tasks(
    tx: AsyncConnection, project_id: UUID, edits: Sequence[tuple[str, Edit]]
) -> Project:
    """Make edits of a project's plan in order, all of them or none.

    Raises:
        ProjectNotFound, EntityForbidden, PlanTooLarge, StaleVersion, and as `domain.plan.edit`.
    """
    project = await _get(tx, project_id)
    return await _edit(tx, project, edits)


async def edit_task(tx: AsyncConnection, task_id: UUID, edit: Edit) -> Project:
    """Make one edit of the plan a task belongs to.

    Raises:
        TaskNotFound, EntityForbidden, PlanTooLarge, StaleVersion, and as `domain.plan.edit`.
    """
    project = await project_repository.get_of_task(tx, task_id)
    require_entity(project.legal_entity_id)
    return await _edit(tx, project, [("", edit)])


async def assign_manager(
    tx: AsyncConnection, project_id: UUID, person_id: UUID | None, *, by: str, at: datetime
) -> Project:
    """Let a person lead a project, or nobody.

    Raises:
        ProjectNotFound, EntityForbidden, ProjectClosed, PersonNotFound, StaleVersion.
    """
    project = await _get(tx, project_id)
    closing.require_active(project)
    if person_id is not None:
        await person_repository.get(tx, person_id)
    led = lead(project, person_id)
    if led.followed:
        await following_repository.save(tx, [led], Cause(by, at))
    return led.state


async def set_policy(tx: AsyncConnection, project_id: UUID, *, requires_assignment: bool) -> None:
    """Say whether people need an assignment to record time on a project.

    Raises:
        ProjectNotFound, EntityForbidden, ProjectClosed, PlanTooLarge, StaleVersion.
    """
    project = await _get(tx, project_id)
    closing.require_active(project)
    if project.requires_assignment != requires_assignment:
        await repository.save(
            tx, changed(replace(project, requires_assignment=requires_assignment))
        )


async def close_project(
    tx: AsyncConnection, project_id: UUID, *, reason: str, at: datetime
) -> Project:
    """Take nothing more on a project; its assignments end today in its zone.

    Raises:
        ProjectNotFound, EntityForbidden, IllegalTransition, OpenMilestones, UnapprovedTime,
        UnapprovedExpenses, PlanTooLarge, StaleVersion.
    """
    project = await _get(tx, project_id)
    # Nobody records work meanwhile that would be missed.
    await repository.lock_tasks(tx, project_id)
    change = closing.close(project, reason, await repository.undecided(tx, project_id))
    await repository.save(tx, change)
    await assignment_commands.end_of_project(tx, project, reason=reason, at=at)
    return change.state


async def reopen_project(tx: AsyncConnection, project_id: UUID) -> Project:
    """Take work on a closed project again.

    Raises:
        ProjectNotFound, EntityForbidden, IllegalTransition, PlanTooLarge, StaleVersion.
    """
    change = closing.reopen(await _get(tx, project_id))
    await repository.save(tx, change)
    await following.catch_up(tx, change.state)
    return change.state


async def enter_estimate(
    tx: AsyncConnection, estimate: Estimate, *, as_of: date | None, at: datetime
) -> Estimate:
    """Keep what somebody thinks remains of a task, as of a day or today in the project's zone.

    Raises:
        TaskNotFound, EntityForbidden, ProjectClosed, TaskClosed, EstimateInFuture,
        EstimateBeforeLatest.
    """
    project = await project_repository.get_of_task(tx, estimate.task_id)
    require_entity(project.legal_entity_id)
    today = at.astimezone(ZoneInfo(project.time_zone)).date()
    dated = replace(estimate, as_of=as_of or today)
    latest = await repository.latest_estimate(tx, estimate.task_id)
    check_estimate(dated, project, latest=latest, today=today)
    await repository.add_estimate(tx, dated, project)
    return dated


async def reschedule_milestone(
    tx: AsyncConnection, milestone_id: UUID, *, due_on: date, reason: str, by: str, at: datetime
) -> Milestone:
    """Move the day a milestone is planned to be complete, and announce the project's new plan.

    Raises:
        MilestoneNotFound, EntityForbidden, AlreadyAccepted, PlanTooLarge, StaleVersion.
    """
    project = await _get(tx, await milestone_repository.project_of(tx, milestone_id))
    milestone = next(each for each in project.milestones if each.milestone_id == milestone_id)
    moved = milestones.reschedule(milestone, due_on, reason)
    await milestone_repository.save(tx, moved, by=by, at=at)
    plan = tuple(
        moved.state if each.milestone_id == milestone_id else each for each in project.milestones
    )
    await repository.save(tx, changed(replace(project, milestones=plan)))
    return moved.state


async def put_policy(tx: AsyncConnection, policy: PlanPolicy) -> None:
    """Say when a legal entity's plans need somebody's attention.

    Raises:
        EntityForbidden.
    """
    require_entity(policy.legal_entity_id)
    await repository.put_policy(tx, policy)


async def _get(tx: AsyncConnection, project_id: UUID) -> Project:
    project = await repository.get(tx, project_id)
    require_entity(project.legal_entity_id)
    return project


async def _edit(
    tx: AsyncConnection, project: Project, edits: Sequence[tuple[str, Edit]]
) -> Project:
    change = domain.edit(project, edits)
    added = [edit.task_id for _, edit in edits if isinstance(edit, Add)]
    await repository.refuse_known_tasks(tx, added)
    await repository.save(tx, change)
    return change.state
