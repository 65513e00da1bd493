"""Takes the acceptance of a milestone back before anything of it is billed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.bulk import save
from billing_event.commands.rate import reconsider
from billing_event.domain.position import BillingEventId
from billing_event.domain.source import ItemType, SourceItemId
from billing_event.domain.step import AlreadyBilled, NotWithdrawable, SourceStep, StepState
from billing_event.repository import standing
from throughline_runtime import audit
from throughline_runtime.identity import require_entity

_LIVE: Final = text("""
    SELECT item.type, event.billing_event_id, event.legal_entity_id, position.status,
           position.allocated_amount
    FROM source_item AS item
    LEFT JOIN (billing_event AS event JOIN position USING (billing_event_id))
      ON event.source_item_id = item.source_item_id AND event.reverses_billing_event_id IS NULL
     AND NOT EXISTS (SELECT FROM billing_event AS taker
                     WHERE taker.reverses_billing_event_id = event.billing_event_id)
    WHERE item.source_item_id = :source_item_id
    ORDER BY event.part
""")

_ACCEPTED: Final = text("""
    SELECT 1 FROM source_step
    WHERE source_item_id = :source_item_id AND version >= :version AND state = 'accepted'
""")


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """What a withdrawal took back; `is_ahead` if the acceptance had not been heard of."""

    billing_event_ids: tuple[BillingEventId, ...]
    is_ahead: bool


async def released(tx: AsyncConnection, source_item_id: SourceItemId) -> Sequence[BillingEventId]:
    """Return the rows of a milestone that invoicing has to let go of before it is withdrawn.

    Raises:
        NotWithdrawable: it is not a milestone.
        AlreadyBilled: an issued invoice claims one of them.
        EntityForbidden: it is not for the caller.
    """
    rows = _checked((await tx.execute(_LIVE, {"source_item_id": source_item_id})).all())
    return [row.billing_event_id for row in rows if row.status == "released"]


async def withdraw(
    tx: AsyncConnection,
    source_item_id: SourceItemId,
    *,
    source_version: int,
    reason: str,
    at: datetime,
) -> Withdrawn:
    """Note that an acceptance is taken back, and take back the rows that were released by it.

    Raises:
        NotWithdrawable, AlreadyBilled, EntityForbidden: see `released`.
    """
    ids = {"source_item_id": source_item_id}
    await standing.lock(tx, [source_item_id])
    before = _checked((await tx.execute(_LIVE, ids)).all())
    accepted = await tx.execute(_ACCEPTED, {**ids, "version": source_version})
    is_ahead = accepted.first() is None
    step = SourceStep(source_item_id, source_version + 1, StepState.WITHDRAWN, reason=reason)
    await save.add_steps(tx, [step], at=at)
    if before:
        await reconsider(tx, [source_item_id], at=at)
    left = {row.billing_event_id for row in (await tx.execute(_LIVE, ids)).all()}
    gone = tuple(
        BillingEventId(row.billing_event_id)
        for row in before
        if row.billing_event_id is not None and row.billing_event_id not in left
    )
    audit.touch(tx, source_item_id, *gone)
    return Withdrawn(gone, is_ahead)


def _checked(rows: Sequence[Row[Any]]) -> Sequence[Row[Any]]:
    for row in rows:
        if row.type != ItemType.MILESTONE:
            raise NotWithdrawable(
                f"a {row.type} has no acceptance to withdraw",
                field="source_item_id",
                advice="reverse it by an entry that names it",
            )
        if row.legal_entity_id is not None:
            require_entity(row.legal_entity_id)
        if row.allocated_amount:
            raise AlreadyBilled(
                f"billing event {row.billing_event_id} of the milestone is billed or written off",
                field="source_item_id",
                advice="credit the invoice, or undo the write-off",
            )
    return rows
