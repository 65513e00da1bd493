"""Reads what a batch is decided on: the rows, holds and sources of many things at once."""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Row as SqlRow
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.domain.hold import HoldReason, OpenHold
from billing_event.domain.position import BillingEventId, Row, live_rows
from billing_event.domain.source import (
    ItemType,
    SourceItem,
    SourceItemId,
    SourceRef,
)
from billing_event.domain.standing import Reversal, Standing
from billing_event.domain.step import StepState
from billing_event.repository.row import row_from
from throughline_core.errors import StaleVersion
from throughline_core.money import Money

# Locked in one order by everybody, and before anything is read that the decision rests on.
_LOCK_POSITIONS: Final = text("""
    SELECT source_item_id FROM billing_event JOIN position USING (billing_event_id)
    WHERE source_item_id = ANY(CAST(:source_item_ids AS uuid[]))
    ORDER BY billing_event_id FOR UPDATE OF position
""")
_HOLDS: Final = """
    SELECT hold_id, source_item_id, billing_event_id, reason, detail, opened_by FROM hold
    WHERE source_item_id = ANY(CAST(:source_item_ids AS uuid[])) AND cleared_at IS NULL
    ORDER BY hold_id
"""
_LOCK_HOLDS: Final = text(f"{_HOLDS} FOR UPDATE")
# What somebody else has locked is passed over, the whole thing with it.
_LOCK_FREE: Final = text("""
    WITH wanted AS (
        SELECT source_item_id, billing_event_id FROM billing_event
        WHERE source_item_id = ANY(CAST(:source_item_ids AS uuid[]))
    ), locked AS MATERIALIZED (
        SELECT billing_event_id FROM position
        WHERE billing_event_id IN (SELECT billing_event_id FROM wanted)
        FOR UPDATE SKIP LOCKED
    ), waiting AS (
        SELECT source_item_id, hold_id FROM hold
        WHERE source_item_id = ANY(CAST(:source_item_ids AS uuid[])) AND cleared_at IS NULL
    ), free AS MATERIALIZED (
        SELECT hold_id FROM hold WHERE hold_id IN (SELECT hold_id FROM waiting)
        FOR UPDATE SKIP LOCKED
    )
    SELECT source_item_id FROM unnest(CAST(:source_item_ids AS uuid[])) AS thing (source_item_id)
    EXCEPT SELECT source_item_id FROM wanted
           WHERE billing_event_id NOT IN (SELECT billing_event_id FROM locked)
    EXCEPT SELECT source_item_id FROM waiting
           WHERE hold_id NOT IN (SELECT hold_id FROM free)
""")
_ITEMS: Final = text("""
    SELECT source_item.*, last_step.state AS step_state, last_step.reason AS step_reason,
           last_step.service_from AS step_service_from,
           last_step.service_to AS step_service_to, last_step.recorded_by AS step_recorded_by,
           priced.price AS step_price
    FROM source_item
    LEFT JOIN LATERAL (
        SELECT * FROM source_step
        WHERE source_item.type NOT IN ('time', 'expense')
          AND source_step.source_item_id = source_item.source_item_id
        ORDER BY version DESC LIMIT 1
    ) AS last_step ON true
    LEFT JOIN LATERAL (
        SELECT price FROM source_step
        WHERE last_step.version IS NOT NULL AND price IS NOT NULL
          AND source_step.source_item_id = source_item.source_item_id
        ORDER BY version DESC LIMIT 1
    ) AS priced ON true
    WHERE source_item.source_item_id = ANY(CAST(:source_item_ids AS uuid[]))
""")
_ROWS: Final = text("""
    SELECT billing_event.*, position.status, position.version, position.released_by,
           EXISTS (SELECT FROM billing_event AS taker
                   WHERE taker.reverses_billing_event_id = billing_event.billing_event_id)
               AS is_taken_back
    FROM billing_event JOIN position USING (billing_event_id)
    WHERE source_item_id = ANY(CAST(:source_item_ids AS uuid[]))
    ORDER BY source_item_id, part
""")

_REVERSED: Final = text("""
    SELECT reverses_source_item_id FROM source_item
    WHERE reverses_source_item_id = ANY(CAST(:source_item_ids AS uuid[]))
""")

_CLAIMED: Final = text("""
    SELECT billing_event_id FROM position
    WHERE billing_event_id = ANY(CAST(:billing_event_ids AS uuid[]))
      AND (allocated_quantity <> 0 OR allocated_amount <> 0)
""")

_BILLED: Final = text("""
    SELECT billing_event_id FROM position
    WHERE billing_event_id = ANY(CAST(:billing_event_ids AS uuid[]))
      AND (allocated_quantity, allocated_amount) <> (
          SELECT coalesce(sum(quantity), 0), coalesce(sum(amount), 0) FROM allocation
          WHERE allocation.billing_event_id = position.billing_event_id AND kind = 'write_off')
""")

_TAKEN_BACK: Final = text("""
    SELECT reverses_billing_event_id FROM billing_event
    WHERE reverses_billing_event_id = ANY(CAST(:billing_event_ids AS uuid[]))
""")

