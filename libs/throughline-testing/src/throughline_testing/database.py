"""A database for each test: a copy of the service's freshly migrated one."""

import itertools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import asyncpg

from throughline_cli.stack.postgres import (
    DatabaseAccount,
    Postgres,
    create_database,
    create_roles,
    drop_database,
)
from throughline_runtime.migrate import migrate
from throughline_testing.keeper import test_postgres
from throughline_testing.servers import Server, exclusive

_PASSWORD: Final = "throwaway"

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Database:
    """The database of one test."""

    service: str
    name: str
    url: str
    """For the application role, which owns nothing."""
    owner_url: str
    """For the owner, who migrates it."""


def account_of(service: str) -> DatabaseAccount:
    """Return the roles of a service ("billing-event") in the test server."""
    return DatabaseAccount(service.replace("-", "_"), _PASSWORD, _PASSWORD)


@asynccontextmanager
async def fresh_database(
    server: Server, service: str, *, migrated: bool = True
) -> AsyncIterator[Database]:
    """Yield a new database of the service, dropped afterwards.

    `migrated=False` gives an empty one, for tests of the migrations themselves.

    """
    postgres = test_postgres(server.folder, server.ready["password"])
    account = account_of(service)
    # The process id keeps apart the test processes that share the server.
    name = f"test_{os.getpid()}_{next(_numbers)}"
    connection = await postgres.connect()
    try:
        with exclusive(server.folder / f"{account.service}.lock"):
            template = await _template(connection, postgres, service, migrated=migrated)
        await create_database(connection, account, name=name, template=template)
        try:
            yield _database(postgres, service, name)
        finally:
            await drop_database(connection, name)
    finally:
        await connection.close()


def _database(postgres: Postgres, service: str, name: str) -> Database:
    account = account_of(service)
    return Database(
        service,
        name,
        postgres.url(user=account.service, password=account.password, database=name),
        postgres.url(user=account.owner, password=account.owner_password, database=name),
    )


async def _template(
    connection: asyncpg.Connection, postgres: Postgres, service: str, *, migrated: bool
) -> str:
    """Return the database to copy; the first test of the run migrates it."""
    account = account_of(service)
    template = f"template_{account.service}"
    if await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", template):
        return template if migrated else "template1"
    await create_roles(connection, account)
    if not migrated:
        return "template1"
    draft = f"draft_{account.service}"
    await drop_database(connection, draft)
    await create_database(connection, account, name=draft)
    made = _database(postgres, service, draft)
    await migrate(owner_url=made.owner_url, application_url=made.url, package=account.service)
    # Renamed when it is complete, so that a failed migration leaves no half template.
    await connection.execute(f"ALTER DATABASE {draft} RENAME TO {template}")
    return template
