"""Billable items, as their owner takes them back."""

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment.bulk import netting
from throughline_core.errors import FailedPrecondition
from throughline_runtime import audit

ASIDE_SECONDS: Final = 600
"""Longer than an owner takes to commit and publish; then the items are billable again."""


class ItemClaimed(FailedPrecondition):
    """The item is on a draft or an issued invoice."""

    code = "billable_item.claimed"


async def set_items_aside(tx: AsyncConnection, billing_event_ids: Collection[UUID]) -> datetime:
    """Keep items from being claimed while their owner takes them back; return until when.

    Raises:
        ItemClaimed: one of them is on a draft or an issued invoice.
    """
    await netting.lock_contracts(tx, await netting.contracts_of(tx, billing_event_ids))
    claim = await netting.claimed(tx, billing_event_ids)
    if claim is not None:
        item_id, invoice_id, number = claim
        document = f"invoice {number}" if number else f"draft {invoice_id}"
        raise ItemClaimed(
            f"billing event {item_id} is on {document}",
            field="billing_event_ids",
            advice="void the draft first" if number is None else "credit the invoice instead",
        )
    until = await netting.set_aside(tx, billing_event_ids, seconds=ASIDE_SECONDS)
    audit.touch(tx, *billing_event_ids)
    return until
