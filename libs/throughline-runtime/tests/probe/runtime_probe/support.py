"""Settings, events and waiting, which the runtime's tests share."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from runtime_probe.tables import effect
from throughline.customer_contract.events.v1.customer_contract_events_pb2 import QuoteApproved
from throughline.customer_contract.v1.quote_pb2 import Quote
from throughline_runtime import database, outbox
from throughline_runtime.events import Outgoing
from throughline_runtime.ids import new_id
from throughline_runtime.process import Loop
from throughline_runtime.settings import Settings
from throughline_testing.settings import make_settings

SERVICE = "runtime-probe"


def settings_for(**values: Any) -> Settings:
    """Return the probe's settings: they reach nothing but what `values` name."""
    return make_settings(SERVICE, **{"database_pool_size": 20} | values)


def an_event(
    note: str, *, aggregate: int = 1, version: int = 1, correlation_id: UUID | None = None
) -> Outgoing:
    """Return an event of aggregate number `aggregate`; `note` tells it from others."""
    return Outgoing(
        QuoteApproved(
            quote=Quote(quote_id=note), correlation_id=str(correlation_id or UUID(int=42))
        ),
        aggregate_id=UUID(int=aggregate),
        aggregate_version=version,
    )


def note_of(event: QuoteApproved) -> str:
    return event.quote.quote_id


async def append(engine: AsyncEngine, *events: Outgoing) -> None:
    """Commit events in one transaction."""
    async with database.write(engine) as tx:
        await outbox.append(tx, events)


async def record(tx: AsyncConnection, events: Sequence[QuoteApproved]) -> None:
    """Leave one effect for each event: a consumer's function at its simplest."""
    rows = [{"aggregate_id": new_id(), "note": note_of(event)} for event in events]
    await tx.execute(insert(effect), rows)


async def effects(engine: AsyncEngine) -> list[str]:
    """Return the notes of all effects in the order they were left."""
    async with database.read(engine) as tx:
        return list(await tx.scalars(select(effect.c.note).order_by(effect.c.place)))


async def end_sessions(engine: AsyncEngine) -> None:
    """End every other session of the engine's role, as a server that restarts does."""
    async with database.session(engine) as session:
        await session.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename ="
                " current_user AND datname = current_database() AND pid <> pg_backend_pid()"
            )
        )


@asynccontextmanager
async def looping(*loops: Loop) -> AsyncIterator[None]:
    """Run loops beside the block, and stop them at its end as a process does."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(loop.run(stop)) for loop in loops]
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(10):
            await asyncio.gather(*tasks)


async def until(condition: Callable[[], Awaitable[bool]], *, seconds: float = 15) -> None:
    """Return when the condition holds.

    Raises:
        TimeoutError: it does not within `seconds`.
    """
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110  # What is waited for is in other processes.
            await asyncio.sleep(0.02)


class Wire:
    """A TCP line to a server that can be cut and mended; both ends see the other one vanish."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server: asyncio.Server | None = None
        self._streams: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def mend(self) -> None:
        """Let connections through, on the same port each time."""
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """End all connections and refuse new ones."""
        assert self._server is not None
        self._server.close()
        for stream in list(self._streams):
            stream.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._streams |= {writer, far_writer}
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
        self._streams -= {writer, far_writer}


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()
