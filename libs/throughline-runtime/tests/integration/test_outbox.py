"""What is committed is published, in order for each aggregate, whatever fails in between."""

import asyncio
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from runtime_probe.support import Wire, an_event, append, end_sessions, looping, settings_for, until
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from throughline.customer_contract.events.v1.customer_contract_events_pb2 import QuoteApproved
from throughline_core.errors import FailedPrecondition
from throughline_runtime import database, outbox
from throughline_runtime.broker import Broker
from throughline_runtime.outbox import PAYLOAD_BYTES_MAX
from throughline_runtime.relay import Relay
from throughline_runtime.schema import outbox as table
from throughline_runtime.telemetry.metrics import OUTBOX_PENDING
from throughline_testing.broker import TestBroker
from throughline_testing.statements import Statements

STREAM = "CUSTOMER_CONTRACT"


async def pending(engine: AsyncEngine) -> int:
    async with database.read(engine) as tx:
        query = select(func.count()).where(table.c.published_at.is_(None))
        return int(await tx.scalar(query) or 0)


async def published(engine: AsyncEngine) -> None:
    async def is_done() -> bool:
        return await pending(engine) == 0

    await until(is_done)


async def stored(jetstream: JetStreamContext) -> list[Msg]:
    """Return everything the stream holds, in its order."""
    state = (await jetstream.stream_info(STREAM)).state
    subscription = await jetstream.subscribe(
        "customer_contract.>", stream=STREAM, ordered_consumer=True
    )
    messages = [await subscription.next_msg(timeout=5) for _ in range(state.messages)]
    await subscription.unsubscribe()
    return messages


def notes_by_aggregate(messages: list[Msg]) -> dict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for message in messages:
        assert message.headers is not None
        note = QuoteApproved.FromString(message.data).quote.quote_id
        found[message.headers["aggregate-id"]].append(note)
    return found


async def test_an_event_carries_what_its_consumers_need(
    engine: AsyncEngine, connection: Broker, jetstream: JetStreamContext
) -> None:
    await append(engine, an_event("hello", aggregate=7, version=3, correlation_id=UUID(int=9)))
    async with looping(Relay(engine, connection)):
        await published(engine)

    [message] = await stored(jetstream)
    assert message.headers is not None
    headers = dict(message.headers)
    assert message.subject == "customer_contract.quote.approved.v1"
    assert UUID(headers["ce-id"]).version == 7
    assert headers.pop("Nats-Msg-Id") == headers.pop("ce-id")
    assert datetime.fromisoformat(headers.pop("ce-time")).tzinfo == UTC
    headers.pop("traceparent", None)
    assert headers == {
        "ce-type": "customer_contract.quote.approved.v1",
        "ce-source": "/throughline/customer-contract",
        "ce-specversion": "1.0",
        "schema": "throughline.customer_contract.events.v1.QuoteApproved",
        "aggregate-id": str(UUID(int=7)),
        "aggregate-version": "3",
        "correlation-id": str(UUID(int=9)),
    }


async def test_any_number_of_events_is_one_statement(
    engine: AsyncEngine, statements: Statements
) -> None:
    await append(engine, *(an_event(f"{number}", aggregate=number) for number in range(500)))

    assert len(statements) == 1
    assert await pending(engine) == 500


async def test_a_transaction_that_fails_publishes_nothing(engine: AsyncEngine) -> None:
    async def fail() -> None:
        async with database.write(engine) as tx:
            await outbox.append(tx, [an_event("never")])
            raise FailedPrecondition("not yet")

    with pytest.raises(FailedPrecondition):
        await fail()
    assert await pending(engine) == 0


async def test_an_event_too_large_to_travel_is_refused_where_it_is_made(
    engine: AsyncEngine,
) -> None:
    with pytest.raises(ValueError, match="chunks"):
        await append(engine, an_event("x" * PAYLOAD_BYTES_MAX))


