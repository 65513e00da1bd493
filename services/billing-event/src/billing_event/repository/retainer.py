"""Periods of retainers: planned from the terms, locked while a batch draws on them, and kept."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.agreement import Agreement
from billing_event.domain.position import BillingEventId
from billing_event.domain.recurring import plan
from billing_event.domain.retainer import (
    Block,
    Bucket,
    PeriodStatus,
    RetainerPeriod,
    RetainerPeriodId,
    blocks_of,
    has_retainer,
    terms_for,
)
from billing_event.domain.retainer_book import RetainerBook
from billing_event.domain.retainer_movement import Lapsed, Movement
from billing_event.domain.source import ContractId, SourceItemId
from throughline_core.money import Money
from throughline_core.period import Period
from throughline_runtime.ids import new_id

_PLAN: Final = tables.insert_of(
    tables.retainer_period,
    """ON CONFLICT (retainer_period_id) DO UPDATE SET
        period_from = EXCLUDED.period_from, period_to = EXCLUDED.period_to,
        unit = EXCLUDED.unit, block = EXCLUDED.block, price = EXCLUDED.price
    WHERE retainer_period.status = 'planned'""",
    without=("carry_expires_on", "closed_at"),
)

_DROP: Final = text("""
    DELETE FROM retainer_period
    WHERE contract_id = ANY(CAST(:contract_ids AS uuid[])) AND status = 'planned' AND version = 1
      AND retainer_period_id <> ALL(CAST(:planned AS uuid[]))
      AND NOT EXISTS (SELECT FROM retainer_top_up AS top_up
                      WHERE top_up.retainer_period_id = retainer_period.retainer_period_id)
""")

# In one order for all, so that two batches over the same periods wait and do not deadlock.
_LOCK: Final = text("""
    SELECT * FROM retainer_period WHERE contract_id = ANY(CAST(:contract_ids AS uuid[]))
    ORDER BY retainer_period_id FOR UPDATE
""")
_PERIODS: Final = text("""
    SELECT * FROM retainer_period WHERE contract_id = ANY(CAST(:contract_ids AS uuid[]))
""")
_BUCKETS: Final = text("""
    SELECT bucket.*, origin.period_from AS origin_from
    FROM retainer_bucket AS bucket JOIN retainer_period AS origin
      ON origin.retainer_period_id = bucket.origin_period_id
    WHERE bucket.retainer_period_id = ANY(CAST(:retainer_period_ids AS uuid[]))
""")
_LAPSES: Final = text("""
    SELECT entry.retainer_period_id, entry.origin_period_id, -sum(entry.quantity) AS quantity,
           -sum(entry.value) AS value
    FROM retainer_entry AS entry JOIN retainer_period USING (retainer_period_id)
    WHERE entry.kind = 'lapse' AND contract_id = ANY(CAST(:contract_ids AS uuid[]))
    GROUP BY entry.retainer_period_id, entry.origin_period_id
""")
_ORIGINS: Final = text("""
    SELECT entry.billing_event_id, entry.origin_period_id
    FROM retainer_entry AS entry JOIN billing_event USING (billing_event_id)
    WHERE entry.kind = 'draw' AND source_item_id = ANY(CAST(:source_item_ids AS uuid[]))
""")

_SAVE: Final = text("""
    UPDATE retainer_period AS period SET
        period_from = saved.period_from, period_to = saved.period_to,
        block = saved.block, price = saved.price,
        status = saved.status, version = period.version + 1, granted = saved.granted,
        carried_in = saved.carried_in, drawn = saved.drawn, carried_out = saved.carried_out,
        lapsed = saved.lapsed, balance = saved.balance, overdrawn = saved.overdrawn,
        overdrawn_value = saved.overdrawn_value,
        carry_expires_on = saved.carry_expires_on,
        closed_at = CASE saved.status
            WHEN 'closed' THEN coalesce(period.closed_at, CAST(:at AS timestamptz)) END
    FROM unnest(
        CAST(:retainer_period_id AS uuid[]), CAST(:period_from AS date[]),
        CAST(:period_to AS date[]),
        CAST(:block AS numeric[]), CAST(:price AS numeric[]), CAST(:status AS text[]),
        CAST(:granted AS numeric[]), CAST(:carried_in AS numeric[]), CAST(:drawn AS numeric[]),
        CAST(:carried_out AS numeric[]), CAST(:lapsed AS numeric[]), CAST(:balance AS numeric[]),
        CAST(:overdrawn AS numeric[]), CAST(:overdrawn_value AS numeric[]),
        CAST(:carry_expires_on AS date[])
    ) AS saved (retainer_period_id, period_from, period_to, block, price, status, granted,
                carried_in, drawn, carried_out, lapsed, balance, overdrawn, overdrawn_value,
                carry_expires_on)
    WHERE period.retainer_period_id = saved.retainer_period_id
    RETURNING period.*
