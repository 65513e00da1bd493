"""Time, set-based: whatever the number of entries, one or two statements save them.

Ids and dates cross this module as text where they are only handed on: making objects of them would
cost more than the rules they pass through.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.domain.time_entry import NewEntry, SheetKey, Sheets, content_of
from project_provisioning.domain.timesheet import TimesheetStatus
from throughline_runtime import audit
from throughline_runtime.database import Contended, driver_of, fetch
from throughline_runtime.ids import new_id

_ENTRIES_NAMED_MAX: Final = 100
# What two writers can only break together: more than 24 hours a day, one source twice, an entry
# taken back twice.
_RACES: Final = frozenset(
    {"person_day_minutes", "time_entry_pkey", "time_entry_reversal", "time_entry_replacement"}
)

# What entries add to days; the days are taken in one order by all writers, so that two imports over
# the same people wait for each other instead of deadlocking.
_ADD_TO_DAYS: Final = """
    WITH day AS (
        INSERT INTO person_day (person_id, work_date, minutes)
        SELECT * FROM unnest($1::uuid[], $2::date[], $3::integer[])
            AS fresh (person_id, work_date, minutes)
        ORDER BY person_id, work_date
        ON CONFLICT (person_id, work_date)
        DO UPDATE SET minutes = person_day.minutes + excluded.minutes
        RETURNING person_id, work_date, minutes
    )
"""
# Corrections may take away from days, which are there: a row to insert may not be negative even
# where it would only be added.
_CHANGE_DAYS: Final = """
    WITH held AS (
        SELECT person_day.person_id, person_day.work_date, fresh.minutes
        FROM person_day
        JOIN unnest($1::uuid[], $2::date[], $3::integer[])
            AS fresh (person_id, work_date, minutes) USING (person_id, work_date)
        ORDER BY person_id, work_date
        FOR UPDATE OF person_day
    ), day AS (
        UPDATE person_day SET minutes = person_day.minutes + held.minutes
        FROM held
        WHERE person_day.person_id = held.person_id AND person_day.work_date = held.work_date
    )
"""
# Drafts, too, are taken in one order. A sheet that is born approved never meets a draft.
_OPEN_SHEETS: Final = """, sheet AS (
        INSERT INTO timesheet (timesheet_id, version, person_id, legal_entity_id, week_start,
                               status, takes_entries, decided_by, decided_at, decision_id)
        SELECT timesheet_id, 1, person_id, legal_entity_id, week_start,
               $8::text, $8::text = 'draft', $9, $10, $11
        FROM unnest($4::uuid[], $5::uuid[], $6::uuid[], $7::date[])
            AS fresh (timesheet_id, person_id, legal_entity_id, week_start)
        ORDER BY person_id, legal_entity_id, week_start
        ON CONFLICT (person_id, legal_entity_id, week_start) WHERE takes_entries
        DO UPDATE SET version = timesheet.version + 1
        RETURNING timesheet_id, person_id, legal_entity_id, week_start
    )
"""
_OPENED: Final = """
    SELECT timesheet_id::text AS timesheet_id, person_id::text AS person_id,
           legal_entity_id::text AS legal_entity_id, week_start
    FROM sheet
"""
# Days that others have written to since the facts were loaded come as rows without a sheet.
_DAYS_OF_OTHERS: Final = """
    UNION ALL
    SELECT NULL, day.person_id::text, NULL, day.work_date
    FROM day
    JOIN unnest($1::uuid[], $2::date[], $12::integer[]) AS foreseen (person_id, work_date, minutes)
        USING (person_id, work_date)
    WHERE day.minutes <> foreseen.minutes
"""
# What others recorded meanwhile and says the same as one of ours.
_SAID_BY_OTHERS: Final = """
    SELECT FROM unnest($1::uuid[], $2::date[], $3::uuid[], $4::integer[], $5::text[], $6::text[])
        AS ours (person_id, work_date, task_id, minutes, activity, note)
    JOIN timesheet AS sheet ON sheet.person_id = ours.person_id
        AND sheet.week_start = date_trunc('week', ours.work_date)::date
    JOIN time_entry AS entry ON entry.timesheet_id = sheet.timesheet_id
        AND entry.work_date = ours.work_date AND entry.task_id = ours.task_id
        AND entry.minutes = ours.minutes AND entry.activity = ours.activity
        AND entry.note = ours.note
    WHERE entry.time_entry_id <> ALL($7::uuid[])
    LIMIT 1
