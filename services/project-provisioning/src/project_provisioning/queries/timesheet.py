"""Timesheets, what is said of them, what is missing, and what a week might hold."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, Select, func, or_, select, text, true
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.person import Sight
from project_provisioning.domain.timesheet import TimesheetNotFound, TimesheetStatus
from project_provisioning.queries.paging import by_id, cut, within
from throughline_runtime.fields import read_date, read_uuid
from throughline_runtime.page import Page, next_token

_person, _sheet, _entry = tables.person, tables.timesheet, tables.time_entry

# Who leads people, or their projects, sees their time; so does who stands in for such a one, or for
# the PMO.
_OVERSEEN: Final = """
    EXISTS (
        SELECT FROM (
            SELECT CAST(:own_subject AS text) AS subject, CAST(NULL AS uuid) AS legal_entity_id,
                   false AS by_pmo
            UNION ALL
            SELECT delegator, legal_entity_id, by_pmo FROM delegation
            WHERE delegate = :own_subject AND revoked_at IS NULL AND scope IN ('time', 'all')
              AND starts_on <= :on AND ends_on > :on
        ) AS place
        WHERE (place.legal_entity_id IS NULL
               OR place.legal_entity_id = timesheet.legal_entity_id)
          AND (place.by_pmo
               OR EXISTS (
                   SELECT FROM employment JOIN person AS manager
                       ON manager.person_id = employment.manager_person_id
                   WHERE employment.person_id = timesheet.person_id
                     AND employment.valid_from < timesheet.week_start + 7
                     AND (employment.valid_to IS NULL
                          OR employment.valid_to > timesheet.week_start)
                     AND manager.subject = place.subject)
               OR EXISTS (
                   SELECT FROM time_entry AS led JOIN project USING (project_id)
                   JOIN person AS manager ON manager.person_id = project.manager_person_id
                   WHERE led.timesheet_id = timesheet.timesheet_id
                     AND manager.subject = place.subject))
    )
"""

# An ended week somebody was firmly booked for, of which nothing was handed in.
_MISSING: Final = text("""
    SELECT week.person_id, person.name AS person_name, week.week_start,
           employed.legal_entity_id, sum(week.hours) AS assigned_hours,
           coalesce((
               SELECT sum(day.minutes) FROM person_day AS day
               WHERE day.person_id = week.person_id AND day.work_date >= week.week_start
                 AND day.work_date < week.week_start + 7
           ), 0) AS recorded_minutes
    FROM assignment_week AS week
    JOIN assignment USING (assignment_id)
    JOIN person ON person.person_id = week.person_id
    JOIN LATERAL (
        SELECT employment.legal_entity_id FROM employment
        WHERE employment.person_id = week.person_id
          AND employment.valid_from < week.week_start + 7
          AND (employment.valid_to IS NULL OR employment.valid_to > week.week_start)
        ORDER BY employment.valid_from DESC LIMIT 1
    ) AS employed ON true
    WHERE assignment.booking = 'hard'
      AND week.week_start >= :week_from AND week.week_start < :week_before
      AND (CAST(:legal_entity_id AS uuid) IS NULL
           OR employed.legal_entity_id = :legal_entity_id)
      AND (CAST(:entities AS uuid[]) IS NULL OR employed.legal_entity_id = ANY(:entities))
      AND (CAST(:person_id AS uuid) IS NULL OR week.person_id = :person_id)
      AND (CAST(:own_subject AS text) IS NULL OR person.subject = :own_subject)
      AND (CAST(:after_week AS date) IS NULL
           OR (week.week_start, week.person_id) > (:after_week, CAST(:after_person AS uuid)))
      AND NOT EXISTS (
          SELECT FROM timesheet
          WHERE timesheet.person_id = week.person_id AND timesheet.week_start = week.week_start
            AND timesheet.status IN ('submitted', 'approved')
      )
    GROUP BY week.person_id, person.name, week.week_start, employed.legal_entity_id
    ORDER BY week.week_start, week.person_id
    LIMIT :size
""")

_OF_WEEK: Final = text("""
    SELECT entry.task_id, entry.work_date, entry.minutes, entry.billable, entry.note,
           entry.activity
    FROM timesheet AS sheet JOIN time_entry AS entry USING (timesheet_id)
    WHERE sheet.person_id = :person_id AND sheet.week_start = :week_start AND entry.minutes > 0
      AND NOT EXISTS (SELECT FROM time_entry AS reversal
                      WHERE reversal.reverses_time_entry_id = entry.time_entry_id)
    ORDER BY entry.work_date, entry.time_entry_id
""")

# Who is assigned to a project as a whole is suggested the first of its tasks that is open.
_OF_ASSIGNMENTS: Final = text("""
    SELECT coalesce(assignment.task_id, first.task_id) AS task_id, week.hours,
           assignment.starts_on, assignment.ends_on
    FROM assignment_week AS week JOIN assignment USING (assignment_id)
    LEFT JOIN LATERAL (
        SELECT task.task_id FROM task
        WHERE task.project_id = assignment.project_id AND NOT task.closed
          AND NOT EXISTS (SELECT FROM task AS part WHERE part.parent_task_id = task.task_id)
        ORDER BY task.position LIMIT 1
    ) AS first ON true
    WHERE week.person_id = :person_id AND week.week_start = :week_start
      AND coalesce(assignment.task_id, first.task_id) IS NOT NULL
    ORDER BY assignment.assignment_id
