"""Billable items, and where they are on their way to an invoice."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment.repository.open_items import ALIVE, CLAIMED, KEPT_BACK, NETTED, STILL_BILLED
from throughline.invoice_payment.v1 import billable_item_service_pb2 as pb
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
from throughline_runtime.page import MalformedPage, Page, next_token

# Where a portion is follows from claims and what was said of it, never from a flag.
_PLACED: Final = f"""
    SELECT item.*, claim.invoice_id, invoice.number, claim.credited_quantity,
           CASE WHEN retracted.withdrawn_version >= item.row_version THEN 'withdrawn'
                WHEN {NETTED} THEN 'netted'
                WHEN invoice.number IS NOT NULL AND {STILL_BILLED} THEN 'invoiced'
                WHEN invoice.number IS NOT NULL AND EXISTS (
                    SELECT FROM credit_item AS gone
                    WHERE gone.invoice_id = claim.invoice_id AND gone.is_live
                      AND gone.billing_event_id = claim.billing_event_id
                      AND gone.portion = claim.portion AND gone.disposition = 'write_off'
                      AND NOT EXISTS (
                          SELECT FROM billable_item AS again
                          WHERE again.billing_event_id = gone.billing_event_id
                            AND again.returned_by = gone.credit_note_id
                            AND again.taken_back_by IS NOT NULL))
                THEN 'written_off'
                WHEN invoice.number IS NOT NULL THEN 'credited'
                WHEN claim.invoice_id IS NOT NULL THEN 'drafted'
                WHEN retracted.written_off_version >= item.row_version
                     AND retracted.undone_version < retracted.written_off_version
                THEN 'written_off'
                WHEN NOT ({ALIVE}) THEN 'withdrawn'
                WHEN item.treatment = 'drawn' THEN 'drawn'
                WHEN {KEPT_BACK} THEN 'waiting'
                ELSE 'open' END AS status
    FROM billable_item AS item
    LEFT JOIN invoice_item AS claim
      ON claim.billing_event_id = item.billing_event_id AND claim.portion = item.portion
     AND claim.is_live
    LEFT JOIN invoice ON invoice.invoice_id = claim.invoice_id
    LEFT JOIN retracted_item AS retracted
      ON retracted.billing_event_id = item.billing_event_id
"""

_ITEMS: Final = text(f"""
    WITH placed AS (
        {_PLACED}
        WHERE (CAST(:contract_id AS uuid) IS NULL
               OR item.contract_id = CAST(:contract_id AS uuid))
          AND (CAST(:entity_ids AS uuid[]) IS NULL
               OR item.legal_entity_id = ANY(CAST(:entity_ids AS uuid[])))
          AND (NOT CAST(:negative_only AS boolean) OR item.amount < 0)
          AND (NOT CAST(:net_negative_only AS boolean)
               OR (item.contract_id, item.bill_to_customer_id) IN (
                   SELECT item.contract_id, item.bill_to_customer_id
                   FROM billable_item AS item
                   WHERE item.treatment <> 'drawn' AND NOT {CLAIMED} AND NOT {NETTED}
                     AND {ALIVE} AND NOT {KEPT_BACK}
                   GROUP BY item.contract_id, item.bill_to_customer_id
                   HAVING sum(item.amount) < 0))
          AND (CAST(:after_contract AS uuid) IS NULL
               OR (item.contract_id, item.service_from, item.billing_event_id, item.portion)
                > (CAST(:after_contract AS uuid), CAST(:after_day AS date),
                   CAST(:after_id AS uuid), CAST(:after_portion AS integer)))
    )
    SELECT * FROM placed
    WHERE CAST(:status AS text) IS NULL OR status = :status
    ORDER BY contract_id, service_from, billing_event_id, portion LIMIT :limit
