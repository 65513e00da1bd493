"""A world of its own in the run's broker for each test: no stream outlives the test."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import nats

from throughline_testing.keeper import ACCOUNTS, test_account
from throughline_testing.servers import Server


@dataclass(frozen=True, slots=True)
class TestBroker:
    """How to reach the broker; the user may do everything within its account."""

    __test__ = False  # not a test class, whatever pytest thinks of its name

    url: str
    user: str
    password: str
    monitor_url: str


@asynccontextmanager
async def fresh_broker(server: Server) -> AsyncIterator[TestBroker]:
    """Yield the account of this test process, emptied of streams before and after the test."""
    broker = TestBroker(
        server.ready["url"],
        test_account(_process_number()),
        server.ready["password"],
        server.ready["monitor_url"],
    )
    await _empty(broker)
    try:
        yield broker
    finally:
        await _empty(broker)


async def _empty(broker: TestBroker) -> None:
    connection = await nats.connect(broker.url, user=broker.user, password=broker.password)
    try:
        context = connection.jetstream()
        for stream in await context.streams_info():
            assert stream.config.name is not None
            await context.delete_stream(stream.config.name)
    finally:
        await connection.close()


def _process_number() -> int:
    """Return this test process's number; pytest-xdist names its workers gw0, gw1, …"""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    if number >= ACCOUNTS:
        raise ValueError(f"at most {ACCOUNTS} test processes share the broker")
    return number
