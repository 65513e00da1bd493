"""Writes what a batch moved on retainers, and tells of periods that were granted or closed."""

from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.domain.retainer import RetainerPeriod
from billing_event.domain.retainer_book import RetainerBook
from billing_event.repository import retainer
from billing_event.wire import retainers
from throughline_core.money import Money
from throughline_runtime import exceptions, outbox

OVERDRAWN: Final = "retainer.drawn_beyond_end"


async def keep(tx: AsyncConnection, book: RetainerBook, *, at: datetime) -> None:
    """Write the balances of changed periods with their entries, and queue what is told of them.

    What is drawn beyond what a period grants is for people to agree on, until it is made good.
    """
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
    if book.overdrawn:
        beyond = [each for each in book.overdrawn.values() if each.is_overdrawn]
        await exceptions.open_all(tx, map(_halt, beyond))
        good = [key for key, each in book.overdrawn.items() if not each.is_overdrawn]
        await exceptions.close(tx, OVERDRAWN, good)


def _halt(period: RetainerPeriod) -> exceptions.Halt:
    block = period.block
    value = Money(period.overdrawn_value, block.price.currency)
    return exceptions.Halt(
        kind=OVERDRAWN,
        subject_id=period.retainer_period_id,
        reason=f"the retainer's period from {block.service.start} ends early and grants"
        f" {block.quantity.normalize():f} {block.unit}; {period.overdrawn.normalize():f} more, paid"
        f" {value}, were drawn before",
        owner="finance",
        advice="agree with the customer on what was drawn beyond the shorter period, and adjust",
        legal_entity_id=block.legal_entity_id,
        engagement_id=block.engagement_id,
    )
