"""Everything a deal sends, doubled and shuffled, over the real broker and two consumers."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import nats
import pytest
from billing_event_builders import (
    a_contract,
    activated,
    an_approved_entry,
    approved,
    billed,
    limit_changed,
    published,
    recorded,
)
from billing_event_storm import Storm, a_month, state_hash
from billing_event_world import assert_sound, rows, take, totals, unrated
from google.protobuf.message import Message
from nats.js import JetStreamContext
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from billing_event import schedules
from billing_event.consumers import subscriptions
from billing_event.domain.position import row_id
from billing_event.domain.source import SourceItemId
from throughline.project_provisioning.events.v1 import (
    project_provisioning_events_pb2 as projects,
)
from throughline_runtime import consumer
from throughline_runtime.broker import Broker
from throughline_runtime.clock import Clock
from throughline_runtime.consumer import Consumer
from throughline_runtime.context import Context
from throughline_runtime.events import subject_of
from throughline_runtime.settings import Settings
from throughline_runtime.streams import Sizing, apply, durable_of, stream_of
from throughline_testing.broker import TestBroker
from throughline_testing.database import fresh_database
from throughline_testing.drill import in_drill
from throughline_testing.samples import sample
from throughline_testing.servers import acquire

PUBLISHERS = ("customer-contract", "project-provisioning", "invoice-payment")
SUBSCRIPTIONS = subscriptions(Clock())


@pytest.fixture
async def jetstream(broker: TestBroker) -> AsyncIterator[JetStreamContext]:
    connection = await nats.connect(broker.url, user=broker.user, password=broker.password)
    context = connection.jetstream()
    durables = [durable_of(each) for each in SUBSCRIPTIONS]
    await apply(context, [stream_of(name) for name in PUBLISHERS], durables, Sizing())
    yield context
    await connection.close()


def a_deal() -> list[Message]:
    """Return the events of a deal without a limit, whose outcome no order may change."""
    sheets = [
        approved(
            *(
                an_approved_entry(
                    sheet * 10 + day,
                    work_date=f"2026-09-{day + 1:02d}",
                    role=("senior_consultant", "architect")[sheet % 2],
                )
                for day in range(10)
            ),
            number=sheet,
        )
        for sheet in range(1, 9)
    ]
    first = SourceItemId(UUID(sheets[0].entries[0].time_entry_id))
    return [
        recorded(),
        recorded(2, credit_hold=True),
        recorded(3),
        activated(a_contract()),
        limit_changed(a_contract(version=2)),
        published({"architect": "200.00"}),
        sample(projects.ExpenseReportApproved),
        sample(projects.MilestoneCompleted),
        sample(projects.MilestoneAccepted),
        *sheets,
        billed((str(row_id(first, 1)), "8.00", "1440.00")),
    ]


async def publish(jetstream: JetStreamContext, events: Sequence[Message]) -> None:
    """Publish each event twice under its own id, and once as a replay under another."""
    deliveries = []
    for event in events:
        same, other = str(uuid4()), str(uuid4())
        deliveries += [(event, same), (event, same), (event, other)]
    random.Random(7).shuffle(deliveries)
    for event, event_id in deliveries:
        headers = {"ce-id": event_id, "Nats-Msg-Id": str(uuid4())}
        await jetstream.publish(subject_of(type(event)), event.SerializeToString(), headers=headers)


async def drained(jetstream: JetStreamContext) -> None:
    async with asyncio.timeout(60):
        for each in map(durable_of, SUBSCRIPTIONS):
            while True:
                info = await jetstream.consumer_info(each.stream, each.name)
                if not info.num_pending and not info.num_ack_pending:
                    break
                await asyncio.sleep(0.05)


@asynccontextmanager
async def consuming(settings: Settings, engine: AsyncEngine) -> AsyncIterator[None]:
    """Let one more replica consume for the length of the block."""
    stop = asyncio.Event()
    connection = Broker(settings, on_closed=stop.set)
    connection.start()
    assert await connection.wait_connected(timeout_seconds=10)
    task = asyncio.create_task(Consumer(settings, engine, connection, SUBSCRIPTIONS).run(stop))
    try:
        yield
    finally:
        stop.set()
        await task
        await connection.close()


async def test_a_shuffled_and_doubled_deal_ends_like_one_in_order(
    engine: AsyncEngine,
    settings: Settings,
    context: Context,
    jetstream: JetStreamContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(consumer, "_FIRST_DELAY_SECONDS", 0.05)
    await publish(jetstream, a_deal())

    async def reconsider() -> None:
        while True:
            await schedules.reconsider_held(context)
            await asyncio.sleep(0.2)

    # The job runs beside, as it does in the service: work that came before its terms is released
    # by it alone, and what is told as billed before that is tried only so often.
    async with consuming(settings, engine), consuming(settings, engine):
        job = asyncio.create_task(reconsider())
        await drained(jetstream)
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
    await schedules.reconsider_held(context)

    senior, architect = ("1440.00", "released", ""), ("1600.00", "released", "")
    assert sorted(await rows(engine)) == sorted(
        [
            ("9600.00", "eligible", ""),
            ("210.00", "released", ""),
            *[senior] * 40,
            *[architect] * 40,
        ]
    )
    assert await unrated(engine) == []
    assert (await totals(engine))["positions"]["allocated.EUR"] == 1440
    await assert_sound(engine)


@pytest.mark.timeout(in_drill(3600, otherwise=120))
async def test_a_storm_ends_in_the_state_of_the_same_events_once_and_in_order(
    engine: AsyncEngine, context: Context
) -> None:
    deliveries = in_drill(200_000, otherwise=3_000)
    events = a_month(deliveries // 4)

    async def reconsider() -> None:
        await schedules.reconsider_held(context)

    storm = Storm(engine, seed=7)
    refused = await storm.rage(events, deliveries=deliveries, meanwhile=reconsider)
    assert refused > 0
    assert await unrated(engine) == []
    await assert_sound(engine)

    async with fresh_database(acquire("postgres"), "billing-event") as other:
        calm = create_async_engine(other.url)
        await Storm(calm, seed=7).in_order(events)
        assert await state_hash(engine) == await state_hash(calm)
        await calm.dispose()


async def test_control_the_same_deal_in_order_and_once(engine: AsyncEngine) -> None:
    for event in a_deal():
        await take(engine, event)
    assert (await totals(engine))["positions"] == {
        "rated.EUR": 40 * 1440 + 40 * 1600 + 9600 + 210,
        "held.EUR": 0,
        "eligible.EUR": 9600,
        "released.EUR": 40 * 1440 + 40 * 1600 + 210,
        "allocated.EUR": 1440,
        "open_released.EUR": 39 * 1440 + 40 * 1600 + 210,
        "invoiced.EUR": 1440,
        "credited.EUR": 0,
        "drawn.EUR": 0,
        "written_off.EUR": 0,
    }
