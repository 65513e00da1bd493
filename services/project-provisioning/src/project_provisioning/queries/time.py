"""People, time entries and timesheets."""

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.person import Person, PersonNotFound, Sight
from project_provisioning.domain.timesheet import TimesheetStatus
from project_provisioning.queries.paging import by_id, cut, within
from project_provisioning.queries.timesheet import overseen
from project_provisioning.repository import person
from project_provisioning.repository.time_entry import RECORDED
from throughline_runtime.page import Page

_person, _sheet, _entry = tables.person, tables.timesheet, tables.time_entry
_project = tables.project


async def get_person(tx: AsyncConnection, person_id: UUID, sight: Sight) -> Person:
    """Return a person.

    Raises:
        PersonNotFound: there is none the caller may see.
    """
    query = select(_person).where(_person.c.person_id == person_id)
    row = (await tx.execute(within(query, _person.c.legal_entity_id, sight))).one_or_none()
    if row is None:
        raise PersonNotFound(f"no person {person_id}", field="person_id")
    return person.person_from(row)


async def persons(
    tx: AsyncConnection, *, legal_entity_id: UUID | None, role: str, sight: Sight, page: Page
) -> tuple[list[Person], str]:
    """Return people by id, and the next page's token."""
    query = within(select(_person), _person.c.legal_entity_id, sight)
    if legal_entity_id is not None:
        query = query.where(_person.c.legal_entity_id == legal_entity_id)
    if role:
        query = query.where(_person.c.role == role)
    rows = (await tx.execute(by_id(query, _person.c.person_id, page))).all()
    kept, token = cut(rows, page, lambda row: row.person_id)
    return list(map(person.person_from, kept)), token


async def time_entries(
    tx: AsyncConnection,
    *,
    person_id: UUID | None,
    project_id: UUID | None,
    contract_id: UUID | None,
    timesheet_id: UUID | None,
    worked_from: date | None,
    worked_before: date | None,
    status: TimesheetStatus | None,
    sight: Sight,
    on: date,
    page: Page,
) -> tuple[Sequence[Row[Any]], str]:
    """Return entries by id with the status of their sheets, and the next page's token."""
    query = overseen(within(RECORDED, _entry.c.legal_entity_id, sight), sight, on=on)
    if person_id is not None:
        # By the sheets: entries have no index by person, which each of them would have to pay for.
        query = query.where(_sheet.c.person_id == person_id)
    if project_id is not None:
        query = query.where(_entry.c.project_id == project_id)
    if contract_id is not None:
        of_contract = select(_project.c.project_id).where(_project.c.contract_id == contract_id)
        query = query.where(_entry.c.project_id.in_(of_contract))
    if timesheet_id is not None:
        query = query.where(_entry.c.timesheet_id == timesheet_id)
    if worked_from is not None:
        query = query.where(_entry.c.work_date >= worked_from)
    if worked_before is not None:
        query = query.where(_entry.c.work_date < worked_before)
    if status is not None:
        query = query.where(_sheet.c.status == status)
    rows = (await tx.execute(by_id(query, _entry.c.time_entry_id, page))).all()
    return cut(rows, page, lambda row: row.time_entry_id)
