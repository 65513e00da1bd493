"""Employment over time: which company employs a person on a day, as what, and for whom.

A person's stretches are half-open, follow each other without overlap and are known by their first
day. A change splits the stretch it falls into, and leaves those that begin later as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final
from uuid import UUID

from project_provisioning.domain.person import Person
from throughline_core.change import Change
from throughline_core.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound

WEEKDAYS: Final = 7


class EmploymentOverlap(AlreadyExists):
    """The stretch shares days with one that is recorded."""

    code = "employment.overlap"


class NotEmployed(FailedPrecondition):
    """The person is not employed on that day."""

    code = "employment.not_employed"


class EmploymentUnchanged(InvalidArgument):
    """The change changes nothing."""

    code = "employment.unchanged"


class SameEntity(InvalidArgument):
    """A transfer goes to another company; all else is a change of terms."""

    code = "employment.same_entity"


class EmploymentNotFound(NotFound):
    """No stretch begins on that day."""

    code = "employment.not_found"


class EmploymentInUse(FailedPrecondition):
    """Something refers to the stretch, or it is the person's first."""

    code = "employment.in_use"


class EndTooEarly(InvalidArgument):
    """The end falls before the stretch it ends has begun."""

    code = "employment.end_too_early"


class PeriodInvalid(InvalidArgument):
    """The employment ends before it begins."""

    code = "employment.period_invalid"


class HoursMalformed(InvalidArgument):
    """The contracted minutes are not those of seven days."""

    code = "employment.hours_malformed"


@dataclass(frozen=True, slots=True)
class Employment:
    """One stretch: `[valid_from, valid_to)`, `valid_to` None while it goes on.

    `weekday_minutes` are the contracted minutes from Monday to Sunday, None for those of the
    calendar; `work_calendar` is a calendar's code, None for the company's own.
    """

    legal_entity_id: UUID
    valid_from: date
    valid_to: date | None
    role: str
    level: str
    region: str
    manager_person_id: UUID | None = None
    work_calendar: str | None = None
    weekday_minutes: tuple[int, ...] | None = None

    def __contains__(self, day: date) -> bool:
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)


Employments = tuple[Employment, ...]
"""A person's stretches, oldest first."""


@dataclass(frozen=True, slots=True)
class NewTerms:
    """What a change makes of a stretch; None keeps what it was.

    `clear_manager` takes the manager away, `clear_hours` goes back to the calendar's minutes.
    """

    legal_entity_id: UUID | None = None
    role: str | None = None
    level: str | None = None
    region: str | None = None
    manager_person_id: UUID | None = None
    work_calendar: str | None = None
    weekday_minutes: tuple[int, ...] | None = None
    clear_manager: bool = False
    clear_hours: bool = False


@dataclass(frozen=True, slots=True)
class Employee:
    """A person with all stretches of employment."""

    person: Person
    employments: Employments


@dataclass(frozen=True, slots=True)
class Recorded:
    """Time of a person on one project: how many entries and minutes, from when to when."""

    project_id: UUID
    first_on: date
    last_on: date
    entries: int
    minutes: int


@dataclass(frozen=True, slots=True)
class Followed:
    """What a change of employment made of a booking: `kept`, `moved` or `ended`."""

    assignment_id: UUID
    project_id: UUID
    outcome: str


@dataclass(frozen=True, slots=True)
class PersonRecorded:
    """A person's employment was recorded or changed."""

    employee: Employee


EmployeeChange = Change[Employee, PersonRecorded]


def employment_on(employments: Sequence[Employment], day: date) -> Employment | None:
    """Return the stretch that holds on a day, None when the person is not employed then."""
    return next((stretch for stretch in employments if day in stretch), None)


def hire(person: Person, *, today: date) -> EmployeeChange:
    """Begin a new person's first stretch."""
    first = Employment(
        legal_entity_id=person.legal_entity_id,
        valid_from=person.employed_from,
        valid_to=None,
        role=person.role,
        level=person.level,
        region=person.region,
    )
    employee = Employee(as_of(person, (first,), today), (first,))
    return Change(employee, (PersonRecorded(employee),))


def employ(employee: Employee, stretch: Employment, *, today: date) -> EmployeeChange:
    """Add a stretch where the person has none.

    Raises:
        EmploymentOverlap: it shares days with one that is recorded.
    """
    others = [each for each in employee.employments if _overlap(each, stretch)]
    if others:
        raise _overlapping(others)
    return _changed(employee, (*employee.employments, stretch), today)


def transfer(employee: Employee, *, on: date, terms: NewTerms, today: date) -> EmployeeChange:
    """Let another company employ the person from a day on, until the employment ends.

    Raises:
        NotEmployed: nobody employs the person on that day.
        SameEntity: the company employs the person already.
        EmploymentOverlap: a later change is recorded, which the new stretch would run into.
    """
    current = _holding(employee, on)
    if terms.legal_entity_id in (None, current.legal_entity_id):
        raise SameEntity(
            "the company employs the person on that day already",
            field="legal_entity_id",
            advice="name another company, or change the terms of the employment",
        )
    later = [each for each in employee.employments if each.valid_from > on]
    if later:
        raise _overlapping(later)
    return change_terms(employee, on=on, terms=terms, today=today)


