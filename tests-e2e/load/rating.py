"""From the approved entry to the event that says it is rated: latency, and speed on a backlog."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Final

import httpx
import psutil
from e2e_probe import broker
from e2e_rest import Rest, read
from e2e_sandbox import Sandbox
from nats.aio.msg import Msg

from load.figures import Figure, milliseconds
from load.importing import bring_in
from load.world import BODY_ROWS, Timeclock
from throughline.billing_event.events.v1.billing_event_events_pb2 import BillingEventsRated
from throughline_runtime.events import subject_of

ENTRIES_A_SECOND: Final = 10_000
"""Of one process on four quiet cores."""

_RATER: Final = "billing-event"
_FOLLOWERS: Final = ("invoice-payment", "reporting", "connectors")
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


@dataclass(frozen=True, slots=True)
class Backlog:
    """How a backlog was rated: entries, seconds, and seconds of all processors of the machine."""

    entries: int
    seconds: float
    processor_seconds: float

    def speed(self, who: str) -> Figure:
        """Return how many entries a second were rated."""
        name = f"rating of a backlog, {who}"
        return Figure(name, self.entries / self.seconds, "entries/s", aim=ENTRIES_A_SECOND)

    def cost(self, who: str) -> Figure:
        """Return what an entry costs: where it stays the same, more processes are as much faster
        as there are processors for them."""
        name = f"processor time of a rated entry, {who}"
        return Figure(name, self.processor_seconds / self.entries * 1e6, "µs", is_cost=True)


async def warm_backlog(
    sandbox: Sandbox, rest: Rest, clock: Timeclock, *, bodies: int, others: Sequence[int] = ()
) -> Backlog:
    """Measure the second of two equal backlogs: the first takes everybody to its working size."""
    await _backlog(sandbox, rest, await clock.bodies(bodies), others)
    return await _backlog(sandbox, rest, await clock.bodies(bodies), others)


async def _backlog(
    sandbox: Sandbox, rest: Rest, bodies: Sequence[bytes], others: Sequence[int]
) -> Backlog:
    """Measure how fast what has piled up is rated: the service sleeps while it is imported.

    Those that follow it sleep while it rates, because they would take its cores. `others` are
    processes that consume beside it.
    """
    pids = (_pid_of(sandbox, _RATER), *others)
    followers = [_pid_of(sandbox, name) for name in _FOLLOWERS]
    count = len(bodies) * BODY_ROWS
    async with listening(sandbox) as listener:
        with _asleep(pids):
            await bring_in(rest, bodies)
        with _asleep(followers):
            started, busy = time.perf_counter(), _busy_seconds()
            seconds = await listener.wait_for(count) - started
            return Backlog(count, seconds, _busy_seconds() - busy)


@asynccontextmanager
async def another_consumer(sandbox: Sandbox) -> AsyncIterator[int]:
    """Run a second process of consumers during the block, and yield its id once it is ready."""
    first = psutil.Process(sandbox.programs()[_RATER].pid)
    port = _free_port()
    settings = {"THROUGHLINE_HTTP_ADDRESS": f"127.0.0.1:{port}"}
    second = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "billing_event",
        "consume",
        env=first.environ() | settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        await _ready(f"http://127.0.0.1:{port}/readyz")
        yield second.pid
    finally:
        second.terminate()
        await second.wait()


async def _ready(url: str) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    async with httpx.AsyncClient(trust_env=False) as http:
        while True:
            with suppress(httpx.TransportError):
                if (await http.get(url)).is_success:
                    return
            assert time.monotonic() < deadline, "the second process is not ready"
            await asyncio.sleep(0.1)


def _pid_of(sandbox: Sandbox, program: str) -> int:
    pid = sandbox.programs()[program].pid
    assert pid is not None, f"{program} has ended"
    return pid


@contextmanager
def _asleep(pids: Sequence[int]) -> Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def _busy_seconds() -> float:
    """Return for how long the processors of this machine have worked, all together."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
