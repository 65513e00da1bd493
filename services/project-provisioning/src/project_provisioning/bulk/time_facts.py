"""All that the rules of recording time ask, loaded in one round trip.

Ids and dates cross this module as text where they are only handed on: making objects of them would
cost more than the rules they pass through.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Final, TypeVar
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.domain.time_entry import Day, EntryColumns
from project_provisioning.domain.time_facts import (
    Booking,
    Content,
    Facts,
    Recorded,
    Stretch,
    Worker,
    WorkTask,
)
from throughline_runtime.database import fetch

Found = TypeVar("Found")

_UUID_LENGTH: Final = 36
_WEEK: Final = range(7)

# $1 people, $2 work dates, $3 tasks, $4 entries of the same sources, $5 Mondays, $6 all days of
# these weeks, $7 durations. An entry is looked for among those that say the same by the sheets of
# its week, because entries have no index by person that each of them would have to pay for.
# Projects and tasks are held, in the order in which they are closed, and so are the lock dates:
# none of them is closed or moved before this transaction ends. FOR KEY SHARE would let a row be
# read as it was before the one who held it closed it.
_FACTS: Final = """
    WITH held_project AS MATERIALIZED (
        SELECT * FROM project
        WHERE project_id IN (SELECT project_id FROM task WHERE task_id = ANY($3::uuid[]))
        ORDER BY project_id
        FOR SHARE
    )
    SELECT 'person' AS kind, person.person_id::text AS id,
           ARRAY[person.name, coalesce(person.subject, '')] AS words,
           NULL::date AS day, NULL::date AS until, day.work_dates, day.minutes,
           NULL::boolean[] AS flags
    FROM person
    CROSS JOIN LATERAL (
        SELECT array_agg(work_date) AS work_dates, array_agg(minutes) AS minutes FROM person_day
        WHERE person_day.person_id = person.person_id AND person_day.work_date = ANY($6::date[])
    ) AS day
    WHERE person.person_id = ANY($1::uuid[])
    UNION ALL
    SELECT 'employment', person_id::text, ARRAY[legal_entity_id::text, role, level, region],
           valid_from, valid_to, NULL, NULL, NULL
    FROM employment WHERE person_id = ANY($1)
    UNION ALL
    SELECT 'task', task_id::text,
           ARRAY[project_id::text, contract_id::text, contract_line_id::text, engagement_id::text],
           NULL, least(work_ends_on, project_ends_on), NULL, NULL,
           ARRAY[billable, closed OR status = 'closed', requires_assignment]
    FROM (
        SELECT task.task_id, task.contract_line_id, task.work_ends_on, task.billable, task.closed,
               project.project_id, project.contract_id, project.engagement_id,
               project.work_ends_on AS project_ends_on, project.status,
               project.requires_assignment
        FROM held_project AS project JOIN task USING (project_id)
        WHERE task.task_id = ANY($3)
        ORDER BY task.task_id
        FOR SHARE OF task
    ) AS held
    UNION ALL
    SELECT 'booking', assignment.person_id::text, ARRAY[task.task_id::text],
           assignment.starts_on, assignment.ends_on, NULL, NULL, NULL
    FROM task
    JOIN project USING (project_id)
    JOIN assignment ON assignment.project_id = task.project_id AND assignment.person_id = ANY($1)
    LEFT JOIN task AS whole ON whole.task_id = assignment.task_id
    WHERE task.task_id = ANY($3) AND project.requires_assignment
      AND (assignment.task_id IS NULL OR assignment.task_id = task.task_id
           OR starts_with(task.wbs_code, whole.wbs_code || '.'))
    UNION ALL
    SELECT 'entry', time_entry_id::text, ARRAY[person_id::text, task_id::text],
           work_date, NULL, NULL, ARRAY[minutes], NULL
    FROM time_entry WHERE time_entry_id = ANY($4::uuid[])
    UNION ALL
    SELECT 'content', entry.person_id::text,
           ARRAY[entry.task_id::text, entry.activity, entry.note,
                 coalesce(entry.source_system, '')],
           entry.work_date, NULL, NULL, ARRAY[entry.minutes], NULL
    FROM timesheet AS sheet JOIN time_entry AS entry USING (timesheet_id)
    WHERE sheet.person_id = ANY($1) AND sheet.week_start = ANY($5::date[])
      AND entry.work_date = ANY($2::date[]) AND entry.task_id = ANY($3)
      AND entry.minutes = ANY($7::integer[])
      AND NOT EXISTS (SELECT FROM time_entry AS reversal
                      WHERE reversal.reverses_time_entry_id = entry.time_entry_id)
    UNION ALL
    SELECT 'lock', legal_entity_id::text, NULL, open_from, NULL, NULL, NULL, NULL
    FROM (
        SELECT legal_entity_id, open_from FROM period_lock
        WHERE legal_entity_id IN (SELECT legal_entity_id FROM employment WHERE person_id = ANY($1))
        ORDER BY legal_entity_id
        FOR SHARE
    ) AS held
    UNION ALL
    SELECT 'rules', '', NULL, NULL, NULL, NULL, NULL, NULL
    WHERE EXISTS (SELECT FROM rule_set WHERE kind = 'time' AND status = 'active')
