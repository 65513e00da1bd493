"""What stands under an employment, and whose it is."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.domain.employment import Employee, Recorded
from project_provisioning.domain.person import Sight
from project_provisioning.queries import time as person_queries
from project_provisioning.repository import employment as repository

# By the days, which are few, to the sheets of their weeks: entries have no index by person.
_SINCE = text("""
    SELECT entry.project_id, min(entry.work_date) AS first_on, max(entry.work_date) AS last_on,
           count(*) AS entries, sum(entry.minutes) AS minutes
    FROM timesheet AS sheet JOIN time_entry AS entry USING (timesheet_id)
    WHERE sheet.person_id = :person_id
      AND sheet.week_start > CAST(:since AS date) - 7 AND entry.work_date >= :since
    GROUP BY entry.project_id ORDER BY entry.project_id
""")


async def recorded_since(tx: AsyncConnection, person_id: UUID, since: date) -> Sequence[Recorded]:
    """Return the time a person recorded for days from `since` on, by project."""
    rows = await tx.execute(_SINCE, {"person_id": person_id, "since": since})
    return [
        Recorded(row.project_id, row.first_on, row.last_on, row.entries, row.minutes)
        for row in rows
    ]


async def get_employee(tx: AsyncConnection, person_id: UUID, sight: Sight) -> Employee:
    """Return a person with all stretches of employment.

    Raises:
        PersonNotFound: there is none the caller may see.
    """
    person = await person_queries.get_person(tx, person_id, sight)
    employments = await repository.of_people(tx, [person_id])
    return Employee(person, employments[person_id])
