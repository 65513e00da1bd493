"""What customers owe."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment.repository.open_items import ALIVE
from throughline.invoice_payment.v1 import receivable_service_pb2 as pb
from throughline_core.money import Money
from throughline_runtime.fields import write_money

# A credit note is an invoice below zero: its rest lowers what is owed.
_EXPOSURE: Final = text(f"""
    WITH owed AS (
        SELECT customer_id, currency,
               sum(gross_total - paid_total - credited_total) AS open_invoices,
               CAST(0 AS numeric) AS unbilled
        FROM invoice
        WHERE customer_id = ANY(CAST(:customer_ids AS uuid[])) AND number IS NOT NULL
          AND gross_total <> paid_total + credited_total
          AND (CAST(:entity_ids AS uuid[]) IS NULL
               OR legal_entity_id = ANY(CAST(:entity_ids AS uuid[])))
        GROUP BY customer_id, currency
        UNION ALL
        SELECT item.bill_to_customer_id, item.currency, 0, sum(item.amount)
        FROM billable_item AS item
        WHERE item.bill_to_customer_id = ANY(CAST(:customer_ids AS uuid[]))
          AND (CAST(:entity_ids AS uuid[]) IS NULL
               OR item.legal_entity_id = ANY(CAST(:entity_ids AS uuid[])))
          AND item.treatment <> 'drawn' AND {ALIVE}
          AND NOT EXISTS (
              SELECT FROM invoice_item AS claim JOIN invoice USING (invoice_id)
              WHERE claim.billing_event_id = item.billing_event_id
                AND claim.portion = item.portion AND claim.is_live
                AND invoice.number IS NOT NULL)
        GROUP BY item.bill_to_customer_id, item.currency
    )
    SELECT customer_id, currency, sum(open_invoices) AS open_invoices, sum(unbilled) AS unbilled
    FROM owed GROUP BY customer_id, currency
    HAVING sum(open_invoices) <> 0 OR sum(unbilled) <> 0
    ORDER BY customer_id, currency
""")


async def exposure(
    tx: AsyncConnection,
    customer_ids: Sequence[UUID],
    *,
    legal_entity_ids: Collection[UUID] | None,
) -> list[pb.CustomerExposure]:
    """Return what each customer owes, in the order they are named: one query for all of them."""
    rows = await tx.execute(
        _EXPOSURE,
        {"customer_ids": list(customer_ids), "entity_ids": _entity_ids(legal_entity_ids)},
    )
    found: dict[UUID, list[pb.Exposure]] = defaultdict(list)
    for row in rows:
        found[row.customer_id].append(
            pb.Exposure(
                open_invoices=write_money(Money(row.open_invoices, row.currency)),
                unbilled=write_money(Money(row.unbilled, row.currency)),
            )
        )
    return [
        pb.CustomerExposure(customer_id=str(each), exposures=found.get(each, ()))
        for each in customer_ids
    ]


def _entity_ids(legal_entity_ids: Collection[UUID] | None) -> list[UUID] | None:
    return None if legal_entity_ids is None else list(legal_entity_ids)
