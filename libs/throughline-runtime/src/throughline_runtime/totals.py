"""Control totals: figures that two services must agree on, compared by `reconcile`."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from throughline_runtime.subscription import Subscription

_PUBLISHED: Final = text("SELECT subject, count(*) AS events FROM outbox GROUP BY subject")
_TAKEN: Final = text("SELECT durable, count(*) AS events FROM inbox GROUP BY durable")
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

    With nothing under way, what one service published equals what each durable of it took.
    """
    published = {row.subject: row.events for row in await tx.execute(_PUBLISHED)}
    taken = {row.durable: row.events for row in await tx.execute(_TAKEN)}
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
