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

FAULTS = ("unexplained_sources", "over_allocated", "quantity_mismatch", "given_up", "limits")


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


# What must not be of a retainer: each names the first period of which it is so.
_UNSOUND_RETAINERS = """
    WITH entry AS (
        SELECT retainer_period_id,
               sum(quantity) AS balance, sum(value) AS value,
               coalesce(sum(quantity) FILTER (WHERE kind IN ('grant', 'top_up')), 0) AS granted,
               coalesce(sum(value) FILTER (WHERE kind IN ('grant', 'top_up')), 0) AS paid,
               coalesce(sum(quantity) FILTER (WHERE kind = 'carry_in'), 0) AS carried_in,
               -coalesce(sum(quantity) FILTER (WHERE kind IN ('draw', 'give_back')), 0) AS drawn,
               -coalesce(sum(quantity) FILTER (WHERE kind = 'carry_out'), 0) AS carried_out,
               -coalesce(sum(quantity) FILTER (WHERE kind = 'lapse'), 0) AS lapsed
        FROM retainer_entry GROUP BY retainer_period_id
    ), bucket AS (
        SELECT retainer_period_id, sum(quantity) AS quantity, sum(value) AS value
        FROM retainer_bucket GROUP BY retainer_period_id
    ), added AS (
        SELECT retainer_period_id, sum(quantity) AS quantity, sum(price) AS price
        FROM retainer_top_up WHERE status = 'approved' GROUP BY retainer_period_id
    ), agreed AS (
        SELECT retainer_period_id,
               CASE WHEN status IN ('open', 'closed') THEN block ELSE 0 END
                   + CASE status WHEN 'void' THEN 0 ELSE coalesce(added.quantity, 0) END AS granted,
               CASE WHEN status IN ('open', 'closed') THEN period.price ELSE 0 END
                   + CASE status WHEN 'void' THEN 0 ELSE coalesce(added.price, 0) END AS paid
        FROM retainer_period AS period LEFT JOIN added USING (retainer_period_id)
    ), drawn AS (
        SELECT event.retainer_period_id, sum(allocation.amount) AS amount
        FROM allocation JOIN billing_event AS event USING (billing_event_id)
        WHERE allocation.kind = 'retainer' GROUP BY event.retainer_period_id
    ), drawn_entry AS (
        SELECT retainer_period_id, -sum(value) AS value
        FROM retainer_entry WHERE kind IN ('draw', 'give_back') GROUP BY retainer_period_id
    )
    SELECT period.period_from, fault.what
    FROM retainer_period AS period
    JOIN agreed USING (retainer_period_id)
    LEFT JOIN entry USING (retainer_period_id)
    LEFT JOIN bucket USING (retainer_period_id)
    LEFT JOIN drawn USING (retainer_period_id)
    LEFT JOIN drawn_entry USING (retainer_period_id)
    CROSS JOIN LATERAL (VALUES
        ('its statement is not its balance',
         (coalesce(entry.granted, 0), coalesce(entry.carried_in, 0), coalesce(entry.drawn, 0),
          coalesce(entry.carried_out, 0), coalesce(entry.lapsed, 0), coalesce(entry.balance, 0))
         <> (period.granted, period.carried_in, period.drawn, period.carried_out, period.lapsed,
             period.balance)),
        ('its blocks are not its balance',
         (coalesce(bucket.quantity, 0), coalesce(bucket.value, 0))
         <> (period.balance, coalesce(entry.value, 0))),
        ('more or less is granted than is agreed',
         (period.granted - period.overdrawn, coalesce(entry.paid, 0) - period.overdrawn_value)
         <> (agreed.granted, agreed.paid)),
        ('draws are not what rows were claimed for',
         coalesce(drawn.amount, 0) <> coalesce(drawn_entry.value, 0)),
        ('something is left though it is over',
         period.status IN ('closed', 'void') AND period.balance <> 0),
        ('more is left though more is drawn than it grants',
         period.overdrawn > 0 AND EXISTS (
             SELECT FROM retainer_bucket AS own
             WHERE own.retainer_period_id = period.retainer_period_id
               AND own.origin_period_id = period.retainer_period_id AND own.quantity > 0))
    ) AS fault (what, is_so)
    WHERE fault.is_so
    UNION ALL
    SELECT NULL, 'what is carried on does not arrive' FROM (
        SELECT contract_line_id FROM retainer_period GROUP BY contract_line_id
        HAVING sum(carried_in) <> sum(carried_out)
    ) AS line
"""


async def assert_sound(engine: AsyncEngine) -> None:
    """Check that nothing is lost, doubled, claimed twice or over its limit."""
    found = await totals(engine)
    assert [sum(found[name].values()) for name in FAULTS] == [0] * len(FAULTS)
    assert [tuple(row) for row in await fetch(engine, _UNSOUND_RETAINERS)] == []
