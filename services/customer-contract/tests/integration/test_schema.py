"""The tables are what the migrations make, and guard what the domain promises."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from customer_contract.tables import metadata
from throughline_runtime.migrate import assert_no_drift


async def test_the_tables_are_what_the_migrations_make(engine: AsyncEngine) -> None:
    await assert_no_drift(engine, metadata)


@pytest.mark.parametrize(
    "table", ["rate_card", "rate_card_entry", "quote_line", "credit_hold_move"]
)
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "TRUNCATE {} CASCADE"])
async def test_history_is_not_the_applications_to_remove(
    engine: AsyncEngine, table: str, statement: str
) -> None:
    async with engine.connect() as connection:
        with pytest.raises(DBAPIError, match="permission denied"):
            await connection.execute(text(statement.format(table)))
