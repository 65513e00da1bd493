"""What the migrations make is what the code expects."""

from sqlalchemy.ext.asyncio import create_async_engine

from invoice_payment.tables import metadata
from throughline_runtime.migrate import assert_no_drift
from throughline_testing.database import Database


async def test_migrations_make_the_declared_tables(database: Database) -> None:
    owner = create_async_engine(database.owner_url)
    try:
        await assert_no_drift(owner, metadata)
    finally:
        await owner.dispose()
