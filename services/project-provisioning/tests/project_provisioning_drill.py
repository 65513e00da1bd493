"""The service as a process of its own that is killed where a test wants it: no step is faked.

A test stops the process by what it needs next: a lock on a table it writes, or an answer that a
peer withholds. That it waits there is seen from outside before it is killed.
"""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from socket import socket
from typing import Any, Final

import asyncpg
from nats.js import JetStreamContext
from project_provisioning_builders import US01
from project_provisioning_world import PMO, contract_activated

from project_provisioning.consumers import SUBSCRIPTIONS
from throughline.project_provisioning.v1.provisioning_service_pb2_grpc import (
    ProvisioningServiceStub,
)
from throughline_core.errors import Unavailable
from throughline_runtime.events import event_types, subject_of
from throughline_runtime.settings import Settings
from throughline_runtime.streams import Sizing, apply, durable_of, stream_of
from throughline_testing.database import Database
from throughline_testing.serving import running_at
from throughline_testing.settings import CALLER_KEY

PUBLISHED: Final = "PROJECT_PROVISIONING"
_WAIT_SECONDS: Final = 45.0
_LOOK_SECONDS: Final = 0.01

_DRIVER: Final = ("+asyncpg", "")

_WAITERS: Final = """
    SELECT count(*) FROM pg_locks
    WHERE NOT granted AND relation = $1::regclass
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_TERMINATE: Final = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND usename = current_user AND wait_event_type = 'Lock'
"""
# Everything that is made for a contract, by table.
_MADE: Final = """
    SELECT 'project' AS name, count(*) FROM project WHERE contract_id = $1
    UNION ALL SELECT 'project_line', count(*) FROM project_line WHERE project_id IN ({projects})
    UNION ALL SELECT 'task', count(*) FROM task WHERE project_id IN ({projects})
    UNION ALL SELECT 'milestone', count(*) FROM milestone WHERE project_id IN ({projects})
    UNION ALL SELECT 'role_requirement', count(*) FROM role_requirement
              WHERE project_id IN ({projects})
    UNION ALL SELECT 'baseline', count(*) FROM baseline WHERE project_id IN ({projects})
    UNION ALL SELECT 'provisioning_run', count(*) FROM provisioning_run WHERE contract_id = $1
    UNION ALL SELECT 'run_step', count(*) FROM run_step JOIN provisioning_run USING (run_id)
              WHERE contract_id = $1
""".format(projects="SELECT project_id FROM project WHERE contract_id = $1")


