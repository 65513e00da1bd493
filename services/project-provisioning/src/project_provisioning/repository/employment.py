"""Employments as rows: for one person to change, and for many people and days to look up."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, insert, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.employment import (
    Employee,
    EmployeeChange,
    Employment,
    Employments,
)
from project_provisioning.domain.person import PersonNotFound
from project_provisioning.repository.person import person_from
from project_provisioning.wire import employment as wire
from throughline_core.errors import StaleVersion
from throughline_runtime import audit, outbox

# What lists show of a person follows the calendar without anybody's act.
_ROLL = text("""
    WITH shown AS (
        SELECT DISTINCT ON (person_id) person_id, legal_entity_id, role, level, region
        FROM employment WHERE valid_from <= :today
        ORDER BY person_id, valid_from DESC
    )
    UPDATE person SET legal_entity_id = shown.legal_entity_id, role = shown.role,
                      level = shown.level, region = shown.region
    FROM shown
    WHERE shown.person_id = person.person_id
      AND (person.legal_entity_id, person.role, person.level, person.region)
          IS DISTINCT FROM (shown.legal_entity_id, shown.role, shown.level, shown.region)
""")


async def of_people(tx: AsyncConnection, person_ids: Iterable[UUID]) -> Mapping[UUID, Employments]:
    """Return all stretches of these people, oldest first: one query."""
    table = tables.employment
    query = select(table).where(table.c.person_id.in_(set(person_ids)))
    found: defaultdict[UUID, list[Employment]] = defaultdict(list)
    for row in await tx.execute(query.order_by(table.c.person_id, table.c.valid_from)):
        found[row.person_id].append(employment_from(row))
    return {person_id: tuple(stretches) for person_id, stretches in found.items()}


async def get(tx: AsyncConnection, person_id: UUID) -> Employee:
    """Return a person with all stretches, locked until the transaction ends.

    Raises:
        PersonNotFound: there is none.
    """
    table = tables.person
    query = select(table).where(table.c.person_id == person_id).with_for_update()
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise PersonNotFound(f"no person {person_id}", field="person_id")
    employments = await of_people(tx, [person_id])
    return Employee(person_from(row), employments[person_id])


async def add(tx: AsyncConnection, change: EmployeeChange) -> None:
    """Write the first stretches of a person who was just written, and announce them."""
    employee = change.state
    await _insert(tx, employee.person.person_id, employee.employments)
    await outbox.append(tx, map(wire.write_event, change.events))


async def save(tx: AsyncConnection, before: Employee, change: EmployeeChange) -> None:
    """Write the stretches that differ from `before`, and the person as of today.

    Raises:
        StaleVersion: the stored person is not exactly one version behind.
    """
    employee, person = change.state, change.state.person
    written = await tx.execute(
        update(tables.person)
        .where(tables.person.c.person_id == person.person_id)
        .where(tables.person.c.version == person.version - 1)
        .values(
            version=person.version,
            legal_entity_id=person.legal_entity_id,
            role=person.role,
            level=person.level,
            region=person.region,
            employed_from=person.employed_from,
            employed_to=person.employed_to,
        )
    )
    if written.rowcount != 1:
        raise StaleVersion(f"person {person.person_id} is not at {person.version - 1}")
    table = tables.employment
    gone = [each for each in before.employments if each not in employee.employments]
    if gone:
        keys = [(person.person_id, each.valid_from) for each in gone]
        await tx.execute(
            delete(table).where(tuple_(table.c.person_id, table.c.valid_from).in_(keys))
        )
    fresh = [each for each in employee.employments if each not in before.employments]
    await _insert(tx, person.person_id, fresh)
    audit.touch(tx, person.person_id)
    await outbox.append(tx, map(wire.write_event, change.events))


async def roll(tx: AsyncConnection, *, today: date) -> int:
    """Bring what lists show of people to the stretches of today; return how many it changed."""
    return (await tx.execute(_ROLL, {"today": today})).rowcount


def employment_from(row: Row[Any]) -> Employment:
    """Return the stretch a row holds."""
    return Employment(
        legal_entity_id=row.legal_entity_id,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        role=row.role,
        level=row.level,
        region=row.region,
        manager_person_id=row.manager_person_id,
        work_calendar=row.work_calendar,
        weekday_minutes=None if row.weekday_minutes is None else tuple(row.weekday_minutes),
    )


async def _insert(
    tx: AsyncConnection, person_id: UUID, employments: Collection[Employment]
) -> None:
    if not employments:
        return
    rows = [
        {
            "person_id": person_id,
            "legal_entity_id": each.legal_entity_id,
            "valid_from": each.valid_from,
            "valid_to": each.valid_to,
            "role": each.role,
            "level": each.level,
            "region": each.region,
            "manager_person_id": each.manager_person_id,
            "work_calendar": each.work_calendar,
            "weekday_minutes": each.weekday_minutes,
        }
        for each in employments
    ]
    await tx.execute(insert(tables.employment), rows)
