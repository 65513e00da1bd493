"""The audit chain covers every entry once, in one line, and shows where somebody touched it."""

import asyncio
from uuid import UUID

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from throughline_runtime import audit, database
from throughline_runtime.audit import Break, Touched
from throughline_runtime.ids import new_id
from throughline_runtime.schema import audit_entry, audit_seal


async def write_entries(engine: AsyncEngine, number: int, *, engagement: int = 1) -> list[UUID]:
    async with database.write(engine) as tx:
        return [await write_entry(tx, place, engagement=engagement) for place in range(number)]


async def write_entry(tx: AsyncConnection, place: int, *, engagement: int) -> UUID:
    values = audit.values_of(
        method="throughline.test.v1.Do",
        caller="user-1",
        actor=None,
        request_id=f"key-{place}",
        digest=b"digest",
        touched=Touched({UUID(int=place)}, engagement_ids={UUID(int=engagement)}),
    )
    await database.fetch(tx, audit.INSERT, *values)
    return UUID(str(values[0]))


async def tamper(owner_engine: AsyncEngine, table: str, statement: str) -> None:
    async with database.write(owner_engine) as tx:
        await tx.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER append_only"))
        await tx.execute(text(statement))
        await tx.execute(text(f"ALTER TABLE {table} ENABLE TRIGGER append_only"))


async def test_sealing_covers_every_entry_once_and_holds(engine: AsyncEngine) -> None:
    await write_entries(engine, 1_001)

    assert await audit.seal(engine) == 1_001
    await write_entries(engine, 2)
    assert await audit.seal(engine) == 2
    assert await audit.seal(engine) == 0

    verified = await audit.verify(engine)
    assert (verified.sealed, verified.first_break) == (1_003, None)


async def test_an_empty_chain_holds(engine: AsyncEngine) -> None:
    assert await audit.verify(engine) == audit.Verification(0, audit.GENESIS, None)


@pytest.mark.parametrize(
    ("statement", "table", "broken", "reason"),
    [
        (
            "UPDATE audit_entry SET caller = 'somebody' WHERE request_id = 'key-1'",
            "audit_entry",
            2,
            "the entry is not what was sealed",
        ),
        (
            "DELETE FROM audit_entry WHERE request_id = 'key-1'",
            "audit_entry",
            2,
            "the sealed entry is gone",
        ),
        (
            "DELETE FROM audit_seal WHERE seq = 2",
            "audit_seal",
            3,
            "the chain goes from seal 1 to seal 3",
        ),
        (
            "UPDATE audit_seal SET hash = '\\x00' WHERE seq = 2",
            "audit_seal",
            2,
            "the entry is not what was sealed",
        ),
        (
            "UPDATE audit_seal SET previous_hash = '\\x00' WHERE seq = 3",
            "audit_seal",
            3,
            "the seal does not follow the one before it",
        ),
    ],
)
async def test_tampering_shows_at_its_first_place(
    engine: AsyncEngine,
    owner_engine: AsyncEngine,
    statement: str,
    table: str,
    broken: int,
    reason: str,
) -> None:
    entries = await write_entries(engine, 4)
    await audit.seal(engine)

    await tamper(owner_engine, table, statement)

    verified = await audit.verify(engine)
    assert verified.first_break == Break(broken, entries[broken - 1], reason)


async def test_entries_that_commit_late_are_sealed_and_lost_ones_are_noticed(
    engine: AsyncEngine,
) -> None:
    minute = 60_000 << 80
    now = new_id().int
    late, lost = UUID(int=now - 10 * minute), UUID(int=now - 60 * minute)
    await write_entries(engine, 1)
    await audit.seal(engine)
    async with database.write(engine) as tx:
        for audit_id in (late, lost):
            await tx.execute(
                insert(audit_entry).values(
                    audit_id=audit_id,
                    method="throughline.test.v1.Do",
                    caller="user-1",
                    request_id="key",
                    request_digest=b"digest",
                    aggregate_ids=[],
                )
            )

    assert await audit.seal(engine) == 1
    verified = await audit.verify(engine)
    assert verified.first_break == Break(3, lost, "the entry was never sealed")


async def test_two_sealers_never_fork_the_chain(engine: AsyncEngine) -> None:
    await write_entries(engine, 50)

    await asyncio.gather(*(audit.seal(engine) for _ in range(4)), return_exceptions=True)

    await audit.seal(engine)
    async with database.read(engine) as tx:
        assert await tx.scalar(select(func.count()).select_from(audit_seal)) == 50
    assert (await audit.verify(engine)).first_break is None


async def test_entries_are_listed_latest_first_by_what_they_touched(engine: AsyncEngine) -> None:
    first = await write_entries(engine, 3, engagement=1)
    second = await write_entries(engine, 3, engagement=2)

    async with database.read(engine) as tx:
        newest = await audit.page(tx, before=None, size=2)
        older = await audit.page(tx, before=newest[-1].audit_id, size=10)
        of_engagement = await audit.page(tx, before=None, size=9, engagement_id=UUID(int=1))
        of_aggregate = await audit.page(tx, before=None, size=9, aggregate_id=UUID(int=0))

    assert [entry.audit_id for entry in (*newest, *older)] == [*reversed(second), *reversed(first)]
    assert [entry.audit_id for entry in of_engagement] == [*reversed(first)]
    assert [entry.audit_id for entry in of_aggregate] == [second[0], first[0]]
