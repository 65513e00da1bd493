"""A ledger of any size: rated rows multiplied by SQL, just as the service wrote them."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import date
from typing import Final

import asyncpg
from e2e_probe import database
from e2e_sandbox import Sandbox

SERVICE: Final = "billing-event"
RATED_ON: Final = date(2026, 9, 30)
"""When the copies were rated: before everything the service rates itself."""

_CHOOSE: Final = """
    CREATE TEMP TABLE chosen ON COMMIT DROP AS
    SELECT billing_event_id, source_item_id, number
    FROM billing_event CROSS JOIN generate_series(1, $2) AS number
    WHERE contract_id = $1 AND type = 'time' AND rated_on > $4
    ORDER BY number, billing_event_id LIMIT $3
"""
_COUNT: Final = """
    SELECT count(*) FROM billing_event WHERE contract_id = $1 AND type = 'time' AND rated_on > $2
"""
_COLUMNS: Final = """
    SELECT attname FROM pg_attribute
    WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
    ORDER BY attnum
"""
_COPY_ID: Final = "CAST(md5(row.{} || '/' || number) AS uuid)"

# A unit below what was agreed, so that a re-rating has something to post for each row.
_CHANGED: Final[Mapping[str, Mapping[str, str]]] = {
    "source_item": {"source_item_id": _COPY_ID.format("source_item_id")},
    "billing_event": {
        "billing_event_id": _COPY_ID.format("billing_event_id"),
        "source_item_id": _COPY_ID.format("source_item_id"),
        "unit_rate": "row.unit_rate - 1",
        "amount": "row.quantity * (row.unit_rate - 1)",
        "rated_on": f"DATE '{RATED_ON}'",
    },
}

# Half of what is there is invoiced.
_POSITIONS: Final = """
    INSERT INTO position (billing_event_id, status, version, quantity, amount, allocated_quantity,
                          allocated_amount, released_by, released_at)
    SELECT billing_event_id, 'released', 1, quantity, amount,
           CASE WHEN is_invoiced THEN quantity ELSE 0 END,
           CASE WHEN is_invoiced THEN amount ELSE 0 END, 'policy', rated_at
    FROM (SELECT *, get_byte(uuid_send(billing_event_id), 15) < 128 AS is_invoiced
          FROM billing_event WHERE contract_id = $1 AND rated_on = $2) AS copied
"""
_ALLOCATIONS: Final = """
    INSERT INTO allocation (allocation_id, billing_event_id, invoice_id, invoice_line_id, quantity,
                            amount, recorded_at, recorded_on)
    SELECT CAST(md5(billing_event_id || '/') AS uuid), billing_event_id, contract_id,
           contract_line_id, position.quantity, position.amount, rated_at, rated_on
    FROM billing_event JOIN position USING (billing_event_id)
    WHERE contract_id = $1 AND rated_on = $2 AND position.allocated_amount <> 0
"""

_COPIED: Final = "SELECT billing_event_id FROM billing_event WHERE rated_on = $1"
_FORGET: Final = (
    f"DELETE FROM allocation WHERE billing_event_id IN ({_COPIED})",
    f"DELETE FROM position WHERE billing_event_id IN ({_COPIED})",
    """DELETE FROM source_item WHERE source_item_id IN (
           SELECT source_item_id FROM billing_event WHERE rated_on = $1)""",
    "DELETE FROM billing_event WHERE rated_on = $1",
)


@asynccontextmanager
async def multiplied(sandbox: Sandbox, sizes: Mapping[str, int]) -> AsyncIterator[None]:
    """Give contracts so many more rated rows during the block, copies of those each has."""
    async with database(sandbox, SERVICE) as connection:
        # What is copied is sound: its references are not looked up again row by row.
        await connection.execute("SET session_replication_role = replica")
        for contract_id, rows in sizes.items():
            await _multiply(connection, contract_id, rows)
        # As the background would have by the time that so much has come together.
        await connection.execute(
            "VACUUM (ANALYZE) source_item, billing_event, position, allocation"
        )
        yield
        for statement in _FORGET:
            await connection.execute(statement, RATED_ON)


async def sum_seconds(sandbox: Sandbox) -> tuple[int, float]:
    """Return how many rows there are, and the seconds the bare database takes to add them up."""
    async with database(sandbox, SERVICE) as connection:
        started = time.perf_counter()
        row = await connection.fetchrow("SELECT count(*) AS rows, sum(amount) FROM billing_event")
        return int(row["rows"]), time.perf_counter() - started


async def read_seconds(sandbox: Sandbox, contract_id: str) -> float:
    """Return the seconds the bare database takes to hand over a contract's rows with their work."""
    async with database(sandbox, SERVICE) as connection, connection.transaction():
        started = time.perf_counter()
        query = """SELECT * FROM billing_event JOIN source_item USING (source_item_id)
                   WHERE billing_event.contract_id = $1"""
        async for _ in connection.cursor(query, contract_id, prefetch=2_000):
            pass
        return time.perf_counter() - started


async def _multiply(connection: asyncpg.Connection, contract_id: str, rows: int) -> None:
    known = await connection.fetchval(_COUNT, contract_id, RATED_ON)
    assert known, f"nothing is rated under contract {contract_id}"
    async with connection.transaction():
        await connection.execute(_CHOOSE, contract_id, -(-rows // known), rows, RATED_ON)
        for table, changed in _CHANGED.items():
            names = [row["attname"] for row in await connection.fetch(_COLUMNS, table)]
            values = ", ".join(changed.get(name, f"row.{name}") for name in names)
            await connection.execute(
                f"INSERT INTO {table} ({', '.join(names)}) SELECT {values}"
                f" FROM chosen JOIN {table} AS row USING ({table}_id)"
            )
        await connection.execute(_POSITIONS, contract_id, RATED_ON)
        await connection.execute(_ALLOCATIONS, contract_id, RATED_ON)
