"""Time, set-based: whatever the number of entries, a few statements load, one saves.

Ids and dates cross this module as text where they are only handed on: making objects of them would
cost more than the rules they pass through.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, TypeVar
from uuid import UUID

import asyncpg
from sqlalchemy import Row, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.domain.time_entry import (
    EntryColumns,
    Facts,
    NewEntry,
    Recorded,
    Sheets,
    Worker,
    WorkTask,
)
from project_provisioning.domain.timesheet import TimesheetStatus
from throughline_runtime import audit
from throughline_runtime.database import Contended
from throughline_runtime.ids import new_id

Found = TypeVar("Found")

_UUID_LENGTH: Final = 36
_ENTRIES_NAMED_MAX: Final = 100
# What two writers can only break together: more than 24 hours a day, one source twice.
_RACES: Final = frozenset({"person_day_minutes", "time_entry_pkey"})

# All that the rules ask, in one round trip: people with the minutes of the days in question, tasks,
# and entries of the same sources.
_FACTS: Final = text("""
    SELECT 'person' AS kind, CAST(person.person_id AS text) AS id,
           ARRAY[person.name, CAST(person.legal_entity_id AS text), person.role, person.level,
                 person.region, coalesce(person.subject, '')] AS words,
           person.employed_from AS day, day.work_dates, day.minutes,
           CAST(NULL AS boolean) AS billable, CAST(NULL AS boolean) AS closed
    FROM person
    CROSS JOIN LATERAL (
        SELECT array_agg(work_date) AS work_dates, array_agg(minutes) AS minutes FROM person_day
        WHERE person_day.person_id = person.person_id
          AND person_day.work_date = ANY(CAST(:work_dates AS date[]))
    ) AS day
    WHERE person.person_id = ANY(CAST(:person_ids AS uuid[]))
      AND (CAST(:entities AS uuid[]) IS NULL OR person.legal_entity_id = ANY(:entities))
    UNION ALL
    SELECT 'task', CAST(task.task_id AS text),
           ARRAY[CAST(project.project_id AS text), CAST(project.contract_id AS text),
                 CAST(task.contract_line_id AS text), CAST(project.engagement_id AS text)],
           NULL, NULL, NULL, task.billable, task.closed OR project.status = 'closed'
    FROM task JOIN project USING (project_id)
    WHERE task.task_id = ANY(CAST(:task_ids AS uuid[]))
    UNION ALL
    SELECT 'entry', CAST(time_entry_id AS text),
           ARRAY[CAST(person_id AS text), CAST(task_id AS text)],
           work_date, NULL, ARRAY[minutes], NULL, NULL
    FROM time_entry WHERE time_entry_id = ANY(CAST(:entry_ids AS uuid[]))
""")

# Drafts and days are taken in one order by all writers: two imports over the same people wait for
# each other instead of deadlocking. A sheet that is born approved never meets a draft.
_OPEN: Final = text("""
    WITH day AS (
        INSERT INTO person_day (person_id, work_date, minutes)
        SELECT * FROM unnest(
            CAST(:day_person_ids AS uuid[]), CAST(:day_dates AS date[]),
            CAST(:day_minutes AS integer[])
        ) AS fresh (person_id, work_date, minutes)
        ORDER BY person_id, work_date
        ON CONFLICT (person_id, work_date)
        DO UPDATE SET minutes = person_day.minutes + excluded.minutes
    )
    INSERT INTO timesheet (timesheet_id, version, person_id, legal_entity_id, week_start, status,
                           decided_by, decided_at, decision_id)
    SELECT timesheet_id, 1, person_id, legal_entity_id, week_start, :status,
           CAST(:decided_by AS text), CAST(:decided_at AS timestamptz), CAST(:decision_id AS uuid)
    FROM unnest(
        CAST(:sheet_ids AS uuid[]), CAST(:sheet_person_ids AS uuid[]),
        CAST(:sheet_legal_entity_ids AS uuid[]), CAST(:sheet_weeks AS date[])
    ) AS fresh (timesheet_id, person_id, legal_entity_id, week_start)
    ORDER BY person_id, week_start
    ON CONFLICT (person_id, week_start) WHERE status = 'draft'
    DO UPDATE SET version = timesheet.version + 1
    RETURNING CAST(timesheet_id AS text) AS timesheet_id, CAST(person_id AS text) AS person_id,
              week_start