async def test_aggregates_keep_their_order_over_several_relays_while_the_broker_comes_and_goes(
    engine: AsyncEngine, connection: Broker, jetstream: JetStreamContext, wire: Wire
) -> None:
    """Writers go on while the broker is away; nothing is lost, doubled or out of order."""
    aggregates, rounds = 20, 30

    async def write(aggregate: int) -> None:
        for number in range(rounds):
            await append(engine, an_event(f"{number}", aggregate=aggregate, version=number + 1))
            await asyncio.sleep(0.02)

    async def disturb() -> None:
        for _ in range(3):
            await asyncio.sleep(0.15)
            await wire.cut()
            await asyncio.sleep(0.3)
            await wire.mend()

    async with looping(Relay(engine, connection), Relay(engine, connection)):
        await asyncio.gather(*(write(number) for number in range(aggregates)), disturb())
        await published(engine)

    found = notes_by_aggregate(await stored(jetstream))
    assert len(found) == aggregates
    assert all(notes == [f"{n}" for n in range(rounds)] for notes in found.values())


async def test_a_relay_that_loses_its_database_session_goes_on(
    engine: AsyncEngine, connection: Broker
) -> None:
    async with looping(Relay(engine, connection)):
        await append(engine, an_event("1"))
        await published(engine)
        await end_sessions(engine)
        await append(engine, an_event("2", version=2))
        await published(engine)


async def test_a_stream_that_is_full_makes_events_wait_and_keeps_their_order(
    engine: AsyncEngine, connection: Broker, jetstream: JetStreamContext
) -> None:
    config = (await jetstream.stream_info(STREAM)).config
    config.max_msgs = 3
    await jetstream.update_stream(config)
    await append(engine, *(an_event(f"{n}", version=n + 1) for n in range(6)))

    async with looping(Relay(engine, connection)):

        async def is_full() -> bool:
            return await pending(engine) == 3

        await until(is_full)
        await asyncio.sleep(0.3)
        assert await pending(engine) == 3
        config.max_msgs = 100
        await jetstream.update_stream(config)
        await published(engine)

    [notes] = notes_by_aggregate(await stored(jetstream)).values()
    assert notes == ["0", "1", "2", "3", "4", "5"]


async def test_nothing_is_published_to_a_broker_that_may_forget(
    engine: AsyncEngine, jetstream: JetStreamContext, broker: TestBroker
) -> None:
    unproven = Broker(
        settings_for(nats_url=broker.url, nats_user=broker.user, nats_password=broker.password),
        on_closed=lambda: None,
    )
    unproven.start()
    assert await unproven.wait_connected(timeout_seconds=10)
    relay = Relay(engine, unproven)
    await append(engine, an_event("1"))

    async with looping(relay):
        await asyncio.sleep(0.3)

    assert "nats_monitor_url" in (relay.problem or "")
    assert await pending(engine) == 1
    await unproven.close()


async def test_a_lost_store_is_rebuilt_from_the_outbox_under_the_same_ids(
    engine: AsyncEngine, connection: Broker, jetstream: JetStreamContext
) -> None:
    began_at = datetime.now(UTC) - timedelta(seconds=5)
    await append(engine, *(an_event(f"{n}", version=n + 1) for n in range(5)))
    async with looping(Relay(engine, connection)):
        await published(engine)
        before = [message.headers for message in await stored(jetstream)]
        await jetstream.purge_stream(STREAM)

        assert await outbox.republish(engine, since=began_at) == 5
        await published(engine)

    after = [message.headers for message in await stored(jetstream)]
    assert [h and h["ce-id"] for h in after] == [h and h["ce-id"] for h in before]
    assert [h and h["Nats-Msg-Id"] for h in after] == [h and h["ce-id"] + ".r1" for h in after]


async def test_published_events_are_forgotten_after_the_retention_and_pending_ones_never(
    engine: AsyncEngine,
) -> None:
    await append(engine, *(an_event(f"{n}", version=n + 1) for n in range(3)))
    long_ago = text("now() - interval '36 days'")
    async with database.write(engine) as tx:
        old = table.c.aggregate_version <= 2
        await tx.execute(update(table).where(old).values(created_at=long_ago))
        done = table.c.aggregate_version != 2
        await tx.execute(update(table).where(done).values(published_at=func.now()))

    await outbox.forget(engine)

    async with database.read(engine) as tx:
        kept = await tx.scalars(select(table.c.aggregate_version).order_by(table.c.position))
        assert list(kept) == [2, 3]


async def test_the_relay_says_how_much_waits(engine: AsyncEngine, connection: Broker) -> None:
    await append(engine, an_event("1"), an_event("2", aggregate=2))
    async with looping(Relay(engine, connection)):

        async def is_measured() -> bool:
            return bool(OUTBOX_PENDING._value.get() == 2)

        await until(is_measured)
        await published(engine)
