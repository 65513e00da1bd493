"""From the approved entry to the event that says it is rated: latency, and speed on a backlog."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from e2e_probe import broker
from e2e_rest import Rest, read
from e2e_sandbox import Sandbox
from nats.aio.msg import Msg

from load.figures import Figure, milliseconds
from load.importing import bring_in
from load.world import BODY_ROWS
from throughline.billing_event.events.v1.billing_event_events_pb2 import BillingEventsRated
from throughline_runtime.events import subject_of

_RATER: Final = "billing-event"
_WAIT_SECONDS: Final = 120.0
_APART_SECONDS: Final = 0.02
_MESSAGES_MAX: Final = 1_000_000
_BYTES_MAX: Final = 2**31


class Listener:
    """Notes when each rated row was heard of on the broker."""

    def __init__(self) -> None:
        self.heard_at: dict[str, float] = {}

    async def take(self, message: Msg) -> None:
        """Note the rows of one event."""
        now = time.perf_counter()
        event = BillingEventsRated.FromString(message.data)
        self.heard_at.update((row.source_item_id, now) for row in event.billing_events)

    async def wait_for(self, count: int) -> float:
        """Return when so many rows in all had been heard of."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while len(self.heard_at) < count:
            assert time.monotonic() < deadline, f"{len(self.heard_at)} of {count} are rated"
            await asyncio.sleep(0.01)
        return max(self.heard_at.values())


@asynccontextmanager
async def listening(sandbox: Sandbox) -> AsyncIterator[Listener]:
    """Yield a listener to rated rows."""
    listener = Listener()
    async with broker(sandbox) as connection:
        subscription = await connection.subscribe(
            subject_of(BillingEventsRated),
            cb=listener.take,
            pending_msgs_limit=_MESSAGES_MAX,
            pending_bytes_limit=_BYTES_MAX,
        )
        await connection.flush()
        try:
            yield listener
        finally:
            await subscription.unsubscribe()


async def latency(sandbox: Sandbox, rest: Rest, rows: Sequence[bytes]) -> list[Figure]:
    """Measure from sending an approved entry to hearing that it is rated, one every 20 ms."""
    sent_at: dict[str, float] = {}

    async def send(body: bytes) -> None:
        started = time.perf_counter()
        reply = read(await rest.send("integration", "POST", "/v1/time-entries:batch", body))
        sent_at[reply["results"][0]["time_entry_id"]] = started

    async with listening(sandbox) as listener, asyncio.TaskGroup() as tasks:
        for body in rows:
            tasks.create_task(send(body))
            await asyncio.sleep(_APART_SECONDS)
        await listener.wait_for(len(rows))
    waits = [listener.heard_at[entry_id] - at for entry_id, at in sent_at.items()]
    return [
        Figure(f"approved entry to rated event, p{p}", milliseconds(waits, p), "ms", is_cost=True)
        for p in (50, 99)
    ]


async def backlog(sandbox: Sandbox, rest: Rest, bodies: Sequence[bytes]) -> Figure:
    """Measure how fast what has piled up is rated: the service sleeps while it is imported."""
    pid = sandbox.programs()[_RATER].pid
    assert pid is not None
    async with listening(sandbox) as listener:
        os.kill(pid, signal.SIGSTOP)
        try:
            await bring_in(rest, bodies)
        finally:
            os.kill(pid, signal.SIGCONT)
        started = time.perf_counter()
        count = len(bodies) * BODY_ROWS
        seconds = await listener.wait_for(count) - started
    return Figure("rating of a backlog", count / seconds, "entries/s", aim=4_000)
