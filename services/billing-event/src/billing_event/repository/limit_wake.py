"""Notes that a limit has room again, for the schedule to judge what the limit stopped."""

from collections.abc import Collection
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.source import ContractId, CustomerId
from throughline_runtime.ids import new_id

# Only ever added to by whoever holds limits, so that nobody waits for anybody here.
_NOTE: Final = tables.insert_of(tables.limit_wake)

_TAKE: Final = text("""
    DELETE FROM limit_wake WHERE limit_wake_id IN (
        SELECT limit_wake_id FROM limit_wake ORDER BY noted_at LIMIT :limit
        FOR UPDATE SKIP LOCKED)
    RETURNING contract_id, customer_id
""")

_WAKE: Final = text("""
    UPDATE contract_state SET epoch = :epoch
    WHERE epoch < :epoch AND contract_id IN (
        SELECT hold.contract_id FROM hold LEFT JOIN billing_event AS row USING (billing_event_id)
        WHERE hold.cleared_at IS NULL AND hold.reason = 'limit_exceeded'
          AND (hold.contract_id = ANY(CAST(:contract_ids AS uuid[]))
               OR row.bill_to_customer_id = ANY(CAST(:customer_ids AS uuid[]))))
""")


async def note(
    tx: AsyncConnection,
    contract_ids: Collection[ContractId],
    customer_ids: Collection[CustomerId],
    *,
    at: datetime,
) -> None:
    """Note that limits of these contracts, or of these customers, have room again."""
    await tx.execute(
        _NOTE,
        {
            "limit_wake_id": [new_id() for _ in (*contract_ids, *customer_ids)],
            "contract_id": [*contract_ids, *(None for _ in customer_ids)],
            "customer_id": [*(None for _ in contract_ids), *customer_ids],
            "noted_at": [at] * (len(contract_ids) + len(customer_ids)),
        },
    )


async def take(tx: AsyncConnection, *, limit: int) -> tuple[set[ContractId], set[CustomerId], int]:
    """Take the oldest notes; return the contracts and customers named, and how many they were."""
    notes = (await tx.execute(_TAKE, {"limit": limit})).all()
    contract_ids = {each.contract_id for each in notes if each.contract_id is not None}
    customer_ids = {each.customer_id for each in notes if each.customer_id is not None}
    return contract_ids, customer_ids, len(notes)


async def wake(
    tx: AsyncConnection,
    contract_ids: Collection[ContractId],
    customer_ids: Collection[CustomerId],
    *,
    epoch: int,
) -> None:
    """Have what limits of these stop judged again, by the facts of `epoch`."""
    values = {
        "contract_ids": list(contract_ids),
        "customer_ids": list(customer_ids),
        "epoch": epoch,
    }
    await tx.execute(_WAKE, values)
