"""Reads what a batch is decided on: the rows, holds and sources of many things at once."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Row as SqlRow
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.domain.decision import Standing
from billing_event.domain.hold import HoldReason, OpenHold
from billing_event.domain.position import (
    BillingEventId,
    EventKind,
    EventStatus,
    Rating,
    Row,
    Unit,
)
from billing_event.domain.source import (
    ContractId,
    CustomerId,
    ItemType,
    SourceItem,
    SourceItemId,
    SourceRef,
)
from throughline_core.money import Money

# Locked in one order by everybody, and before anything is read that the decision rests on.
_LOCK_POSITIONS: Final = text("""
    SELECT source_item_id FROM billing_event JOIN position USING (billing_event_id)
    WHERE source_item_id = ANY(CAST(:source_item_ids AS uuid[]))
    ORDER BY billing_event_id FOR UPDATE OF position
""")
_LOCK_HOLDS: Final = text("""
    SELECT hold_id, source_item_id, billing_event_id, reason, detail FROM hold
    WHERE source_item_id = ANY(CAST(:source_item_ids AS uuid[])) AND cleared_at IS NULL
    ORDER BY hold_id FOR UPDATE
""")
_ITEMS: Final = text("""
    SELECT source_item.*,
           source_item.type <> 'milestone' OR acceptance.source_item_id IS NOT NULL AS is_accepted,
           coalesce(last_step.refusal, '') AS refusal
    FROM source_item LEFT JOIN acceptance USING (source_item_id)
    LEFT JOIN LATERAL (
        SELECT refusal FROM milestone_step
        WHERE source_item.type = 'milestone'
          AND milestone_step.source_item_id = source_item.source_item_id
        ORDER BY milestone_version DESC LIMIT 1
    ) AS last_step ON true
    WHERE source_item_id = ANY(CAST(:source_item_ids AS uuid[]))
""")
_ROWS: Final = text("""
    SELECT billing_event.*, position.status, position.version, position.released_by
    FROM billing_event JOIN position USING (billing_event_id)
    WHERE source_item_id = ANY(CAST(:source_item_ids AS uuid[]))
    ORDER BY source_item_id, part
""")

# A thing is due again as soon as a fact it was judged by is newer than the judgement.
_DUE: Final = text("""
    WITH terms AS (
        SELECT DISTINCT ON (contract_id) contract_id, epoch, bill_to_customer_id
        FROM contract_terms ORDER BY contract_id, contract_version DESC
    )
    SELECT hold.source_item_id
    FROM hold JOIN terms USING (contract_id)
    LEFT JOIN customer_state AS customer ON customer.customer_id = terms.bill_to_customer_id
    WHERE hold.cleared_at IS NULL AND hold.reason NOT IN ('manual', 'source_changed')
      AND (terms.epoch > hold.epoch
           OR hold.reason IN ('credit_hold', 'tax_invalid') AND customer.epoch > hold.epoch
           OR hold.reason IN ('missing_rate', 'missing_fx_rate')
              AND (SELECT max(epoch) FROM rate_card) > hold.epoch)
    GROUP BY hold.source_item_id
    ORDER BY min(hold.opened_at), hold.source_item_id LIMIT :limit
""")

_LIMITED: Final = text("""
    SELECT source_item_id FROM hold
    WHERE contract_id = ANY(CAST(:contract_ids AS uuid[])) AND cleared_at IS NULL
      AND reason = 'limit_exceeded'
    GROUP BY source_item_id ORDER BY min(opened_at), source_item_id LIMIT :limit
""")

_WAITING_OF_CUSTOMERS: Final = text("""
    SELECT DISTINCT source_item_id
    FROM contract_terms JOIN billing_event USING (contract_id)
    JOIN position USING (billing_event_id)
    WHERE contract_terms.bill_to_customer_id = ANY(CAST(:customer_ids AS uuid[]))
      AND position.status = 'eligible'
    ORDER BY source_item_id LIMIT :limit
