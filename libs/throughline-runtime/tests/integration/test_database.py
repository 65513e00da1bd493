"""What happens to the database reaches a caller as a refusal, and passes without a restart."""

import asyncio
from contextlib import AsyncExitStack

import asyncpg
import pytest
from runtime_probe.support import end_sessions, settings_for
from runtime_probe.tables import effect
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from throughline_core.errors import Aborted, FailedPrecondition
from throughline_runtime import database
from throughline_runtime.database import (
    Contended,
    DatabaseOverloaded,
    DatabaseUnavailable,
    UnstorableText,
    create_engine,
)
from throughline_runtime.guard import TransactionOpen, require_no_transaction
from throughline_runtime.ids import new_id
from throughline_testing.database import Database

_SURVEYED = ("statement_timeout", "work_mem", "transaction_read_only")


async def test_a_session_that_died_while_idle_is_replaced_unnoticed(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_PING_AFTER_IDLE_SECONDS", 0.0)
    async with database.read(engine), database.read(engine), database.read(engine):
        pass
    await end_sessions(engine)

    for _ in range(3):
        async with database.write(engine) as tx:
            await tx.execute(insert(effect).values(aggregate_id=new_id(), note="x"))


async def test_a_session_that_dies_at_work_is_a_refusal_and_the_next_one_works(
    engine: AsyncEngine,
) -> None:
    async def die_at_work() -> None:
        async with database.write(engine) as tx:
            await tx.execute(select(effect))
            await end_sessions(engine)
            await tx.execute(select(effect))

    with pytest.raises(DatabaseUnavailable):
        await die_at_work()

    async with database.read(engine) as tx:
        await tx.execute(select(effect))


async def test_an_unreachable_server_is_a_refusal() -> None:
    engine = create_engine(settings_for(database_url="postgresql+asyncpg://x@127.0.0.1:1/x"))

    assert not await database.is_reachable(engine)
    with pytest.raises(DatabaseUnavailable):
        async with database.read(engine):
            pass


async def test_a_statement_that_takes_too_long_is_a_refusal(engine: AsyncEngine) -> None:
    async def take_too_long() -> None:
        async with database.write(engine) as tx:
            await tx.execute(text("SET LOCAL statement_timeout = '50ms'"))
            await tx.execute(text("SELECT pg_sleep(1)"))

    with pytest.raises(DatabaseOverloaded):
        await take_too_long()


async def test_a_pool_that_is_used_up_is_a_refusal(
    probe_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "POOL_TIMEOUT_SECONDS", 0.1)
    engine = create_engine(settings_for(database_url=probe_database.url, database_pool_size=4))
    async with AsyncExitStack() as used_up:
        for _ in range(4):
            await used_up.enter_async_context(database.read(engine))
        with pytest.raises(DatabaseOverloaded):
            async with database.read(engine):
                pass
    await engine.dispose()


async def test_rows_held_by_others_for_too_long_are_a_refusal(engine: AsyncEngine) -> None:
    async def want_the_same() -> None:
        async with database.write(engine) as tx:
            await tx.execute(text("SET LOCAL lock_timeout = '50ms'"))
            await tx.execute(text("LOCK TABLE effect IN EXCLUSIVE MODE"))

    async with database.write(engine) as holder:
        await holder.execute(insert(effect).values(aggregate_id=new_id(), note="x"))
        await holder.execute(text("LOCK TABLE effect IN EXCLUSIVE MODE"))
        with pytest.raises(Contended) as refused:
            await want_the_same()
    assert isinstance(refused.value, Aborted)


async def test_a_broken_rule_stays_what_it_is(engine: AsyncEngine) -> None:
    with pytest.raises(DBAPIError):
        async with database.write(engine) as tx:
            await tx.execute(insert(effect).values(aggregate_id=new_id(), note="forbidden"))
    with pytest.raises(DBAPIError):
        async with database.write(engine) as tx:
            await tx.execute(text("SELECT CAST(:id AS uuid)"), {"id": 7.5})
    with pytest.raises(FailedPrecondition):
        async with database.write(engine):
            raise FailedPrecondition("not yet")


async def test_a_reader_sees_one_snapshot_and_cannot_write(engine: AsyncEngine) -> None:
    async with database.read(engine) as reader:
        before = (await reader.execute(select(effect))).all()
        async with database.write(engine) as tx:
            await tx.execute(insert(effect).values(aggregate_id=new_id(), note="x"))
        assert (await reader.execute(select(effect))).all() == before == []
    with pytest.raises(DBAPIError, match="read-only"):
        async with database.read(engine) as reader:
            await reader.execute(insert(effect).values(aggregate_id=new_id(), note="x"))
    async with database.write(engine) as tx:
        await tx.execute(insert(effect).values(aggregate_id=new_id(), note="y"))


async def test_a_survey_of_whole_tables_has_more_time_and_memory_and_leaves_neither_behind(
    engine: AsyncEngine,
) -> None:
    async def settings(tx: AsyncConnection) -> tuple[str, str, str]:
        shown = [(await tx.execute(text(f"SHOW {name}"))).scalar_one() for name in _SURVEYED]
        return shown[0], shown[1], shown[2]

    async with database.read(engine) as reader:
        usual = await settings(reader)
    async with database.survey(engine) as surveyor:
        assert await settings(surveyor) == ("40s", "64MB", "on")
    async with database.read(engine) as reader:
        assert await settings(reader) == usual
    assert usual[0] == f"{database.STATEMENT_TIMEOUT_SECONDS}s"


async def test_a_primary_that_was_taken_over_from_is_out_of_reach(engine: AsyncEngine) -> None:
    async def write_there() -> None:
        async with database.write(engine) as tx:
            await tx.execute(text("SET TRANSACTION READ ONLY"))
            await tx.execute(insert(effect).values(aggregate_id=new_id(), note="x"))

    with pytest.raises(DatabaseUnavailable):
        await write_there()


async def test_what_waits_for_the_commit_is_called_after_it_and_never_without_it(
    engine: AsyncEngine,
) -> None:
    called: list[str] = []
    async with database.write(engine) as tx:
        database.after_commit(tx, lambda: called.append("committed"))
        assert called == []

    async def roll_back() -> None:
        async with database.write(engine) as tx:
            database.after_commit(tx, lambda: called.append("rolled back"))
            raise FailedPrecondition("not yet")

    with pytest.raises(FailedPrecondition):
        await roll_back()
    assert called == ["committed"]


async def test_a_cancelled_block_rolls_back_and_gives_its_connection_back(
    engine: AsyncEngine,
) -> None:
    async def linger() -> None:
        async with database.write(engine) as tx:
            await tx.execute(insert(effect).values(aggregate_id=new_id(), note="x"))
            await tx.execute(text("SELECT pg_sleep(3)"))

    for _ in range(25):
        task = asyncio.create_task(linger())
        await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async with database.read(engine) as tx:
        assert (await tx.execute(select(effect))).all() == []


async def test_a_transaction_is_known_to_be_open(engine: AsyncEngine) -> None:
    async with database.write(engine):
        with pytest.raises(TransactionOpen):
            require_no_transaction("a peer")
    require_no_transaction("a peer")


async def test_what_goes_to_the_driver_is_part_of_the_transaction(engine: AsyncEngine) -> None:
    kept, lost = new_id(), new_id()
    statement = "INSERT INTO effect (aggregate_id, note) VALUES ($1, $2) RETURNING note"

    async def fail() -> None:
        async with database.write(engine) as tx:
            await database.fetch(tx, statement, lost, "lost")
            raise FailedPrecondition("no")

    async with database.write(engine) as tx:
        [row] = await database.fetch(tx, statement, kept, "kept")
    with pytest.raises(FailedPrecondition):
        await fail()

    assert row["note"] == "kept"
    async with database.read(engine) as tx:
        found = (await tx.execute(select(effect.c.aggregate_id))).scalars().all()
    assert kept in found
    assert lost not in found


@pytest.mark.parametrize(
    ("statement", "values", "refusal"),
    [
        ("SELECT $1::text", ("\0",), UnstorableText),
        # A bug stays one.
        ("SELECT 1 / $1::int", (0,), asyncpg.DivisionByZeroError),
    ],
)
async def test_errors_of_the_driver_mean_what_those_of_the_library_do(
    engine: AsyncEngine,
    statement: str,
    values: tuple[object, ...],
    refusal: type[Exception],
) -> None:
    async def ask() -> None:
        async with database.write(engine) as tx:
            await database.fetch(tx, statement, *values)

    with pytest.raises(refusal):
        await ask()


async def test_a_session_that_dies_under_the_driver_is_a_refusal(engine: AsyncEngine) -> None:
    async def die_at_work() -> None:
        async with database.write(engine) as tx:
            await database.fetch(tx, "SELECT 1")
            await end_sessions(engine)
            await database.fetch(tx, "SELECT 1")

    with pytest.raises(DatabaseUnavailable):
        await die_at_work()

    async with database.write(engine) as tx:
        assert await database.fetch(tx, "SELECT 1")
