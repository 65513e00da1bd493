"""Keeps one server for all test processes of a run, and ends it when the last of them is gone.

Every test process holds a shared lock on a lease file. The keeper ends the server as soon as it
can take that lock alone: at a normal end, after a crash and after kill -9 alike, because the
kernel gives locks back.
"""

import argparse
import asyncio
import contextlib
import fcntl
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from throughline_cli.stack.broker import Account, Broker, User
from throughline_cli.stack.guard import Guard
from throughline_cli.stack.layout import free_port, write_secret
from throughline_cli.stack.postgres import Postgres, close_shared_databases
from throughline_cli.stack.program import Program, Runner
from throughline_cli.stack.programs import broker_program, postgres_program
from throughline_testing.servers import LEASE, READY, clear_away

ACCOUNTS: Final = 32
"""Accounts of the test broker; each test process works in one of its own."""

_LOOK_SECONDS: Final = 0.2


def test_postgres(folder: Path, password: str) -> Postgres:
    """Return the throwaway PostgreSQL of a test run; nothing in it survives a power cut."""
    return Postgres(folder / "server", password, max_connections=400, durable=False)


def test_account(number: int) -> str:
    """Return the name of an account and of its one user, who may do everything in it."""
    return f"test_{number}"


def _test_broker(folder: Path, password: str) -> Broker:
    accounts = tuple(
        Account(name, (User(name, password, (">",), (">",)),))
        for name in map(test_account, range(ACCOUNTS))
    )
    port = free_port()
    return Broker(folder / "server", port, free_port(taken=[port]), accounts)


async def keep(kind: str, folder: Path) -> None:
    """Run the server of `kind` in `folder` until nobody holds the lease."""
    with (folder / LEASE).open("w") as lease:
        guard = Guard(folder, lock=lease.fileno(), remove=folder)
        try:
            program, ready = _prepare(kind, folder)
            runner = Runner(program, guard, on_change=lambda: None)
            try:
                await runner.start()
                if kind == "postgres":
                    await _close_to_strangers(folder, ready["password"])
                write_secret(folder / READY, json.dumps(ready))
                await _nobody_left(lease.fileno())
            finally:
                await runner.stop()
        finally:
            guard.close()


def _prepare(kind: str, folder: Path) -> tuple[Program, Mapping[str, Any]]:
    password = secrets.token_urlsafe(16)
    log = folder / "server.log"
    if kind == "postgres":
        postgres = test_postgres(folder, password)
        postgres.initialise()
        return postgres_program(postgres, log), {"password": password}
    broker = _test_broker(folder, password)
    broker.initialise()
    return broker_program(broker, log), {
        "password": password,
        "url": broker.url,
        "monitor_url": broker.monitor_url,
    }


async def _close_to_strangers(folder: Path, password: str) -> None:
    connection = await test_postgres(folder, password).connect()
    await close_shared_databases(connection)
    await connection.close()


async def _nobody_left(lease: int) -> None:
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        await asyncio.sleep(_LOOK_SECONDS)


def main() -> None:
    """Keep the server named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["postgres", "broker"])
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    try:
        asyncio.run(keep(arguments.kind, arguments.folder))
    finally:
        # Not before the lease is given back: whoever waits for it holds the lock needed here.
        clear_away(arguments.folder)


if __name__ == "__main__":
    main()
