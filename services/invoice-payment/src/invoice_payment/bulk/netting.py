"""Lets items and those that take them back cancel each other, as long as neither is claimed."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment.domain.item import TakenBack
from invoice_payment.repository import credit
from invoice_payment.repository.open_items import ALIVE, CLAIMED, NETTED, STILL_BILLED

# In one order for all, as everywhere where contracts are locked.
_LOCK: Final = text("""
    SELECT contract_id FROM contract_terms
    WHERE contract_id = ANY(CAST(:contract_ids AS uuid[]))
    ORDER BY contract_id FOR NO KEY UPDATE
""")

# A reversal cancels with all portions of its original that nobody has claimed, if they sum to it:
# one that was released, or those that credit notes gave back.
_NET: Final = text(f"""
    WITH item AS MATERIALIZED (
        SELECT item.billing_event_id, item.portion, item.reverses_billing_event_id,
               item.bill_to_customer_id, item.currency, item.amount
        FROM billable_item AS item
        WHERE item.contract_id = ANY(CAST(:contract_ids AS uuid[]))
          AND (item.reverses_billing_event_id IS NOT NULL OR EXISTS (
              SELECT FROM billable_item AS reversal
              WHERE reversal.reverses_billing_event_id = item.billing_event_id))
          AND NOT {CLAIMED} AND NOT {NETTED} AND {ALIVE}
    ), pair AS (
        SELECT reversal.billing_event_id AS reversal_id, reversal.portion AS reversal_portion,
               original.billing_event_id AS original_id,
               array_agg(original.portion) AS original_portions
        FROM item AS reversal
        JOIN item AS original
          ON original.billing_event_id = reversal.reverses_billing_event_id
         AND original.bill_to_customer_id = reversal.bill_to_customer_id
         AND original.currency = reversal.currency
        GROUP BY reversal.billing_event_id, reversal.portion, reversal.amount,
                 original.billing_event_id
        HAVING sum(original.amount) = -reversal.amount
    )
    INSERT INTO netted_item (billing_event_id, portion, counterpart_id, netted_at)
    SELECT original_id, unnest(original_portions), reversal_id, CAST(:at AS timestamptz) FROM pair
    UNION ALL
    SELECT reversal_id, reversal_portion, original_id, CAST(:at AS timestamptz) FROM pair
    ON CONFLICT (billing_event_id, portion) DO NOTHING
""")

_REVERSED: Final = text("""
    SELECT DISTINCT contract_id FROM billable_item
    WHERE billing_event_id = ANY(CAST(:billing_event_ids AS uuid[]))
      AND reverses_billing_event_id IS NOT NULL
    UNION
    SELECT contract_id FROM billable_item
    WHERE reverses_billing_event_id = ANY(CAST(:billing_event_ids AS uuid[]))
""")

_CONTRACTS: Final = text("""
    SELECT DISTINCT contract_id FROM billable_item
    WHERE billing_event_id = ANY(CAST(:billing_event_ids AS uuid[]))
""")

_CLAIMED: Final = text(f"""
    SELECT claim.billing_event_id, claim.invoice_id, invoice.number
    FROM invoice_item AS claim JOIN invoice USING (invoice_id)
    WHERE {STILL_BILLED}
      AND claim.billing_event_id = ANY(CAST(:billing_event_ids AS uuid[]))
    ORDER BY claim.billing_event_id LIMIT 1
""")

_SET_ASIDE: Final = text("""
    INSERT INTO item_set_aside (billing_event_id, until)
    SELECT billing_event_id, now() + make_interval(secs => :seconds)
    FROM unnest(CAST(:billing_event_ids AS uuid[])) AS item (billing_event_id)
    ORDER BY billing_event_id
    ON CONFLICT (billing_event_id) DO UPDATE SET until = EXCLUDED.until
    RETURNING until
""")

# In one order for all, as where they are set aside.
_PUT_BACK: Final = text("""
    DELETE FROM item_set_aside WHERE billing_event_id IN (
        SELECT aside.billing_event_id
        FROM item_set_aside AS aside
        JOIN unnest(
            CAST(:billing_event_ids AS uuid[]), CAST(:untils AS timestamptz[])
        ) AS item (billing_event_id, until) USING (billing_event_id)
        WHERE aside.until <= item.until
        ORDER BY aside.billing_event_id FOR UPDATE OF aside)
""")


async def net_arrived(
    tx: AsyncConnection, billing_event_ids: Collection[UUID], *, at: datetime
) -> list[TakenBack]:
    """Cancel pairs one side of which has just arrived, if nobody has claimed either side.

    Returns what credit notes had given up of what is taken back: it counts again, and cancels too.
    """
    ids = {"billing_event_ids": list(billing_event_ids)}
    contract_ids = sorted((await tx.execute(_REVERSED, ids)).scalars())
    if not contract_ids:
        return []
    await lock_contracts(tx, contract_ids)
    taken = await credit.return_taken_back(tx, billing_event_ids)
    await net(tx, contract_ids, at=at)
    return taken


async def net(tx: AsyncConnection, contract_ids: Sequence[UUID], *, at: datetime) -> None:
    """Cancel all pairs of these contracts, whose terms the caller has locked, that are unclaimed.

    Where the terms are not known yet nothing can be claimed, and nothing has to be locked.
    """
    await tx.execute(_NET, {"contract_ids": list(contract_ids), "at": at})


async def lock_contracts(tx: AsyncConnection, contract_ids: Sequence[UUID]) -> None:
    """Keep runs from claiming items of these contracts until the transaction ends."""
    await tx.execute(_LOCK, {"contract_ids": list(contract_ids)})


async def contracts_of(tx: AsyncConnection, billing_event_ids: Collection[UUID]) -> list[UUID]:
    """Return the contracts of those items that arrived, in order."""
    ids = {"billing_event_ids": list(billing_event_ids)}
    return sorted((await tx.execute(_CONTRACTS, ids)).scalars())


async def claimed(
    tx: AsyncConnection, billing_event_ids: Collection[UUID]
) -> tuple[UUID, UUID, str | None] | None:
    """Return one of the items that is on a live invoice, the invoice and its number, or None."""
    ids = {"billing_event_ids": list(billing_event_ids)}
    row = (await tx.execute(_CLAIMED, ids)).one_or_none()
    return None if row is None else (row.billing_event_id, row.invoice_id, row.number)


async def set_aside(
    tx: AsyncConnection, billing_event_ids: Collection[UUID], *, seconds: int
) -> datetime:
    """Keep items from being claimed for so long, by the database's own clock; return until when."""
    values = {"billing_event_ids": list(billing_event_ids), "seconds": seconds}
    untils: list[datetime] = list((await tx.execute(_SET_ASIDE, values)).scalars())
    return max(untils)


async def put_back(tx: AsyncConnection, untils: Mapping[UUID, datetime]) -> None:
    """Let items be claimed again, but those that are set aside for longer."""
    values = {"billing_event_ids": list(untils), "untils": list(untils.values())}
    await tx.execute(_PUT_BACK, values)
