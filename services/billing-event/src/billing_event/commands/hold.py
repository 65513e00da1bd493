"""Holds that people place and clear."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.bulk import checkpoint, save
from billing_event.commands.lines import require_contracts
from billing_event.commands.rate import keep, make_judge, reconsider
from billing_event.commands.release import lock_named, rows_of
from billing_event.domain.hold import (
    HoldAlreadyCleared,
    HoldAlreadyPlaced,
    HoldId,
    HoldNotFound,
    HoldNotManual,
    HoldReason,
    OpenHold,
)
from billing_event.domain.position import AlreadyReleased, BillingEventId, EventStatus, Row
from billing_event.domain.source import ContractId
from throughline_runtime import audit
from throughline_runtime.identity import require_entity, visible_entities

CLEARED_MAX: Final = 500
"""Holds one call clears."""


async def place_holds(
    tx: AsyncConnection,
    billing_event_ids: Sequence[BillingEventId],
    reason: str,
    *,
    by: str,
    at: datetime,
) -> list[HoldId]:
    """Hold rows until a person clears them, all or none; return the holds' ids in their order.

    Raises:
        BillingEventNotFound, EntityForbidden: one is not there, or not for the caller.
        AlreadyReleased: one may be invoiced by now.
        HoldAlreadyPlaced: somebody holds one already.
    """
    standings = await lock_named(tx, billing_event_ids)
    by_id = {row.billing_event_id: row for row in rows_of(standings, billing_event_ids)}
    rows = [by_id[row_id] for row_id in billing_event_ids]
    for row in rows:
        _require_holdable(row)
    judge = await make_judge(tx, (row.item for row in rows), at=at)
    for row in rows:
        judge.hold(row, OpenHold(HoldReason.MANUAL, reason, placed_by=by))
    await keep(tx, judge, at=at)
    hold_ids = [save.hold_id(opened, epoch=judge.epoch) for opened in judge.decision.opened]
    for row, hold_id in zip(rows, hold_ids, strict=True):
        audit.touch(tx, row.billing_event_id, hold_id, engagement_id=row.rating.engagement_id)
    return hold_ids


async def clear_holds(
    tx: AsyncConnection, hold_ids: Sequence[HoldId], reason: str, *, by: str, at: datetime
) -> list[BillingEventId]:
    """Clear holds that people placed, all or none; their rows, which are returned, go on.

    Raises:
        HoldNotFound, EntityForbidden: one is not there, or not for the caller.
        HoldNotManual: one has a cause that has to go first.
        HoldAlreadyCleared: one was cleared before.
    """
    holds = {hold.hold_id: hold for hold in await checkpoint.find_holds(tx, hold_ids)}
    for hold_id in hold_ids:
        hold = holds.get(hold_id)
        if hold is None:
            raise HoldNotFound(f"hold {hold_id} does not exist", field="hold_id")
        if hold.legal_entity_id is not None:
            require_entity(hold.legal_entity_id)
        if hold.reason != HoldReason.MANUAL:
            raise HoldNotManual(
                f"hold {hold_id} is {hold.reason}: {hold.detail}",
                advice="it clears by itself when its cause is gone",
            )
    items = list({holds[hold_id].source_item_id: None for hold_id in hold_ids})
    await reconsider(tx, items, at=at, dropping=set(hold_ids))
    signed = await checkpoint.sign_clearing(tx, hold_ids, reason, by=by)
    late = set(hold_ids) - signed
    if late:
        raise HoldAlreadyCleared(f"hold {min(late)} was cleared before")
    row_ids = [BillingEventId(holds[hold_id].billing_event_id) for hold_id in hold_ids]
    audit.touch(tx, *row_ids, *hold_ids)
    return row_ids


async def clear_matching(
    tx: AsyncConnection,
    reason: str,
    *,
    contract_id: ContractId | None,
    opened_by: str | None,
    by: str,
    at: datetime,
) -> tuple[int, bool]:
    """Clear the oldest holds on a contract, or of one person; return how many, and if more are.

    Raises:
        ContractNotFound, EntityForbidden: the contract is not there for the caller.
    """
    await require_contracts(tx, {"contract_id": contract_id})
    found = await checkpoint.manual_holds(
        tx,
        contract_id=contract_id,
        opened_by=opened_by,
        legal_entity_ids=visible_entities(),
        limit=CLEARED_MAX + 1,
    )
    chosen = found[:CLEARED_MAX]
    if chosen:
        await clear_holds(tx, chosen, reason, by=by, at=at)
    return len(chosen), len(found) > CLEARED_MAX


def _require_holdable(row: Row) -> None:
    if row.status is EventStatus.RELEASED:
        raise AlreadyReleased(
            f"billing event {row.billing_event_id} was released by {row.released_by}",
            advice="withdraw the release, or credit it once it is invoiced",
        )
    if any(hold.reason is HoldReason.MANUAL for hold in row.holds):
        raise HoldAlreadyPlaced(f"billing event {row.billing_event_id} is held by hand already")
