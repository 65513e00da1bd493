"""What a week might hold: an earlier week over again, or the tasks a person is assigned to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from uuid import UUID

import uuid_utils
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.bulk.time_facts import load_facts
from project_provisioning.domain import time_entry
from project_provisioning.domain.calendar import Schedule, days_of
from project_provisioning.domain.person import Sight
from project_provisioning.domain.time_entry import EntryColumns, NotOwn
from project_provisioning.domain.timesheet import NothingToFill, TimesheetBasis, week_start_of
from project_provisioning.queries import time as time_queries
from project_provisioning.queries import timesheet as queries
from project_provisioning.repository import calendar as calendar_repository

_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose week to fill, and from what; `copied` is a day of the week to copy, None the last."""

    person_id: UUID
    week_start: date
    basis: TimesheetBasis
    copied: date | None = None


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One entry a week might hold."""

    task_id: str
    work_date: date
    minutes: int
    billable: bool | None = None
    note: str = ""
    activity: str = ""


async def suggest(tx: AsyncConnection, wanted: Wanted, sight: Sight) -> EntryColumns:
    """Return entries a week might hold, less those that can take no time any more.

    Raises:
        PersonNotFound, NotOwn.
    """
    columns = await gather(tx, wanted, sight, minutes=None)
    days = [day for day in time_entry.read_days(columns).values() if day is not None]
    facts = await load_facts(
        tx, columns, days, entities=sight.entities, own_subject=sight.own_subject
    )
    places = time_entry.judge(columns, facts).places
    return _chosen(columns, places)


async def gather(
    tx: AsyncConnection, wanted: Wanted, sight: Sight, *, minutes: int | None
) -> EntryColumns:
    """Return entries a week might hold, with these `minutes` in place of their own if given.

    Raises:
        PersonNotFound, NotOwn.
    """
    person = await time_queries.get_person(tx, wanted.person_id, sight)
    if sight.own_subject is not None and person.subject != sight.own_subject:
        raise NotOwn("this is the time of somebody else", field="person_id")
    monday = week_start_of(wanted.week_start)
    if wanted.basis is TimesheetBasis.WEEK:
        copied = monday - _WEEK if wanted.copied is None else week_start_of(wanted.copied)
        found = [
            Suggestion(
                task_id=str(row.task_id),
                work_date=row.work_date + (monday - copied),
                minutes=row.minutes,
                billable=row.billable,
                note=row.note,
                activity=row.activity,
            )
            for row in await queries.entries_of_week(tx, wanted.person_id, copied)
        ]
    else:
        found = await _of_assignments(tx, wanted.person_id, monday)
    return _columns(str(wanted.person_id), found, minutes)


def require_some(columns: EntryColumns) -> None:
    """Refuse to fill a week from nothing.

    Raises:
        NothingToFill.
    """
    if not columns.entry_ids:
        raise NothingToFill(
            "there is nothing to fill the week with",
            field="basis",
            advice="choose a week that holds time, or assign the person to work",
        )


async def _of_assignments(tx: AsyncConnection, person_id: UUID, monday: date) -> list[Suggestion]:
    schedules = await calendar_repository.schedules(tx, [person_id], monday, monday + _WEEK)
    schedule = schedules.get(person_id, Schedule(()))
    working = [
        day.day for day in days_of(schedule, monday, monday + _WEEK) if day.capacity_minutes > 0
    ]
    return [
        Suggestion(str(row.task_id), day, minutes)
        for row in await queries.bookings_of_week(tx, person_id, monday)
        for day, minutes in _spread(
            int(row.hours * 60), [day for day in working if row.starts_on <= day < row.ends_on]
        )
        if minutes > 0
    ]


def _spread(minutes: int, days: list[date]) -> Iterator[tuple[date, int]]:
    """Yield a share for each day; the shares sum to the whole."""
    for place, day in enumerate(days):
        yield day, (minutes * (place + 1)) // len(days) - (minutes * place) // len(days)


def _columns(person_id: str, found: list[Suggestion], minutes: int | None) -> EntryColumns:
    nothing = [None] * len(found)
    return EntryColumns(
        entry_ids=[str(uuid_utils.uuid7()) for _ in found],
        person_ids=[person_id] * len(found),
        task_ids=[each.task_id for each in found],
        work_dates=[each.work_date.isoformat() for each in found],
        minutes=[each.minutes if minutes is None else minutes for each in found],
        roles=nothing,
        levels=nothing,
        regions=nothing,
        billables=[each.billable for each in found],
        notes=[each.note for each in found],
        sources=nothing,
        activities=[each.activity for each in found],
        allowed_duplicates=[False] * len(found),
    )


def _chosen(columns: EntryColumns, places: Sequence[int]) -> EntryColumns:
    """Return the entries at these places."""
    picked = {
        each.name: [getattr(columns, each.name)[place] for place in places]
        for each in fields(columns)
    }
    return EntryColumns(**picked)
