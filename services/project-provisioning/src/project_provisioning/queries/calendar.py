"""Calendars, a person's days, and what people can work in a period."""

from collections.abc import Sequence
from datetime import date
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.calendar import (
    CalendarNotFound,
    Day,
    Schedule,
    WorkCalendar,
    check_days,
    days_of,
)
from project_provisioning.domain.leave import NotOwnLeave
from project_provisioning.domain.person import Person, Sight
from project_provisioning.queries import time as person_queries
from project_provisioning.queries.paging import cut
from project_provisioning.repository import calendar as repository
from throughline_runtime.page import Page

DAYS_MAX: Final = 366

_table = tables.work_calendar


async def get_calendar(tx: AsyncConnection, code: str) -> WorkCalendar:
    """Return a calendar.

    Raises:
        CalendarNotFound: there is none.
    """
    found = await repository.find(tx, [code])
    if code not in found:
        raise CalendarNotFound(f"no work calendar {code}", field="code")
    return found[code]


async def calendars(tx: AsyncConnection, *, page: Page) -> tuple[list[WorkCalendar], str]:
    """Return calendars by code, and the next page's token."""
    query = select(_table)
    if page.after is not None:
        query = query.where(_table.c.code > page.after[0])
    rows = (await tx.execute(query.order_by(_table.c.code).limit(page.size + 1))).all()
    kept, token = cut(rows, page, lambda row: row.code)
    return list(map(repository.calendar_from, kept)), token


async def working_days(
    tx: AsyncConnection, person_id: UUID, first: date, before: date, sight: Sight
) -> tuple[Person, Sequence[Day]]:
    """Return a person's days in `[first, before)`.

    Raises:
        PersonNotFound: there is no such person the caller may see.
        NotOwnLeave: the caller sees own days only.
        PeriodTooLong: the period has no days, or more than a year.
    """
    check_days(first, before, days_max=DAYS_MAX, field="before")
    person = await person_queries.get_person(tx, person_id, sight)
    if sight.own_subject is not None and person.subject != sight.own_subject:
        raise NotOwnLeave(
            "when somebody else is away is not the caller's to see",
            field="person_id",
            advice="ask that person, or somebody of the PMO",
        )
    schedules = await repository.schedules(tx, [person_id], first, before)
    return person, list(days_of(schedules.get(person_id, Schedule(())), first, before))


async def capacities(
    tx: AsyncConnection,
    first: date,
    before: date,
    *,
    legal_entity_id: UUID | None,
    role: str,
    sight: Sight,
    page: Page,
) -> tuple[list[tuple[Person, Sequence[Day]]], str]:
    """Return people by id with their days in `[first, before)`, and the next page's token.

    Raises:
        PeriodTooLong: the period has no days, or more than a year.
    """
    check_days(first, before, days_max=DAYS_MAX, field="before")
    people, token = await person_queries.persons(
        tx, legal_entity_id=legal_entity_id, role=role, sight=sight, page=page
    )
    schedules = await repository.schedules(
        tx, [person.person_id for person in people], first, before
    )
    return [
        (person, list(days_of(schedules.get(person.person_id, Schedule(())), first, before)))
        for person in people
    ], token
