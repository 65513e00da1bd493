"""Facts of other services in the books: posted, or kept until their legal entity is known."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment.domain.booking import Booking
from invoice_payment.repository import journal, master, waiting


async def book(tx: AsyncConnection, bookings: Sequence[Booking]) -> None:
    """Post each fact once; those of entities not known yet wait for these.

    Takes numbers of the journal's series, so nothing else is locked after it.
    """
    fresh = await journal.unposted(tx, bookings)
    if not fresh:
        return
    entity_ids = {booking.legal_entity_id for booking in fresh}
    known = await master.entities(tx, entity_ids)
    if known.keys() != entity_ids:
        # An entity that arrives at this moment either finds these facts or is found here.
        await master.lock_arrivals(tx)
        known = await master.entities(tx, entity_ids)
    await waiting.keep(tx, [each for each in fresh if each.legal_entity_id not in known])
    entries = [
        booking.entry(known[booking.legal_entity_id].time_zone)
        for booking in fresh
        if booking.legal_entity_id in known
    ]
    await journal.post(tx, entries)


async def book_waiting(tx: AsyncConnection, legal_entity_ids: Iterable[UUID]) -> None:
    """Post what waited for entities that are known now."""
    await book(tx, await waiting.take(tx, legal_entity_ids))
