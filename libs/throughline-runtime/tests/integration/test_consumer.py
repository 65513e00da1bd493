"""Every event takes effect once, and one that cannot stops nobody else."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from uuid import UUID

import pytest
from nats.js import JetStreamContext
from runtime_probe.support import (
    SERVICE,
    Wire,
    an_event,
    append,
    effects,
    end_sessions,
    looping,
    note_of,
    record,
    settings_for,
    until,
)
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from throughline.customer_contract.events.v1.customer_contract_events_pb2 import QuoteApproved
from throughline_core.errors import FailedPrecondition, NotFound
from throughline_runtime import consumer, database, exceptions, inbox, parked
from throughline_runtime.broker import Broker
from throughline_runtime.consumer import Consumer, Subscription
from throughline_runtime.events import Outgoing
from throughline_runtime.identity import current_caller
from throughline_runtime.intake import ATTEMPTS
from throughline_runtime.parked import AlreadySettled, Parked, ParkedMessageNotFound
from throughline_runtime.relay import headers_of
from throughline_runtime.schema import outbox as outbox_table
from throughline_runtime.streams import Sizing, apply, durable_of
from throughline_testing.statements import Statements

DURABLE = f"{SERVICE}-record"
RECORD = Subscription(DURABLE, QuoteApproved, record)


@pytest.fixture(autouse=True)
async def _a_durable(jetstream: JetStreamContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "_FIRST_DELAY_SECONDS", 0.01)
    monkeypatch.setattr(consumer, "REPLAY_SECONDS", 0.05)
    await apply(jetstream, [], [durable_of(RECORD)], Sizing())


async def publish(
    engine: AsyncEngine, jetstream: JetStreamContext, *events: Outgoing, replay: str = ""
) -> None:
    """Publish as the relay would; `replay` makes the broker take the same events again."""
    await append(engine, *events)
    await publish_all(engine, jetstream, replay)


async def publish_all(engine: AsyncEngine, jetstream: JetStreamContext, replay: str = "") -> None:
    async with database.write(engine) as tx:
        rows = (await tx.execute(outbox_table.select().order_by(outbox_table.c.position))).all()
    for row in rows:
        headers = headers_of(row)
        headers["Nats-Msg-Id"] += replay
        await jetstream.publish(row.subject, row.payload, headers=headers)


def a_consumer(
    engine: AsyncEngine,
    connection: Broker,
    *subscriptions: Subscription[QuoteApproved],
    inbox_disabled: bool = False,
) -> Consumer:
    settings = settings_for(inbox_disabled=inbox_disabled)
    return Consumer(settings, engine, connection, subscriptions or (RECORD,))


async def settled(jetstream: JetStreamContext) -> None:
    """Wait until the broker has nothing left to deliver and no acknowledgement to wait for."""

    async def is_done() -> bool:
        info = await jetstream.consumer_info("CUSTOMER_CONTRACT", DURABLE)
        return not info.num_pending and not info.num_ack_pending

    await until(is_done)


async def parked_now(engine: AsyncEngine, status: str = "parked") -> Sequence[Parked]:
    async with database.read(engine) as tx:
        return await parked.page(tx, after=None, size=100, status=status)


def failing_on(bad: str, error: Exception, *, times: int = 1_000) -> Subscription[QuoteApproved]:
    """Return a subscription that records, but raises on the event `bad` the first `times`."""
    failures = 0

    async def function(tx: AsyncConnection, events: Sequence[QuoteApproved]) -> None:
        nonlocal failures
        await record(tx, events)
        if bad in map(note_of, events) and failures < times:
            failures += 1
            raise error

    return Subscription(DURABLE, QuoteApproved, function)


async def test_events_arrive_in_order_and_are_acknowledged(
    engine: AsyncEngine, connection: Broker, jetstream: JetStreamContext
) -> None:
    notes = [f"{number}" for number in range(450)]
    await publish(engine, jetstream, *(an_event(note) for note in notes))

    async with looping(a_consumer(engine, connection)):
        await settled(jetstream)

    assert await effects(engine) == notes


async def test_a_batch_costs_the_same_statements_whatever_its_size(
    engine: AsyncEngine,
    connection: Broker,
    jetstream: JetStreamContext,
    statements: Statements,
) -> None:
    await publish(engine, jetstream, *(an_event(f"{number}") for number in range(250)))
    written: Counter[str] = Counter()

    def count(*args: object) -> None:
        written[str(args[2]).split()[2]] += 1

    event.listen(engine.sync_engine, "before_cursor_execute", count)
    statements.clear()
    async with looping(a_consumer(engine, connection)):
        await settled(jetstream)

    marked = [text for text in statements.texts if "INTO inbox" in text]
    # The first batch is smaller, until the size of the messages is known.
    assert (len(marked), written["effect"]) == (2, 2)


async def test_what_follows_several_messages_is_taken_together(
    engine: AsyncEngine,
    connection: Broker,
    jetstream: JetStreamContext,
    statements: Statements,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(consumer, "_GATHER_SECONDS", 2.0)
    await publish(engine, jetstream, an_event("1"), an_event("2"))
    statements.clear()
    async with looping(a_consumer(engine, connection)):
        await settled(jetstream)
        for number in range(3, 9):
            await publish(engine, jetstream, an_event(f"{number}"))
        await settled(jetstream)

    assert await effects(engine) == [f"{number}" for number in range(1, 9)]
    assert sum("INTO inbox" in text for text in statements.texts) == 2


async def test_after_a_message_that_comes_alone_the_next_is_not_kept_waiting(
    engine: AsyncEngine,
    connection: Broker,
    jetstream: JetStreamContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(consumer, "_GATHER_SECONDS", 3600.0)
    async with looping(a_consumer(engine, connection)):
        for number in range(3):
            await publish(engine, jetstream, an_event(f"{number}"))
            await settled(jetstream)

    assert await effects(engine) == ["0", "1", "2"]


async def test_one_process_takes_several_batches_side_by_side_where_it_is_asked_to(
    engine: AsyncEngine,
    connection: Broker,
    jetstream: JetStreamContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(consumer, "_FIRST_BATCH", 1)
    both = asyncio.Barrier(2)

    async def meet(tx: AsyncConnection, events: Sequence[QuoteApproved]) -> None:
        async with asyncio.timeout(5):
            await both.wait()
        await record(tx, events)

    await publish(engine, jetstream, an_event("1"), an_event("2"))
    together = a_consumer(engine, connection, Subscription(DURABLE, QuoteApproved, meet, workers=2))
    async with looping(together):
        await settled(jetstream)
    assert sorted(await effects(engine)) == ["1", "2"]
    assert not await parked_now(engine)


async def test_redelivery_to_two_replicas_changes_nothing(
    engine: AsyncEngine, connection: Broker, jetstream: JetStreamContext
) -> None:
    notes = [f"{number}" for number in range(300)]
    await publish(engine, jetstream, *(an_event(note) for note in notes))
    for replay in range(1, 4):
        await publish_all(engine, jetstream, f".r{replay}")

    replicas = [a_consumer(engine, connection) for _ in range(2)]
    async with looping(*replicas):
        await settled(jetstream)

    assert sorted(await effects(engine)) == sorted(notes)


async def test_without_the_inbox_the_same_redelivery_doubles(
    engine: AsyncEngine, connection: Broker, jetstream: JetStreamContext
) -> None:
    """The negative control: what the test before proves is the inbox's doing."""
    await publish(engine, jetstream, *(an_event(f"{number}") for number in range(10)))
    await publish_all(engine, jetstream, ".r1")

    async with looping(a_consumer(engine, connection, inbox_disabled=True)):
        await settled(jetstream)

    assert len(await effects(engine)) == 20


