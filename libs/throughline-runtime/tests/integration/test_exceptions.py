"""The exceptions queue holds each halt once, for those who may see it, until its cause is gone."""

from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from throughline_runtime import database, exceptions
from throughline_runtime.exceptions import ExceptionNotFound, Halt, Item

HALT = Halt(
    "provisioning.paused",
    UUID(int=1),
    "the tax registration is missing",
    "pmo",
    "add the registration, then resume the run",
    legal_entity_id=UUID(int=100),
    engagement_id=UUID(int=200),
    detail={"check": "tax"},
)


async def queued(engine: AsyncEngine, **filters: object) -> list[Item]:
    async with database.read(engine) as tx:
        return list(await exceptions.page(tx, after=None, size=50, **filters))  # type: ignore[arg-type]  # filters differ in type


async def test_a_halt_that_recurs_keeps_its_place_and_takes_the_new_reason(
    engine: AsyncEngine,
) -> None:
    async with database.write(engine) as tx:
        await exceptions.open_all(tx, [HALT])
    async with database.write(engine) as tx:
        await exceptions.open_all(tx, [HALT, replace(HALT, reason="the address is missing")])

    [item] = await queued(engine)
    assert item.halt == replace(HALT, reason="the address is missing")
    assert item.occurrences == 2


async def test_a_halt_that_comes_back_after_it_was_closed_is_a_new_one(engine: AsyncEngine) -> None:
    async with database.write(engine) as tx:
        await exceptions.open_(tx, HALT.kind, HALT.subject_id, "a", "pmo", "do")
        await exceptions.close(tx, HALT.kind, [HALT.subject_id, UUID(int=9)])
        await exceptions.open_(tx, HALT.kind, HALT.subject_id, "b", "pmo", "do")

    assert [item.halt.reason for item in await queued(engine)] == ["b"]
    history = await queued(engine, include_closed=True)
    assert [(item.halt.reason, item.closed_at is None) for item in history] == [
        ("a", False),
        ("b", True),
    ]


async def test_any_number_of_halts_is_one_statement(engine: AsyncEngine) -> None:
    statements: list[str] = []
    event.listen(
        engine.sync_engine, "before_cursor_execute", lambda *args: statements.append(args[2])
    )

    async with database.write(engine) as tx:
        await exceptions.open_all(tx, (replace(HALT, subject_id=UUID(int=n)) for n in range(300)))
        await exceptions.close(tx, HALT.kind, (UUID(int=n) for n in range(300)))
        await exceptions.open_all(tx, [])

    assert len(statements) == 2


async def test_the_list_is_limited_to_what_is_asked_for_and_may_be_seen(
    engine: AsyncEngine,
) -> None:
    others = replace(HALT, subject_id=UUID(int=2), legal_entity_id=UUID(int=101))
    nobodys = Halt("event.parked", UUID(int=3), "it failed", "integration", "replay it")
    async with database.write(engine) as tx:
        await exceptions.open_all(tx, [HALT, others, nobodys])

    def subjects(items: list[Item]) -> set[int]:
        return {item.halt.subject_id.int for item in items}

    assert subjects(await queued(engine)) == {1, 2, 3}
    assert subjects(await queued(engine, visible_entities={UUID(int=100)})) == {1, 3}
    assert subjects(await queued(engine, legal_entity_id=UUID(int=101))) == {2}
    assert subjects(await queued(engine, kind="event.parked")) == {3}
    assert subjects(await queued(engine, subject_id=UUID(int=2))) == {2}
    assert subjects(await queued(engine, engagement_id=UUID(int=200))) == {1, 2}


async def test_pages_follow_each_other_without_gap(engine: AsyncEngine) -> None:
    async with database.write(engine) as tx:
        await exceptions.open_all(tx, [replace(HALT, subject_id=UUID(int=n)) for n in range(5)])

    seen: list[UUID] = []
    async with database.read(engine) as tx:
        while page := await exceptions.page(tx, after=seen[-1] if seen else None, size=2):
            seen += [item.exception_id for item in page]

    assert len(set(seen)) == len(seen) == 5


async def test_notes_stay_with_their_exception(engine: AsyncEngine) -> None:
    async with database.write(engine) as tx:
        await exceptions.open_all(tx, [HALT])
        [item] = await exceptions.page(tx, after=None, size=1)
        await exceptions.note(tx, item.exception_id, text="asked the client", author="user-1")
        await exceptions.note(tx, item.exception_id, text="they answered", author="user-2")

    [noted] = await queued(engine)
    assert [(note.text, note.author) for note in noted.notes] == [
        ("asked the client", "user-1"),
        ("they answered", "user-2"),
    ]


async def test_there_is_no_note_without_an_exception(engine: AsyncEngine) -> None:
    with pytest.raises(ExceptionNotFound):
        async with database.write(engine) as tx:
            await exceptions.note(tx, UUID(int=1), text="lost", author="user-1")
