"""What customers owe, and the billable items on their way to an invoice."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from throughline.invoice_payment.v1 import billable_item_service_pb2 as items_pb
from throughline.invoice_payment.v1 import receivable_service_pb2 as pb
from throughline_core.money import Money
from throughline_runtime.fields import (
    EnumMap,
    read_date,
    read_uuid,
    write_date,
    write_decimal,
    write_id,
    write_instant,
    write_money,
)
from throughline_runtime.page import Page, next_token

_EXPOSURE: Final = text("""
    WITH owed AS (
        SELECT customer_id, currency, sum(gross_total - paid_total) AS open_invoices,
               CAST(0 AS numeric) AS unbilled
        FROM invoice
        WHERE customer_id = ANY(CAST(:customer_ids AS uuid[])) AND number IS NOT NULL
          AND gross_total <> paid_total
          AND (CAST(:entity_ids AS uuid[]) IS NULL
               OR legal_entity_id = ANY(CAST(:entity_ids AS uuid[])))
        GROUP BY customer_id, currency
        UNION ALL
        SELECT item.bill_to_customer_id, item.currency, 0, sum(item.amount)
        FROM billable_item AS item
        WHERE item.bill_to_customer_id = ANY(CAST(:customer_ids AS uuid[]))
          AND (CAST(:entity_ids AS uuid[]) IS NULL
               OR item.legal_entity_id = ANY(CAST(:entity_ids AS uuid[])))
          AND NOT EXISTS (
              SELECT FROM invoice_item AS claim JOIN invoice USING (invoice_id)
              WHERE claim.billing_event_id = item.billing_event_id AND claim.is_live
                AND invoice.number IS NOT NULL)
        GROUP BY item.bill_to_customer_id, item.currency
    )
    SELECT customer_id, currency, sum(open_invoices) AS open_invoices, sum(unbilled) AS unbilled
    FROM owed GROUP BY customer_id, currency
    HAVING sum(open_invoices) <> 0 OR sum(unbilled) <> 0
    ORDER BY customer_id, currency
""")

_ITEMS: Final = text("""
    WITH item AS (
        SELECT item.*, claim.invoice_id,
               CASE WHEN netted.billing_event_id IS NOT NULL THEN 'netted'
                    WHEN invoice.number IS NOT NULL THEN 'invoiced'
                    WHEN claim.invoice_id IS NOT NULL THEN 'drafted'
                    WHEN aside.until > now() THEN 'waiting'
                    WHEN item.reverses_billing_event_id IS NOT NULL AND NOT EXISTS (
                        SELECT FROM billable_item AS original
                        WHERE original.billing_event_id = item.reverses_billing_event_id)
                    THEN 'waiting'
                    ELSE 'open' END AS status
        FROM billable_item AS item
        LEFT JOIN invoice_item AS claim
          ON claim.billing_event_id = item.billing_event_id AND claim.is_live
        LEFT JOIN invoice ON invoice.invoice_id = claim.invoice_id
        LEFT JOIN netted_item AS netted ON netted.billing_event_id = item.billing_event_id
        LEFT JOIN item_set_aside AS aside ON aside.billing_event_id = item.billing_event_id
        WHERE (CAST(:contract_id AS uuid) IS NULL
               OR item.contract_id = CAST(:contract_id AS uuid))
          AND (CAST(:entity_ids AS uuid[]) IS NULL
               OR item.legal_entity_id = ANY(CAST(:entity_ids AS uuid[])))
          AND (NOT CAST(:negative_only AS boolean) OR item.amount < 0)
          AND (CAST(:after_contract AS uuid) IS NULL
               OR (item.contract_id, item.service_from, item.billing_event_id)
                > (CAST(:after_contract AS uuid), CAST(:after_day AS date),
                   CAST(:after_id AS uuid)))
    )
    SELECT * FROM item
    WHERE CAST(:status AS text) IS NULL OR status = :status
    ORDER BY contract_id, service_from, billing_event_id LIMIT :limit
""")


class ItemStatus(StrEnum):
    """Where a billable item is; it follows from claims, never from a flag."""

    OPEN = "open"
    DRAFTED = "drafted"
    INVOICED = "invoiced"
    NETTED = "netted"
    WAITING = "waiting"


ITEM_STATUSES: Final = EnumMap(items_pb.BillableItemStatus, ItemStatus)


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """Which items are wanted; None does not limit."""

    contract_id: UUID | None
    legal_entity_ids: Collection[UUID] | None
    status: ItemStatus | None
    negative_only: bool


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


async def items(
    tx: AsyncConnection, wanted: ItemFilter, page: Page
) -> items_pb.ListBillableItemsResponse:
    """Return a page of billable items by contract and day of service."""
    contract, day, item_id = page.after or (None, None, None)
    rows = await tx.execute(
        _ITEMS,
        {
            "contract_id": wanted.contract_id,
            "entity_ids": _entity_ids(wanted.legal_entity_ids),
            "negative_only": wanted.negative_only,
            "status": wanted.status,
            "after_contract": None if contract is None else read_uuid("page_token", contract),
            "after_day": None if day is None else read_date("page_token", day),
            "after_id": None if item_id is None else read_uuid("page_token", item_id),
            "limit": page.size + 1,
        },
    )
    found = rows.all()
    shown = found[: page.size]
    response = items_pb.ListBillableItemsResponse(billable_items=map(_write_item, shown))
    if len(found) > page.size:
        last = shown[-1]
        response.next_page_token = next_token(
            last.contract_id, last.service_from, last.billing_event_id
        )
    return response


def _entity_ids(legal_entity_ids: Collection[UUID] | None) -> list[UUID] | None:
    return None if legal_entity_ids is None else list(legal_entity_ids)


def _write_item(row: Row[Any]) -> items_pb.BillableItem:
    def money(amount: Decimal) -> Any:
        return write_money(Money(amount, row.currency))

    return items_pb.BillableItem(
        billing_event_id=str(row.billing_event_id),
        source_item_id=str(row.source_item_id),
        contract_id=str(row.contract_id),
        contract_line_id=str(row.contract_line_id),
        legal_entity_id=str(row.legal_entity_id),
        bill_to_customer_id=str(row.bill_to_customer_id),
        status=ITEM_STATUSES.write(ItemStatus(row.status)),
        type=row.type,
        kind=row.kind,
        description=row.description,
        service_from=write_date(row.service_from),
        service_to=write_date(row.service_to),
        quantity=write_decimal(row.quantity),
        unit=row.unit,
        unit_rate=money(row.unit_rate),
        amount=money(row.amount),
        released_at=write_instant(row.released_at),
        reverses_billing_event_id=write_id(row.reverses_billing_event_id) or None,
        invoice_id=write_id(row.invoice_id) or None,
    )