async def test_poison_is_parked_the_rest_flows_and_a_replay_heals_it(
    engine: AsyncEngine, connection: Broker, jetstream: JetStreamContext
) -> None:
    await publish(engine, jetstream, *(an_event(f"{n}", aggregate=n + 1) for n in range(20)))
    poisoned = failing_on("7", FailedPrecondition("the contract has ended"), times=2)

    async with looping(a_consumer(engine, connection, poisoned)):
        await settled(jetstream)
        [message] = await parked_now(engine)
        assert sorted(await effects(engine)) == sorted(f"{n}" for n in range(20) if n != 7)
        assert (message.reason_code, message.reason) == (
            "request.failed_precondition",
            "the contract has ended",
        )
        assert message.headers["aggregate-id"] == str(UUID(int=8))

        async with database.write(engine) as tx:
            [halt] = await exceptions.page(tx, after=None, size=10, kind=parked.EXCEPTION_KIND)
            assert halt.halt.subject_id == message.parked_id
            assert await parked.replay(tx, [message.parked_id], by="user-1") == 1

        async def is_healed() -> bool:
            return "7" in await effects(engine)

        await until(is_healed)

    [replayed] = await parked_now(engine, "replayed")
    assert (replayed.replays, replayed.resolved_by) == (1, "user-1")
    assert replayed.resolution == f"replayed as {replayed.event_id}.r1"
    async with database.read(engine) as tx:
        assert await exceptions.page(tx, after=None, size=10) == []


