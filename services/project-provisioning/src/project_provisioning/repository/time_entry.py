"""Time entries as rows."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ARRAY, Row, Select, Text, Uuid, any_, bindparam, cast, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.time_entry import TimeEntryNotFound
from project_provisioning.domain.timesheet import Timesheet
from throughline_runtime import audit

_entry, _sheet, _person = tables.time_entry, tables.timesheet, tables.person

ENTRY_COLUMNS: Final = (
    # Handed on as text: made by the server, ids and dates cost a tenth of what objects would.
    *(
        cast(_entry.c[name], Text).label(name)
        for name in (
            "time_entry_id",
            "timesheet_id",
            "person_id",
            "legal_entity_id",
            "project_id",
            "task_id",
            "contract_id",
            "contract_line_id",
            "engagement_id",
            "work_date",
            "reverses_time_entry_id",
            "replaces_time_entry_id",
        )
    ),
    _person.c.name.label("person_name"),
    *(
        _entry.c[name]
        for name in (
            "minutes",
            "role",
            "level",
            "region",
            "billable",
            "note",
            "source_system",
            "source_object_type",
            "source_object_id",
            "activity",
        )
    ),
)
"""What `wire.time.write_stored_entry` reads."""

_reversal = _entry.alias("reversal")

RECORDED: Final[Select[Any]] = (
    select(
        *ENTRY_COLUMNS,
        _sheet.c.status,
        _entry.c.recorded_at,
        cast(_reversal.c.time_entry_id, Text).label("reversed_by_time_entry_id"),
    )
    .outerjoin(_reversal, _reversal.c.reverses_time_entry_id == _entry.c.time_entry_id)
    .join(_person, _person.c.person_id == _entry.c.person_id)
    .join(_sheet, _sheet.c.timesheet_id == _entry.c.timesheet_id)
)
"""What `wire.time.write_recorded_entry` reads."""

_OF_SHEETS: Final = (
    select(*ENTRY_COLUMNS)
    .join(_person, _person.c.person_id == _entry.c.person_id)
    .where(_entry.c.timesheet_id == any_(bindparam("timesheet_ids", type_=ARRAY(Uuid))))
    .order_by(_entry.c.timesheet_id, _entry.c.time_entry_id)
)

_DAY_MINUTES: Final = text("""
    SELECT asked.person_id, asked.week_start, day.work_date, day.minutes
    FROM unnest(CAST(:person_ids AS uuid[]), CAST(:mondays AS date[]))
        AS asked (person_id, week_start)
    JOIN person_day AS day ON day.person_id = asked.person_id
        AND day.work_date >= asked.week_start AND day.work_date < asked.week_start + 7
    WHERE day.minutes > 0
""")

_DELETE: Final = text("""
    WITH gone AS (
        DELETE FROM time_entry WHERE time_entry_id = :time_entry_id
        RETURNING timesheet_id, person_id, work_date, minutes
    ), sheet AS (
        UPDATE timesheet SET version = version + 1
        FROM gone WHERE timesheet.timesheet_id = gone.timesheet_id
    )
    UPDATE person_day SET minutes = person_day.minutes - gone.minutes
    FROM gone
    WHERE person_day.person_id = gone.person_id AND person_day.work_date = gone.work_date
""")


async def of_sheets(tx: AsyncConnection, sheets: Iterable[Timesheet]) -> Sequence[Row[Any]]:
    """Return the entries on these sheets, as `ENTRY_COLUMNS` names them: one query."""
    timesheet_ids = [sheet.timesheet_id for sheet in sheets]
    return (await tx.execute(_OF_SHEETS, {"timesheet_ids": timesheet_ids})).all()


async def day_minutes(
    tx: AsyncConnection, weeks: Collection[tuple[UUID, date]]
) -> Mapping[tuple[UUID, date], Mapping[date, int]]:
    """Return the minutes of each day by person and Monday, over all sheets: one query."""
    asked = sorted(weeks)
    rows = await tx.execute(
        _DAY_MINUTES,
        {"person_ids": [key[0] for key in asked], "mondays": [key[1] for key in asked]},
    )
    found: defaultdict[tuple[UUID, date], dict[date, int]] = defaultdict(dict)
    for row in rows:
        found[row.person_id, row.week_start][row.work_date] = row.minutes
    return found


async def sheet_of(tx: AsyncConnection, time_entry_id: UUID) -> UUID:
    """Return the sheet an entry is on.

    Raises:
        TimeEntryNotFound: there is no such entry.
    """
    query = select(_entry.c.timesheet_id).where(_entry.c.time_entry_id == time_entry_id)
    timesheet_id: UUID | None = await tx.scalar(query)
    if timesheet_id is None:
        raise TimeEntryNotFound(f"no time entry {time_entry_id}", field="time_entry_id")
    return timesheet_id


async def get(tx: AsyncConnection, time_entry_id: UUID) -> Row[Any]:
    """Return an entry, as `ENTRY_COLUMNS` names it, with its status and when it was recorded.

    Raises:
        TimeEntryNotFound: there is no such entry.
    """
    query = RECORDED.where(_entry.c.time_entry_id == time_entry_id)
    row: Row[Any] | None = (await tx.execute(query)).one_or_none()
    if row is None:
        raise TimeEntryNotFound(f"no time entry {time_entry_id}", field="time_entry_id")
    return row


async def delete(tx: AsyncConnection, time_entry_id: UUID) -> None:
    """Take an entry off its sheet, which this transaction has locked, and off its day."""
    audit.touch(tx, time_entry_id)
    await tx.execute(_DELETE, {"time_entry_id": time_entry_id})
