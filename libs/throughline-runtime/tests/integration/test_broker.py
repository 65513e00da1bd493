"""The connection to the broker outlives outages, buffers nothing, and knows whom to trust."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from nats.errors import OutboundBufferLimitError
from runtime_probe.support import Wire, settings_for, until

from throughline_runtime.broker import BROKER_ERRORS, Broker
from throughline_testing.broker import TestBroker


@asynccontextmanager
async def monitor(body: bytes) -> AsyncIterator[str]:
    """Serve `body` as a server's monitoring endpoint would."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def a_broker(**values: object) -> Broker:
    return Broker(settings_for(**values), on_closed=lambda: None)


SYNCS = b'{"config": {"sync_always": true}}'
FORGETS = b'{"config": {"sync_interval": 120000000000}}'
NOBODY = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("bodies", "silent", "problem"),
    [
        ([SYNCS], 0, None),
        ([SYNCS], 1, None),
        ([FORGETS], 0, "does not sync every message"),
        ([SYNCS, FORGETS], 0, "does not sync every message"),
        ([b"not json"], 0, "no monitoring endpoint"),
        ([], 1, "no monitoring endpoint"),
    ],
)
async def test_every_server_that_answers_has_to_sync_every_message(
    bodies: list[bytes], silent: int, problem: str | None
) -> None:
    async with AsyncExitStack() as servers:
        urls = [await servers.enter_async_context(monitor(body)) for body in bodies]
        urls += [NOBODY] * silent
        found = await a_broker(nats_monitor_url=", ".join(urls)).durability_problem()

    assert found is None if problem is None else problem in (found or "")


async def test_the_real_server_proves_that_it_syncs(broker: TestBroker) -> None:
    assert await a_broker(nats_monitor_url=broker.monitor_url).durability_problem() is None


async def test_a_broker_nobody_can_ask_is_not_trusted_unless_that_is_allowed() -> None:
    assert "nats_monitor_url" in (await a_broker().durability_problem() or "")
    assert await a_broker(require_durable_broker=False).durability_problem() is None


async def test_what_is_sent_while_the_broker_is_away_fails_at_once(
    connection: Broker, wire: Wire
) -> None:
    await wire.cut()

    async def is_noticed() -> bool:
        return not connection.is_connected

    await until(is_noticed)
    with pytest.raises(OutboundBufferLimitError):
        await connection.client.publish("customer_contract.quote.approved.v1", b"")
    await wire.mend()
    assert await connection.wait_connected(timeout_seconds=10)


async def test_a_process_starts_before_its_broker(broker: TestBroker, wire: Wire) -> None:
    await wire.cut()
    early = a_broker(
        nats_url=f"nats://127.0.0.1:{wire.port}",
        nats_user=broker.user,
        nats_password=broker.password,
    )
    early.start()
    assert not await early.wait_connected(timeout_seconds=0.3)
    await wire.mend()

    assert await early.wait_connected(timeout_seconds=10)
    await early.close()


async def test_what_the_broker_refuses_is_counted_though_it_never_raises(
    broker: TestBroker,
) -> None:
    def errors() -> float:
        return sum(s.value for m in BROKER_ERRORS.collect() for s in m.samples)

    before = errors()
    stranger = a_broker(nats_url=broker.url, nats_user="stranger", nats_password="wrong")
    stranger.start()

    async def is_counted() -> bool:
        return errors() > before

    await until(is_counted)
    assert not stranger.is_connected
    await stranger.close()


async def test_a_client_that_closed_for_good_ends_the_process(broker: TestBroker) -> None:
    ended = asyncio.Event()
    connection = Broker(
        settings_for(nats_url=broker.url, nats_user=broker.user, nats_password=broker.password),
        on_closed=ended.set,
    )
    connection.start()
    assert await connection.wait_connected(timeout_seconds=10)

    await connection.client.close()

    async with asyncio.timeout(10):
        await ended.wait()
