"""Assignments, staffing requests, capacity, and people who could take work on."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Select, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.assignment import Assignment, AssignmentNotFound, Booking
from project_provisioning.domain.calendar import Day, Schedule, days_of
from project_provisioning.domain.capacity import (
    Booked,
    Week,
    part_of_weeks,
    weeks_by_entity,
    weeks_of,
    whole_weeks,
)
from project_provisioning.domain.person import Person, Sight
from project_provisioning.domain.staffing import StaffingRequest, StaffingStatus
from project_provisioning.queries.paging import by_id, cut, own, within
from project_provisioning.repository import assignment as repository
from project_provisioning.repository import calendar as calendar_repository
from project_provisioning.repository import staffing
from project_provisioning.repository.person import person_from
from throughline_runtime.page import Page

_assignment, _person = tables.assignment, tables.person
_request, _employment, _skill = tables.staffing_request, tables.employment, tables.person_skill
_PLAN_WEEKS_MAX = 26


@dataclass(frozen=True, slots=True)
class AssignmentFilter:
    """Which assignments."""

    project_id: UUID | None = None
    task_id: UUID | None = None
    person_id: UUID | None = None
    legal_entity_id: UUID | None = None
    booking: Booking | None = None
    ended: bool | None = None
    running_from: date | None = None
    running_before: date | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which people: employed so in a period; empty words do not limit, all skills are needed."""

    starts_on: date
    ends_on: date
    role: str = ""
    level: str = ""
    region: str = ""
    skills: Collection[str] = ()
    legal_entity_id: UUID | None = None
    person_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class PersonWeeks:
    """A person, and the weeks of a period."""

    person: Person
    weeks: Mapping[date, Week]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A person, and what the days of a period hold, summed as if it were one week."""

    person: Person
    period: Week


@dataclass(frozen=True, slots=True)
class Utilisation:
    """What the people of a legal entity can work and are booked for in a week."""

    legal_entity_id: UUID
    people: int
    week: Week


async def get_assignment(
    tx: AsyncConnection, assignment_id: UUID, sight: Sight
) -> tuple[Assignment, str]:
    """Return an assignment and the person's name.

    Raises:
        AssignmentNotFound: there is none the caller may see.
    """
    query = _assignments(sight).where(_assignment.c.assignment_id == assignment_id)
    rows = (await tx.execute(query)).all()
    if not rows:
        raise AssignmentNotFound(f"no assignment {assignment_id}", field="assignment_id")
    [found] = await repository.assemble(tx, rows)
    return found, rows[0].person_name


async def list_assignments(
    tx: AsyncConnection, wanted: AssignmentFilter, *, sight: Sight, page: Page
) -> tuple[list[tuple[Assignment, str]], str]:
    """Return assignments by id with people's names, and the next page's token."""
    query = _assignments(sight)
    for column, value in (
        (_assignment.c.project_id, wanted.project_id),
        (_assignment.c.task_id, wanted.task_id),
        (_assignment.c.person_id, wanted.person_id),
        (_assignment.c.legal_entity_id, wanted.legal_entity_id),
        (_assignment.c.booking, wanted.booking),
        (_assignment.c.ended, wanted.ended),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.running_from is not None:
        query = query.where(_assignment.c.ends_on > wanted.running_from)
    if wanted.running_before is not None:
        query = query.where(_assignment.c.starts_on < wanted.running_before)
    rows = (await tx.execute(by_id(query, _assignment.c.assignment_id, page))).all()
    kept, token = cut(rows, page, lambda row: row.assignment_id)
    found = await repository.assemble(tx, kept)
    return [(each, row.person_name) for each, row in zip(found, kept, strict=True)], token


async def list_requests(
    tx: AsyncConnection,
    *,
    project_id: UUID | None,
    legal_entity_id: UUID | None,
    role: str,
    status: StaffingStatus | None,
    sight: Sight,
    page: Page,
) -> tuple[list[StaffingRequest], str]:
    """Return staffing requests by id, and the next page's token."""
    query = within(staffing.requests(), _request.c.legal_entity_id, sight)
    if project_id is not None:
        query = query.where(_request.c.project_id == project_id)
    if legal_entity_id is not None:
        query = query.where(_request.c.legal_entity_id == legal_entity_id)
    if role:
        query = query.where(_request.c.role == role)
    if status is StaffingStatus.CANCELLED:
        query = query.where(_request.c.cancelled_reason.is_not(None))
    elif status is not None:
        is_filled = _request.c.hours <= staffing.ASSIGNED
        query = query.where(_request.c.cancelled_reason.is_(None))
        query = query.where(is_filled if status is StaffingStatus.FILLED else ~is_filled)
    rows = (await tx.execute(by_id(query, _request.c.staffing_request_id, page))).all()
    kept, token = cut(rows, page, lambda row: row.staffing_request_id)
    return list(map(staffing.request_from, kept)), token


