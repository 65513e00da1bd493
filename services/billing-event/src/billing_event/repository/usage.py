"""Periods of usage: planned, locked, summed, closed."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.rerating_run import ReratingRunId
from billing_event.domain.source import ContractId, ContractLineId, SourceItemId
from billing_event.domain.usage import (
    NOTHING_METERED,
    Charge,
    Metered,
    UsagePeriod,
    UsagePeriodId,
)
from throughline_core.period import Period

_UNPRICED: Final = (
    "revision",
    "closed_quantity",
    "closed_amount",
    "closed_at",
    "is_pending",
    "is_void",
    "contract_version",
)

_PLAN: Final = tables.insert_of(
    tables.usage_period,
    """ON CONFLICT (usage_period_id) DO UPDATE SET
        service_from = EXCLUDED.service_from, service_to = EXCLUDED.service_to,
        description = EXCLUDED.description, is_pending = true, is_void = false
    WHERE (usage_period.service_from, usage_period.service_to)
          <> (EXCLUDED.service_from, EXCLUDED.service_to)
       OR usage_period.is_void
    RETURNING usage_period_id""",
    without=_UNPRICED,
)


_ENSURE: Final = tables.insert_of(tables.usage_period, "ON CONFLICT DO NOTHING", without=_UNPRICED)


_DROP_PLANNED: Final = text("""
    DELETE FROM usage_period
    WHERE contract_id = ANY(CAST(:contract_ids AS uuid[])) AND closed_at IS NULL
      AND usage_period_id <> ALL(CAST(:planned AS uuid[]))
""")


_VOID: Final = text("""
    UPDATE usage_period SET is_pending = true, is_void = true
    WHERE contract_id = ANY(CAST(:contract_ids AS uuid[])) AND NOT is_void
      AND usage_period_id <> ALL(CAST(:planned AS uuid[]))
    RETURNING usage_period_id
""")


# Everybody who adds readings or closes takes these locks first, and in this order.
_LOCK: Final = text("""
    SELECT * FROM usage_period WHERE usage_period_id = ANY(CAST(:usage_period_ids AS uuid[]))
    ORDER BY usage_period_id FOR UPDATE
""")


_GET: Final = text("""
    SELECT * FROM usage_period WHERE usage_period_id = ANY(CAST(:usage_period_ids AS uuid[]))
""")


_CLOSED_AT_NOTHING: Final = text("""
    SELECT * FROM usage_period
    WHERE contract_id = ANY(CAST(:contract_ids AS uuid[])) AND closed_amount = 0 AND NOT is_void
""")


_LOCK_UNCHANGED: Final = text("""
    SELECT period.* FROM rerating_item AS item
    JOIN usage_period AS period ON period.usage_period_id = item.source_item_id
    WHERE item.rerating_run_id = :rerating_run_id AND item.action = 'nothing'
      AND item.outcome = 'none' AND period.closed_at IS NOT NULL
    ORDER BY period.usage_period_id FOR UPDATE OF period
""")


_LOCK_OF: Final = text("""
    SELECT usage_period_id, closed_at FROM usage_period
    WHERE contract_id = ANY(CAST(:contract_ids AS uuid[]))
    ORDER BY usage_period_id FOR UPDATE
""")


_LOCK_AT: Final = text("""
    SELECT period.* FROM usage_period AS period
    JOIN unnest(CAST(:line_ids AS uuid[]), CAST(:days AS date[])) AS touched (line_id, day)
      ON touched.line_id = period.contract_line_id
     AND touched.day >= period.service_from AND touched.day < period.service_to
    ORDER BY period.usage_period_id FOR UPDATE OF period
""")


_LOCK_OVER: Final = text("""
    SELECT period.* FROM usage_period AS period
    JOIN unnest(CAST(:zones AS text[]), CAST(:days AS date[])) AS today (zone, day)
      ON today.zone = period.time_zone AND period.service_to <= today.day
    WHERE is_pending
      AND (CAST(:after AS uuid) IS NULL OR period.usage_period_id > CAST(:after AS uuid))
    ORDER BY period.usage_period_id LIMIT :limit FOR UPDATE OF period
