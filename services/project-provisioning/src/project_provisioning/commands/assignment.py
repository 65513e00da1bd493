"""Assignments: people asked for, assigned, confirmed, changed, ended; they follow a transfer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.domain import assignment as domain
from project_provisioning.domain import closing, staffing
from project_provisioning.domain.assignment import (
    Assignment,
    AssignmentChange,
    Overbooking,
    TransferRule,
)
from project_provisioning.domain.capacity import Week
from project_provisioning.domain.effort import Effort
from project_provisioning.domain.project import Project, TaskClosed, TaskNotFound
from project_provisioning.domain.staffing import StaffingRequest
from project_provisioning.domain.task_edit import LineUnknown
from project_provisioning.repository import assignment as repository
from project_provisioning.repository import plan as plan_repository
from project_provisioning.repository import staffing as staffing_repository
from throughline_core.ids import derived_id
from throughline_runtime.identity import require_entity

LEFT = "the person's employment ended"


@dataclass(frozen=True, slots=True)
class Assigned:
    """An assignment, whose it is, and the weeks in which the person has more than capacity."""

    assignment: Assignment
    person_name: str
    overbooked: Sequence[Week] = ()


@dataclass(frozen=True, slots=True)
class Replanning:
    """New days and task of an assignment; `transfer_rule` None leaves it as it is."""

    task_id: UUID | None
    starts_on: date
    ends_on: date
    transfer_rule: TransferRule | None


async def request_staffing(tx: AsyncConnection, draft: StaffingRequest) -> StaffingRequest:
    """Ask for somebody in a role on a project; the entity comes from the project.

    Raises:
        ProjectNotFound, EntityForbidden, ProjectClosed, LineUnknown, StaffingDatesReversed.
    """
    project = await _project(tx, draft.project_id)
    closing.require_active(project)
    lines = {line.contract_line_id for line in project.lines}
    if draft.contract_line_id is not None and draft.contract_line_id not in lines:
        raise LineUnknown(
            f"the project delivers no contract line {draft.contract_line_id}",
            field="contract_line_id",
            advice="send a line of the project, or none",
        )
    request = staffing.request(replace(draft, legal_entity_id=project.legal_entity_id))
    await staffing_repository.add(tx, request)
    return request


async def cancel_request(
    tx: AsyncConnection, staffing_request_id: UUID, *, reason: str
) -> StaffingRequest:
    """Ask for nobody any more; assignments made for the request stay.

    Raises:
        StaffingRequestNotFound, EntityForbidden, StaffingRequestCancelled, StaleVersion.
    """
    found = await staffing_repository.get(tx, staffing_request_id)
    require_entity(found.legal_entity_id)
    cancelled = staffing.cancel(found, reason)
    await staffing_repository.save(tx, cancelled)
    return cancelled


async def assign_person(
    tx: AsyncConnection, draft: Assignment, effort: Effort, overbooking: Overbooking
) -> Assigned:
    """Assign a person; role, entity and engagement come from person and project where not given.

    Raises:
        ProjectNotFound, EntityForbidden, TaskNotFound, TaskClosed, PersonNotFound,
        StaffingRequestNotFound, StaffingRequestCancelled, and as `domain.assignment.assign`.
    """
    project = await _project(tx, draft.project_id)
    _refuse_task(project, draft.task_id)
    if draft.staffing_request_id is not None:
        request = await staffing_repository.get(tx, draft.staffing_request_id)
        if request.project_id != project.project_id:
            raise staffing.StaffingRequestNotFound(
                "the request is one of another project", field="staffing_request_id"
            )
        staffing.require_open(request)
    person = await repository.lock_person(tx, draft.person_id)
    named = replace(
        draft,
        role=draft.role or person.role,
        engagement_id=project.engagement_id,
        correlation_id=project.correlation_id,
    )
    availability = await repository.availability(tx, named)
    change = domain.assign(named, effort, project, availability, overbooking)
    await repository.save_all(tx, [change])
    overbooked = domain.overbooked(change.state, availability.weeks)
    return Assigned(change.state, person.name, overbooked)


async def change_assignment(
    tx: AsyncConnection,
    assignment_id: UUID,
    plan: Replanning,
    effort: Effort,
    overbooking: Overbooking,
) -> Assigned:
    """Change period, hours, task and rule of an assignment to those of `plan`.

    Raises:
        AssignmentNotFound, EntityForbidden, TaskNotFound, TaskClosed, StaleVersion, and as
        `domain.assignment.change`.
    """
    assignment, project = await _get(tx, assignment_id)
    _refuse_task(project, plan.task_id)
    person = await repository.lock_person(tx, assignment.person_id)
    replanned = replace(
        assignment,
        task_id=plan.task_id,
        starts_on=plan.starts_on,
        ends_on=plan.ends_on,
        transfer_rule=plan.transfer_rule or assignment.transfer_rule,
    )
    availability = await repository.availability(tx, replanned, but_for=assignment_id)
    change = domain.change(replanned, effort, project, availability, overbooking)
    await repository.save_all(tx, [change])
    overbooked = domain.overbooked(change.state, availability.weeks)
    return Assigned(change.state, person.name, overbooked)


async def confirm_assignment(
    tx: AsyncConnection, assignment_id: UUID, overbooking: Overbooking
) -> Assigned:
    """Make a soft booking a hard one.

    Raises:
        AssignmentNotFound, EntityForbidden, StaleVersion, and as `domain.assignment.confirm`.
    """
    assignment, project = await _get(tx, assignment_id)
    person = await repository.lock_person(tx, assignment.person_id)
    availability = await repository.availability(tx, assignment, but_for=assignment_id)
    change = domain.confirm(assignment, project, availability, overbooking)
    await repository.save_all(tx, [change])
    overbooked = domain.overbooked(change.state, availability.weeks)
    return Assigned(change.state, person.name, overbooked)


async def end_assignment(
    tx: AsyncConnection, assignment_id: UUID, *, on: date, reason: str
) -> Assigned:
    """End an assignment before its time; `on` is the first day it no longer holds.

    Raises:
        AssignmentNotFound, EntityForbidden, AssignmentEnded, EndTooLate, StaleVersion.
    """
    assignment, _ = await _get(tx, assignment_id)
    person = await repository.lock_person(tx, assignment.person_id)
    days = await repository.working_days(tx, assignment)
    change = domain.end(assignment, on, reason, days)
    await repository.save_all(tx, [change])
    return Assigned(change.state, person.name)


async def split_on_transfer(
    tx: AsyncConnection, person_id: UUID, *, on: date, legal_entity_id: UUID
) -> None:
    """Let each assignment of a person who moves to another entity follow or stop, by its rule.

    Call it in the transaction that records the transfer, after the employment was written.
    """
    changes: list[AssignmentChange] = []
    for assignment in await repository.running_of_person(tx, person_id, on):
        days = await repository.working_days(tx, assignment)
        continuation = derived_id(
            "assignment_continuation", assignment.assignment_id, assignment.version
        )
        changes += domain.transfer(assignment, on, legal_entity_id, continuation, days)
    await repository.save_all(tx, changes)


async def end_on_leaving(tx: AsyncConnection, person_id: UUID, *, on: date) -> None:
    """End the assignments of a person whose employment ends; `on` is the first day without it.

    Call it in the transaction that records the end.
    """
    running = await repository.running_of_person(tx, person_id, on)
    await _end_all(tx, running, on, LEFT)


async def end_of_project(
    tx: AsyncConnection, project: Project, *, reason: str, at: datetime
) -> None:
    """End the assignments of a project that is closed, from tomorrow in its zone on."""
    today = at.astimezone(ZoneInfo(project.time_zone)).date()
    tomorrow = date.fromordinal(today.toordinal() + 1)
    running = await repository.running_of_project(tx, project.project_id, tomorrow)
    await _end_all(tx, running, tomorrow, reason)


async def _end_all(
    tx: AsyncConnection, running: Sequence[Assignment], on: date, reason: str
) -> None:
    changes = [
        domain.end(assignment, on, reason, await repository.working_days(tx, assignment))
        for assignment in running
        if not assignment.ended
    ]
    await repository.save_all(tx, changes)


async def _get(tx: AsyncConnection, assignment_id: UUID) -> tuple[Assignment, Project]:
    assignment = await repository.get(tx, assignment_id)
    project = await _project(tx, assignment.project_id)
    return assignment, project


async def _project(tx: AsyncConnection, project_id: UUID) -> Project:
    project = await plan_repository.find(tx, project_id)
    require_entity(project.legal_entity_id)
    return project


def _refuse_task(project: Project, task_id: UUID | None) -> None:
    if task_id is None:
        return
    task = next((task for task in project.tasks if task.task_id == task_id), None)
    if task is None:
        raise TaskNotFound(f"no task {task_id} in this project", field="task_id")
    if task.closed:
        raise TaskClosed(f"task {task.name} is closed", field="task_id", advice="reopen it first")