# Of what still counts: a credit note gave it back, and nobody is to bill it again.
_GIVEN_UP: Final = text("""
    SELECT billing_event_id, sum(allocation.quantity) AS quantity
    FROM billing_event JOIN position USING (billing_event_id)
    JOIN allocation USING (billing_event_id)
    WHERE source_item_id = ANY(CAST(:source_item_ids AS uuid[]))
      AND allocation.kind = 'write_off' AND position.status = 'released'
    GROUP BY billing_event_id HAVING sum(allocation.quantity) <> 0
""")

_KNOWN_ITEMS: Final = text("""
    SELECT source_item_id,
           EXISTS (SELECT FROM covered_item
                   WHERE covered_item.source_item_id = source_item.source_item_id) AS is_covered
    FROM source_item WHERE source_item_id = ANY(CAST(:source_item_ids AS uuid[]))
""")


async def lock_standings(
    tx: AsyncConnection, source_item_ids: Sequence[SourceItemId]
) -> list[Standing]:
    """Lock things with their rows and open holds, and return where they stand, in the order given.

    A thing that has neither a row nor an open hold any more is left out: nothing waits there.
    """
    distinct = list(dict.fromkeys(source_item_ids))
    locked, holds = await _lock(tx, distinct)
    missing = [each for each in distinct if each not in locked]
    if missing:
        # What was rated while its hold was waited for has rows that only a new statement sees.
        found, more = await _lock(tx, missing)
        locked |= found
        holds += more
    ids = {"source_item_ids": [each for each in distinct if each in locked]}
    gone = await given_up(tx, ids["source_item_ids"])
    return await _load_standings(tx, ids, holds, gone)


async def lock(tx: AsyncConnection, source_item_ids: Sequence[SourceItemId]) -> None:
    """Lock things with their rows and open holds, ahead of the limits they meet."""
    if source_item_ids:
        await _lock(tx, source_item_ids)


async def lock_free(
    tx: AsyncConnection, source_item_ids: Sequence[SourceItemId]
) -> list[SourceItemId]:
    """Lock those of these things that nobody else has locked, and return them in the order given.

    Waits for nobody, so that it may be called while limits are locked.
    """
    if not source_item_ids:
        return []
    found = await tx.execute(_LOCK_FREE, {"source_item_ids": list(source_item_ids)})
    free = set(found.scalars())
    return [each for each in source_item_ids if each in free]


async def _lock(
    tx: AsyncConnection, source_item_ids: Sequence[SourceItemId]
) -> tuple[set[SourceItemId], list[SqlRow[Any]]]:
    """Lock rows and open holds; return which of the things have any, and the holds."""
    ids = {"source_item_ids": source_item_ids}
    locked = set((await tx.execute(_LOCK_POSITIONS, ids)).scalars())
    holds = list((await tx.execute(_LOCK_HOLDS, ids)).all())
    locked.update(hold.source_item_id for hold in holds)
    return locked, holds


async def load_standings(
    tx: AsyncConnection, source_item_ids: Sequence[SourceItemId]
) -> list[Standing]:
    """Return where things stand that have rows, in the order given, unlocked."""
    ids = {"source_item_ids": source_item_ids}
    holds = (await tx.execute(text(_HOLDS), ids)).all()
    return await _load_standings(tx, ids, holds, {})


async def _load_standings(
    tx: AsyncConnection,
    ids: Mapping[str, Sequence[SourceItemId]],
    holds: Sequence[SqlRow[Any]],
    gone: Mapping[BillingEventId, Decimal],
) -> list[Standing]:
    items = await load_items(tx, ids["source_item_ids"])
    open_holds: dict[tuple[SourceItemId, BillingEventId | None], list[OpenHold]] = {}
    for hold in holds:
        key = hold.source_item_id, hold.billing_event_id
        open_holds.setdefault(key, []).append(
            OpenHold(HoldReason(hold.reason), hold.detail, hold.hold_id, hold.opened_by or "")
        )
    rows: dict[SourceItemId, list[Row]] = {}
    for row in await tx.execute(_ROWS, ids):
        item_id = row.source_item_id
        own = open_holds.get((item_id, row.billing_event_id), [])
        rows.setdefault(item_id, []).append(row_from(row, items[item_id], own))
    worthless = [item_id for item_id, own in rows.items() if not live_rows(own)]
    taken: set[SourceItemId] = set()
    if worthless:
        found = await tx.execute(_REVERSED, {"source_item_ids": worthless})
        taken.update(found.scalars())
    return [
        Standing(
            items[item_id],
            tuple(rows.get(item_id, ())),
            tuple(open_holds.get((item_id, None), ())),
            is_reversed=item_id in taken,
            given_up={
                row.billing_event_id: gone[row.billing_event_id]
                for row in rows.get(item_id, ())
                if row.billing_event_id in gone
            },
        )
        for item_id in ids["source_item_ids"]
    ]


