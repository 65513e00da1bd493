"""The service's own database in a test: events in, and what it says afterwards."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from billing_event_builders import NOW
from google.protobuf.message import Message
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from billing_event.commands import rate
from billing_event.consumers import subscriptions
from billing_event.queries.totals import control_totals
from throughline.billing_event.events.v1 import billing_event_events_pb2 as own
from throughline_runtime import database
from throughline_runtime.clock import Clock
from throughline_runtime.events import event_types

_BY_MESSAGE = {each.message: each for each in subscriptions(Clock())}

FAULTS = ("unexplained_sources", "over_allocated", "quantity_mismatch", "limits")


async def take(engine: AsyncEngine, *events: Message) -> None:
    """Hand events over as the runtime would, each kind as one batch in one transaction."""
    by_type: dict[type[Message], list[Message]] = {}
    for event in events:
        by_type.setdefault(type(event), []).append(event)
    for message_type, batch in by_type.items():
        async with database.write(engine) as tx:
            await _BY_MESSAGE[message_type].function(tx, batch)


async def fetch(engine: AsyncEngine, query: str, **values: Any) -> Sequence[Any]:
    async with database.read(engine) as tx:
        return (await tx.execute(text(query), values)).all()


async def rows(engine: AsyncEngine) -> list[tuple[str, str, str]]:
    """Return amount, status and holds of all rated rows, by thing and part."""
    found = await fetch(
        engine,
        """
        SELECT amount, status, coalesce(reasons, '') AS reasons
        FROM billing_event JOIN position USING (billing_event_id, quantity, amount)
        LEFT JOIN (SELECT billing_event_id, string_agg(reason, ' ' ORDER BY reason) AS reasons
                   FROM hold WHERE cleared_at IS NULL GROUP BY billing_event_id) AS held
          USING (billing_event_id)
        ORDER BY source_item_id, part
        """,
    )
    return [(f"{row.amount:.2f}", row.status, row.reasons) for row in found]


async def row_ids(engine: AsyncEngine) -> list[str]:
    """Return the ids of all rated rows, by thing and part."""
    found = await fetch(
        engine, "SELECT billing_event_id FROM billing_event ORDER BY source_item_id, part"
    )
    return [str(row.billing_event_id) for row in found]


async def unrated(engine: AsyncEngine) -> list[str]:
    """Return the reasons that hold things without a row."""
    found = await fetch(
        engine,
        """SELECT reason FROM hold WHERE billing_event_id IS NULL AND cleared_at IS NULL
           ORDER BY source_item_id""",
    )
    return [row.reason for row in found]


async def limit(engine: AsyncEngine) -> tuple[str, str, str]:
    """Return what is enforced, reserved and committed of the only limit."""
    [row] = await fetch(engine, "SELECT enforced, reserved, committed FROM limit_account")
    return tuple(f"{amount:.2f}" for amount in row)  # type: ignore[return-value]  # three


async def events_out(engine: AsyncEngine) -> list[Message]:
    """Return what was published so far, in order."""
    found = await fetch(engine, "SELECT subject, payload FROM outbox ORDER BY position")
    return [event_types()[row.subject].FromString(row.payload) for row in found]


def released_ids(events: Sequence[Message]) -> list[str]:
    return [
        row.billing_event_id
        for event in events
        if isinstance(event, own.BillingEventsReleased)
        for row in event.billing_events
    ]


async def totals(engine: AsyncEngine) -> dict[str, dict[str, Decimal | int]]:
    async with database.read(engine) as tx:
        return {each.name: dict(each.figures) for each in await control_totals(tx)}


async def look_again(engine: AsyncEngine) -> int:
    """Do what the schedule does about what is held; return how many things were due."""
    async with database.write(engine) as tx:
        await rate.wake_limited(tx)
    async with database.write(engine) as tx:
        return await rate.reconsider_due(tx, at=NOW)


async def assert_sound(engine: AsyncEngine) -> None:
    """Check that nothing is lost, doubled, claimed twice or over its limit."""
    found = await totals(engine)
    assert [sum(found[name].values()) for name in FAULTS] == [0] * len(FAULTS)
