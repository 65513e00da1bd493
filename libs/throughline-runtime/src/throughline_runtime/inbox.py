"""The inbox: what a durable has taken, so that redelivery and replay change nothing."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from throughline_runtime import database
from throughline_runtime.schema import RETENTION_DAYS

_TAKE: Final = """
    INSERT INTO inbox (durable, event_id)
    SELECT $1, unnest($2::uuid[])
    ON CONFLICT DO NOTHING
    RETURNING event_id
"""

_FORGET: Final = text("""
    DELETE FROM inbox WHERE (durable, event_id) IN (
        SELECT durable, event_id FROM inbox
        WHERE received_at < now() - make_interval(days => :days)
        LIMIT :limit
    )
""")


async def take(tx: AsyncConnection, durable: str, event_ids: Iterable[UUID]) -> set[UUID]:
    """Mark events as taken by the durable and return those that were not before.

    One statement, in order of id, so that two workers with overlapping batches wait for each other
    instead of deadlocking. A worker that meets an event another one is working on waits for its
    outcome.
    """
    taken = await database.fetch(tx, _TAKE, durable, sorted(set(event_ids)))
    return {row["event_id"] for row in taken}


async def forget(engine: AsyncEngine) -> None:
    """Delete entries older than the retention, which outlives every stream, in chunks."""
    await database.delete_in_chunks(engine, _FORGET, days=RETENTION_DAYS)