async def test_a_replay_that_fails_again_is_parked_again_with_the_new_reason(
    engine: AsyncEngine, connection: Broker, jetstream: JetStreamContext
) -> None:
    await publish(engine, jetstream, an_event("bad"))
    async with looping(a_consumer(engine, connection, failing_on("bad", FailedPrecondition("a")))):
        await settled(jetstream)
    [message] = await parked_now(engine)
    async with database.write(engine) as tx:
        await parked.replay(tx, [message.parked_id], by="user-1")

    async with looping(a_consumer(engine, connection, failing_on("bad", FailedPrecondition("b")))):

        async def is_parked() -> bool:
            return bool(await parked_now(engine))

        await until(is_parked)

    [again] = await parked_now(engine)
    assert (again.parked_id, again.reason, again.replays) == (message.parked_id, "b", 1)


async def test_a_failure_that_passes_is_tried_again_until_it_has(
    engine: AsyncEngine, connection: Broker, jetstream: JetStreamContext
) -> None:
    await publish(engine, jetstream, *(an_event(note) for note in ("a", "b", "c")))
    waiting = failing_on("b", NotFound("its parent is not here yet"), times=5)

    async with looping(a_consumer(engine, connection, waiting)):
        await settled(jetstream)

    assert await effects(engine) == ["a", "b", "c"]
    assert await parked_now(engine) == []


async def test_what_follows_a_failure_of_its_aggregate_waits_and_others_do_not(
    engine: AsyncEngine, connection: Broker, jetstream: JetStreamContext
) -> None:
    notes = [("a1", 1), ("b1", 2), ("a2", 1), ("a3", 1), ("b2", 2)]
    await publish(engine, jetstream, *(an_event(note, aggregate=of) for note, of in notes))
    waiting = failing_on("a1", NotFound("its parent is not here yet"), times=4)

    async with looping(a_consumer(engine, connection, waiting)):
        await settled(jetstream)

    taken = await effects(engine)
    assert [note for note in taken if note.startswith("a")] == ["a1", "a2", "a3"]
    assert taken[:2] == ["b1", "b2"]


async def test_a_failure_that_never_passes_is_parked_after_its_last_attempt(
    engine: AsyncEngine, connection: Broker, jetstream: JetStreamContext
) -> None:
    await publish(engine, jetstream, an_event("bad"), an_event("good", aggregate=2))

    async with looping(a_consumer(engine, connection, failing_on("bad", ZeroDivisionError("7")))):
        await settled(jetstream)

    [message] = await parked_now(engine)
    assert (message.attempts, message.reason_code) == (ATTEMPTS, "event.failed")
    assert "ZeroDivisionError" in message.reason
    assert await effects(engine) == ["good"]


@pytest.mark.parametrize(
    ("headers", "payload"),
    [
        ({}, b""),
        ({"ce-id": "no uuid"}, b""),
        ({"ce-id": str(UUID(int=1)), "schema": "throughline.other.v1.Event"}, b""),
        ({"ce-id": str(UUID(int=1))}, b"\xff\xff\xff"),
    ],
)
async def test_what_is_no_such_event_is_parked_at_once(
    engine: AsyncEngine,
    connection: Broker,
    jetstream: JetStreamContext,
    headers: dict[str, str],
    payload: bytes,
) -> None:
    await jetstream.publish(RECORD.subject, payload, headers=headers)

    async with looping(a_consumer(engine, connection)):
        await settled(jetstream)

    [message] = await parked_now(engine)
    assert (message.reason_code, message.attempts) == ("event.undecodable", 1)


async def test_a_discarded_message_is_ignored_when_it_comes_again(
    engine: AsyncEngine, connection: Broker, jetstream: JetStreamContext
) -> None:
    await publish(engine, jetstream, an_event("bad"))
    async with looping(a_consumer(engine, connection, failing_on("bad", FailedPrecondition("a")))):
        await settled(jetstream)
    [message] = await parked_now(engine)

    async with database.write(engine) as tx:
        await parked.discard(tx, [message.parked_id], by="user-1", reason="a test contract")
    await publish_all(engine, jetstream, ".r1")
    async with looping(a_consumer(engine, connection)):
        await settled(jetstream)

    assert await effects(engine) == []
    [discarded] = await parked_now(engine, "discarded")
    assert discarded.resolution == "a test contract"


