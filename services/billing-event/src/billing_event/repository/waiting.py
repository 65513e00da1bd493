"""Finds things that wait: for newer facts, for room at a limit, for a person, for an original."""

from collections.abc import Collection
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.domain.source import ContractId, CustomerId, SourceItemId

# A thing is due again as soon as a fact it was judged by is newer than the judgement.
_DUE: Final = text("""
    WITH due AS (
        SELECT hold.source_item_id, hold.opened_at
        FROM hold JOIN contract_state AS contract USING (contract_id)
        LEFT JOIN billing_event AS row ON row.billing_event_id = hold.billing_event_id
        LEFT JOIN customer_state AS customer ON customer.customer_id = row.bill_to_customer_id
        WHERE hold.cleared_at IS NULL AND hold.reason NOT IN ('manual', 'source_changed')
          AND (CAST(:contract_ids AS uuid[]) IS NULL
               OR hold.contract_id = ANY(CAST(:contract_ids AS uuid[])))
          AND (contract.epoch > hold.epoch
               OR hold.reason IN ('credit_hold', 'tax_invalid') AND customer.epoch > hold.epoch
               OR hold.reason IN ('missing_rate', 'missing_fx_rate')
                  AND (SELECT max(epoch) FROM rate_card) > hold.epoch
               OR hold.reason = 'missing_fx_rate'
                  AND greatest((SELECT max(epoch) FROM exchange_rate),
                               (SELECT max(epoch) FROM exchange_policy)) > hold.epoch)
        UNION ALL
        -- What takes back a thing that has arrived since, and that nobody else took back.
        SELECT hold.source_item_id, hold.opened_at
        FROM hold JOIN source_item AS item USING (source_item_id)
        JOIN source_item AS original ON original.source_item_id = item.reverses_source_item_id
        WHERE hold.cleared_at IS NULL AND hold.reason = 'source_changed'
          AND (CAST(:contract_ids AS uuid[]) IS NULL
               OR hold.contract_id = ANY(CAST(:contract_ids AS uuid[])))
          AND NOT EXISTS (
              SELECT FROM billing_event AS row JOIN billing_event AS taker
                ON taker.reverses_billing_event_id = row.billing_event_id
              WHERE row.source_item_id = original.source_item_id
                AND taker.source_item_id <> original.source_item_id)
    )
    SELECT source_item_id FROM due
    GROUP BY source_item_id ORDER BY min(opened_at), source_item_id LIMIT :limit
""")

_LIMITED: Final = text("""
    SELECT source_item_id, min(CAST(contract_id AS text)) AS contract_id FROM hold
    WHERE cleared_at IS NULL AND reason = 'limit_exceeded'
      AND (contract_id = ANY(CAST(:contract_ids AS uuid[]))
           OR EXISTS (SELECT FROM billing_event AS row
                      WHERE row.billing_event_id = hold.billing_event_id
                        AND row.bill_to_customer_id = ANY(CAST(:customer_ids AS uuid[]))))
    GROUP BY source_item_id ORDER BY min(opened_at), source_item_id LIMIT :limit
""")

_OF_CUSTOMERS: Final = text("""
    SELECT DISTINCT source_item_id
    FROM contract_payer AS payer JOIN billing_event
      ON (billing_event.contract_id, billing_event.bill_to_customer_id)
         = (payer.contract_id, payer.customer_id)
    JOIN position USING (billing_event_id)
    WHERE payer.customer_id = ANY(CAST(:customer_ids AS uuid[]))
      AND position.status = 'eligible'
    ORDER BY source_item_id LIMIT :limit
""")

# What only people hold among it: no fact frees that, but who pays for it may change.
_OF_CONTRACTS: Final = text("""
    SELECT DISTINCT source_item_id
    FROM billing_event JOIN position USING (billing_event_id)
    WHERE contract_id = ANY(CAST(:contract_ids AS uuid[]))
      AND (position.status = 'eligible'
           OR position.status = 'held'
              AND EXISTS (SELECT FROM hold
                          WHERE hold.billing_event_id = billing_event.billing_event_id
                            AND hold.cleared_at IS NULL
                            AND hold.reason IN ('manual', 'source_changed')))
    ORDER BY source_item_id LIMIT :limit
""")

_REVERSALS: Final = text("""
    SELECT item.source_item_id
    FROM source_item AS item JOIN hold USING (source_item_id)
    WHERE item.reverses_source_item_id = ANY(CAST(:source_item_ids AS uuid[]))
      AND hold.cleared_at IS NULL
    ORDER BY item.source_item_id
""")


async def due(
    tx: AsyncConnection, *, contract_ids: Collection[ContractId] | None = None, limit: int
) -> list[SourceItemId]:
    """Return things whose holds were judged by facts that have changed, longest held first.

    Of these contracts alone if any are named.
    """
    values = {
        "contract_ids": None if contract_ids is None else list(contract_ids),
        "limit": limit,
    }
    return list((await tx.execute(_DUE, values)).scalars())


async def limited(
    tx: AsyncConnection,
    contract_ids: Collection[ContractId],
    customer_ids: Collection[CustomerId],
    *,
    limit: int,
) -> dict[SourceItemId, ContractId]:
    """Return things of these contracts, or billed to these customers, that a limit stops.

    Longest held first, each with its contract.
    """
    values = {
        "contract_ids": list(contract_ids),
        "customer_ids": list(customer_ids),
        "limit": limit,
    }
    found = await tx.execute(_LIMITED, values)
    return {row.source_item_id: ContractId(UUID(row.contract_id)) for row in found}


async def of_customers(
    tx: AsyncConnection, customer_ids: Collection[CustomerId], *, limit: int
) -> list[SourceItemId]:
    """Return things that these customers pay for and of which rows wait for the checkpoint."""
    values = {"customer_ids": list(customer_ids), "limit": limit}
    return list((await tx.execute(_OF_CUSTOMERS, values)).scalars())


async def of_contracts(
    tx: AsyncConnection, contract_ids: Collection[ContractId], *, limit: int
) -> list[SourceItemId]:
    """Return things of these contracts that have rows waiting for the checkpoint."""
    values = {"contract_ids": list(contract_ids), "limit": limit}
    return list((await tx.execute(_OF_CONTRACTS, values)).scalars())


async def reversals(
    tx: AsyncConnection, source_item_ids: Collection[SourceItemId]
) -> list[SourceItemId]:
    """Return what waits to take these things back."""
    ids = {"source_item_ids": list(source_item_ids)}
    return list((await tx.execute(_REVERSALS, ids)).scalars())