""")


_ZONES: Final = text("SELECT DISTINCT time_zone FROM usage_period WHERE is_pending")


_LINES: Final = text("""
    SELECT DISTINCT contract_line_id, contract_id FROM usage_period
    WHERE contract_line_id = ANY(CAST(:line_ids AS uuid[]))
""")


# Of readings of one instant the one recorded last is the last.
_METERED: Final = text("""
    SELECT period.usage_period_id, sum(record.quantity) AS total,
           max(record.quantity) AS greatest,
           (array_agg(record.quantity ORDER BY record.measured_at DESC, record.recorded_at DESC,
                                               record.usage_record_id DESC))[1] AS last,
           count(*) AS readings
    FROM usage_period AS period
    JOIN usage_record AS record
      ON record.contract_line_id = period.contract_line_id
     AND record.measured_on >= period.service_from AND record.measured_on < period.service_to
    WHERE period.usage_period_id = ANY(CAST(:usage_period_ids AS uuid[]))
      AND NOT period.is_void AND record.measured_at <= :at
      AND NOT EXISTS (SELECT FROM usage_record_end AS ended
                      WHERE ended.usage_record_id = record.usage_record_id)
    GROUP BY period.usage_period_id
""")


_CLOSE: Final = text("""
    UPDATE usage_period AS period
    SET closed_quantity = charged.quantity, closed_amount = charged.amount,
        revision = charged.revision, contract_version = charged.contract_version,
        closed_at = coalesce(closed_at, :at)
    FROM unnest(CAST(:usage_period_ids AS uuid[]), CAST(:quantities AS numeric[]),
                CAST(:amounts AS numeric[]), CAST(:revisions AS integer[]),
                CAST(:contract_versions AS bigint[]))
         AS charged (usage_period_id, quantity, amount, revision, contract_version)
    WHERE period.usage_period_id = charged.usage_period_id
""")


_PUT_PENDING: Final = text("""
    UPDATE usage_period SET is_pending = NOT is_pending
    WHERE usage_period_id = ANY(CAST(:usage_period_ids AS uuid[]))
      AND is_pending = (usage_period_id <> ALL(CAST(:pending AS uuid[])))
""")


# Joined with what the queue shows already, so that each change is told once.
_AHEAD: Final = text("""
    WITH ahead AS (
        SELECT contract_line_id, min(CAST(legal_entity_id AS text)) AS legal_entity_id,
               min(meter) AS meter, count(*) AS readings, min(measured_at) AS first_at
        FROM usage_record AS record
        WHERE measured_at > :at
          AND NOT EXISTS (SELECT FROM usage_record_end AS ended
                          WHERE ended.usage_record_id = record.usage_record_id)
        GROUP BY contract_line_id
    ), shown AS (
        SELECT subject_id, CAST(detail ->> 'readings' AS bigint) AS readings
        FROM exception_item WHERE closed_at IS NULL AND kind = :kind
    )
    SELECT coalesce(contract_line_id, subject_id) AS contract_line_id, legal_entity_id, meter,
           ahead.readings, first_at
    FROM ahead FULL JOIN shown ON shown.subject_id = ahead.contract_line_id
    WHERE ahead.readings IS DISTINCT FROM shown.readings
""")


_OUTSIDE: Final = text("""
    SELECT contract_line_id, min(CAST(legal_entity_id AS text)) AS legal_entity_id,
           min(meter) AS meter, count(*) AS readings, min(measured_on) AS first_on
    FROM usage_record AS record
    WHERE contract_id = ANY(CAST(:contract_ids AS uuid[]))
      AND NOT EXISTS (SELECT FROM usage_record_end AS ended
                      WHERE ended.usage_record_id = record.usage_record_id)
      AND NOT EXISTS (SELECT FROM usage_period AS period
                      WHERE period.contract_line_id = record.contract_line_id
                        AND NOT period.is_void
                        AND record.measured_on >= period.service_from
                        AND record.measured_on < period.service_to)
    GROUP BY contract_line_id