""")

_ENTRY_COLUMNS: Final = (
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
    "minutes",
    "role",
    "level",
    "region",
    "billable",
    "note",
    "source_system",
    "source_object_type",
    "source_object_id",
    "recorded_at",
)
_NO_SOURCE: Final = (None, None, None)


@dataclass(frozen=True, slots=True)
class Decision:
    """Who approved time, when, and the id of that decision."""

    decision_id: UUID
    by: str
    at: datetime


async def load_facts(
    tx: AsyncConnection,
    columns: EntryColumns,
    days: Iterable[date],
    *,
    entities: frozenset[UUID] | None,
    own_subject: str | None,
) -> Facts:
    """Return all that the rules ask about these entries, by one query.

    `entities` are the legal entities the caller may see, None for all.
    """
    person_ids, task_ids = _canonical(columns.person_ids), _canonical(columns.task_ids)
    sent = zip(columns.entry_ids, columns.sources, strict=True)
    rows = await tx.execute(
        _FACTS,
        {
            "person_ids": list(person_ids),
            "work_dates": list(days),
            "entities": None if entities is None else list(entities),
            "task_ids": list(task_ids),
            "entry_ids": [entry_id for entry_id, source in sent if source is not None],
        },
    )
    workers: dict[str, Worker] = {}
    tasks: dict[str, WorkTask] = {}
    recorded: dict[str, Recorded] = {}
    for row in rows:
        if row.kind == "person":
            workers[row.id] = _worker_from(row)
        elif row.kind == "task":
            tasks[row.id] = _task_from(row)
        else:
            person_id, task_id = row.words
            recorded[row.id] = Recorded(person_id, task_id, row.day, row.minutes[0])
    return Facts(
        workers=_spelt_as_sent(workers, person_ids),
        tasks=_spelt_as_sent(tasks, task_ids),
        recorded=recorded,
        own_subject=own_subject,
    )


async def save_entries(
    tx: AsyncConnection, entries: Sequence[NewEntry], decision: Decision | None, *, at: datetime
) -> Sheets:
    """Write entries, recorded at `at`, and return the sheets that took them.

    One statement opens sheets and adds to days; one COPY, which costs half of an INSERT, brings the
    entries. Without a decision they go to the draft of the week; with one they go to sheets of
    their own, approved by it.

    Raises:
        Contended: another writer recorded the same sources, or filled up the same days, since the
            facts were loaded; the facts have to be loaded again.
    """
    try:
        opened = await tx.execute(
            _OPEN, {**_sheet_values(entries, decision), **_day_values(entries)}
        )
        sheets = {(row.person_id, row.week_start): row.timesheet_id for row in opened}
        connection = await tx.get_raw_connection()
        driver: asyncpg.Connection = connection.driver_connection
        await driver.copy_records_to_table(
            "time_entry", records=_records(entries, sheets, at), columns=_ENTRY_COLUMNS
        )
    except (IntegrityError, asyncpg.IntegrityConstraintViolationError) as error:
        if _constraint_of(error) not in _RACES:
            raise
        raise Contended("others record time for the same days", advice="try again") from error
    _touch(tx, entries, sheets)
    return sheets


def _touch(tx: AsyncConnection, entries: Sequence[NewEntry], sheets: Sheets) -> None:
    """Name the sheets in the audit, and the entries as long as they are few.

    Ten thousand ids in the index of one audit entry would cost more than the entries themselves.
    """
    audit.touch(tx, *map(UUID, sheets.values()))
    if len(entries) <= _ENTRIES_NAMED_MAX:
        audit.touch(tx, *(UUID(entry.entry_id) for entry in entries))


def _records(
    entries: Iterable[NewEntry], sheets: Sheets, at: datetime
) -> Iterator[tuple[object, ...]]:
    for entry in entries:
        worker, task = entry.worker, entry.task
        yield (
            entry.entry_id,
            sheets[worker.person_id, entry.week_start],
            worker.person_id,
            worker.legal_entity_id,
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
        )


def _constraint_of(error: Exception) -> str | None:
    """Return the constraint that was broken, whether SQLAlchemy wrapped the error or not."""
    cause = error.orig.__cause__ if isinstance(error, IntegrityError) and error.orig else error
    return getattr(cause, "constraint_name", None)


def _sheet_values(entries: Sequence[NewEntry], decision: Decision | None) -> dict[str, Any]:
    sheets = {
        (entry.worker.person_id, entry.week_start): entry.worker.legal_entity_id
        for entry in entries
    }
    return {
        "status": TimesheetStatus.DRAFT if decision is None else TimesheetStatus.APPROVED,
        "decided_by": None if decision is None else decision.by,
        "decided_at": None if decision is None else decision.at,
        "decision_id": None if decision is None else decision.decision_id,
        "sheet_ids": [new_id() for _ in sheets],
        "sheet_person_ids": [person_id for person_id, _ in sheets],
        "sheet_legal_entity_ids": list(sheets.values()),
        "sheet_weeks": [week_start for _, week_start in sheets],
    }


def _day_values(entries: Iterable[NewEntry]) -> dict[str, Any]:
    totals: dict[tuple[str, date], int] = {}
    for entry in entries:
        key = (entry.worker.person_id, entry.work_date)
        totals[key] = totals.get(key, 0) + entry.minutes
    return {
        "day_person_ids": [person_id for person_id, _ in totals],
        "day_dates": [work_date for _, work_date in totals],
        "day_minutes": list(totals.values()),
    }


def _canonical(spellings: Iterable[str]) -> Mapping[str, list[str]]:
    """Return each id that is one, as the database spells it, with the spellings it was sent in."""
    found: dict[str, list[str]] = {}
    for spelling in set(spellings):
        if len(spelling) == _UUID_LENGTH:
            try:
                found.setdefault(str(UUID(spelling)), []).append(spelling)
            except ValueError:
                continue
    return found


def _spelt_as_sent(
    found: Mapping[str, Found], spellings: Mapping[str, Sequence[str]]
) -> Mapping[str, Found]:
    return {sent: each for key, each in found.items() for sent in spellings[key]}


def _worker_from(row: Row[Any]) -> Worker:
    name, legal_entity_id, role, level, region, subject = row.words
    return Worker(
        person_id=row.id,
        name=name,
        legal_entity_id=legal_entity_id,
        role=role,
        level=level,
        region=region,
        employed_from=row.day,
        subject=subject,
        day_minutes=dict(zip(row.work_dates or (), row.minutes or (), strict=True)),
    )


def _task_from(row: Row[Any]) -> WorkTask:
    project_id, contract_id, contract_line_id, engagement_id = row.words
    return WorkTask(
        task_id=row.id,
        project_id=project_id,
        contract_id=contract_id,
        contract_line_id=contract_line_id,
        engagement_id=engagement_id,
        billable=row.billable,
        closed=row.closed,
    )
