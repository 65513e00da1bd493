"""The programs of a stack: what runs, with which environment, and when it is ready."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

import httpx

from throughline_cli.stack.broker import Broker
from throughline_cli.stack.failure import StackFailure
from throughline_cli.stack.postgres import Postgres
from throughline_cli.stack.program import IsAlive, Program
from throughline_cli.stack.services import ServiceSpec

SERVICE_READY_SECONDS: Final = 120


def postgres_program(postgres: Postgres, log: Path) -> Program:
    """Return the database server, ended by a fast shutdown that waits for no client."""
    return Program(
        name="postgres",
        command=tuple(postgres.command()),
        log=log,
        wait_ready=postgres.wait_ready,
        stop_signal=signal.SIGINT,
        address=str(postgres.sockets),
    )


def broker_program(broker: Broker, log: Path) -> Program:
    """Return the broker."""
    return Program(
        name="nats",
        command=tuple(broker.command()),
        log=log,
        wait_ready=broker.wait_ready,
        address=broker.url,
    )


def service_program(
    service: ServiceSpec, environment: Mapping[str, str], log: Path, *, http_port: int
) -> Program:
    """Return a service in its own process, ready when it says so itself."""
    address = f"http://127.0.0.1:{http_port}"
    return Program(
        name=service.name,
        command=(sys.executable, "-m", service.package, service.role),
        log=log,
        wait_ready=answering(service.name, f"{address}/readyz"),
        environment=environment,
        address=address,
        ready_url=f"{address}/readyz",
    )


def migration_program(service: ServiceSpec, environment: Mapping[str, str], log: Path) -> Program:
    """Return the migration of a service, which ends by itself."""
    return Program(
        name=f"{service.name}-migrate",
        command=(sys.executable, "-m", service.package, "migrate"),
        log=log,
        wait_ready=_at_once,
        environment=environment,
    )


def simulators_program(data: Path, log: Path, *, port: int) -> Program:
    """Return the vendors' stand-ins, all in one process, with what they know in one file."""
    address = f"http://127.0.0.1:{port}"
    return Program(
        name="simulators",
        command=(sys.executable, "-m", "throughline_simulators"),
        log=log,
        wait_ready=answering("simulators", f"{address}/_control/health"),
        environment={
            "THROUGHLINE_SIMULATORS_ADDRESS": f"127.0.0.1:{port}",
            "THROUGHLINE_SIMULATORS_DATA": str(data),
        },
        address=address,
        ready_url=f"{address}/_control/health",
    )


async def _at_once(_is_alive: IsAlive) -> None:
    """Wait for nothing."""


def answering(name: str, url: str) -> Callable[[IsAlive], Awaitable[None]]:
    """Return what waits until `url` answers with success.

    The wait raises `StackFailure` if the program ends, or is not ready within two minutes.
    """

    async def wait(is_alive: IsAlive) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + SERVICE_READY_SECONDS
        async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
            while not await answers(client, url):
                if not is_alive():
                    raise StackFailure(f"{name} ended while starting")
                if loop.time() > deadline:
                    raise StackFailure(f"{name} not ready in {SERVICE_READY_SECONDS} s")
                await asyncio.sleep(0.1)

    return wait


async def answers(client: httpx.AsyncClient, url: str) -> bool:
    """Whether `url` answers with success now."""
    try:
        return (await client.get(url)).is_success
    except httpx.TransportError:
        return False