""")


class Kept:
    """A period as it is kept: how often it was priced, and what was charged, None while open.

    `contract_version` is the one it was priced by, None while open.
    """

    def __init__(self, row: Row[Any]) -> None:
        self.period = period_from(row)
        self.revision: int = row.revision
        self.closed_amount = row.closed_amount
        self.closed_quantity = row.closed_quantity
        self.contract_version: int | None = row.contract_version

    @property
    def is_closed(self) -> bool:
        return self.closed_amount is not None

    def is_charged(self, charge: Charge) -> bool:
        """Whether this is what was charged the last time."""
        return bool(
            (charge.amount.amount, charge.quantity) == (self.closed_amount, self.closed_quantity)
        )


async def plan_periods(
    tx: AsyncConnection, contract_ids: Collection[ContractId], periods: Sequence[UsagePeriod]
) -> list[UsagePeriodId]:
    """Bring the periods of contracts to their terms; return those to look at again.

    These are periods whose days have changed, and charged ones that the terms know no longer, or
    know again.
    """
    changed = list((await tx.execute(_PLAN, _columns(periods))).scalars())
    values = {
        "contract_ids": list(contract_ids),
        "planned": [period.usage_period_id for period in periods],
    }
    await tx.execute(_DROP_PLANNED, values)
    void = list((await tx.execute(_VOID, values)).scalars())
    return [*changed, *void]


async def ensure_periods(tx: AsyncConnection, periods: Sequence[UsagePeriod]) -> None:
    """Keep periods that were not planned yet."""
    await tx.execute(_ENSURE, _columns(periods))


async def lock(
    tx: AsyncConnection, usage_period_ids: Collection[UsagePeriodId]
) -> dict[UsagePeriodId, Kept]:
    """Lock periods, and return them as they are kept."""
    rows = await tx.execute(_LOCK, {"usage_period_ids": list(usage_period_ids)})
    return {row.usage_period_id: Kept(row) for row in rows}


async def closed(
    tx: AsyncConnection, source_item_ids: Collection[SourceItemId], *, lock: bool = False
) -> dict[SourceItemId, Kept]:
    """Return the closed periods that some of these things bill; `lock` lets nobody price them."""
    query = _LOCK if lock else _GET
    rows = await tx.execute(query, {"usage_period_ids": list(source_item_ids)})
    return {row.usage_period_id: Kept(row) for row in rows if row.closed_at is not None}


async def closed_at_nothing(
    tx: AsyncConnection, contract_ids: Collection[ContractId]
) -> dict[SourceItemId, Kept]:
    """Return the closed periods of contracts of which nothing is billed."""
    rows = await tx.execute(_CLOSED_AT_NOTHING, {"contract_ids": list(contract_ids)})
    return {SourceItemId(row.usage_period_id): Kept(row) for row in rows}


async def lock_unchanged(tx: AsyncConnection, run_id: ReratingRunId) -> dict[SourceItemId, Kept]:
    """Lock the closed periods of which a re-rating run found that they cost what they did."""
    rows = await tx.execute(_LOCK_UNCHANGED, {"rerating_run_id": run_id})
    return {SourceItemId(row.usage_period_id): Kept(row) for row in rows}


async def lock_of(tx: AsyncConnection, contract_ids: Collection[ContractId]) -> list[UsagePeriodId]:
    """Lock the periods of contracts, and return those that were closed."""
    rows = await tx.execute(_LOCK_OF, {"contract_ids": list(contract_ids)})
    return [row.usage_period_id for row in rows if row.closed_at is not None]


async def lock_at(
    tx: AsyncConnection, touched: Collection[tuple[ContractLineId, date]]
) -> dict[UsagePeriodId, Kept]:
    """Lock the periods that contain days of lines, and return them as they are kept."""
    pairs = sorted(set(touched))
    values = {"line_ids": [line_id for line_id, _ in pairs], "days": [day for _, day in pairs]}
    return {row.usage_period_id: Kept(row) for row in await tx.execute(_LOCK_AT, values)}


async def lock_over(
    tx: AsyncConnection,
    through: Mapping[str, date],
    *,
    after: UsagePeriodId | None,
    limit: int,
) -> dict[UsagePeriodId, Kept]:
    """Lock pending periods that are over on the day given for their zone, by id past `after`."""
    rows = await tx.execute(
        _LOCK_OVER,
        {
            "zones": list(through),
            "days": list(through.values()),
            "after": after,
            "limit": limit,
        },
    )
    return {row.usage_period_id: Kept(row) for row in rows}


async def load_zones(tx: AsyncConnection) -> list[str]:
    """Return the time zones of periods that are still to be priced once they are over."""
    return list((await tx.execute(_ZONES)).scalars())


async def contracts_of(
    tx: AsyncConnection, contract_line_ids: Collection[ContractLineId]
) -> dict[ContractLineId, ContractId]:
    """Return the contracts of usage lines."""
    rows = await tx.execute(_LINES, {"line_ids": list(contract_line_ids)})
    return {row.contract_line_id: row.contract_id for row in rows}


async def metered(
    tx: AsyncConnection, usage_period_ids: Collection[UsagePeriodId], *, at: datetime
) -> dict[UsagePeriodId, Metered]:
    """Return what the readings of periods that count by `at` come to."""
    values = {"usage_period_ids": list(usage_period_ids), "at": at}
    found = {
        row.usage_period_id: Metered(row.total, row.greatest, row.last, row.readings)
        for row in await tx.execute(_METERED, values)
    }
    return {each: found.get(each, NOTHING_METERED) for each in usage_period_ids}


async def save_charges(
    tx: AsyncConnection, charged: Sequence[tuple[Kept, Charge]], *, at: datetime
) -> None:
    """Write what periods were charged, each as its next revision."""
    await tx.execute(
        _CLOSE,
        {
            "usage_period_ids": [kept.period.usage_period_id for kept, _ in charged],
            "quantities": [charge.quantity for _, charge in charged],
            "amounts": [charge.amount.amount for _, charge in charged],
            "revisions": [kept.revision + 1 for kept, _ in charged],
            "contract_versions": [charge.contract_version for _, charge in charged],
            "at": at,
        },
    )


async def put_pending(
    tx: AsyncConnection,
    usage_period_ids: Collection[UsagePeriodId],
    pending: Collection[UsagePeriodId],
) -> None:
    """Note which of these periods are still to be priced once they are over; the others are not."""
    values = {"usage_period_ids": list(usage_period_ids), "pending": list(pending)}
    await tx.execute(_PUT_PENDING, values)


async def ahead(tx: AsyncConnection, kind: str, *, at: datetime) -> Sequence[Row[Any]]:
    """Return the lines whose readings after `at` are not what exceptions of `kind` say.

    `readings` is None where there are none any more.
    """
    return (await tx.execute(_AHEAD, {"at": at, "kind": kind})).all()


async def outside(tx: AsyncConnection, contract_ids: Collection[ContractId]) -> Sequence[Row[Any]]:
    """Return, for each line that has any, the readings that no period in force contains."""
    return (await tx.execute(_OUTSIDE, {"contract_ids": list(contract_ids)})).all()


def period_from(row: Row[Any]) -> UsagePeriod:
    """Return the period a row holds."""
    return UsagePeriod(
        row.usage_period_id,
        row.contract_id,
        row.contract_line_id,
        row.engagement_id,
        row.legal_entity_id,
        row.time_zone,
        row.meter,
        row.description,
        Period(row.service_from, row.service_to),
        row.currency,
    )


def entity_of(row: Row[Any]) -> UUID:
    """Return the legal entity of a row of `ahead` or `outside`."""
    return UUID(row.legal_entity_id)


def _columns(periods: Iterable[UsagePeriod]) -> dict[str, list[Any]]:
    found = list(periods)
    return {
        "usage_period_id": [period.usage_period_id for period in found],
        "contract_id": [period.contract_id for period in found],
        "contract_line_id": [period.contract_line_id for period in found],
        "engagement_id": [period.engagement_id for period in found],
        "legal_entity_id": [period.legal_entity_id for period in found],
        "time_zone": [period.time_zone for period in found],
        "meter": [period.meter for period in found],
        "description": [period.description for period in found],
        "service_from": [period.service.start for period in found],
        "service_to": [period.service.end for period in found],
        "currency": [period.currency for period in found],
    }