"""


async def load_facts(
    tx: AsyncConnection,
    columns: EntryColumns,
    days: Iterable[Day],
    *,
    entities: frozenset[UUID] | None,
    own_subject: str | None,
) -> Facts:
    """Return all that the rules ask about these entries, by one query.

    `entities` are the legal entities the caller may see, None for all.
    """
    person_ids, task_ids = _canonical(columns.person_ids), _canonical(columns.task_ids)
    sent = zip(columns.entry_ids, columns.sources, strict=True)
    asked = list(days)
    mondays = sorted({monday for _, monday in asked})
    rows = await fetch(
        tx,
        _FACTS,
        list(person_ids),
        [day for day, _ in asked],
        list(task_ids),
        [entry_id for entry_id, source in sent if source is not None],
        mondays,
        [monday + timedelta(days=place) for monday in mondays for place in _WEEK],
        list({minutes for minutes in columns.minutes if 0 < minutes < 2**15}),
    )
    kinds: defaultdict[str, list[asyncpg.Record]] = defaultdict(list)
    for row in rows:
        kinds[row["kind"]].append(row)
    visible = None if entities is None else frozenset(map(str, entities))
    return Facts(
        workers=_spelt_as_sent(_workers(kinds, visible), person_ids),
        tasks=_spelt_as_sent({row["id"]: _task_from(row) for row in kinds["task"]}, task_ids),
        recorded={row["id"]: _recorded_from(row) for row in kinds["entry"]},
        own_subject=own_subject,
        contents=_contents(kinds["content"]),
        open_from={row["id"]: row["day"] for row in kinds["lock"]},
        has_rules=bool(kinds["rules"]),
    )


def _workers(
    kinds: Mapping[str, Sequence[asyncpg.Record]], visible: frozenset[str] | None
) -> Mapping[str, Worker]:
    """Return people with at least one employment that the caller may see."""
    stretches: defaultdict[str, list[Stretch]] = defaultdict(list)
    for row in kinds["employment"]:
        entity, role, level, region = row["words"]
        seen = visible is None or entity in visible
        stretch = Stretch(entity, row["day"], row["until"], role, level, region, seen)
        stretches[row["id"]].append(stretch)
    bookings: defaultdict[str, list[Booking]] = defaultdict(list)
    for row in kinds.get("booking", ()):
        bookings[row["id"]].append(Booking(row["words"][0], row["day"], row["until"]))
    return {
        row["id"]: Worker(
            person_id=row["id"],
            name=row["words"][0],
            subject=row["words"][1],
            stretches=tuple(stretches[row["id"]]),
            day_minutes=dict(zip(row["work_dates"] or (), row["minutes"] or (), strict=True)),
            bookings=tuple(bookings[row["id"]]),
        )
        for row in kinds["person"]
        if any(stretch.is_visible for stretch in stretches[row["id"]])
    }


def _task_from(row: asyncpg.Record) -> WorkTask:
    project_id, contract_id, contract_line_id, engagement_id = row["words"]
    billable, closed, requires_assignment = row["flags"]
    return WorkTask(
        task_id=row["id"],
        project_id=project_id,
        contract_id=contract_id,
        contract_line_id=contract_line_id,
        engagement_id=engagement_id,
        billable=billable,
        closed=closed,
        work_ends_on=row["until"],
        requires_assignment=requires_assignment,
    )


def _recorded_from(row: asyncpg.Record) -> Recorded:
    person_id, task_id = row["words"]
    return Recorded(person_id, task_id, row["day"], row["minutes"][0])


def _contents(rows: Iterable[asyncpg.Record]) -> Mapping[Content, frozenset[str]]:
    systems: defaultdict[Content, set[str]] = defaultdict(set)
    for row in rows:
        task_id, activity, note, system = row["words"]
        content = Content(row["id"], task_id, row["day"], row["minutes"][0], activity, note)
        systems[content].add(system)
    return {content: frozenset(found) for content, found in systems.items()}


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