""")

# What a credit note returned is a portion of its own; what it gave up is where it was billed.
_LOCATIONS: Final = text(f"""
    WITH placed AS (
        {_PLACED} WHERE item.billing_event_id = ANY(CAST(:billing_event_ids AS uuid[]))
    ), credited AS (
        SELECT credit.invoice_id, credit.billing_event_id, credit.portion,
               sum(credit.quantity) AS quantity,
               sum(credit.quantity) FILTER (WHERE credit.disposition = 'write_off') AS given_up
        FROM credit_item AS credit JOIN invoice AS note ON note.invoice_id = credit.credit_note_id
        WHERE credit.billing_event_id = ANY(CAST(:billing_event_ids AS uuid[]))
          AND credit.is_live AND note.number IS NOT NULL
        GROUP BY credit.invoice_id, credit.billing_event_id, credit.portion
    ), located AS (
        SELECT billing_event_id, portion, status, invoice_id, number,
               CASE status WHEN 'invoiced' THEN placed.quantity - coalesce(credited.quantity, 0)
                    ELSE placed.quantity END AS quantity
        FROM placed LEFT JOIN credited USING (invoice_id, billing_event_id, portion)
        WHERE status NOT IN ('withdrawn', 'credited')
          AND (status <> 'written_off' OR number IS NULL)
        UNION ALL
        SELECT billing_event_id, portion, 'written_off', invoice_id, number, given_up
        FROM placed JOIN credited USING (invoice_id, billing_event_id, portion)
        WHERE status <> 'withdrawn' AND given_up <> 0
    )
    SELECT * FROM located ORDER BY billing_event_id, portion, status
""")


class ItemStatus(StrEnum):
    """Where a portion of an item is."""

    OPEN = "open"
    DRAFTED = "drafted"
    INVOICED = "invoiced"
    NETTED = "netted"
    WAITING = "waiting"
    WITHDRAWN = "withdrawn"
    WRITTEN_OFF = "written_off"
    DRAWN = "drawn"
    CREDITED = "credited"


ITEM_STATUSES: Final = EnumMap(pb.BillableItemStatus, ItemStatus)


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """Which items are wanted; None does not limit."""

    contract_id: UUID | None
    legal_entity_ids: Collection[UUID] | None
    status: ItemStatus | None
    negative_only: bool
    net_negative_only: bool


async def items(
    tx: AsyncConnection, wanted: ItemFilter, page: Page
) -> pb.ListBillableItemsResponse:
    """Return a page of billable items by contract and day of service."""
    contract, day, item_id, portion = page.after or (None, None, None, None)
    rows = await tx.execute(
        _ITEMS,
        {
            "contract_id": wanted.contract_id,
            "entity_ids": None
            if wanted.legal_entity_ids is None
            else list(wanted.legal_entity_ids),
            "negative_only": wanted.negative_only,
            "net_negative_only": wanted.net_negative_only,
            "status": wanted.status,
            "after_contract": None if contract is None else read_uuid("page_token", contract),
            "after_day": None if day is None else read_date("page_token", day),
            "after_id": None if item_id is None else read_uuid("page_token", item_id),
            "after_portion": None if portion is None else _read_portion(portion),
            "limit": page.size + 1,
        },
    )
    found = rows.all()
    shown = found[: page.size]
    response = pb.ListBillableItemsResponse(billable_items=map(_write_item, shown))
    if len(found) > page.size:
        last = shown[-1]
        response.next_page_token = next_token(
            last.contract_id, last.service_from, last.billing_event_id, last.portion
        )
    return response


async def locate(tx: AsyncConnection, billing_event_ids: Sequence[UUID]) -> pb.LocateItemsResponse:
    """Return where items are, by billing event; withdrawn and unknown ones are left out."""
    rows = await tx.execute(_LOCATIONS, {"billing_event_ids": list(billing_event_ids)})
    return pb.LocateItemsResponse(
        locations=[
            pb.ItemLocation(
                billing_event_id=str(row.billing_event_id),
                status=ITEM_STATUSES.write(ItemStatus(row.status)),
                quantity=write_decimal(row.quantity),
                invoice_id=write_id(row.invoice_id) or None,
                invoice_number=row.number or "",
            )
            for row in rows
        ]
    )


def _read_portion(value: str) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) < 10):
        raise MalformedPage("page_token is not one this list gave out", field="page_token")
    return int(value)


def _write_item(row: Row[Any]) -> pb.BillableItem:
    def money(amount: Decimal) -> Any:
        return write_money(Money(amount, row.currency))

    return pb.BillableItem(
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
        treatment=row.treatment,
        purchase_order_number=row.purchase_order_number,
        portion=row.portion,
        returned_by_credit_note_id=write_id(row.returned_by) or None,
        credited_quantity=write_decimal(row.credited_quantity or Decimal(0)),
    )