""")
_PUT_BUCKETS: Final = tables.insert_of(
    tables.retainer_bucket,
    """ON CONFLICT (retainer_period_id, origin_period_id) DO UPDATE SET
        quantity = EXCLUDED.quantity, value = EXCLUDED.value, expires_on = EXCLUDED.expires_on""",
)
_ADD_ENTRIES: Final = tables.insert_of(tables.retainer_entry)

_DUE: Final = text("""
    SELECT DISTINCT contract_id FROM retainer_period AS period
    JOIN unnest(CAST(:zones AS text[]), CAST(:days AS date[])) AS today (zone, day)
      ON today.zone = period.time_zone
    WHERE status = 'planned' AND period_from <= today.day
       OR status = 'open' AND period_to <= today.day
    ORDER BY contract_id LIMIT :limit
""")
_ZONES: Final = text("""
    SELECT DISTINCT time_zone FROM retainer_period WHERE status IN ('planned', 'open')
""")


async def plan_periods(tx: AsyncConnection, agreements: Sequence[Agreement]) -> list[Block]:
    """Bring the periods that have not begun to the terms as they are, and return all of them."""
    blocks = [block for each in agreements for block in blocks_of(each, plan(each))]
    if blocks:
        await _insert(tx, blocks, {each.newest.contract_id: each for each in agreements})
    values = {
        "contract_ids": [each.newest.contract_id for each in agreements],
        "planned": [block.retainer_period_id for block in blocks],
    }
    await tx.execute(_DROP, values)
    return blocks


async def lock_known(
    tx: AsyncConnection, contract_ids: Collection[ContractId]
) -> set[RetainerPeriodId]:
    """Lock the periods of contracts that are there already, and return them."""
    rows = await tx.execute(_LOCK, {"contract_ids": list(contract_ids)})
    return {row.retainer_period_id for row in rows}


async def lock(
    tx: AsyncConnection,
    agreements: Mapping[ContractId, Agreement],
    source_item_ids: Collection[SourceItemId] = (),
) -> RetainerBook:
    """Lock the periods of the retainers of these contracts, and return what is left of them.

    With the blocks that rows of these things drew on, so that they can give back.
    """
    contracts = {
        contract_id: each for contract_id, each in agreements.items() if has_retainer(each)
    }
    if not contracts:
        return RetainerBook()
    ids = {"contract_ids": list(contracts)}
    rows = (await tx.execute(_LOCK, ids)).all()
    missing = contracts.keys() - {row.contract_id for row in rows}
    if missing:  # Their terms came before retainers were kept.
        await plan_periods(tx, [contracts[each] for each in missing])
        rows = (await tx.execute(_LOCK, ids)).all()
    origins = await tx.execute(_ORIGINS, {"source_item_ids": list(source_item_ids)})
    return RetainerBook(
        await _periods_from(tx, rows, contracts),
        {
            BillingEventId(row.billing_event_id): RetainerPeriodId(row.origin_period_id)
            for row in origins
        },
    )


async def lock_to_plan(
    tx: AsyncConnection, agreements: Mapping[ContractId, Agreement]
) -> RetainerBook:
    """Lock the periods of these contracts with what lapsed of them, so that ends can be undone."""
    ids = {"contract_ids": list(agreements)}
    rows = (await tx.execute(_LOCK, ids)).all()
    lapses = {
        (row.retainer_period_id, row.origin_period_id): Lapsed(row.quantity, row.value)
        for row in await tx.execute(_LAPSES, ids)
    }
    return RetainerBook(await _periods_from(tx, rows, agreements), lapses=lapses)


async def load(tx: AsyncConnection, agreements: Mapping[ContractId, Agreement]) -> RetainerBook:
    """Return the periods of these contracts without locking them, to look at."""
    rows = (await tx.execute(_PERIODS, {"contract_ids": list(agreements)})).all()
    return RetainerBook(await _periods_from(tx, rows, agreements))


async def save(tx: AsyncConnection, book: RetainerBook, *, at: datetime) -> list[Row[Any]]:
    """Keep what a batch moved, and return the periods as they are now."""
    periods = list(book.changed.values())
    saved = await tx.execute(_SAVE, {**_columns(periods), "at": at})
    rows = list(saved)
    buckets = [(period, bucket) for period in periods for bucket in period.buckets.values()]
    await tx.execute(
        _PUT_BUCKETS,
        {
            "retainer_period_id": [period.retainer_period_id for period, _ in buckets],
            "origin_period_id": [bucket.origin_period_id for _, bucket in buckets],
            "quantity": [bucket.quantity for _, bucket in buckets],
            "value": [bucket.value for _, bucket in buckets],
            "expires_on": [bucket.expires_on for _, bucket in buckets],
        },
    )
    await _add_entries(tx, book.movements, at=at)
    return rows


async def due(tx: AsyncConnection, today: Mapping[str, date], *, limit: int) -> list[ContractId]:
    """Return contracts with periods that have begun or are over by the day of their zone."""
    values = {"zones": list(today), "days": list(today.values()), "limit": limit}
    return list((await tx.execute(_DUE, values)).scalars())


async def load_zones(tx: AsyncConnection) -> list[str]:
    """Return the time zones of periods that may begin or end."""
    return list((await tx.execute(_ZONES)).scalars())


async def _insert(
    tx: AsyncConnection, blocks: Sequence[Block], agreements: Mapping[ContractId, Agreement]
) -> None:
    nothing = [0] * len(blocks)
    zones = [agreements[block.contract_id].newest.time_zone for block in blocks]
    amounts = (
        "granted",
        "carried_in",
        "drawn",
        "carried_out",
        "lapsed",
        "balance",
        "overdrawn",
        "overdrawn_value",
    )
    await tx.execute(
        _PLAN,
        {
            "retainer_period_id": [block.retainer_period_id for block in blocks],
            "contract_id": [block.contract_id for block in blocks],
            "contract_line_id": [block.contract_line_id for block in blocks],
            "legal_entity_id": [block.legal_entity_id for block in blocks],
            "engagement_id": [block.engagement_id for block in blocks],
            "correlation_id": [block.correlation_id for block in blocks],
            "time_zone": zones,
            "period_from": [block.service.start for block in blocks],
            "period_to": [block.service.end for block in blocks],
            "unit": [block.unit for block in blocks],
            "block": [block.quantity for block in blocks],
            "price": [block.price.amount for block in blocks],
            "currency": [block.price.currency for block in blocks],
            "status": ["planned"] * len(blocks),
            "version": [1] * len(blocks),
            **dict.fromkeys(amounts, nothing),
        },
    )


async def _periods_from(
    tx: AsyncConnection, rows: Sequence[Row[Any]], agreements: Mapping[ContractId, Agreement]
) -> list[RetainerPeriod]:
    ids = {"retainer_period_ids": [row.retainer_period_id for row in rows]}
    buckets: dict[RetainerPeriodId, dict[RetainerPeriodId, Bucket]] = {}
    for row in await tx.execute(_BUCKETS, ids):
        own = buckets.setdefault(row.retainer_period_id, {})
        own[row.origin_period_id] = Bucket(
            row.origin_period_id, row.origin_from, row.expires_on, row.quantity, row.value
        )
    periods = []
    for row in rows:
        block = _block_from(row)
        terms = terms_for(agreements, block)
        own = buckets.get(block.retainer_period_id, {})
        periods.append(RetainerPeriod(block, terms, buckets=own, **_balance_from(row)))
    return periods


def _balance_from(row: Row[Any]) -> dict[str, Any]:
    return {
        "status": PeriodStatus(row.status),
        "version": row.version,
        "granted": row.granted,
        "carried_in": row.carried_in,
        "drawn": row.drawn,
        "carried_out": row.carried_out,
        "lapsed": row.lapsed,
        "overdrawn": row.overdrawn,
        "overdrawn_value": row.overdrawn_value,
        "carry_expires_on": row.carry_expires_on,
    }


def _block_from(row: Row[Any]) -> Block:
    return Block(
        retainer_period_id=row.retainer_period_id,
        contract_id=row.contract_id,
        contract_line_id=row.contract_line_id,
        legal_entity_id=row.legal_entity_id,
        engagement_id=row.engagement_id,
        correlation_id=row.correlation_id,
        service=Period(row.period_from, row.period_to),
        unit=row.unit,
        quantity=row.block,
        price=Money(row.price, row.currency),
    )


def _columns(periods: Sequence[RetainerPeriod]) -> dict[str, list[Any]]:
    return {
        "retainer_period_id": [each.retainer_period_id for each in periods],
        "period_from": [each.block.service.start for each in periods],
        "period_to": [each.block.service.end for each in periods],
        "block": [each.block.quantity for each in periods],
        "price": [each.block.price.amount for each in periods],
        "status": [each.status for each in periods],
        "granted": [each.granted for each in periods],
        "carried_in": [each.carried_in for each in periods],
        "drawn": [each.drawn for each in periods],
        "carried_out": [each.carried_out for each in periods],
        "lapsed": [each.lapsed for each in periods],
        "balance": [each.balance for each in periods],
        "overdrawn": [each.overdrawn for each in periods],
        "overdrawn_value": [each.overdrawn_value for each in periods],
        "carry_expires_on": [each.carry_expires_on for each in periods],
    }


async def _add_entries(tx: AsyncConnection, movements: Sequence[Movement], *, at: datetime) -> None:
    await tx.execute(
        _ADD_ENTRIES,
        {
            "retainer_entry_id": [new_id() for _ in movements],
            "retainer_period_id": [each.retainer_period_id for each in movements],
            "origin_period_id": [each.origin_period_id for each in movements],
            "kind": [each.kind for each in movements],
            "quantity": [each.quantity for each in movements],
            "value": [each.value for each in movements],
            "billing_event_id": [each.billing_event_id for each in movements],
            "recorded_at": [at] * len(movements),
        },
    )
