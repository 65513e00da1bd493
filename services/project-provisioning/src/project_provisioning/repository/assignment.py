"""Assignments as rows, with their weeks; and what of people's weeks is booked."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, Select, delete, func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.assignment import (
    Assignment,
    AssignmentChange,
    AssignmentNotFound,
    Availability,
    Booking,
    TransferRule,
)
from project_provisioning.domain.calendar import Schedule, days_of
from project_provisioning.domain.capacity import Booked, weeks_of, whole_weeks
from project_provisioning.domain.effort import Weeks
from project_provisioning.domain.person import Person, PersonNotFound
from project_provisioning.repository import calendar as calendar_repository
from project_provisioning.repository.person import person_from
from project_provisioning.wire import assignment as wire
from throughline_core.errors import StaleVersion
from throughline_runtime import audit, outbox

_assignment, _week = tables.assignment, tables.assignment_week
_WEEKS_MAX: Final = 108


async def get(tx: AsyncConnection, assignment_id: UUID) -> Assignment:
    """Return an assignment, locked until the transaction ends.

    Raises:
        AssignmentNotFound: there is none.
    """
    query = select(_assignment).where(_assignment.c.assignment_id == assignment_id)
    found = await assemble(tx, (await tx.execute(query.with_for_update())).all())
    if not found:
        raise AssignmentNotFound(f"no assignment {assignment_id}", field="assignment_id")
    return found[0]


async def running_of_person(tx: AsyncConnection, person_id: UUID, on: date) -> list[Assignment]:
    """Return a person's assignments with days on or after a day, locked, by id."""
    query = select(_assignment).where(_assignment.c.person_id == person_id)
    return await _locked(tx, query.where(_assignment.c.ends_on > on))


async def running_of_project(tx: AsyncConnection, project_id: UUID, on: date) -> list[Assignment]:
    """Return a project's assignments with days on or after a day, locked, by id."""
    query = select(_assignment).where(_assignment.c.project_id == project_id)
    return await _locked(tx, query.where(_assignment.c.ends_on > on))


async def of_project(tx: AsyncConnection, project_id: UUID) -> list[Assignment]:
    """Return all assignments of a project, by id."""
    query = select(_assignment).where(_assignment.c.project_id == project_id)
    return await assemble(tx, (await tx.execute(query.order_by(_assignment.c.assignment_id))).all())


async def save_all(tx: AsyncConnection, changes: Sequence[AssignmentChange]) -> None:
    """Write assignments, new and changed ones, with their weeks, and queue their events.

    Three statements, however many.

    Raises:
        StaleVersion: a stored row is not exactly one version behind.
    """
    if not changes:
        return
    assignments = [change.state for change in changes]
    statement = upsert(_assignment)
    fresh = statement.excluded
    changed = [column.name for column in _assignment.columns if not column.primary_key]
    written = await tx.execute(
        statement.on_conflict_do_update(
            index_elements=[_assignment.c.assignment_id],
            set_={name: fresh[name] for name in changed},
            where=_assignment.c.version == fresh.version - 1,
        ).returning(_assignment.c.assignment_id),
        list(map(_values, assignments)),
    )
    if len(written.all()) != len(assignments):
        raise StaleVersion("an assignment was changed by somebody else")
    ids = [each.assignment_id for each in assignments]
    await tx.execute(delete(_week).where(_week.c.assignment_id.in_(ids)))
    if weeks := [row for each in assignments for row in _week_values(each)]:
        await tx.execute(insert(_week), weeks)
    for each in assignments:
        audit.touch(tx, each.assignment_id, engagement_id=each.engagement_id)
    events = [event for change in changes for event in change.events]
    await outbox.append(tx, map(wire.write_event, events))


async def lock_person(tx: AsyncConnection, person_id: UUID) -> Person:
    """Return a person whose weeks nobody else books until the transaction ends.

    Raises:
        PersonNotFound: there is none.
    """
    table = tables.person
    # Whoever only refers to the person, as time entries do, need not wait.
    query = select(table).where(table.c.person_id == person_id).with_for_update(key_share=True)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise PersonNotFound(f"no person {person_id}", field="person_id")
    return person_from(row)


async def availability(
    tx: AsyncConnection, assignment: Assignment, *, but_for: UUID | None = None
) -> Availability:
    """Return what is known of the person around an assignment; `but_for` is not counted.

    A period without days is told as one day, for the rule that refuses it.
    """
    first, before = whole_weeks(
        assignment.starts_on,
        max(assignment.ends_on, date.fromordinal(assignment.starts_on.toordinal() + 1)),
        weeks_max=_WEEKS_MAX * 10,
    )
    person = assignment.person_id
    schedules = await calendar_repository.schedules(tx, [person], first, before)
    schedule = schedules.get(person, Schedule(()))
    booked = await booked_weeks(tx, [person], first, before, but_for=but_for)
    days = tuple(days_of(schedule, first, before))
    return Availability(schedule.employments, days, weeks_of(days, booked.get(person, {})))