async def claimed(
    tx: AsyncConnection, billing_event_ids: Collection[BillingEventId]
) -> set[BillingEventId]:
    """Return those of these rows of which something is claimed."""
    values = {"billing_event_ids": list(billing_event_ids)}
    return set((await tx.execute(_CLAIMED, values)).scalars())


async def billed(
    tx: AsyncConnection, billing_event_ids: Collection[BillingEventId]
) -> set[BillingEventId]:
    """Return those of these rows of which something is claimed that is not given up."""
    values = {"billing_event_ids": list(billing_event_ids)}
    return set((await tx.execute(_BILLED, values)).scalars())


async def taken_back(
    tx: AsyncConnection, billing_event_ids: Collection[BillingEventId]
) -> set[BillingEventId]:
    """Return those of these rows that another row takes back."""
    values = {"billing_event_ids": list(billing_event_ids)}
    return set((await tx.execute(_TAKEN_BACK, values)).scalars())


async def load_items(
    tx: AsyncConnection, source_item_ids: Collection[SourceItemId]
) -> dict[SourceItemId, SourceItem]:
    """Return approved things by their ids."""
    rows = await tx.execute(_ITEMS, {"source_item_ids": list(source_item_ids)})
    return {row.source_item_id: item_from(row) for row in rows}


async def lock_reversals(tx: AsyncConnection, items: Sequence[SourceItem]) -> list[Reversal]:
    """Lock what these things take back, and return each with where its original stands.

    Raises:
        StaleVersion: an original is being rated at this moment.
    """
    originals = [item.reverses_item_id for item in items if item.reverses_item_id is not None]
    own = [item.source_item_id for item in items]
    standings = {
        each.item.source_item_id: each for each in await lock_standings(tx, [*originals, *own])
    }
    arrived = {
        row.source_item_id: row.is_covered
        for row in await tx.execute(_KNOWN_ITEMS, {"source_item_ids": originals})
    }
    unrated = await load_items(tx, [each for each in arrived if each not in standings])
    reversals = []
    for item in items:
        waits = standings.get(item.source_item_id)
        if waits is not None and waits.rows:
            continue
        original = standings.get(item.reverses_item_id) if item.reverses_item_id else None
        if original is None and item.reverses_item_id in unrated:
            thing = unrated[item.reverses_item_id]
            if thing.is_billable and not arrived[thing.source_item_id]:
                raise StaleVersion(f"{thing.source_item_id} is being rated at this moment")
            original = Standing(thing, ())
        reversals.append(Reversal(item, waits.item_holds if waits else (), original))
    return reversals


async def given_up(
    tx: AsyncConnection, source_item_ids: Collection[SourceItemId]
) -> dict[BillingEventId, Decimal]:
    """Return how much of released rows of these things credit notes gave back for good."""
    found = await tx.execute(_GIVEN_UP, {"source_item_ids": list(source_item_ids)})
    return {row.billing_event_id: row.quantity for row in found}


def item_from(row: SqlRow[Any]) -> SourceItem:
    """Return the approved thing of a row of `source_item` with the last word on it."""
    source = None
    is_repriced = row.step_state == StepState.REPRICED
    if row.source_system is not None:
        source = SourceRef(row.source_system, row.source_object_type, row.source_object_id)
    return SourceItem(
        source_item_id=row.source_item_id,
        type=ItemType(row.type),
        contract_id=row.contract_id,
        contract_line_id=row.contract_line_id,
        engagement_id=row.engagement_id,
        project_id=row.project_id,
        task_id=row.task_id,
        person_id=row.person_id,
        person_name=row.person_name,
        delivering_entity_id=row.delivering_entity_id,
        role=row.role,
        level=row.level,
        region=row.region,
        description=row.description,
        service_from=row.step_service_from or row.service_from,
        service_to=row.step_service_to or row.service_to,
        minutes=row.minutes,
        price=_price_from(row),
        price_basis=row.step_reason if is_repriced else row.price_basis,
        is_billable=row.is_billable,
        is_accepted=row.type != ItemType.MILESTONE or row.step_state == StepState.ACCEPTED,
        refusal=_refusal_from(row),
        approved_by=row.step_recorded_by or row.approved_by,
        source=source,
        activity=row.activity,
        reverses_item_id=row.reverses_source_item_id,
        replaces_item_id=row.replaces_source_item_id,
        receipt_price=(
            None if row.receipt_price is None else Money(row.receipt_price, row.receipt_currency)
        ),
        category=row.category,
        project_contract_id=row.project_contract_id,
    )


def _price_from(row: SqlRow[Any]) -> Money | None:
    if row.price is None:
        return None
    return Money(row.price if row.step_price is None else row.step_price, row.currency)


def _refusal_from(row: SqlRow[Any]) -> str:
    if row.step_state == StepState.REFUSED:
        return f"the client refused the milestone: {row.step_reason}"
    if row.step_state == StepState.WITHDRAWN:
        return f"the client's acceptance was withdrawn: {row.step_reason}"
    return ""
