"""Work calendars as rows, and all that says when people work, for many people at once."""

from collections.abc import Collection, Iterable, Mapping
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.calendar import Schedule, WorkCalendar, company_calendar
from project_provisioning.repository import employment as employment_repository
from project_provisioning.repository import leave as leave_repository
from project_provisioning.repository import legal_entity as entity_repository
from throughline_core.ids import derived_id
from throughline_runtime import audit


async def put(tx: AsyncConnection, calendar: WorkCalendar) -> WorkCalendar:
    """Write a calendar in place of the one of its code, and return it with its version."""
    table = tables.work_calendar
    values = {
        "name": calendar.name,
        "country": calendar.country,
        "subdivision": calendar.subdivision,
        "weekday_minutes": calendar.weekday_minutes,
        "days_off": sorted(calendar.days_off),
    }
    statement = insert(table).values(code=calendar.code, version=1, **values)
    row = (
        await tx.execute(
            statement.on_conflict_do_update(
                index_elements=["code"], set_={**values, "version": table.c.version + 1}
            ).returning(table)
        )
    ).one()
    audit.touch(tx, derived_id("work_calendar", calendar.code))
    return calendar_from(row)


async def find(tx: AsyncConnection, codes: Collection[str]) -> Mapping[str, WorkCalendar]:
    """Return those of these calendars that there are, by code."""
    if not codes:
        return {}
    table = tables.work_calendar
    rows = await tx.execute(select(table).where(table.c.code.in_(codes)))
    return {row.code: calendar_from(row) for row in rows}


async def schedules(
    tx: AsyncConnection, person_ids: Iterable[UUID], first: date, before: date
) -> Mapping[UUID, Schedule]:
    """Return when these people work in `[first, before)`: four queries, however many people."""
    employments = await employment_repository.of_people(tx, person_ids)
    stretches = [each for found in employments.values() for each in found]
    codes = {each.work_calendar for each in stretches if each.work_calendar is not None}
    calendars = await find(tx, codes)
    entities = await entity_repository.of(tx, {each.legal_entity_id for each in stretches})
    leaves = await leave_repository.approved(tx, employments, first, before)
    companies = {entity_id: company_calendar(entity) for entity_id, entity in entities.items()}
    return {
        person_id: Schedule(found, calendars, companies, leaves.get(person_id, ()))
        for person_id, found in employments.items()
    }


def calendar_from(row: Row[Any]) -> WorkCalendar:
    """Return the calendar a row holds."""
    return WorkCalendar(
        code=row.code,
        version=row.version,
        name=row.name,
        country=row.country,
        subdivision=row.subdivision,
        weekday_minutes=tuple(row.weekday_minutes),
        days_off=frozenset(row.days_off),
    )
