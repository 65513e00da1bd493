"""What a service's NATS user may do, and what the broker refuses it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client
from nats.errors import Error

from throughline_cli.stack.broker import (
    ADMINISTRATOR,
    Account,
    Broker,
    administrator,
    inbox_prefix,
    service_user,
    syncs_always,
)
from throughline_cli.stack.guard import Guard
from throughline_cli.stack.layout import free_port
from throughline_cli.stack.program import Runner
from throughline_cli.stack.programs import broker_program
from throughline_runtime.streams import Durable, Sizing, apply, stream_of

PUBLISHER, READER, OTHER = "billing-event", "invoice-payment", "reporting"
STREAM = stream_of(PUBLISHER)
DURABLE = Durable(STREAM.name, "invoice-payment-read", "billing_event.batch.released.v1")
SUBJECT = DURABLE.subject


@dataclass(slots=True)
class Session:
    """A user's connection and what the broker complained about."""

    client: Client
    complaints: list[str] = field(default_factory=list)

    async def is_refused(self, attempt: Awaitable[object]) -> bool:
        """Whether the broker forbade what was tried; the client sees only a time-out."""
        with pytest.raises((Error, asyncio.TimeoutError)):
            await attempt
        await self.client.flush()
        return any("permissions violation" in complaint for complaint in self.complaints)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Broker]:
    """A broker with three services, and a stream with one durable and one message."""
    users = (
        administrator("secret"),
        service_user(PUBLISHER, "secret", durables=()),
        service_user(READER, "secret", durables=(DURABLE,)),
        service_user(OTHER, "secret", durables=()),
    )
    port = free_port()
    broker = Broker(tmp_path, port, free_port(taken=[port]), (Account("firm", users),))
    broker.initialise()
    with (tmp_path / "lock").open("w") as lock:
        guard = Guard(tmp_path, lock=lock.fileno())
        runner = Runner(broker_program(broker, tmp_path / "log"), guard, lambda: None)
        await runner.start()
        try:
            async with session(broker, ADMINISTRATOR) as admin:
                jetstream = admin.client.jetstream()
                await apply(jetstream, [STREAM], [DURABLE], Sizing())
                await jetstream.publish(SUBJECT, b"one")
            yield broker
        finally:
            await runner.stop()
            guard.close()


@asynccontextmanager
async def session(broker: Broker, user: str) -> AsyncIterator[Session]:
    """A connection of `user`, with inboxes as the platform's services have them."""
    complaints: list[str] = []

    async def note(error: Exception) -> None:
        complaints.append(str(error).lower())

    client = await nats.connect(
        broker.url,
        user=user,
        password="secret",
        inbox_prefix=inbox_prefix(user),
        error_cb=note,
        allow_reconnect=False,
    )
    try:
        yield Session(client, complaints)
    finally:
        await client.close()


async def test_a_service_publishes_its_own_events(server: Broker) -> None:
    async with session(server, PUBLISHER) as publisher:
        acknowledged = await publisher.client.jetstream().publish(SUBJECT, b"two")

    assert acknowledged.stream == STREAM.name


async def test_a_service_cannot_forge_the_events_of_another(server: Broker) -> None:
    async with session(server, OTHER) as forger:
        assert await forger.is_refused(forger.client.jetstream(timeout=1).publish(SUBJECT, b"x"))


async def test_a_service_reads_and_acknowledges_its_own_durable(server: Broker) -> None:
    async with session(server, READER) as reader:
        jetstream = reader.client.jetstream()
        pull = await jetstream.pull_subscribe_bind(DURABLE.name, DURABLE.stream)
        [message] = await pull.fetch(1, timeout=2)
        await message.ack_sync(timeout=2)
        info = await pull.consumer_info()

    assert (message.data, info.num_ack_pending, reader.complaints) == (b"one", 0, [])


async def test_a_service_cannot_read_the_durable_of_another(server: Broker) -> None:
    async with session(server, OTHER) as thief:
        pull = await thief.client.jetstream().pull_subscribe_bind(DURABLE.name, DURABLE.stream)
        assert await thief.is_refused(pull.fetch(1, timeout=1))


async def test_a_service_cannot_overhear_another(server: Broker) -> None:
    async with session(server, OTHER) as listener:
        heard = await listener.client.subscribe(f"{inbox_prefix(READER)}.>")
        assert await listener.is_refused(heard.next_msg(timeout=0.5))
        listener.complaints.clear()
        heard = await listener.client.subscribe(SUBJECT)
        assert await listener.is_refused(heard.next_msg(timeout=0.5))


async def test_a_service_cannot_acknowledge_for_another(server: Broker) -> None:
    async with session(server, OTHER) as meddler:
        await meddler.client.publish(f"$JS.ACK.{DURABLE.stream}.{DURABLE.name}.1.1.1.1.0", b"+ACK")
        await meddler.client.flush()
        await asyncio.sleep(0.1)

    assert any("permissions violation" in complaint for complaint in meddler.complaints)


@pytest.mark.parametrize("user", [PUBLISHER, READER])
async def test_a_service_cannot_delete_or_make_streams_and_durables(
    server: Broker, user: str
) -> None:
    async with session(server, user) as service:
        jetstream = service.client.jetstream(timeout=0.5)
        assert await service.is_refused(jetstream.delete_stream(STREAM.name))
        assert await service.is_refused(jetstream.purge_stream(STREAM.name))
        assert await service.is_refused(jetstream.delete_consumer(STREAM.name, DURABLE.name))
        assert await service.is_refused(jetstream.add_stream(name="MINE", subjects=["mine.>"]))
        assert await service.is_refused(jetstream.get_msg(STREAM.name, 1))


async def test_the_broker_syncs_every_message(server: Broker) -> None:
    assert await syncs_always(server.monitor_url)
