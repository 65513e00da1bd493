"""People as rows."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.person import Person, PersonNotFound, SubjectTaken
from throughline_runtime import audit


async def add(tx: AsyncConnection, person: Person) -> None:
    """Write a new person.

    Raises:
        SubjectTaken: another person signs in under the subject.
    """
    table = tables.person
    values = {
        "person_id": person.person_id,
        "version": person.version,
        "name": person.name,
        "legal_entity_id": person.legal_entity_id,
        "role": person.role,
        "level": person.level,
        "region": person.region,
        "employed_from": person.employed_from,
        "subject": person.subject or None,
    }
    statement = insert(table).values(values).on_conflict_do_nothing(index_elements=["subject"])
    if (await tx.execute(statement)).rowcount != 1:
        raise SubjectTaken(
            "another person signs in under this subject",
            field="subject",
            advice="find that person, or send the subject of this one",
        )
    audit.touch(tx, person.person_id)


async def get(tx: AsyncConnection, person_id: UUID) -> Person:
    """Return a person.

    Raises:
        PersonNotFound: there is none.
    """
    table = tables.person
    row = (await tx.execute(select(table).where(table.c.person_id == person_id))).one_or_none()
    if row is None:
        raise PersonNotFound(f"no person {person_id}", field="person_id")
    return person_from(row)


def person_from(row: Row[Any]) -> Person:
    """Return the person a row holds."""
    return Person(
        person_id=row.person_id,
        version=row.version,
        name=row.name,
        legal_entity_id=row.legal_entity_id,
        role=row.role,
        level=row.level,
        region=row.region,
        employed_from=row.employed_from,
        subject=row.subject or "",
        employed_to=row.employed_to,
    )


async def get_all(tx: AsyncConnection, person_ids: Iterable[UUID]) -> Mapping[UUID, Person]:
    """Return those of these people that there are: one query."""
    table = tables.person
    rows = await tx.execute(select(table).where(table.c.person_id.in_(set(person_ids))))
    return {row.person_id: person_from(row) for row in rows}