"""

_ENTRY_COLUMNS: Final = (
    ("time_entry_id", "uuid"),
    ("timesheet_id", "uuid"),
    ("person_id", "uuid"),
    ("legal_entity_id", "uuid"),
    ("project_id", "uuid"),
    ("task_id", "uuid"),
    ("contract_id", "uuid"),
    ("contract_line_id", "uuid"),
    ("engagement_id", "uuid"),
    ("work_date", "date"),
    ("minutes", "integer"),
    ("role", "text"),
    ("level", "text"),
    ("region", "text"),
    ("billable", "boolean"),
    ("note", "text"),
    ("source_system", "text"),
    ("source_object_type", "text"),
    ("source_object_id", "text"),
    ("recorded_at", "timestamptz"),
    ("activity", "text"),
    ("reverses_time_entry_id", "uuid"),
    ("replaces_time_entry_id", "uuid"),
    ("time_correction_id", "uuid"),
)
_NAMES: Final = tuple(name for name, _ in _ENTRY_COLUMNS)
_NO_SOURCE: Final = (None, None, None)
# Beyond so many entries COPY costs half of what an INSERT does, and pays for its round trip.
_AT_ONCE_MAX: Final = 50


def _save_entries_sql(days: str, opened: str, *, first: int) -> str:
    """Return the statement that does all at once; entries are its parameters from `first` on.

    An entry names the Monday of its week in place of the sheet, which is found by it.
    """
    sent = [
        ("week_start", "date") if name == "timesheet_id" else (name, kind)
        for name, kind in _ENTRY_COLUMNS
    ]
    taken = ["sheet.timesheet_id" if name == "timesheet_id" else f"fresh.{name}" for name in _NAMES]
    arrays = [f"${place}::{kind}[]" for place, (_, kind) in enumerate(sent, start=first)]
    return f"""{days.rstrip()}{_OPEN_SHEETS.rstrip()}, entry AS (
        INSERT INTO time_entry ({", ".join(_NAMES)})
        SELECT {", ".join(taken)}
        FROM unnest({", ".join(arrays)}) AS fresh ({", ".join(name for name, _ in sent)})
        JOIN sheet USING (person_id, legal_entity_id, week_start)
    )
    {opened}"""


_SAVE_FEW: Final = _save_entries_sql(_ADD_TO_DAYS, _OPENED + _DAYS_OF_OTHERS, first=13)
_CORRECT: Final = _save_entries_sql(_CHANGE_DAYS, _OPENED, first=12)
_OPEN: Final = _ADD_TO_DAYS.rstrip() + _OPEN_SHEETS + _OPENED + _DAYS_OF_OTHERS


@dataclass(frozen=True, slots=True)
class Decision:
    """Who approved time, when, and the id of that decision."""

    decision_id: UUID
    by: str
    at: datetime


async def save_entries(
    tx: AsyncConnection, entries: Sequence[NewEntry], decision: Decision | None, *, at: datetime
) -> Sheets:
    """Write entries, recorded at `at`, and return the sheets that took them.

    Without a decision they go to the draft of the week; with one they go to sheets of their own,
    approved by it.

    Raises:
        Contended: another writer recorded the same sources or the same work, or filled up the same
            days, since the facts were loaded; the facts have to be loaded again.
    """
    opening = (*_opening_values(entries, decision), _foreseen(entries))
    try:
        if len(entries) <= _AT_ONCE_MAX:
            written = await _save(tx, _SAVE_FEW, opening, entries, at, None)
        else:
            written = await fetch(tx, _OPEN, *opening)
        if any(row["timesheet_id"] is None for row in written):
            await _refuse_said_by_others(tx, entries, written)
        sheets = _sheets(tx, entries, written)
        if len(entries) <= _AT_ONCE_MAX:
            return sheets
        driver = await driver_of(tx)
        await driver.copy_records_to_table(
            "time_entry", records=_records(entries, sheets, at, None), columns=_NAMES
        )
    except asyncpg.IntegrityConstraintViolationError as error:
        raise _contended(error) from error
    return sheets


async def save_correction(
    tx: AsyncConnection,
    entries: Sequence[NewEntry],
    decision: Decision,
    *,
    time_correction_id: UUID,
) -> Sheets:
    """Write reversals and what replaces them on sheets of their own, approved by the decision.

    One statement, however many.

    Raises:
        Contended: another writer corrected the same entries, or filled up the same days.
    """
    try:
        opening = _opening_values(entries, decision)
        return _sheets(
            tx,
            entries,
            await _save(tx, _CORRECT, opening, entries, decision.at, time_correction_id),
        )
    except asyncpg.IntegrityConstraintViolationError as error:
        raise _contended(error) from error


async def _save(
    tx: AsyncConnection,
    statement: str,
    opening: tuple[object, ...],
    entries: Sequence[NewEntry],
    at: datetime,
    time_correction_id: UUID | None,
) -> Sequence[asyncpg.Record]:
    weeks = {_key(entry): entry.week_start for entry in entries}
    columns = zip(*_records(entries, weeks, at, time_correction_id), strict=True)
    return await fetch(tx, statement, *opening, *map(list, columns))


async def _refuse_said_by_others(
    tx: AsyncConnection, entries: Sequence[NewEntry], written: Sequence[asyncpg.Record]
) -> None:
    """Refuse what says the same as an entry that came in since the facts were loaded.

    Whoever writes holds the day, so that nothing more comes in now: this sees all there is.
    """
    touched = {
        (row["person_id"], row["week_start"]) for row in written if row["timesheet_id"] is None
    }
    ours = [each for each in entries if (each.worker.person_id, each.work_date) in touched]
    columns = zip(*((*content_of(entry), entry.entry_id) for entry in ours), strict=True)
    people, tasks, days, minutes, activities, notes, ids = map(list, columns)
    if await fetch(tx, _SAID_BY_OTHERS, people, days, tasks, minutes, activities, notes, ids):
        raise Contended("others record the same work at this moment", advice="try again")


def _contended(error: Exception) -> Exception:
    """Return what a broken constraint means: a lost race, or a bug."""
    if getattr(error, "constraint_name", None) not in _RACES:
        return error
    return Contended("others record time for the same days", advice="try again")


def _sheets(
    tx: AsyncConnection, entries: Sequence[NewEntry], rows: Iterable[asyncpg.Record]
) -> Sheets:
    """Return the sheets, named in the audit, and the entries as long as they are few.

    Ten thousand ids in the index of one audit entry would cost more than the entries themselves.
    """
    sheets: dict[SheetKey, str] = {
        (row["person_id"], row["legal_entity_id"], row["week_start"]): row["timesheet_id"]
        for row in rows
        if row["timesheet_id"] is not None
    }
    audit.touch(tx, *map(UUID, sheets.values()))
    if len(entries) <= _ENTRIES_NAMED_MAX:
        audit.touch(tx, *(UUID(entry.entry_id) for entry in entries))
    return sheets


def _key(entry: NewEntry) -> SheetKey:
    return entry.worker.person_id, entry.stretch.legal_entity_id, entry.week_start


def _records(
    entries: Iterable[NewEntry],
    sheets: Mapping[SheetKey, object],
    at: datetime,
    time_correction_id: UUID | None,
) -> Iterator[tuple[object, ...]]:
    for entry in entries:
        task = entry.task
        yield (
            entry.entry_id,
            sheets[_key(entry)],
            entry.worker.person_id,
            entry.stretch.legal_entity_id,
            task.project_id,
            task.task_id,
            task.contract_id,
            task.contract_line_id,
            task.engagement_id,
            entry.work_date,
            entry.minutes,
            entry.role,
            entry.level,
            entry.region,
            entry.billable,
            entry.note,
            *(entry.source or _NO_SOURCE),
            at,
            entry.activity,
            entry.reverses,
            entry.replaces,
            time_correction_id,
        )


def _foreseen(entries: Iterable[NewEntry]) -> list[int]:
    """Return the minutes of each day after these entries, if nobody else writes to it."""
    days: dict[tuple[str, date], int] = {}
    for entry in entries:
        day = entry.worker.person_id, entry.work_date
        before = days.get(day, entry.worker.day_minutes.get(entry.work_date, 0))
        days[day] = before + entry.minutes
    return list(days.values())


def _opening_values(entries: Iterable[NewEntry], decision: Decision | None) -> tuple[object, ...]:
    """Return what each day takes, and the sheets to open."""
    days: dict[tuple[str, date], int] = {}
    sheets: dict[SheetKey, UUID] = {}
    for entry in entries:
        day = entry.worker.person_id, entry.work_date
        days[day] = days.get(day, 0) + entry.minutes
        if (key := _key(entry)) not in sheets:
            sheets[key] = new_id()
    status = TimesheetStatus.DRAFT if decision is None else TimesheetStatus.APPROVED
    return (
        [person_id for person_id, _ in days],
        [work_date for _, work_date in days],
        list(days.values()),
        list(sheets.values()),
        [person_id for person_id, _, _ in sheets],
        [legal_entity_id for _, legal_entity_id, _ in sheets],
        [week_start for _, _, week_start in sheets],
        status,
        None if decision is None else decision.by,
        None if decision is None else decision.at,
        None if decision is None else decision.decision_id,
    )