""")


async def lock_standings(
    tx: AsyncConnection, source_item_ids: Sequence[SourceItemId]
) -> list[Standing]:
    """Lock things with their rows and open holds, and return where they stand, in the order given.

    A thing that has neither a row nor an open hold any more is left out: nothing waits there.
    """
    distinct = list(dict.fromkeys(source_item_ids))
    ids = {"source_item_ids": distinct}
    locked = set((await tx.execute(_LOCK_POSITIONS, ids)).scalars())
    holds = (await tx.execute(_LOCK_HOLDS, ids)).all()
    locked.update(hold.source_item_id for hold in holds)
    ids["source_item_ids"] = [each for each in distinct if each in locked]
    return await _load_standings(tx, ids, holds)


async def _load_standings(
    tx: AsyncConnection,
    ids: Mapping[str, Sequence[SourceItemId]],
    holds: Sequence[SqlRow[Any]],
) -> list[Standing]:
    items = await load_items(tx, ids["source_item_ids"])
    open_holds: dict[tuple[SourceItemId, BillingEventId | None], list[OpenHold]] = {}
    for hold in holds:
        key = hold.source_item_id, hold.billing_event_id
        open_holds.setdefault(key, []).append(
            OpenHold(HoldReason(hold.reason), hold.detail, hold.hold_id)
        )
    rows: dict[SourceItemId, list[Row]] = {}
    for row in await tx.execute(_ROWS, ids):
        item_id = row.source_item_id
        own = open_holds.get((item_id, row.billing_event_id), [])
        rows.setdefault(item_id, []).append(row_from(row, items[item_id], own))
    return [
        Standing(
            items[item_id],
            tuple(rows.get(item_id, ())),
            tuple(open_holds.get((item_id, None), ())),
        )
        for item_id in ids["source_item_ids"]
    ]


async def load_items(
    tx: AsyncConnection, source_item_ids: Collection[SourceItemId]
) -> dict[SourceItemId, SourceItem]:
    """Return approved things by their ids."""
    rows = await tx.execute(_ITEMS, {"source_item_ids": list(source_item_ids)})
    return {row.source_item_id: item_from(row) for row in rows}


async def due(tx: AsyncConnection, *, limit: int) -> list[SourceItemId]:
    """Return things whose holds were judged by facts that have changed, longest held first."""
    return list((await tx.execute(_DUE, {"limit": limit})).scalars())


async def limited(
    tx: AsyncConnection, contract_ids: Collection[ContractId], *, limit: int
) -> list[SourceItemId]:
    """Return things of these contracts that a limit stops, longest held first."""
    values = {"contract_ids": list(contract_ids), "limit": limit}
    return list((await tx.execute(_LIMITED, values)).scalars())


async def waiting_of(
    tx: AsyncConnection, customer_ids: Collection[CustomerId], *, limit: int
) -> list[SourceItemId]:
    """Return things of these bill-to customers that have rows waiting for the checkpoint."""
    values = {"customer_ids": list(customer_ids), "limit": limit}
    return list((await tx.execute(_WAITING_OF_CUSTOMERS, values)).scalars())


def item_from(row: SqlRow[Any]) -> SourceItem:
    """Return the approved thing of a row of `source_item` with `is_accepted` and `refusal`."""
    source = None
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
        service_from=row.service_from,
        service_to=row.service_to,
        minutes=row.minutes,
        price=None if row.price is None else Money(row.price, row.currency),
        price_basis=row.price_basis,
        is_billable=row.is_billable,
        is_accepted=row.is_accepted,
        refusal=row.refusal,
        approved_by=row.approved_by,
        source=source,
    )


def row_from(row: SqlRow[Any], item: SourceItem, holds: Sequence[OpenHold]) -> Row:
    """Return the rated row of a row of `billing_event` with its position."""
    return Row(
        billing_event_id=row.billing_event_id,
        item=item,
        rating=_rating_from(row),
        part=row.part,
        kind=EventKind(row.kind),
        quantity=row.quantity,
        minutes=row.minutes,
        amount=Money(row.amount, row.currency),
        rated_at=row.rated_at,
        rated_on=row.rated_on,
        status=EventStatus(row.status),
        version=row.version,
        released_by=row.released_by or "",
        holds=tuple(holds),
    )


def _rating_from(row: SqlRow[Any]) -> Rating:
    return Rating(
        contract_id=row.contract_id,
        contract_version=row.contract_version,
        contract_line_id=row.contract_line_id,
        quote_line_id=row.quote_line_id,
        engagement_id=row.engagement_id,
        correlation_id=row.correlation_id,
        bill_to_customer_id=row.bill_to_customer_id,
        legal_entity_id=row.legal_entity_id,
        unit=Unit(row.unit),
        unit_rate=Money(row.unit_rate, row.currency),
        tax_category=row.tax_category,
        rate_card_id=row.rate_card_id,
        rate_card_version=row.rate_card_version,
        explanation=row.rate_explanation,
    )