async def test_parked_messages_are_settled_once_and_all_or_none(
    engine: AsyncEngine, connection: Broker, jetstream: JetStreamContext
) -> None:
    await publish(engine, jetstream, an_event("bad"))
    async with looping(a_consumer(engine, connection, failing_on("bad", FailedPrecondition("a")))):
        await settled(jetstream)
    [message] = await parked_now(engine)

    async def settle(*ids: UUID) -> None:
        async with database.write(engine) as tx:
            await parked.discard(tx, ids, by="user-1", reason="a test contract")

    with pytest.raises(ParkedMessageNotFound):
        await settle(message.parked_id, UUID(int=1))
    await settle(message.parked_id)
    with pytest.raises(AlreadySettled):
        await settle(message.parked_id)


async def test_the_function_works_for_its_own_service(
    engine: AsyncEngine, connection: Broker, jetstream: JetStreamContext
) -> None:
    callers: list[str] = []

    async def note_caller(tx: AsyncConnection, events: Sequence[QuoteApproved]) -> None:
        callers.append(current_caller().subject)

    await publish(engine, jetstream, an_event("a"))
    noting = Subscription(DURABLE, QuoteApproved, note_caller)
    async with looping(a_consumer(engine, connection, noting)):
        await settled(jetstream)

    assert callers == [f"service:{SERVICE}"]


async def test_a_database_that_goes_away_uses_up_no_attempt(
    engine: AsyncEngine,
    connection: Broker,
    jetstream: JetStreamContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The messages are held until it is back: each is delivered once."""
    away = [True, True, True]

    async def lose_the_session(tx: AsyncConnection, events: Sequence[QuoteApproved]) -> None:
        await record(tx, events)
        if away:
            await end_sessions(engine)
            await tx.execute(text("SELECT 1"))

    async def is_reachable(_engine: AsyncEngine) -> bool:
        away.pop()
        return False

    monkeypatch.setattr(database, "is_reachable", is_reachable)
    await publish(engine, jetstream, *(an_event(f"{number}") for number in range(50)))
    losing = Subscription(DURABLE, QuoteApproved, lose_the_session)
    async with looping(a_consumer(engine, connection, losing)):
        await settled(jetstream)

    assert away == []
    assert await effects(engine) == [f"{number}" for number in range(50)]
    info = await jetstream.consumer_info("CUSTOMER_CONTRACT", DURABLE)
    assert info.delivered is not None
    assert info.delivered.consumer_seq == 50


async def test_consumption_goes_on_after_the_broker_was_away(
    engine: AsyncEngine, connection: Broker, jetstream: JetStreamContext, wire: Wire
) -> None:
    await publish(engine, jetstream, an_event("before"))
    async with looping(a_consumer(engine, connection)):
        await settled(jetstream)
        await wire.cut()
        await publish(engine, jetstream, an_event("meanwhile"))
        await asyncio.sleep(0.5)
        await wire.mend()

        async def is_taken() -> bool:
            return await effects(engine) == ["before", "meanwhile"]

        await until(is_taken)


async def test_a_durable_that_is_missing_is_a_problem_until_it_is_there(
    engine: AsyncEngine, connection: Broker, jetstream: JetStreamContext
) -> None:
    await jetstream.delete_consumer("CUSTOMER_CONTRACT", DURABLE)
    await publish(engine, jetstream, an_event("a"))
    consuming = a_consumer(engine, connection)
    async with looping(consuming):

        async def is_unfit() -> bool:
            return consuming.problems == [f"{DURABLE}: DurableUnfit"]

        await until(is_unfit)
        await apply(jetstream, [], [durable_of(RECORD)], Sizing())
        await settled(jetstream)

        async def is_well() -> bool:
            return not consuming.problems

        await until(is_well)

    assert await effects(engine) == ["a"]


async def test_two_workers_with_the_same_events_wait_for_each_other(engine: AsyncEngine) -> None:
    ids = [UUID(int=number) for number in range(100)]

    async def take(order: Sequence[UUID]) -> int:
        async with database.write(engine) as tx:
            taken = await inbox.take(tx, DURABLE, order)
            await asyncio.sleep(0.05)
            return len(taken)

    assert sorted(await asyncio.gather(take(ids), take(ids[::-1]))) == [0, 100]
