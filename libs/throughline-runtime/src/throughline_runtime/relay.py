"""The relay: publishes outbox rows in order for each aggregate, and marks what is acknowledged.

A lane is a hash partition of aggregates, worked on by whoever holds its advisory lock. The lock,
the reading and the marking share one connection, so that losing it ends all three together. Rows
are read without row locks on purpose: skipping a locked row would publish what follows it first.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC
from typing import Any, Final
from uuid import UUID

import structlog
from nats.errors import Error as NatsError
from nats.js.api import PubAck
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from throughline_core.errors import Refusal
from throughline_runtime import database
from throughline_runtime.broker import Broker
from throughline_runtime.outbox import LANES, wake_of
from throughline_runtime.pace import Backoff, wait_for_any
from throughline_runtime.telemetry.metrics import (
    OUTBOX_PENDING,
    OUTBOX_PUBLISHED,
    RELAY_LAG_SECONDS,
)

POLL_SECONDS: Final = 0.05
LANE_BATCH: Final = 100
LANE_BATCH_BYTES: Final = 2 * 1024 * 1024
ACK_TIMEOUT_SECONDS: Final = 5.0
_LOCK_CLASS: Final = 0x6C61_6E65  # Any number all relays of a database agree on.
_LOCK_SECONDS: Final = 1.0
_GAUGE_SECONDS: Final = 5.0

_log: Final = structlog.get_logger(__name__)

_HOLD: Final = text("""
    SELECT lane FROM unnest(CAST(:lanes AS int[])) AS lane
    WHERE pg_try_advisory_lock(:class, lane)
""")

_READ: Final = text("""
    SELECT pending.* FROM unnest(CAST(:lanes AS smallint[])) AS held (lane)
    CROSS JOIN LATERAL (
        SELECT first.*, sum(octet_length(payload)) OVER (ORDER BY position)
               - octet_length(payload) AS bytes_before
        FROM (
            SELECT * FROM outbox
            WHERE outbox.lane = held.lane AND published_at IS NULL
            ORDER BY position LIMIT :limit
        ) AS first
    ) AS pending
    WHERE pending.bytes_before < :bytes
    ORDER BY pending.position
""")

_MARK: Final = text("""
    UPDATE outbox SET published_at = clock_timestamp()
    WHERE position = ANY(CAST(:positions AS bigint[]))
""")

# Counts no further than an alarm needs, because a relay that is far behind has better things to do.
_MEASURE: Final = text("""
    SELECT count(*) AS rows,
           coalesce(extract(epoch FROM now() - min(created_at)), 0) AS lag_seconds
    FROM (SELECT created_at FROM outbox WHERE published_at IS NULL LIMIT 100000) AS pending
