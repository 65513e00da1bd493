"""Control totals: figures that two services must agree on, compared by `reconcile`."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from throughline_runtime.schema import RETENTION_DAYS
from throughline_runtime.subscription import Subscription

COUNTED_DAYS: Final = RETENTION_DAYS - 7
"""How far back deliveries are counted: so far that no service has forgotten any of them yet."""

_PUBLISHED: Final = text("""
    SELECT subject, count(*) AS events FROM outbox WHERE event_id >= :since GROUP BY subject
""")
_TAKEN: Final = text("""
    SELECT durable, count(*) AS events FROM inbox WHERE event_id >= :since GROUP BY durable
""")
_PARKED: Final = text("SELECT count(*) FROM parked_event WHERE status = 'parked'")


@dataclass(frozen=True, slots=True)
class ControlTotal:
    """A named set of exact figures, such as counts and sums by currency, as of one snapshot."""

    name: str
    figures: Mapping[str, Decimal | int]


ControlTotals = Callable[[AsyncConnection], Awaitable[Sequence[ControlTotal]]]
"""Reads a service's control totals inside one read-only transaction."""


async def delivery_totals(
    tx: AsyncConnection, subscriptions: Sequence[Subscription[Any]]
) -> list[ControlTotal]:
    """Return what the service published and took: events by subject, and by durable and subject.

    With nothing under way, what one service published equals what each durable of it took. Counted
    is what was recorded in the last `COUNTED_DAYS`, from midnight in UTC: the same events in all
    services, whichever of them has forgotten older ones already.
    """
    since = {"since": _first_id(datetime.now(UTC).date() - timedelta(days=COUNTED_DAYS))}
    published = {row.subject: row.events for row in await tx.execute(_PUBLISHED, since)}
    taken = {row.durable: row.events for row in await tx.execute(_TAKEN, since)}
    return [
        ControlTotal("outbox", published),
        ControlTotal(
            "inbox",
            {
                f"{each.durable} {each.subject}": taken.get(each.durable, 0)
                for each in subscriptions
            },
        ),
        ControlTotal("parked", {"count": await tx.scalar(_PARKED) or 0}),
    ]


def _first_id(day: date) -> UUID:
    """Return the least UUIDv7 of a day in UTC; event ids are such, in order of time."""
    midnight = datetime.combine(day, time(), UTC)
    return UUID(int=int(midnight.timestamp() * 1000) << 80)
