"""People and their employment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.commands import assignment as assignments
from project_provisioning.domain import employment as domain
from project_provisioning.domain.calendar import CalendarUnknown
from project_provisioning.domain.employment import (
    Employee,
    EmployeeChange,
    Employment,
    EmploymentInUse,
    Followed,
    NewTerms,
    Recorded,
)
from project_provisioning.domain.person import Person, PersonNotFound
from project_provisioning.queries import employment as queries
from project_provisioning.repository import assignment as assignment_repository
from project_provisioning.repository import calendar as calendar_repository
from project_provisioning.repository import employment as repository
from project_provisioning.repository import lock as lock_repository
from project_provisioning.repository import person as person_repository
from throughline_runtime.identity import require_entity


@dataclass(frozen=True, slots=True)
class Moved:
    """A person after a change, and what stands under the terms of before.

    `recorded` is time recorded on or after the day of the change, by project, that keeps the
    company, role and region it was recorded with. `followed` are bookings the plan looked at.
    """

    employee: Employee
    recorded: Sequence[Recorded] = ()
    followed: Sequence[Followed] = ()


async def create_person(tx: AsyncConnection, person: Person, *, today: date) -> Person:
    """Record a person with the first employment.

    Raises:
        EntityForbidden: the caller may not act for the employing entity.
        SubjectTaken: another person signs in under the subject.
    """
    require_entity(person.legal_entity_id)
    change = domain.hire(person, today=today)
    await person_repository.add(tx, change.state.person)
    await repository.add(tx, change)
    return change.state.person


async def employ(
    tx: AsyncConnection, person_id: UUID, stretch: Employment, *, today: date
) -> Employee:
    """Record a further employment of a person whose last one has ended.

    Raises:
        PersonNotFound, EntityForbidden, EmploymentOverlap, PeriodLocked, CalendarUnknown.
    """
    before = await repository.get(tx, person_id)
    require_entity(stretch.legal_entity_id)
    await _check_refs(tx, person_id, stretch.manager_person_id, stretch.work_calendar)
    await lock_repository.require_open(
        tx, [(stretch.legal_entity_id, stretch.valid_from)], field="employment.valid_from"
    )
    change = domain.employ(before, stretch, today=today)
    await repository.save(tx, before, change)
    return change.state


async def transfer(
    tx: AsyncConnection, person_id: UUID, *, on: date, terms: NewTerms, today: date
) -> Moved:
    """Let another company employ a person from a day on.

    Raises:
        PersonNotFound, EntityForbidden, NotEmployed, SameEntity, EmploymentOverlap, PeriodLocked,
        CalendarUnknown.
    """
    before = await repository.get(tx, person_id)
    change = domain.transfer(before, on=on, terms=terms, today=today)
    moved = await _move(tx, before, change, on=on, terms=terms)
    running = await _bookings(tx, person_id, on)
    assert terms.legal_entity_id is not None, "a transfer names the company"
    await assignments.split_on_transfer(tx, person_id, on=on, legal_entity_id=terms.legal_entity_id)
    return replace(moved, followed=_followed(running, await _bookings(tx, person_id, on)))


async def change_terms(
    tx: AsyncConnection, person_id: UUID, *, on: date, terms: NewTerms, today: date
) -> Moved:
    """Change role, level, region, manager or hours from a day on.

    Raises:
        PersonNotFound, EntityForbidden, NotEmployed, EmploymentUnchanged, PeriodLocked,
        CalendarUnknown.
    """
    before = await repository.get(tx, person_id)
    change = domain.change_terms(before, on=on, terms=terms, today=today)
    return await _move(tx, before, change, on=on, terms=terms)


async def end_employment(tx: AsyncConnection, person_id: UUID, *, on: date, today: date) -> Moved:
    """End a person's employment; `on` is the first day without it.

    Raises:
        PersonNotFound, EntityForbidden, NotEmployed, EndTooEarly, PeriodLocked.
    """
    before = await repository.get(tx, person_id)
    change = domain.end(before, on=on, today=today)
    moved = await _move(tx, before, change, on=on, terms=NewTerms())
    running = await _bookings(tx, person_id, on)
    await assignments.end_on_leaving(tx, person_id, on=on)
    return replace(moved, followed=_followed(running, await _bookings(tx, person_id, on)))


async def revoke(
    tx: AsyncConnection, person_id: UUID, *, valid_from: date, today: date
) -> Employee:
    """Take a change back that nobody recorded time under.

    Raises:
        PersonNotFound, EntityForbidden, EmploymentNotFound, EmploymentInUse, PeriodLocked.
    """
    before = await repository.get(tx, person_id)
    change = domain.revoke(before, valid_from=valid_from, today=today)
    await _require_entities(tx, before, change, valid_from)
    if await queries.recorded_since(tx, person_id, valid_from):
        raise EmploymentInUse(
            "time is recorded from that day on, under the terms that would be gone",
            field="valid_from",
            advice="move or reverse that time first, or record a further change",
        )
    await repository.save(tx, before, change)
    return change.state


async def _move(
    tx: AsyncConnection, before: Employee, change: EmployeeChange, *, on: date, terms: NewTerms
) -> Moved:
    person_id = before.person.person_id
    await _require_entities(tx, before, change, on)
    await _check_refs(tx, person_id, terms.manager_person_id, terms.work_calendar)
    await repository.save(tx, before, change)
    return Moved(change.state, await queries.recorded_since(tx, person_id, on))


async def _bookings(tx: AsyncConnection, person_id: UUID, on: date) -> Mapping[UUID, UUID]:
    """Return the project of each booking of a person that has days from `on` on."""
    running = await assignment_repository.running_of_person(tx, person_id, on)
    return {each.assignment_id: each.project_id for each in running if not each.ended}


def _followed(before: Mapping[UUID, UUID], after: Mapping[UUID, UUID]) -> list[Followed]:
    """Say what became of bookings: those that go on under an id of their own have moved."""
    kept = [Followed(key, after[key], "kept") for key in sorted(before.keys() & after.keys())]
    ended = [Followed(key, before[key], "ended") for key in sorted(before.keys() - after.keys())]
    moved = [Followed(key, after[key], "moved") for key in sorted(after.keys() - before.keys())]
    return kept + ended + moved


async def _require_entities(
    tx: AsyncConnection, before: Employee, change: EmployeeChange, on: date
) -> None:
    """Refuse unless the caller acts for every company concerned, and the day is open in each."""
    concerned = {
        stretch.legal_entity_id
        for employments in (before.employments, change.state.employments)
        for stretch in employments
        if stretch.valid_to is None or on < stretch.valid_to
    }
    for legal_entity_id in sorted(concerned):
        require_entity(legal_entity_id)
    await lock_repository.require_open(
        tx, [(entity, on) for entity in concerned], field="effective_on"
    )


async def _check_refs(
    tx: AsyncConnection,
    person_id: UUID,
    manager_person_id: UUID | None,
    work_calendar: str | None,
) -> None:
    if manager_person_id is not None:
        if manager_person_id == person_id:
            raise PersonNotFound(
                "nobody is their own manager",
                field="manager_person_id",
                advice="name somebody else, or nobody",
            )
        await person_repository.get(tx, manager_person_id)
    if work_calendar is not None and not await calendar_repository.find(tx, [work_calendar]):
        raise CalendarUnknown(
            f"there is no work calendar {work_calendar}",
            field="work_calendar",
            advice="use the code of one in the list of work calendars",
        )
