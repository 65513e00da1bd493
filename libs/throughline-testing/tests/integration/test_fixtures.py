"""What the fixtures promise the tests of services."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from throughline.operations.v1 import operations_service_pb2 as pb
from throughline.operations.v1.operations_service_pb2_grpc import (
    OperationsServiceServicer,
    OperationsServiceStub,
    add_OperationsServiceServicer_to_server,
)
from throughline_core.errors import PermissionDenied
from throughline_runtime.broker import Broker
from throughline_runtime.context import Context
from throughline_runtime.rpc.errors import PeerFault
from throughline_runtime.settings import Settings
from throughline_testing.broker import TestBroker
from throughline_testing.serving import Running, a_caller, faked, serving
from throughline_testing.statements import Statements


@pytest.fixture
async def peers() -> AsyncIterator[dict[str, str]]:
    """A service that the one under test asks, of which only one method is expected."""

    async def one_parked(_request: pb.ListParkedRequest) -> pb.ListParkedResponse:
        return pb.ListParkedResponse(parked=[pb.ParkedMessage(reason="poison")])

    servicer = faked(OperationsServiceServicer, ListParked=one_parked)
    async with serving([(add_OperationsServiceServicer_to_server, servicer)]) as target:
        yield {"other-service": target}


@pytest.mark.parametrize("_time", range(2))
async def test_a_database_is_migrated_and_empty(engine: AsyncEngine, _time: int) -> None:
    async with engine.begin() as tx:
        assert await tx.scalar(text("SELECT count(*) FROM inbox")) == 0
        await tx.execute(text("INSERT INTO inbox (durable, event_id) VALUES ('x', uuidv7())"))


async def test_statements_are_counted_without_begin_and_commit(
    engine: AsyncEngine, statements: Statements
) -> None:
    async with engine.begin() as tx:
        await tx.execute(text("SELECT 1"))
    statements.clear()

    async with engine.begin() as tx:
        await tx.execute(text("SELECT 2"))
        await tx.execute(text("SELECT 3"))

    assert statements.texts == ["SELECT 2", "SELECT 3"]


async def test_the_business_clock_goes_where_a_test_puts_it(
    context: Context, move_clock: Callable[[datetime], None]
) -> None:
    month_end = datetime(2026, 3, 31, 22, 30, tzinfo=UTC)

    move_clock(month_end)

    assert abs(context.clock.now() - month_end) < timedelta(seconds=30)
    assert context.clock.today("Europe/Berlin").isoformat() == "2026-04-01"


async def test_settings_reach_the_broker_only_for_a_test_that_asks(settings: Settings) -> None:
    assert settings.nats_url == "nats://127.0.0.1:1"


async def test_the_runtime_trusts_the_broker_of_a_test(
    broker: TestBroker, settings: Settings
) -> None:
    connected = Broker(settings, on_closed=lambda: None)
    connected.start()
    try:
        assert await connected.wait_connected(timeout_seconds=5)
        assert await connected.durability_problem() is None
    finally:
        await connected.close()


async def test_a_served_service_answers_each_caller_as_it_may(running: Running) -> None:
    auditor = running.stub(OperationsServiceStub, caller=a_caller("auditor"))
    consultant = running.stub(OperationsServiceStub, caller=a_caller("consultant"))

    assert not (await auditor.ListParked(pb.ListParkedRequest())).parked
    with pytest.raises(PermissionDenied):
        await consultant.ListParked(pb.ListParkedRequest())


async def test_a_peer_answers_what_a_test_expects_of_it_and_nothing_else(context: Context) -> None:
    peer = context.stub(OperationsServiceStub, "other-service")

    assert (await peer.ListParked(pb.ListParkedRequest())).parked[0].reason == "poison"
    with pytest.raises(PeerFault):
        await peer.VerifyAudit(pb.VerifyAuditRequest())