def change_terms(employee: Employee, *, on: date, terms: NewTerms, today: date) -> EmployeeChange:
    """Change what holds from a day on, up to the end of the stretch that holds on it.

    Raises:
        NotEmployed: nobody employs the person on that day.
        EmploymentUnchanged: everything stays as it is.
    """
    current = _holding(employee, on)
    after = replace(_with_terms(current, terms), valid_from=on)
    if after == replace(current, valid_from=on):
        raise EmploymentUnchanged(
            "the employment has these terms on that day already",
            advice="send what is to change, or another day",
        )
    before = [replace(current, valid_to=on)] if current.valid_from < on else []
    others = [each for each in employee.employments if each is not current]
    return _changed(employee, (*others, *before, after), today)


def end(employee: Employee, *, on: date, today: date) -> EmployeeChange:
    """End the employment; `on` is the first day it no longer holds.

    Raises:
        EndTooEarly: the last stretch begins on that day or later.
        NotEmployed: the employment has ended before.
    """
    last = employee.employments[-1]
    if on <= last.valid_from:
        raise EndTooEarly(
            f"the last stretch begins on {last.valid_from} only",
            field="ends_on",
            advice="revoke that stretch first, or send a later day",
        )
    if last.valid_to is not None and last.valid_to <= on:
        raise NotEmployed(
            f"the employment ended on {last.valid_to} already",
            field="ends_on",
            advice="send an earlier day, or record a new employment",
        )
    stretches = (*employee.employments[:-1], replace(last, valid_to=on))
    return _changed(employee, stretches, today)


def revoke(employee: Employee, *, valid_from: date, today: date) -> EmployeeChange:
    """Take a stretch back, as if it had never been; the one it followed on goes on in its place.

    Raises:
        EmploymentNotFound: none begins on that day.
        EmploymentInUse: it is the only one.
    """
    index = next(
        (i for i, each in enumerate(employee.employments) if each.valid_from == valid_from), None
    )
    if index is None:
        raise EmploymentNotFound(
            "no stretch of employment begins on that day",
            field="valid_from",
            advice="send the first day of one of the person's stretches",
        )
    if len(employee.employments) == 1:
        raise EmploymentInUse(
            "it is the person's only employment", field="valid_from", advice="end it instead"
        )
    revoked = employee.employments[index]
    kept = [each for each in employee.employments if each is not revoked]
    if index > 0 and kept[index - 1].valid_to == valid_from:
        kept[index - 1] = replace(kept[index - 1], valid_to=revoked.valid_to)
    return _changed(employee, tuple(kept), today)


def as_of(person: Person, employments: Employments, today: date) -> Person:
    """Return the person as lists show it on a day: by the stretch that holds, or the nearest one.

    Before the first stretch begins that is the first one, and after the end the last one.
    """
    begun = [each for each in employments if each.valid_from <= today]
    shown = begun[-1] if begun else employments[0]
    return replace(
        person,
        legal_entity_id=shown.legal_entity_id,
        role=shown.role,
        level=shown.level,
        region=shown.region,
        employed_from=employments[0].valid_from,
        employed_to=employments[-1].valid_to,
    )


def _changed(employee: Employee, stretches: Employments, today: date) -> EmployeeChange:
    ordered = tuple(sorted(stretches, key=lambda each: each.valid_from))
    person = as_of(employee.person, ordered, today)
    changed = Employee(replace(person, version=person.version + 1), ordered)
    return Change(changed, (PersonRecorded(changed),))


def _holding(employee: Employee, on: date) -> Employment:
    current = employment_on(employee.employments, on)
    if current is None:
        raise NotEmployed(
            f"nobody employs the person on {on}",
            field="effective_on",
            advice="send a day within an employment, or record a new one from that day",
        )
    return current


def _with_terms(current: Employment, terms: NewTerms) -> Employment:
    manager = terms.manager_person_id or current.manager_person_id
    minutes = terms.weekday_minutes or current.weekday_minutes
    return replace(
        current,
        legal_entity_id=terms.legal_entity_id or current.legal_entity_id,
        role=current.role if terms.role is None else terms.role,
        level=current.level if terms.level is None else terms.level,
        region=current.region if terms.region is None else terms.region,
        manager_person_id=None if terms.clear_manager else manager,
        work_calendar=terms.work_calendar or current.work_calendar,
        weekday_minutes=None if terms.clear_hours else minutes,
    )


def _overlap(one: Employment, other: Employment) -> bool:
    starts_before_end = one.valid_to is None or other.valid_from < one.valid_to
    ends_after_start = other.valid_to is None or one.valid_from < other.valid_to
    return starts_before_end and ends_after_start


def _overlapping(others: Sequence[Employment]) -> EmploymentOverlap:
    spans = ", ".join(f"{each.valid_from} to {each.valid_to or 'open'}" for each in others)
    return EmploymentOverlap(
        f"it overlaps with the employment {spans}",
        field="valid_from",
        advice="end or revoke that one first, or choose days it does not cover",
    )
