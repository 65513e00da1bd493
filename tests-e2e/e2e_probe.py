"""Direct looks at the stack's own servers: its database as superuser, its broker, its processes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

import asyncpg
import nats
import psutil
from e2e_sandbox import Sandbox
from nats.aio.client import Client

from throughline_cli.stack.broker import ADMINISTRATOR
from throughline_cli.stack.postgres import Postgres
from throughline_cli.stack.secrets import Secrets
from throughline_cli.stack.services import ALL_SERVICES

_MEBIBYTE: Final = 2**20
_LOOK_SECONDS: Final = 0.05


@asynccontextmanager
async def database(sandbox: Sandbox, service: str) -> AsyncIterator[asyncpg.Connection]:
    """Yield a superuser's connection to a service's database."""
    password = Secrets(sandbox.layout.secrets).value("postgres-superuser")
    server = Postgres(sandbox.layout.postgres, password, max_connections=1)
    connection = await server.connect(service.replace("-", "_"))
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def broker(sandbox: Sandbox) -> AsyncIterator[Client]:
    """Yield an administrator's connection to the broker."""
    assert sandbox.state.nats_url is not None
    password = Secrets(sandbox.layout.secrets).value(f"nats-{ADMINISTRATOR}")
    connection = await nats.connect(sandbox.state.nats_url, user=ADMINISTRATOR, password=password)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def watched(sandbox: Sandbox, service: str) -> AsyncIterator[Callable[[], float]]:
    """Watch a service's resident memory during the block; the peak so far is in MiB."""
    process = psutil.Process(sandbox.programs()[service].pid)
    peak = 0.0

    def look() -> float:
        nonlocal peak
        family = [process, *process.children(recursive=True)]
        peak = max(peak, sum(member.memory_info().rss for member in family) / _MEBIBYTE)
        return peak

    async def keep_looking() -> None:
        while True:
            look()
            await asyncio.sleep(_LOOK_SECONDS)

    looking = asyncio.create_task(keep_looking())
    try:
        yield look
    finally:
        looking.cancel()


def memory(sandbox: Sandbox) -> Mapping[str, float]:
    """Return the resident memory of each service in MiB, with the processes it started."""
    programs = sandbox.programs()
    found = {}
    for service in ALL_SERVICES:
        process = psutil.Process(programs[service.name].pid)
        family = [process, *process.children(recursive=True)]
        found[service.name] = sum(member.memory_info().rss for member in family) / _MEBIBYTE
    return found