class Gate:
    """Holds an answer back until it is opened."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self._reached = asyncio.Event()

    def shut(self) -> None:
        self._open.clear()
        self._reached.clear()

    def open(self) -> None:
        self._open.set()

    async def pass_through(self) -> None:
        self._reached.set()
        await self._open.wait()

    async def met(self) -> None:
        """Return once somebody waits for the answer."""
        await asyncio.wait_for(self._reached.wait(), _WAIT_SECONDS)


class Lock:
    """Keeps everybody from writing to a table; reading goes on."""

    def __init__(self, table: str, holder: asyncpg.Connection, watcher: asyncpg.Connection) -> None:
        self._table = table
        self._holder = holder
        self._watcher = watcher
        self._transaction = holder.transaction()

    async def take(self) -> None:
        await self._transaction.start()
        await self._holder.execute(f"LOCK TABLE {self._table} IN SHARE MODE")

    async def met(self) -> None:
        """Return once the process waits to write to the table."""

        async def look() -> bool:
            return bool(await self._watcher.fetchval(_WAITERS, self._table))

        await until(f"{self._table} is about to be written", look)

    async def release(self) -> None:
        if self._holder.is_in_transaction():
            await self._transaction.rollback()


class Drill:
    """The service's process on a database and a broker of its own, and what became of deals."""

    def __init__(
        self, settings: Settings, database: Database, context: JetStreamContext, log: Path
    ) -> None:
        self._settings = settings
        self._database = database
        self._context = context
        self._log = log
        self._port = _free_port()
        self._process: asyncio.subprocess.Process | None = None
        self.kills = 0

    async def start(self) -> None:
        """Start the process, unless it runs."""
        if self._is_alive:
            return
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "project_provisioning",
                "all",
                env=os.environ | self._environment(),
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
            )

    @property
    def _is_alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def kill(self) -> None:
        """Kill -9, where the process stands.

        The database would still run what was sent to it and waits, so that dies as well.
        """
        assert self._is_alive, self._log.read_text()
        await self.end()
        connection = await asyncpg.connect((self._settings.database_url or "").replace(*_DRIVER))
        try:
            await connection.execute(_TERMINATE)
        finally:
            await connection.close()
        self.kills += 1

    async def end(self) -> None:
        if self._process is not None and self._is_alive:
            self._process.kill()
            await self._process.wait()

    async def deliver_anew(self) -> None:
        """Have every message delivered again at once, instead of those unsettled in half a minute.

        What was taken already is taken as a repetition.
        """
        for subscription in SUBSCRIPTIONS:
            durable = durable_of(subscription)
            await self._context.delete_consumer(durable.stream, durable.name)
        await prepare(self._context)

    async def announce(self, contract_id: str) -> None:
        """Let a deal come into force that two legal entities deliver."""
        event = contract_activated(contract_id=contract_id)
        event.contract.lines[1].terms.delivering_legal_entity_id = str(US01)
        await self._context.publish(
            subject_of(type(event)),
            event.SerializeToString(),
            headers={
                "Nats-Msg-Id": contract_id,
                "ce-id": contract_id,
                "ce-type": subject_of(type(event)),
                "ce-time": "2026-09-01T06:00:00+00:00",
                "aggregate-id": contract_id,
                "aggregate-version": "1",
            },
        )

    @asynccontextmanager
    async def locked(self, table: str) -> AsyncIterator[Lock]:
        """Keep the process from writing to a table within the block."""
        async with self._connected() as holder, self._connected() as watcher:
            lock = Lock(table, holder, watcher)
            await lock.take()
            try:
                yield lock
            finally:
                await lock.release()

    @asynccontextmanager
    async def lock_next(self, table: str) -> AsyncIterator["asyncio.Task[Lock]"]:
        """Queue for a lock that whoever writes to the table now is in the way of."""
        async with self._connected() as holder, self._connected() as watcher:
            lock = Lock(table, holder, watcher)
            taking = asyncio.create_task(_taken(lock))
            try:
                await lock.met()
                yield taking
            finally:
                await taking
                await lock.release()

    async def state_of(self, contract_id: str) -> str | None:
        """Return where the delivery of a deal stands, None before there is any."""
        async with self._connected() as connection:
            state: str | None = await connection.fetchval(
                "SELECT state FROM provisioning_run WHERE contract_id = $1", contract_id
            )
        return state

    async def reaches(self, contract_id: str, state: str) -> None:
        """Return once the delivery of a deal stands there."""

        async def look() -> bool:
            return await self.state_of(contract_id) == state

        await until(f"the run of {contract_id} is {state}", look)

    async def command(self, method: str, request: Any) -> Any:
        """Ask the process itself, as the gateway does.

        Raises:
            Unavailable: it is dead, or died before it answered.
        """
        async with running_at(f"dns:///127.0.0.1:{self._port}") as running:
            stub = running.stub(ProvisioningServiceStub, caller=PMO)
            return await getattr(stub, method)(request, timeout=20)

    async def insist(self, method: str, request: Any) -> Any:
        """Ask the process with the same key until it answers: it may be starting."""
        while True:
            try:
                return await self.command(method, request)
            except Unavailable:
                await asyncio.sleep(_LOOK_SECONDS)

    async def run_id_of(self, contract_id: str) -> str:
        async with self._connected() as connection:
            query = "SELECT run_id FROM provisioning_run WHERE contract_id = $1"
            return str(await connection.fetchval(query, contract_id))

    async def made_for(self, contract_id: str) -> Mapping[str, int]:
        """Return how many rows there are for a deal, by table."""
        async with self._connected() as connection:
            rows = await connection.fetch(_MADE, contract_id)
        return {row["name"]: row["count"] for row in rows}

    async def open_exceptions(self) -> int:
        async with self._connected() as connection:
            query = "SELECT count(*) FROM exception_item WHERE closed_at IS NULL"
            return int(await connection.fetchval(query))

    async def published(self) -> Mapping[str, Counter[str]]:
        """Return how often the stream holds each kind of event, by deal, once all is published."""

        async def is_idle() -> bool:
            async with self._connected() as connection:
                query = "SELECT count(*) FROM outbox WHERE published_at IS NULL"
                return not int(await connection.fetchval(query))

        await until("everything is published", is_idle)
        found: dict[str, Counter[str]] = {}
        subscription = await self._context.pull_subscribe("", stream=PUBLISHED)
        while (await subscription.consumer_info()).num_pending:
            try:
                messages = await subscription.fetch(200, timeout=2)
            except TimeoutError:  # asked again, as long as the broker has any
                continue
            for message in messages:
                event: Any = event_types()[message.subject].FromString(message.data)
                is_of_project = "project" in event.DESCRIPTOR.fields_by_name
                told_of = event.project if is_of_project else event
                found.setdefault(told_of.contract_id, Counter())[type(event).__name__] += 1
        await subscription.unsubscribe()
        return found

    def _environment(self) -> dict[str, str]:
        settings = self._settings
        values = {
            "SERVICE": settings.service,
            "ENVIRONMENT": "test",
            "DATABASE_URL": settings.database_url or "",
            "NATS_URL": settings.nats_url,
            "NATS_USER": settings.nats_user,
            "NATS_PASSWORD": settings.nats_password.get_secret_value(),
            "REQUIRE_DURABLE_BROKER": "false",
            "PEERS": json.dumps(settings.peers),
            "CALLER_KEY": CALLER_KEY,
            "GRPC_ADDRESS": f"127.0.0.1:{self._port}",
            "HTTP_ADDRESS": "127.0.0.1:0",
        }
        return {f"THROUGHLINE_{name}": value for name, value in values.items()}

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[asyncpg.Connection]:
        """Connect as the owner, who may lock tables."""
        connection = await asyncpg.connect(self._database.owner_url.replace(*_DRIVER))
        try:
            yield connection
        finally:
            await connection.close()


async def until(what: str, look: Callable[[], Awaitable[bool]]) -> None:
    """Return once it is so."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while not await look():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        await asyncio.sleep(_LOOK_SECONDS)


async def prepare(context: JetStreamContext) -> None:
    """Make the streams and durables the process needs."""
    durables = [durable_of(subscription) for subscription in SUBSCRIPTIONS]
    publishers = {durable.stream for durable in durables} | {PUBLISHED}
    streams = [stream_of(name.lower()) for name in sorted(publishers)]
    await apply(context, streams, durables, Sizing())


async def _taken(lock: Lock) -> Lock:
    await lock.take()
    return lock


def _free_port() -> int:
    with socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
