"""The migrations make the tables that the code declares."""

from sqlalchemy.ext.asyncio import AsyncEngine

from connectors import tables
from throughline_runtime.migrate import assert_no_drift


async def test_the_migrations_make_the_declared_tables(engine: AsyncEngine) -> None:
    await assert_no_drift(engine, tables.metadata)