""")


def overseen(query: Select[Any], sight: Sight, *, on: date) -> Select[Any]:
    """Limit a query over sheets and their people to own time and that of those one leads."""
    if sight.own_subject is None:
        return query
    led = text(_OVERSEEN).bindparams(own_subject=sight.own_subject, on=on)
    return query.where(or_(_person.c.subject == sight.own_subject, led))


async def get_timesheet(
    tx: AsyncConnection, timesheet_id: UUID, sight: Sight, *, on: date
) -> Row[Any]:
    """Return a sheet with the sums of its entries.

    Raises:
        TimesheetNotFound: there is none the caller may see.
    """
    query = _timesheets(sight, on).where(_sheet.c.timesheet_id == timesheet_id)
    row: Row[Any] | None = (await tx.execute(query)).one_or_none()
    if row is None:
        raise TimesheetNotFound(f"no timesheet {timesheet_id}", field="timesheet_id")
    return row


async def timesheets(
    tx: AsyncConnection,
    *,
    person_id: UUID | None,
    status: TimesheetStatus | None,
    week_from: date | None,
    week_before: date | None,
    sight: Sight,
    on: date,
    page: Page,
) -> tuple[Sequence[Row[Any]], str]:
    """Return sheets by id with the sums of their entries, and the next page's token."""
    query = _timesheets(sight, on)
    if person_id is not None:
        query = query.where(_sheet.c.person_id == person_id)
    if status is not None:
        query = query.where(_sheet.c.status == status)
    if week_from is not None:
        query = query.where(_sheet.c.week_start >= week_from)
    if week_before is not None:
        query = query.where(_sheet.c.week_start < week_before)
    rows = (await tx.execute(by_id(query, _sheet.c.timesheet_id, page))).all()
    return cut(rows, page, lambda row: row.timesheet_id)


async def findings_of(tx: AsyncConnection, timesheet_id: UUID) -> Sequence[Row[Any]]:
    """Return what the working-time rules warn of on a sheet."""
    table = tables.timesheet_finding
    query = select(table).where(table.c.timesheet_id == timesheet_id).order_by(table.c.position)
    return (await tx.execute(query)).all()


async def rejections_of(tx: AsyncConnection, timesheet_id: UUID) -> list[tuple[UUID, str]]:
    """Return the entries on a sheet that were sent back from another one, with the reasons."""
    table = tables.time_entry_rejection
    query = (
        select(table.c.time_entry_id, table.c.reason)
        .ext(distinct_on(table.c.time_entry_id))
        .join(_entry, _entry.c.time_entry_id == table.c.time_entry_id)
        .where(_entry.c.timesheet_id == timesheet_id)
        .order_by(table.c.time_entry_id, table.c.rejected_at.desc())
    )
    return [(row.time_entry_id, row.reason) for row in await tx.execute(query)]


async def missing(
    tx: AsyncConnection,
    *,
    legal_entity_id: UUID | None,
    person_id: UUID | None,
    week_from: date,
    week_before: date,
    sight: Sight,
    page: Page,
) -> tuple[Sequence[Row[Any]], str]:
    """Return weeks nobody handed in, by week and person, and the next page's token."""
    after = page.after or ()
    rows = (
        await tx.execute(
            _MISSING,
            {
                "legal_entity_id": legal_entity_id,
                "person_id": person_id,
                "week_from": week_from,
                "week_before": week_before,
                "entities": None if sight.entities is None else list(sight.entities),
                "own_subject": sight.own_subject,
                "after_week": read_date("page_token", after[0]) if after else None,
                "after_person": read_uuid("page_token", after[-1]) if after else None,
                "size": page.size + 1,
            },
        )
    ).all()
    if len(rows) <= page.size:
        return rows, ""
    last = rows[page.size - 1]
    return rows[: page.size], next_token(last.week_start, last.person_id)


async def entries_of_week(
    tx: AsyncConnection, person_id: UUID, week_start: date
) -> Sequence[Row[Any]]:
    """Return what stands of a person's week, day by day."""
    values = {"person_id": person_id, "week_start": week_start}
    return (await tx.execute(_OF_WEEK, values)).all()


async def bookings_of_week(
    tx: AsyncConnection, person_id: UUID, week_start: date
) -> Sequence[Row[Any]]:
    """Return the tasks a person is assigned to in a week, with the hours planned."""
    values = {"person_id": person_id, "week_start": week_start}
    return (await tx.execute(_OF_ASSIGNMENTS, values)).all()


def _timesheets(sight: Sight, on: date) -> Select[Any]:
    sums = (
        select(
            func.count().label("entry_count"),
            func.coalesce(func.sum(_entry.c.minutes), 0).label("minutes"),
            func.coalesce(func.sum(_entry.c.minutes).filter(_entry.c.billable), 0).label(
                "billable_minutes"
            ),
        )
        .where(_entry.c.timesheet_id == _sheet.c.timesheet_id)
        .lateral()
    )
    query = (
        select(_sheet, _person.c.name.label("person_name"), sums)
        .join(_person, _person.c.person_id == _sheet.c.person_id)
        .join(sums, true())
    )
    return overseen(within(query, _sheet.c.legal_entity_id, sight), sight, on=on)
