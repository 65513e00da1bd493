"""Costs of approved time: one row for each entry, by one statement, however many there are."""

from collections.abc import Collection, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from throughline_runtime import exceptions
from throughline_runtime.exceptions import Halt

MISSING: Final = "cost_rate.missing"
CHUNK: Final = 5000

# A reversal takes back what was costed, whatever an hour costs by now. minutes × rate has at most
# eight decimals after the division or a repeating one, so that the division's own digits never
# turn it into a tie.
_RECORD: Final = text("""
    WITH rated AS (
        SELECT entry.time_entry_id, entry.person_id, entry.legal_entity_id, entry.project_id,
               entry.task_id, entry.engagement_id, entry.work_date, entry.minutes, entry.billable,
               coalesce(first.hourly_cost, own.hourly_cost, card.hourly_cost) AS hourly_cost,
               coalesce(first.currency, own.currency, card.currency) AS currency,
               coalesce(own.decimals, card.decimals) AS decimals,
               first.amount AS taken_back,
               CASE WHEN first.hourly_cost IS NOT NULL THEN first.origin
                    WHEN own.hourly_cost IS NOT NULL THEN 'person' ELSE 'card' END AS origin,
               CASE WHEN first.hourly_cost IS NOT NULL THEN first.card_version
                    WHEN own.hourly_cost IS NULL THEN card.version END AS card_version
        FROM time_entry AS entry
        LEFT JOIN time_cost AS first ON first.time_entry_id = entry.reverses_time_entry_id
        LEFT JOIN person_cost AS own
            ON own.person_id = entry.person_id AND own.legal_entity_id = entry.legal_entity_id
            AND own.valid_from <= entry.work_date
            AND (own.valid_to IS NULL OR entry.work_date < own.valid_to)
        LEFT JOIN LATERAL (
            SELECT standard.hourly_cost, standard.currency, standard.decimals, card.version
            FROM standard_cost AS standard JOIN standard_cost_card AS card USING (legal_entity_id)
            WHERE standard.legal_entity_id = entry.legal_entity_id
              AND standard.role = entry.role
              AND (standard.level IS NULL OR standard.level = entry.level)
              AND (standard.region IS NULL OR standard.region = entry.region)
              AND standard.valid_from <= entry.work_date
              AND (standard.valid_to IS NULL OR entry.work_date < standard.valid_to)
            ORDER BY standard.level IS NULL, standard.region IS NULL, standard.position
            LIMIT 1
        ) AS card ON true
        WHERE entry.time_entry_id = ANY(CAST(:entry_ids AS uuid[]))
    ), costed AS (
        SELECT time_entry_id, person_id, legal_entity_id, project_id, task_id, engagement_id,
               work_date, minutes, billable, hourly_cost, currency,
               coalesce(-taken_back, round(minutes * hourly_cost / 60, decimals)) AS amount,
               origin, card_version
        FROM rated
    ), kept AS (
        INSERT INTO time_cost (time_entry_id, person_id, legal_entity_id, project_id, task_id,
                               engagement_id, work_date, minutes, billable, hourly_cost, currency,
                               amount, origin, card_version)
        SELECT * FROM costed WHERE hourly_cost IS NOT NULL
        ON CONFLICT DO NOTHING
    ), known AS (
        DELETE FROM time_cost_missing USING costed
        WHERE time_cost_missing.time_entry_id = costed.time_entry_id
          AND costed.hourly_cost IS NOT NULL
        RETURNING time_cost_missing.person_id
    ), waiting AS (
        INSERT INTO time_cost_missing (time_entry_id, person_id, work_date)
        SELECT time_entry_id, person_id, work_date FROM costed WHERE hourly_cost IS NULL
        ON CONFLICT DO NOTHING
    )
    SELECT person_id, legal_entity_id, count(*) AS entries, min(work_date) AS first_on,
           max(work_date) AS last_on, true AS is_missing
    FROM costed WHERE hourly_cost IS NULL GROUP BY person_id, legal_entity_id
    UNION ALL
    SELECT person_id, NULL, count(*), NULL, NULL, false FROM known GROUP BY person_id
""")

_WAITING: Final = text("""
    SELECT time_entry_id FROM time_cost_missing
    WHERE (CAST(:person_ids AS uuid[]) IS NULL OR person_id = ANY(:person_ids))
      AND time_entry_id > CAST(:after AS uuid)
    ORDER BY time_entry_id LIMIT :size
""")

_STILL_WAITING: Final = text("""
    SELECT DISTINCT person_id FROM time_cost_missing
    WHERE person_id = ANY(CAST(:person_ids AS uuid[]))
""")

_NOBODY: Final = UUID(int=0)


async def record(tx: AsyncConnection, entry_ids: Collection[UUID | str]) -> None:
    """Cost entries that were approved, billable or not; call it where they are approved.

    An entry is costed once: by the cost of what it reverses, the person's own cost of an hour, or
    the company's standard cost of the role. One whose cost nobody knows waits for it, with an
    entry in the exceptions queue for each person, and never keeps an approval from going through.
    """
    if not entry_ids:
        return
    rows = (await tx.execute(_RECORD, {"entry_ids": list(entry_ids)})).all()
    await exceptions.open_all(tx, [_halt(row) for row in rows if row.is_missing])
    known = {row.person_id for row in rows if not row.is_missing}
    if known:
        found = await tx.execute(_STILL_WAITING, {"person_ids": sorted(known)})
        await exceptions.close(tx, MISSING, known - set(found.scalars()))


async def record_waiting(
    tx: AsyncConnection, *, person_ids: Collection[UUID] | None = None, after: UUID | None = None
) -> UUID | None:
    """Try again for entries without a cost, at most `CHUNK` of them past `after`.

    Returns the last one tried when there may be more.
    """
    waiting = await tx.execute(
        _WAITING,
        {
            "person_ids": None if person_ids is None else sorted(person_ids),
            "after": after or _NOBODY,
            "size": CHUNK,
        },
    )
    entry_ids: Sequence[UUID] = waiting.scalars().all()
    await record(tx, entry_ids)
    return entry_ids[-1] if len(entry_ids) == CHUNK else None


def _halt(row: Row[Any]) -> Halt:
    return Halt(
        kind=MISSING,
        subject_id=row.person_id,
        reason=MISSING,
        owner="finance",
        advice="record what an hour of the person costs, or publish the company's cost rate card;"
        " the time is costed by itself then",
        legal_entity_id=row.legal_entity_id,
        detail={
            "entries": row.entries,
            "first_on": row.first_on.isoformat(),
            "last_on": row.last_on.isoformat(),
        },
    )
