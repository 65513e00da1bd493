"""One trace spans a command: call, SQL, outbox, broker, consumer and the SQL of its effect."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import pytest
import structlog
from opentelemetry import trace
from opentelemetry.context import Context as TraceContext
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from runtime_probe.tables import effect
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from throughline.customer_contract.events.v1.customer_contract_events_pb2 import ContractSigned
from throughline.operations.v1 import operations_service_pb2 as pb
from throughline.operations.v1.operations_service_pb2_grpc import (
    OperationsServiceStub,
    add_OperationsServiceServicer_to_server,
)
from throughline_runtime import database, outbox, streams
from throughline_runtime.broker import Broker
from throughline_runtime.clock import Clock
from throughline_runtime.consumer import Consumer
from throughline_runtime.context import Context
from throughline_runtime.events import Outgoing
from throughline_runtime.identity import Caller, CallerTokens, acting_as
from throughline_runtime.once import once
from throughline_runtime.operations import OperationsServicer
from throughline_runtime.relay import Relay
from throughline_runtime.rpc.client import Peers
from throughline_runtime.rpc.server import RpcServer
from throughline_runtime.settings import Settings
from throughline_runtime.subscription import Subscription
from throughline_runtime.telemetry import tracing
from throughline_testing.broker import TestBroker
from throughline_testing.database import Database
from throughline_testing.settings import CALLER_KEY, make_settings

SERVICE = "runtime-probe"
ENGAGEMENT = UUID(int=42)
OPERATOR = Caller("user-7", frozenset({"ROLE_INTEGRATION"}), entities=None)


class Publisher(OperationsServicer):
    """Publishes an event where the real one replays a message."""

    async def ReplayParked(
        self, request: pb.ReplayParkedRequest, context: object
    ) -> pb.ReplayParkedResponse:
        async def handle(tx: AsyncConnection) -> pb.ReplayParkedResponse:
            signed = ContractSigned(engagement_id=str(ENGAGEMENT))
            await outbox.append(tx, [Outgoing(signed, uuid4(), 1)])
            return pb.ReplayParkedResponse(replayed=1)

        return await once(self._engine, request, pb.ReplayParkedResponse, handle)


@pytest.fixture
def settings(probe_database: Database, broker: TestBroker) -> Settings:
    return make_settings(
        SERVICE,
        database_url=probe_database.url,
        nats_url=broker.url,
        nats_user=broker.user,
        nats_password=broker.password,
        require_durable_broker=False,
    )


@pytest.fixture
def spans() -> InMemorySpanExporter:
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        tracing.configure(SERVICE, "all", "test")
    exporter = InMemorySpanExporter()
    tracing.export_to(exporter)
    return exporter


@asynccontextmanager
async def calling(settings: Settings, engine: AsyncEngine) -> AsyncIterator[Peers]:
    tokens = CallerTokens(CALLER_KEY)
    context = Context(settings, engine, Clock(), Peers(SERVICE, {}, tokens), lambda _name: None)
    mount = (add_OperationsServiceServicer_to_server, Publisher(context, None))
    server = RpcServer([mount], tokens)
    port = await server.start("127.0.0.1:0")
    peers = Peers("gateway", {SERVICE: f"127.0.0.1:{port}"}, tokens, is_front_door=True)
    try:
        yield peers
    finally:
        await peers.close()
        await server.stop(0)


@asynccontextmanager
async def relaying_and_consuming(
    settings: Settings, engine: AsyncEngine, subscription: Subscription[ContractSigned]
) -> AsyncIterator[None]:
    broker = Broker(settings, on_closed=lambda: None)
    broker.start()
    assert await broker.wait_connected(timeout_seconds=10)
    durable = streams.durable_of(subscription)
    await streams.apply(
        broker.jetstream, [streams.stream_of("customer-contract")], [durable], streams.Sizing()
    )
    stop = asyncio.Event()
    loops = asyncio.gather(
        Relay(engine, broker).run(stop),
        Consumer(settings, engine, broker, [subscription]).run(stop),
    )
    try:
        yield
    finally:
        stop.set()
        await loops
        await broker.close()


async def test_one_trace_spans_call_sql_event_and_its_effect(
    settings: Settings, engine: AsyncEngine, spans: InMemorySpanExporter
) -> None:
    tracing.trace_sql(engine)
    consumed: asyncio.Queue[tuple[str, object]] = asyncio.Queue()

    async def leave_effect(tx: AsyncConnection, events: Sequence[ContractSigned]) -> None:
        await tx.execute(insert(effect).values(aggregate_id=uuid4(), note="signed"))
        ids = structlog.contextvars.get_contextvars()
        await consumed.put((tracing.trace_id(), ids.get("engagement_id")))

    subscription = Subscription("runtime-probe-leave-effect", ContractSigned, leave_effect)
    request = pb.ReplayParkedRequest(request_id="once", parked_ids=[str(uuid4())])
    async with (
        calling(settings, engine) as peers,
        relaying_and_consuming(settings, engine, subscription),
    ):
        with (
            acting_as(OPERATOR),
            tracing.open_span("POST /v1/replay", SpanKind.SERVER, parent=TraceContext()) as root,
        ):
            await peers.stub(OperationsServiceStub, SERVICE).ReplayParked(request)
        trace_id, engagement_id = await asyncio.wait_for(consumed.get(), 20)

    assert trace_id == f"{root.get_span_context().trace_id:032x}"
    assert engagement_id == str(ENGAGEMENT)
    finished = [
        span for span in spans.get_finished_spans() if f"{span.context.trace_id:032x}" == trace_id
    ]
    method = "throughline.operations.v1.OperationsService/ReplayParked"
    client = named(finished, method, SpanKind.CLIENT)
    server = named(finished, method, SpanKind.SERVER)
    consumer = named(finished, f"consume {subscription.subject}", SpanKind.CONSUMER)
    assert ancestors(finished, server) == [client, named(finished, "POST /v1/replay")]
    assert server in ancestors(finished, consumer)
    [published] = statements(finished, "INSERT INTO outbox")
    [effected] = statements(finished, "INSERT INTO effect")
    assert server in ancestors(finished, published)
    assert consumer in ancestors(finished, effected)


def named(
    spans: Sequence[ReadableSpan], name: str, kind: SpanKind = SpanKind.SERVER
) -> ReadableSpan:
    [span] = [span for span in spans if span.name == name and span.kind is kind]
    return span


def statements(spans: Sequence[ReadableSpan], beginning: str) -> list[ReadableSpan]:
    return [
        span
        for span in spans
        if str((span.attributes or {}).get("db.statement", "")).strip().startswith(beginning)
    ]


def ancestors(spans: Sequence[ReadableSpan], span: ReadableSpan) -> list[ReadableSpan]:
    by_id = {each.context.span_id: each for each in spans}
    found = []
    while span.parent is not None and span.parent.span_id in by_id:
        span = by_id[span.parent.span_id]
        found.append(span)
    return found


async def test_a_statement_shows_its_text_and_never_its_values(
    engine: AsyncEngine, spans: InMemorySpanExporter
) -> None:
    tracing.trace_sql(engine)
    async with database.write(engine) as tx:
        await tx.execute(insert(effect).values(aggregate_id=uuid4(), note="Jane Doe"))

    [statement] = statements(spans.get_finished_spans(), "INSERT INTO effect")
    assert "Jane" not in statement.to_json()
