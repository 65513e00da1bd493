"""A statement of the hot path is made once, reads like SQLAlchemy's, and costs one round trip."""

from datetime import UTC, datetime

import asyncpg
import pytest
from runtime_probe.support import end_sessions
from runtime_probe.tables import effect
from sqlalchemy import bindparam, column, insert, literal, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncEngine

from throughline_runtime import database
from throughline_runtime.database import DatabaseUnavailable
from throughline_runtime.ids import new_id
from throughline_runtime.statement import Statement
from throughline_testing.statements import Statements

ADD = Statement(insert(effect), columns=("aggregate_id", "note"))
BY_NOTE = Statement(
    select(effect.c.aggregate_id, effect.c.note).where(effect.c.note == bindparam("note"))
)


async def test_its_rows_have_their_columns_as_attributes(engine: AsyncEngine) -> None:
    aggregate_id = new_id()
    async with database.write(engine) as tx:
        assert await ADD.run(tx, {"aggregate_id": aggregate_id, "note": "one"}) == 1
        [row] = await BY_NOTE.fetch(tx, {"note": "one"})

    assert (row.aggregate_id, row.note) == (aggregate_id, "one")
    with pytest.raises(AttributeError):
        row.no_such_column  # noqa: B018


async def test_a_column_named_like_a_method_of_rows_is_found_by_name(engine: AsyncEngine) -> None:
    async with database.read(engine) as tx:
        [row] = await Statement('SELECT 7 AS "values"').fetch(tx)

    assert row._mapping["values"] == 7


async def test_values_are_written_as_their_types_ask_and_constants_stay(
    engine: AsyncEngine,
) -> None:
    at = datetime(2026, 9, 1, tzinfo=UTC)
    statement = Statement(
        select(
            bindparam("said", type_=JSONB).label("said"),
            bindparam("at", at).label("at"),
            literal("kept").label("kept"),
        )
        .where(column("x") == text("1"))
        .select_from(text("(SELECT 1 AS x) AS one"))
    )
    async with database.read(engine) as tx:
        [row] = await statement.fetch(tx, {"said": {"rate": "180.00"}})

    assert (row.said, row.at, row.kept) == ({"rate": "180.00"}, at, "kept")


def test_what_changes_with_the_number_of_values_is_none() -> None:
    with pytest.raises(ValueError, match="any_"):
        Statement(select(effect).where(effect.c.note.in_(["one", "two"])))


async def test_a_transaction_that_begins_with_it_sends_nothing_else(
    engine: AsyncEngine, statements: Statements
) -> None:
    async with database.write(engine) as tx:
        await ADD.run(tx, {"aggregate_id": new_id(), "note": "one"})

    assert len(statements) == 1


async def test_the_first_statement_of_a_reading_transaction_may_not_write(
    engine: AsyncEngine,
) -> None:
    async def write_while_reading() -> None:
        async with database.read(engine) as tx:
            await ADD.run(tx, {"aggregate_id": new_id(), "note": "one"})

    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await write_while_reading()


async def test_it_is_undone_with_its_transaction(engine: AsyncEngine) -> None:
    async def fail_after_writing() -> None:
        async with database.write(engine) as tx:
            await ADD.run(tx, {"aggregate_id": new_id(), "note": "undone"})
            raise LookupError

    with pytest.raises(LookupError):
        await fail_after_writing()

    async with database.read(engine) as tx:
        assert await BY_NOTE.fetch(tx, {"note": "undone"}) == []


async def test_a_session_found_dead_by_it_is_a_refusal(engine: AsyncEngine) -> None:
    async def begin_on_a_dead_session() -> None:
        async with database.write(engine) as tx:
            await end_sessions(engine)
            await BY_NOTE.fetch(tx, {"note": "any"})

    with pytest.raises(DatabaseUnavailable):
        await begin_on_a_dead_session()

    async with database.write(engine) as tx:
        assert await BY_NOTE.fetch(tx, {"note": "any"}) == []
