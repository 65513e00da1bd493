"""A command takes effect once, whoever repeats it and whatever interrupts it."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest
from runtime_probe.tables import effect
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from throughline.operations.v1 import operations_service_pb2 as pb
from throughline_core.errors import FailedPrecondition
from throughline_runtime import audit, database
from throughline_runtime.identity import Caller, acting_as
from throughline_runtime.once import IdempotencyKeyReused, RequestIdMissing, forget, once
from throughline_runtime.schema import audit_entry, once_request
from throughline_runtime.telemetry.metrics import ONCE_REPLAYS

AGGREGATE = UUID(int=7)
Handle = Callable[[AsyncConnection], Awaitable[pb.DiscardParkedResponse]]


def a_request(request_id: str = "key-1", *, reason: str = "spam") -> pb.DiscardParkedRequest:
    return pb.DiscardParkedRequest(request_id=request_id, reason=reason)


async def leave_effect(tx: AsyncConnection) -> pb.DiscardParkedResponse:
    await tx.execute(insert(effect).values(aggregate_id=AGGREGATE, note="done"))
    return pb.DiscardParkedResponse(discarded=await count(tx))


async def count(tx: AsyncConnection) -> int:
    return int(await tx.scalar(select(func.count()).select_from(effect)) or 0)


async def ask(
    engine: AsyncEngine,
    request: pb.DiscardParkedRequest,
    handle: Handle = leave_effect,
    *,
    subject: str = "user-1",
) -> pb.DiscardParkedResponse:
    with acting_as(Caller(subject)):
        return await once(engine, request, pb.DiscardParkedResponse, handle)


async def test_a_hundred_parallel_calls_have_one_effect_and_one_reply(engine: AsyncEngine) -> None:
    replayed = ONCE_REPLAYS._value.get()

    async def slowly(tx: AsyncConnection) -> pb.DiscardParkedResponse:
        await asyncio.sleep(0.05)
        return await leave_effect(tx)

    replies = await asyncio.gather(*(ask(engine, a_request(), slowly) for _ in range(100)))

    assert {reply.discarded for reply in replies} == {1}
    assert ONCE_REPLAYS._value.get() - replayed == 99
    async with database.read(engine) as tx:
        assert await count(tx) == 1
        assert await tx.scalar(select(func.count()).select_from(audit_entry)) == 1


async def test_a_key_stands_for_one_content(engine: AsyncEngine) -> None:
    await ask(engine, a_request(reason="spam"))

    with pytest.raises(IdempotencyKeyReused) as refused:
        await ask(engine, a_request(reason="something else"))

    assert refused.value.stable_code == "request.idempotency_key_reused"
    assert refused.value.field == "request_id"


async def test_callers_and_methods_have_keys_of_their_own(engine: AsyncEngine) -> None:
    async def note(tx: AsyncConnection) -> pb.NoteExceptionResponse:
        await leave_effect(tx)
        return pb.NoteExceptionResponse()

    await ask(engine, a_request("same"), subject="user-1")
    await ask(engine, a_request("same"), subject="user-2")
    with acting_as(Caller("user-1")):
        request = pb.NoteExceptionRequest(request_id="same")
        await once(engine, request, pb.NoteExceptionResponse, note)

    async with database.read(engine) as tx:
        assert await count(tx) == 3


async def test_a_refused_call_leaves_no_memory(engine: AsyncEngine) -> None:
    async def refuse(tx: AsyncConnection) -> pb.DiscardParkedResponse:
        await leave_effect(tx)
        raise FailedPrecondition("not yet")

    with pytest.raises(FailedPrecondition):
        await ask(engine, a_request(), refuse)

    async with database.read(engine) as tx:
        assert await count(tx) == 0
        assert await tx.scalar(select(func.count()).select_from(once_request)) == 0
        assert await tx.scalar(select(func.count()).select_from(audit_entry)) == 0
    assert (await ask(engine, a_request())).discarded == 1


async def test_a_twin_of_a_refused_call_runs_itself(engine: AsyncEngine) -> None:
    refusals = 0

    async def refuse_first(tx: AsyncConnection) -> pb.DiscardParkedResponse:
        nonlocal refusals
        await asyncio.sleep(0.05)
        if refusals == 0:
            refusals += 1
            raise FailedPrecondition("not yet")
        return await leave_effect(tx)

    outcomes = await asyncio.gather(
        ask(engine, a_request(), refuse_first),
        ask(engine, a_request(), refuse_first),
        return_exceptions=True,
    )

    assert sorted(type(outcome).__name__ for outcome in outcomes) == [
        "DiscardParkedResponse",
        "FailedPrecondition",
    ]


async def test_a_deadlock_is_resolved_without_the_caller_noticing(engine: AsyncEngine) -> None:
    async with database.write(engine) as tx:
        for number in (1, 2):
            await tx.execute(insert(effect).values(aggregate_id=UUID(int=number), note="row"))
    both_hold_one = asyncio.Barrier(2)
    attempts = 0

    def locking(first: int, second: int) -> Handle:
        async def handle(tx: AsyncConnection) -> pb.DiscardParkedResponse:
            nonlocal attempts
            attempts += 1
            await lock(tx, first)
            if attempts <= 2:
                await both_hold_one.wait()
            await lock(tx, second)
            return pb.DiscardParkedResponse()

        return handle

    await asyncio.gather(
        ask(engine, a_request("a"), locking(1, 2)), ask(engine, a_request("b"), locking(2, 1))
    )

    assert attempts == 3


async def lock(tx: AsyncConnection, number: int) -> None:
    await tx.execute(
        select(effect).where(effect.c.aggregate_id == UUID(int=number)).with_for_update()
    )


async def test_a_mutation_needs_a_key(engine: AsyncEngine) -> None:
    with pytest.raises(RequestIdMissing):
        await ask(engine, a_request(""))


async def test_memory_ends_with_the_retention(engine: AsyncEngine) -> None:
    await ask(engine, a_request("old"))
    await ask(engine, a_request("new"))
    async with database.write(engine) as tx:
        await tx.execute(
            update(once_request)
            .where(once_request.c.request_id == "old")
            .values(created_at=text("now() - interval '36 days'"))
        )

    await forget(engine)

    async with database.read(engine) as tx:
        kept = await tx.scalars(select(once_request.c.request_id))
        assert list(kept) == ["new"]


async def test_the_audit_names_what_changed_without_an_event(engine: AsyncEngine) -> None:
    quote, line, engagement = UUID(int=21), UUID(int=22), UUID(int=23)

    async def change_quietly(tx: AsyncConnection) -> pb.DiscardParkedResponse:
        audit.touch(tx, quote, engagement_id=engagement)
        audit.touch(tx, line, quote)
        return pb.DiscardParkedResponse()

    await ask(engine, a_request(), change_quietly)

    async with database.read(engine) as tx:
        [entry] = await audit.page(tx, before=None, size=5, aggregate_id=line)
    assert entry.aggregate_ids == (quote, line)
    assert entry.engagement_id == engagement