async def candidates(
    tx: AsyncConnection, wanted: Wanted, *, free_min: Decimal | None, sight: Sight, page: Page
) -> tuple[list[Candidate], str]:
    """Return people by id with free hours in the period, and the next page's token.

    Raises:
        CapacityDatesReversed, CapacityPeriodTooLong: the period cannot be told.
    """
    first, before = whole_weeks(wanted.starts_on, wanted.ends_on)
    kept, token = await _people(tx, wanted, sight, page)
    days, booked = await _load(tx, kept, first, before)
    found = [
        Candidate(
            person,
            part_of_weeks(
                days[person.person_id],
                booked.get(person.person_id, {}),
                wanted.starts_on,
                wanted.ends_on,
            ),
        )
        for person in kept
    ]
    least = Decimal(0) if free_min is None else free_min
    return [each for each in found if each.period.free > 0 and each.period.free >= least], token


async def capacity(
    tx: AsyncConnection, wanted: Wanted, *, sight: Sight, page: Page
) -> tuple[list[PersonWeeks], str]:
    """Return people by id with the whole weeks that touch the period, and the next page's token.

    Raises:
        CapacityDatesReversed, CapacityPeriodTooLong: the period cannot be told.
    """
    first, before = whole_weeks(wanted.starts_on, wanted.ends_on)
    kept, token = await _people(tx, wanted, sight, page)
    days, booked = await _load(tx, kept, first, before)
    return [
        PersonWeeks(person, weeks_of(days[person.person_id], booked.get(person.person_id, {})))
        for person in kept
    ], token


async def utilisation(tx: AsyncConnection, wanted: Wanted, *, sight: Sight) -> list[Utilisation]:
    """Return capacity and bookings by legal entity and whole week, of the people it employs then.

    Raises:
        CapacityDatesReversed, CapacityPeriodTooLong: the period cannot be told.
    """
    first, before = whole_weeks(wanted.starts_on, wanted.ends_on, weeks_max=_PLAN_WEEKS_MAX)
    rows = (await tx.execute(_query(wanted, sight))).all()
    people = list(map(person_from, rows))
    days, booked = await _load(tx, people, first, before)
    sums: dict[tuple[UUID, date], Utilisation] = {}
    for person in people:
        for entity, week in weeks_by_entity(
            days[person.person_id], booked.get(person.person_id, {})
        ):
            if sight.entities is not None and entity not in sight.entities:
                continue
            if wanted.legal_entity_id not in (None, entity):
                continue
            known = sums.get((entity, week.week_start))
            sums[entity, week.week_start] = Utilisation(
                entity,
                (known.people if known else 0) + (week.capacity > 0),
                known.week + week if known else week,
            )
    return [sums[key] for key in sorted(sums)]


def _assignments(sight: Sight) -> Select[Any]:
    query = select(_assignment, _person.c.name.label("person_name")).join(
        _person, _person.c.person_id == _assignment.c.person_id
    )
    return own(within(query, _assignment.c.legal_entity_id, sight), sight)


def _query(wanted: Wanted, sight: Sight) -> Select[Any]:
    """Return the query of people who are employed so on a day of the period."""
    employed = (
        (_employment.c.person_id == _person.c.person_id)
        & (_employment.c.valid_from < wanted.ends_on)
        & or_(_employment.c.valid_to.is_(None), _employment.c.valid_to > wanted.starts_on)
    )
    for column, word in (
        (_employment.c.role, wanted.role),
        (_employment.c.level, wanted.level),
        (_employment.c.region, wanted.region),
    ):
        if word:
            employed &= column == word
    if wanted.legal_entity_id is not None:
        employed &= _employment.c.legal_entity_id == wanted.legal_entity_id
    if sight.entities is not None:
        employed &= _employment.c.legal_entity_id.in_(sight.entities)
    query = own(select(_person).where(exists().where(employed)), sight)
    if wanted.person_id is not None:
        query = query.where(_person.c.person_id == wanted.person_id)
    if wanted.skills:
        held = (
            select(func.count())
            .where(_skill.c.person_id == _person.c.person_id)
            .where(_skill.c.skill_code.in_(wanted.skills))
            .where(_skill.c.valid_from <= wanted.starts_on)
            .where(or_(_skill.c.valid_to.is_(None), _skill.c.valid_to > wanted.starts_on))
            .scalar_subquery()
        )
        query = query.where(held == len(set(wanted.skills)))
    return query


async def _people(
    tx: AsyncConnection, wanted: Wanted, sight: Sight, page: Page
) -> tuple[list[Person], str]:
    rows = (await tx.execute(by_id(_query(wanted, sight), _person.c.person_id, page))).all()
    kept, token = cut(rows, page, lambda row: row.person_id)
    return list(map(person_from, kept)), token


async def _load(
    tx: AsyncConnection, people: Iterable[Person], first: date, before: date
) -> tuple[Mapping[UUID, Sequence[Day]], Mapping[UUID, Mapping[date, Booked]]]:
    """Return the days of these people and what is booked in their weeks: five queries."""
    ids = [person.person_id for person in people]
    schedules = await calendar_repository.schedules(tx, ids, first, before)
    days = {each: tuple(days_of(schedules.get(each, Schedule(())), first, before)) for each in ids}
    return days, await repository.booked_weeks(tx, ids, first, before)