async def working_days(tx: AsyncConnection, assignment: Assignment) -> list[date]:
    """Return the days of an assignment on which the person works."""
    person, first, before = assignment.person_id, assignment.starts_on, assignment.ends_on
    schedules = await calendar_repository.schedules(tx, [person], first, before)
    schedule = schedules.get(person, Schedule(()))
    return [day.day for day in days_of(schedule, first, before) if day.capacity_minutes > 0]


async def booked_weeks(
    tx: AsyncConnection,
    person_ids: Iterable[UUID],
    first: date,
    before: date,
    *,
    but_for: UUID | None = None,
) -> Mapping[UUID, Mapping[date, Booked]]:
    """Return hours booked by person and Monday in `[first, before)`: one query."""
    hours = func.coalesce(func.sum(_week.c.hours).filter(_assignment.c.booking == "hard"), 0)
    soft = func.coalesce(func.sum(_week.c.hours).filter(_assignment.c.booking == "soft"), 0)
    query = (
        select(_week.c.person_id, _week.c.week_start, hours.label("hard"), soft.label("soft"))
        .join(_assignment, _assignment.c.assignment_id == _week.c.assignment_id)
        .where(_week.c.person_id.in_(list(person_ids)))
        .where(_week.c.week_start >= first)
        .where(_week.c.week_start < before)
        .group_by(_week.c.person_id, _week.c.week_start)
    )
    if but_for is not None:
        query = query.where(_week.c.assignment_id != but_for)
    found: defaultdict[UUID, dict[date, Booked]] = defaultdict(dict)
    for row in await tx.execute(query):
        found[row.person_id][row.week_start] = Booked(Decimal(row.hard), Decimal(row.soft))
    return found


async def assemble(tx: AsyncConnection, rows: Sequence[Row[Any]]) -> list[Assignment]:
    """Return the assignments of these rows with their weeks: one query, however many."""
    weeks: defaultdict[UUID, list[tuple[date, Decimal]]] = defaultdict(list)
    ids = [row.assignment_id for row in rows]
    query = select(_week).where(_week.c.assignment_id.in_(ids)).order_by(_week.c.week_start)
    for row in await tx.execute(query):
        weeks[row.assignment_id].append((row.week_start, row.hours))
    return [_assignment_from(row, tuple(weeks[row.assignment_id])) for row in rows]


async def _locked(tx: AsyncConnection, query: Select[Any]) -> list[Assignment]:
    ordered = query.order_by(_assignment.c.assignment_id).with_for_update()
    return await assemble(tx, (await tx.execute(ordered)).all())


def _values(assignment: Assignment) -> dict[str, Any]:
    return {
        "assignment_id": assignment.assignment_id,
        "version": assignment.version,
        "project_id": assignment.project_id,
        "task_id": assignment.task_id,
        "person_id": assignment.person_id,
        "legal_entity_id": assignment.legal_entity_id,
        "engagement_id": assignment.engagement_id,
        "correlation_id": assignment.correlation_id,
        "role": assignment.role,
        "booking": assignment.booking,
        "ended": assignment.ended,
        "starts_on": assignment.starts_on,
        "ends_on": assignment.ends_on,
        "planned_hours": assignment.planned_hours,
        "transfer_rule": assignment.transfer_rule,
        "staffing_request_id": assignment.staffing_request_id,
        "continues_assignment_id": assignment.continues_assignment_id,
        "reason": assignment.reason,
    }


def _week_values(assignment: Assignment) -> Iterable[dict[str, Any]]:
    for monday, hours in assignment.weeks:
        yield {
            "assignment_id": assignment.assignment_id,
            "week_start": monday,
            "person_id": assignment.person_id,
            "hours": hours,
        }


def _assignment_from(row: Row[Any], weeks: Weeks) -> Assignment:
    return Assignment(
        assignment_id=row.assignment_id,
        version=row.version,
        project_id=row.project_id,
        task_id=row.task_id,
        person_id=row.person_id,
        legal_entity_id=row.legal_entity_id,
        engagement_id=row.engagement_id,
        correlation_id=row.correlation_id,
        role=row.role,
        booking=Booking(row.booking),
        starts_on=row.starts_on,
        ends_on=row.ends_on,
        weeks=weeks,
        transfer_rule=TransferRule(row.transfer_rule),
        ended=row.ended,
        staffing_request_id=row.staffing_request_id,
        continues_assignment_id=row.continues_assignment_id,
        reason=row.reason,
    )
