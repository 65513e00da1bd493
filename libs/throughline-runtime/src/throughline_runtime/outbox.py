"""The outbox: events become rows in the transaction that made them true."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final
from uuid import UUID
from weakref import WeakKeyDictionary
from zlib import crc32

from sqlalchemy import Engine, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from throughline_runtime import audit, database
from throughline_runtime.events import Outgoing
from throughline_runtime.ids import new_id
from throughline_runtime.schema import RETENTION_DAYS
from throughline_runtime.telemetry import tracing

LANES: Final = 8
PAYLOAD_BYTES_MAX: Final = 256 * 1024
_CHUNK_ROWS: Final = 5_000

_APPEND: Final = """
    INSERT INTO outbox (event_id, lane, subject, schema, payload, aggregate_id, aggregate_version,
                        correlation_id, engagement_id, traceparent)
    SELECT event_id, lane, subject, schema, payload, aggregate_id, aggregate_version,
           correlation_id, engagement_id, $10
    FROM unnest(
        $1::uuid[], $2::smallint[], $3::text[], $4::text[], $5::bytea[], $6::uuid[], $7::bigint[],
        $8::uuid[], $9::uuid[]
    ) WITH ORDINALITY AS event (event_id, lane, subject, schema, payload, aggregate_id,
                                aggregate_version, correlation_id, engagement_id, place)
    ORDER BY place
"""

_REPUBLISH: Final = text("""
    WITH chosen AS (
        SELECT position FROM outbox
        WHERE position > :after AND created_at >= :since AND published_at < :until
        ORDER BY position LIMIT :limit
    ), marked AS (
        UPDATE outbox SET published_at = NULL, republished = republished + 1
        WHERE position IN (SELECT position FROM chosen)
    )
    SELECT count(*) AS rows, max(position) AS last FROM chosen
""")

_FORGET: Final = text("""
    DELETE FROM outbox WHERE position IN (
        SELECT position FROM outbox
        WHERE created_at < now() - make_interval(days => :days) AND published_at IS NOT NULL
        LIMIT :limit
    )
""")


_WAKES: Final[WeakKeyDictionary[Engine, asyncio.Event]] = WeakKeyDictionary()


def lane_of(aggregate_id: UUID) -> int:
    """Return the lane of an aggregate: the same one for all its events, for ever."""
    return crc32(aggregate_id.bytes) % LANES


async def append(tx: AsyncConnection, outgoing: Iterable[Outgoing]) -> None:
    """Queue events for publication if the transaction commits: one statement, however many.

    They are published in the order given here, for each aggregate. Its writer holds its row locked
    by now, which makes that order the order of commits.

    Raises:
        ValueError: an event is larger than `PAYLOAD_BYTES_MAX`; its publisher has to chunk it.
    """
    events = list(outgoing)
    if not events:
        return
    touched = audit.touched(tx)
    payloads = [_payload(event) for event in events]
    correlation_ids = [event.correlation_id for event in events]
    engagement_ids = [event.engagement_id for event in events]
    touched.aggregate_ids.update(event.aggregate_id for event in events)
    touched.correlation_ids.update(filter(None, correlation_ids))
    touched.engagement_ids.update(filter(None, engagement_ids))
    await database.fetch(
        tx,
        _APPEND,
        [new_id() for _ in events],
        [lane_of(event.aggregate_id) for event in events],
        [event.subject for event in events],
        [event.message.DESCRIPTOR.full_name for event in events],
        payloads,
        [event.aggregate_id for event in events],
        [event.aggregate_version for event in events],
        correlation_ids,
        engagement_ids,
        tracing.inject().get("traceparent"),
    )
    # Setting it costs nothing; NOTIFY in the transaction would halve the commits.
    wake = _WAKES.get(tx.sync_connection.engine) if tx.sync_connection else None
    if wake is not None:
        database.after_commit(tx, wake.set)


def wake_of(engine: AsyncEngine) -> asyncio.Event:
    """Return the event that is set whenever this process commits something to publish."""
    return _WAKES.setdefault(engine.sync_engine, asyncio.Event())


async def republish(engine: AsyncEngine, *, since: datetime) -> int:
    """Have everything recorded from `since` on published again, and return how many events.

    The streams can be rebuilt so after the broker lost its store. Events keep their ids, so that
    consumers which have seen one ignore it.
    """
    total, last, until = 0, 0, datetime.now(UTC)
    while True:
        chunk = {"after": last, "since": since, "until": until, "limit": _CHUNK_ROWS}
        async with database.write(engine) as tx:
            row = (await tx.execute(_REPUBLISH, chunk)).one()
        if not row.rows:
            return total
        total, last = total + int(row.rows), int(row.last)


async def forget(engine: AsyncEngine) -> None:
    """Delete published events older than the retention, in chunks."""
    await database.delete_in_chunks(engine, _FORGET, days=RETENTION_DAYS)


def _payload(event: Outgoing) -> bytes:
    payload = event.payload
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise ValueError(f"{event.subject} of {len(payload)} bytes has to be published in chunks")
    return payload
