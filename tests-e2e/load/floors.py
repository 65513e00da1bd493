"""What the bare database and the bare broker do with the very rows the services wrote."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

import asyncpg
from e2e_probe import broker, database
from e2e_sandbox import Sandbox
from nats.js.api import StreamConfig

_ROWS_MAX: Final = 20_000
_STREAM: Final = "FLOOR"
_IN_FLIGHT: Final = 500

# Columns the database fills by itself are left to it.
_COLUMNS: Final = """
    SELECT attname AS name, format_type(atttypid, atttypmod) AS type
    FROM pg_attribute
    WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped
      AND attgenerated = '' AND attidentity = ''
    ORDER BY attnum
"""


async def insert_floor(
    sandbox: Sandbox, service: str, table: str, *, batch: int, connections: int
) -> float:
    """Return rows a second: a copy of the table with its indexes, filled by `unnest` in batches.

    Each batch is one transaction, durable like those of the service.
    """
    async with AsyncExitStack() as stack:
        opened = [
            await stack.enter_async_context(database(sandbox, service)) for _ in range(connections)
        ]
        first = opened[0]
        await first.execute("DROP SCHEMA IF EXISTS floor CASCADE; CREATE SCHEMA floor")
        await first.execute(f"CREATE TABLE floor.{table} (LIKE public.{table} INCLUDING ALL)")
        columns = await first.fetch(_COLUMNS, f"public.{table}")
        names = ", ".join(column["name"] for column in columns)
        rows = await first.fetch(f"SELECT {names} FROM public.{table} LIMIT {_ROWS_MAX}")
        arrays = ", ".join(f"${n}::{c['type']}[]" for n, c in enumerate(columns, start=1))
        statement = f"INSERT INTO floor.{table} ({names}) SELECT * FROM unnest({arrays})"
        seconds = await _insert(opened, statement, rows, batch)
        await first.execute("DROP SCHEMA floor CASCADE")
    return len(rows) / seconds


async def _insert(
    connections: Sequence[asyncpg.Connection],
    statement: str,
    rows: Sequence[asyncpg.Record],
    batch: int,
) -> float:
    chunks = iter(
        [
            [list(column) for column in zip(*rows[start : start + batch], strict=True)]
            for start in range(0, len(rows), batch)
        ]
    )

    async def work(connection: asyncpg.Connection) -> None:
        for chunk in chunks:
            await connection.execute(statement, *chunk)

    started = time.perf_counter()
    await asyncio.gather(*map(work, connections))
    return time.perf_counter() - started


async def publish_floor(sandbox: Sandbox, *, count: int, size: int) -> float:
    """Return messages a second: published with hundreds under way, each synced to disk."""
    payload = bytes(size)
    async with broker(sandbox) as connection:
        context = connection.jetstream(publish_async_max_pending=_IN_FLIGHT)
        await context.add_stream(StreamConfig(name=_STREAM, subjects=["floor.>"]))
        started = time.perf_counter()
        for _ in range(count):
            await context.publish_async("floor.message", payload, wait_stall=30)
        await context.publish_async_completed()
        seconds = time.perf_counter() - started
        await context.delete_stream(_STREAM)
    return count / seconds
