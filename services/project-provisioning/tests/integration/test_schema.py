"""The tables are what the migrations make."""

from sqlalchemy.ext.asyncio import AsyncEngine

from project_provisioning.tables import METADATA
from throughline_runtime.migrate import assert_no_drift


async def test_the_tables_are_what_the_migrations_make(engine: AsyncEngine) -> None:
    await assert_no_drift(engine, METADATA)