""")


class Relay:
    """Publishes the outbox of one database; any number of relays share its lanes out."""

    def __init__(self, engine: AsyncEngine, broker: Broker) -> None:
        self._engine = engine
        self._broker = broker
        self._wake = wake_of(engine)
        self._problem: str | None = "the relay has not started"

    @property
    def problem(self) -> str | None:
        """Why nothing is published now, for readiness; None when all is well."""
        return self._problem

    async def run(self, stop: asyncio.Event) -> None:
        """Publish until `stop` is set. A lost database or broker is waited for."""
        backoff = Backoff()
        while not stop.is_set():
            try:
                async with database.session(self._engine) as connection:
                    try:
                        await self._work(connection, stop, backoff)
                    finally:
                        # The locks belong to the session, which goes back to the pool.
                        await connection.invalidate()
            except Exception as error:
                self._problem = f"the relay is out of work: {type(error).__name__}"
                _log.warning(
                    "relay_interrupted",
                    error=type(error).__name__,
                    exc_info=None if isinstance(error, Refusal) else error,
                )
                await backoff.wait(stop)

    async def _work(
        self, connection: AsyncConnection, stop: asyncio.Event, backoff: Backoff
    ) -> None:
        lanes = _Lanes(connection)
        gauge = _Gauge(connection)
        while not stop.is_set():
            self._wake.clear()
            await lanes.hold_more()
            await gauge.measure()
            self._problem = await self._find_problem()
            if self._problem is not None:
                await wait_for_any([stop], timeout_seconds=0.5)
                continue
            backoff.reset()
            if not await self._publish_round(connection, lanes):
                await wait_for_any([stop, self._wake], timeout_seconds=POLL_SECONDS)

    async def _find_problem(self) -> str | None:
        if not self._broker.is_connected:
            return "the broker is not connected"
        return await self._broker.durability_problem()

    async def _publish_round(self, connection: AsyncConnection, lanes: "_Lanes") -> bool:
        """Publish one batch of each lane; return whether there was anything."""
        usable = lanes.usable()
        if not usable:
            return False
        rows = await self._read(connection, usable)
        if not rows:
            return False
        published: list[int] = []
        failed: set[int] = set()
        for wave in waves(rows):
            sendable = [row for row in wave if row.lane not in failed]
            done = await self._publish(sendable)
            published += [row.position for row in sendable if row.position in done]
            failed |= {row.lane for row in sendable if row.position not in done}
        if published:
            await connection.execute(_MARK, {"positions": published})
            OUTBOX_PUBLISHED.inc(len(published))
        lanes.note(worked={row.lane for row in rows} - failed, failed=failed)
        return bool(published)

    async def _read(self, connection: AsyncConnection, lanes: Sequence[int]) -> Sequence[Row[Any]]:
        batch = {"lanes": lanes, "limit": LANE_BATCH, "bytes": LANE_BATCH_BYTES}
        return (await connection.execute(_READ, batch)).all()

    async def _publish(self, rows: Sequence[Row[Any]]) -> set[int]:
        """Publish rows of different aggregates at once; return the positions acknowledged."""
        sent: dict[asyncio.Future[PubAck], int] = {}
        try:
            for row in rows:
                # A fresh dict for each: the client may write into it.
                future = await self._broker.jetstream.publish_async(
                    row.subject,
                    row.payload,
                    wait_stall=ACK_TIMEOUT_SECONDS,
                    headers=headers_of(row),
                )
                sent[future] = row.position
        except NatsError as error:
            _log.warning("publish_failed", error=type(error).__name__)
        return await _acknowledged(sent)


async def _acknowledged(sent: dict[asyncio.Future[PubAck], int]) -> set[int]:
    """Wait for the acks. What is not acknowledged in time may be stored all the same.

    An answer that says the stream is full shows as late too: the client hands it to `error_cb` and
    leaves the future waiting.
    """
    if not sent:
        return set()
    done, late = await asyncio.wait(sent, timeout=ACK_TIMEOUT_SECONDS)
    for future in late:
        future.cancel()
    refused = {future for future in done if future.exception() is not None}
    if late or refused:
        reasons = sorted({type(future.exception()).__name__ for future in refused})
        _log.warning("publish_failed", late=len(late), refused=len(refused), reasons=reasons)
    return {sent[future] for future in done - refused}


def waves(rows: Iterable[Row[Any]]) -> list[list[Row[Any]]]:
    """Return the rows in waves: the n-th event of each aggregate is in the n-th.

    A wave is sent at once and awaited before the next. An event is so never under way together
    with the one before it of the same aggregate, which could fail and be overtaken.
    """
    found: list[list[Row[Any]]] = []
    seen: defaultdict[UUID, int] = defaultdict(int)
    for row in rows:
        number = seen[row.aggregate_id]
        seen[row.aggregate_id] += 1
        if number == len(found):
            found.append([])
        found[number].append(row)
    return found


def headers_of(row: Row[Any]) -> dict[str, str]:
    """Return the headers an outbox row is published with: CloudEvents attributes and our own.

    A replay has a message id of its own, because the broker would drop one it has seen.
    """
    event_id = str(row.event_id)
    publisher = row.subject.partition(".")[0].replace("_", "-")
    headers = {
        "Nats-Msg-Id": f"{event_id}.r{row.republished}" if row.republished else event_id,
        "ce-id": event_id,
        "ce-type": row.subject,
        "ce-source": f"/throughline/{publisher}",
        "ce-time": row.created_at.astimezone(UTC).isoformat(),
        "ce-specversion": "1.0",
        "schema": row.schema,
        "aggregate-id": str(row.aggregate_id),
        "aggregate-version": str(row.aggregate_version),
    }
    if row.correlation_id is not None:
        headers["correlation-id"] = str(row.correlation_id)
    if row.engagement_id is not None:
        headers["engagement-id"] = str(row.engagement_id)
    if row.traceparent is not None:
        headers["traceparent"] = row.traceparent
    return headers


class _Lanes:
    """The lanes this session holds, and which of them rest after a failure."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._held: set[int] = set()
        self._resting: dict[int, Backoff] = {}
        self._asked_at = float("-inf")

    async def hold_more(self) -> None:
        """Take the lanes that nobody holds, asking at most once a second."""
        missing = sorted(set(range(LANES)) - self._held)
        if not missing or time.monotonic() - self._asked_at < _LOCK_SECONDS:
            return
        self._asked_at = time.monotonic()
        taken = await self._connection.execute(_HOLD, {"lanes": missing, "class": _LOCK_CLASS})
        self._held |= set(taken.scalars())

    def usable(self) -> list[int]:
        """Return the lanes to read from now."""
        return sorted(lane for lane in self._held if not self._rests(lane))

    def note(self, *, worked: set[int], failed: set[int]) -> None:
        """Let lanes that failed rest, longer each time, and end the rest of those that worked."""
        for lane in failed:
            self._resting.setdefault(lane, Backoff()).grow()
        for lane in worked:
            self._resting.pop(lane, None)

    def _rests(self, lane: int) -> bool:
        backoff = self._resting.get(lane)
        return backoff is not None and not backoff.is_over


class _Gauge:
    """Measures what is pending, now and then."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._measured_at = float("-inf")

    async def measure(self) -> None:
        if time.monotonic() - self._measured_at < _GAUGE_SECONDS:
            return
        self._measured_at = time.monotonic()
        row = (await self._connection.execute(_MEASURE)).one()
        OUTBOX_PENDING.set(row.rows)
        RELAY_LAG_SECONDS.set(float(row.lag_seconds))
