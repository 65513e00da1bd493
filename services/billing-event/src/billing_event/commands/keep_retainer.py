"""Writes what a batch moved on retainers, and tells of periods that were granted or closed."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.domain.retainer_book import RetainerBook
from billing_event.repository import retainer
from billing_event.wire import retainers
from throughline_runtime import outbox


async def keep(tx: AsyncConnection, book: RetainerBook, *, at: datetime) -> None:
    """Write the balances of changed periods with their entries, and queue what is told of them."""
    if not book.changed:
        return
    rows = await retainer.save(tx, book, at=at)
    told = [row for row in rows if row.retainer_period_id in book.told]
    await outbox.append(
        tx,
        (
            retainers.period_changed(row, lapsed=book.lapsed.get(row.retainer_period_id))
            for row in told
        ),
    )
