"""A real server and a real client on loopback: what happens around every call."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer

from throughline.operations.v1 import operations_service_pb2 as pb
from throughline.operations.v1.operations_service_pb2_grpc import (
    OperationsServiceServicer,
    OperationsServiceStub,
    add_OperationsServiceServicer_to_server,
)
from throughline_core.errors import (
    FailedPrecondition,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
)
from throughline_runtime.guard import TransactionOpen, transaction
from throughline_runtime.identity import Caller, CallerTokens, acting_as, current_caller
from throughline_runtime.rpc.access import AccessUndeclared
from throughline_runtime.rpc.client import Peers, PeerUnknown
from throughline_runtime.rpc.deadline import remaining_seconds, within
from throughline_runtime.rpc.errors import (
    DeadlineExpired,
    InvalidRequest,
    PeerFault,
    PeerOutOfReach,
)
from throughline_runtime.rpc.server import MethodUnfit, RpcServer
from throughline_runtime.telemetry.ids import current_ids, working_on
from throughline_runtime.telemetry.metrics import RPC_SECONDS

PEER = "customer-contract"
TOKENS = CallerTokens("k" * 32)
OPERATOR = Caller("user-7", frozenset({"ROLE_INTEGRATION"}), entities=frozenset({UUID(int=7)}))


@dataclass
class Recorder(OperationsServiceServicer):
    """Answers `ListParked` as told and notes what the handler could see."""

    behave: Callable[[pb.ListParkedRequest], Awaitable[pb.ListParkedResponse]] | None = None
    callers: list[Caller] = field(default_factory=list)
    seconds_left: list[float | None] = field(default_factory=list)
    ids: list[dict[str, str]] = field(default_factory=list)

    async def ListParked(
        self, request: pb.ListParkedRequest, context: object
    ) -> pb.ListParkedResponse:
        self.callers.append(current_caller())
        self.seconds_left.append(remaining_seconds())
        self.ids.append(current_ids())
        if self.behave is not None:
            return await self.behave(request)
        return pb.ListParkedResponse(next_page_token="next")

    async def ReplayParked(
        self, request: pb.ReplayParkedRequest, context: object
    ) -> pb.ReplayParkedResponse:
        await self.ListParked(pb.ListParkedRequest(), context)
        return pb.ReplayParkedResponse(replayed=len(request.parked_ids))

    async def DiscardParked(self, request: object, context: object) -> pb.DiscardParkedResponse:
        raise NotImplementedError

    async def RepublishEvents(self, request: object, context: object) -> pb.RepublishEventsResponse:
        return pb.RepublishEventsResponse()

    async def ListExceptions(self, request: object, context: object) -> pb.ListExceptionsResponse:
        raise NotImplementedError

    async def NoteException(self, request: object, context: object) -> pb.NoteExceptionResponse:
        raise NotImplementedError

    async def ListAuditEntries(
        self, request: object, context: object
    ) -> pb.ListAuditEntriesResponse:
        return pb.ListAuditEntriesResponse()

    async def VerifyAudit(self, request: object, context: object) -> pb.VerifyAuditResponse:
        raise NotImplementedError

    async def GetControlTotals(
        self, request: object, context: object
    ) -> pb.GetControlTotalsResponse:
        raise NotImplementedError

    async def ListOwnershipRules(
        self, request: object, context: object
    ) -> pb.ListOwnershipRulesResponse:
        raise NotImplementedError

    async def PutOwnershipRule(
        self, request: object, context: object
    ) -> pb.PutOwnershipRuleResponse:
        raise NotImplementedError


@asynccontextmanager
async def serving(
    servicer: Recorder, address: str = "127.0.0.1:0", *, bulk: bool = False
) -> AsyncIterator[int]:
    server = RpcServer([(add_OperationsServiceServicer_to_server, servicer)], TOKENS, bulk=bulk)
    port = await server.start(address)
    try:
        yield port
    finally:
        await server.stop(0)


@asynccontextmanager
async def calling(port: int, *, front_door: bool = True) -> AsyncIterator[Peers]:
    peers = Peers("reporting", {PEER: f"127.0.0.1:{port}"}, TOKENS, is_front_door=front_door)
    try:
        yield peers
    finally:
        await peers.close()


@pytest.fixture
def servicer() -> Recorder:
    return Recorder()


@pytest.fixture
async def port(servicer: Recorder) -> AsyncIterator[int]:
    async with serving(servicer) as port:
        yield port


@pytest.fixture
async def peers(port: int) -> AsyncIterator[Peers]:
    async with calling(port) as peers:
        yield peers


async def list_parked(peers: Peers, *, timeout: float = 5.0) -> pb.ListParkedResponse:
    return await peers.stub(OperationsServiceStub, PEER).ListParked(
        pb.ListParkedRequest(), timeout=timeout
    )


def failing(times: int, error: Exception) -> Callable[..., Awaitable[pb.ListParkedResponse]]:
    left = times

    async def behave(_request: pb.ListParkedRequest) -> pb.ListParkedResponse:
        nonlocal left
        left -= 1
        if left >= 0:
            raise error
        return pb.ListParkedResponse(next_page_token="at last")

    return behave


async def test_a_call_is_answered(peers: Peers) -> None:
    with acting_as(OPERATOR):
        assert (await list_parked(peers)).next_page_token == "next"


async def test_the_caller_arrives_as_it_was_sent(servicer: Recorder, peers: Peers) -> None:
    with acting_as(OPERATOR):
        await list_parked(peers)

    assert servicer.callers == [OPERATOR]


async def test_a_service_passes_the_caller_on_with_itself_as_actor(
    servicer: Recorder, port: int
) -> None:
    consultant = Caller("user-9", frozenset({"ROLE_CONSULTANT"}), entities=frozenset({UUID(int=7)}))
    async with calling(port, front_door=False) as peers:
        with acting_as(consultant):
            await list_parked(peers)

    assert servicer.callers == [consultant.passed_on_by("reporting")]


async def test_without_a_caller_a_service_calls_for_itself(servicer: Recorder, port: int) -> None:
    async with calling(port, front_door=False) as peers:
        await list_parked(peers)

    assert servicer.callers == [Caller.service("reporting")]


async def test_another_role_is_refused_before_the_handler_runs(
    servicer: Recorder, peers: Peers
) -> None:
    consultant = Caller("user-9", frozenset({"ROLE_CONSULTANT"}))
    with acting_as(consultant), pytest.raises(PermissionDenied) as refused:
        await list_parked(peers)

    assert refused.value.stable_code == "caller.role_missing"
    assert servicer.callers == []


async def test_a_call_signed_by_a_stranger_is_refused(servicer: Recorder, port: int) -> None:
    strangers = CallerTokens("another key, also long enough to sign")
    peers = Peers("reporting", {PEER: f"127.0.0.1:{port}"}, strangers)
    with pytest.raises(Unauthenticated):
        await list_parked(peers)
    await peers.close()

    assert servicer.callers == []


async def test_a_call_without_a_deadline_or_a_caller_is_refused(port: int) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = OperationsServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as endless:
            await stub.ListParked(pb.ListParkedRequest())
        with pytest.raises(grpc.aio.AioRpcError) as nameless:
            await stub.ListParked(pb.ListParkedRequest(), timeout=5)

    assert endless.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert endless.value.details() == "the call has no deadline"
    assert nameless.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_bytes_that_are_no_message_are_refused(port: int) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        path = "/throughline.operations.v1.OperationsService/ListParked"
        call = channel.unary_unary(path, bytes, bytes)
        metadata = (("throughline-caller", TOKENS.mint(OPERATOR)),)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(b"\xff\xff\xff", timeout=5, metadata=metadata)

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_deadline_never_exceeds_what_is_left_of_the_call_being_answered(
    servicer: Recorder, peers: Peers
) -> None:
    with acting_as(OPERATOR), within(0.8):
        await list_parked(peers, timeout=30)

    # gRPC carries a timeout rounded up to a coarser unit, so some milliseconds more may arrive.
    [left] = servicer.seconds_left
    assert left is not None
    assert 0 < left < 1


async def test_a_call_out_of_time_is_not_even_made(servicer: Recorder, peers: Peers) -> None:
    with acting_as(OPERATOR), within(0), pytest.raises(DeadlineExpired):
        await list_parked(peers)

    assert servicer.callers == []


async def test_a_slow_peer_costs_the_deadline_and_no_more(servicer: Recorder, peers: Peers) -> None:
    async def sleep(_request: pb.ListParkedRequest) -> pb.ListParkedResponse:
        await asyncio.sleep(30)
        raise AssertionError("cancelled before")

    servicer.behave = sleep
    started_at = time.monotonic()
    with acting_as(OPERATOR), pytest.raises(DeadlineExpired):
        await list_parked(peers, timeout=0.3)

    assert time.monotonic() - started_at < 2


async def test_all_violations_of_a_request_come_back(peers: Peers) -> None:
    stub = peers.stub(OperationsServiceStub, PEER)
    with acting_as(OPERATOR), pytest.raises(InvalidRequest) as refused:
        await stub.ReplayParked(pb.ReplayParkedRequest(parked_ids=[str(uuid4()), "no uuid"]))

    assert refused.value.field == "request_id"
    assert [violation.field for violation in refused.value.violations] == [
        "request_id",
        "parked_ids[1]",
    ]


async def test_a_refusal_of_the_peer_is_raised_here(servicer: Recorder, peers: Peers) -> None:
    servicer.behave = failing(
        1, FailedPrecondition("not signed", code="contract.not_signed", advice="sign it")
    )
    with acting_as(OPERATOR), pytest.raises(FailedPrecondition) as refused:
        await list_parked(peers)

    assert refused.value.stable_code == "contract.not_signed"
    assert refused.value.advice == "sign it"
    assert len(servicer.callers) == 1


async def test_a_bug_of_the_peer_tells_nothing_but_its_trace(
    servicer: Recorder, peers: Peers
) -> None:
    servicer.behave = failing(1, KeyError("Jane Doe earns 100"))
    with acting_as(OPERATOR), pytest.raises(PeerFault) as fault:
        await list_parked(peers)

    assert "Jane" not in str(fault.value)
    assert len(servicer.callers) == 1


@pytest.mark.parametrize("outage", [ConnectionResetError("gone"), TimeoutError()])
async def test_an_outage_behind_a_peer_is_tried_again_and_heals(
    servicer: Recorder, peers: Peers, outage: Exception
) -> None:
    servicer.behave = failing(1, outage)
    with acting_as(OPERATOR):
        assert (await list_parked(peers)).next_page_token == "at last"

    assert len(servicer.callers) == 2


async def test_a_command_is_tried_again_because_it_carries_its_key(
    servicer: Recorder, peers: Peers
) -> None:
    servicer.behave = failing(1, ConnectionResetError())
    stub = peers.stub(OperationsServiceStub, PEER)
    request = pb.ReplayParkedRequest(request_id="once", parked_ids=[str(uuid4())])
    with acting_as(OPERATOR):
        assert (await stub.ReplayParked(request)).replayed == 1

    assert len(servicer.callers) == 2


@pytest.mark.parametrize(("request_id", "attempts"), [("", 1), ("once", 4)])
async def test_a_command_without_a_key_is_never_sent_twice(request_id: str, attempts: int) -> None:
    class AlwaysAway(Recorder):
        async def ReplayParked(self, request: object, context: Any) -> pb.ReplayParkedResponse:
            self.callers.append(OPERATOR)
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
            raise AssertionError("abort raises")

    servicer = AlwaysAway()
    unchecked = grpc.aio.server()
    add_OperationsServiceServicer_to_server(servicer, unchecked)
    port = unchecked.add_insecure_port("127.0.0.1:0")
    await unchecked.start()
    request = pb.ReplayParkedRequest(request_id=request_id)
    async with calling(port) as peers:
        with acting_as(OPERATOR), pytest.raises(PeerOutOfReach):
            await peers.stub(OperationsServiceStub, PEER).ReplayParked(request)
    await unchecked.stop(0)

    assert len(servicer.callers) == attempts


async def test_a_peer_that_comes_back_in_time_is_reached(servicer: Recorder) -> None:
    async with serving(servicer) as port:
        pass
    async with calling(port) as peers:
        with acting_as(OPERATOR):
            call = asyncio.create_task(list_parked(peers))
            await asyncio.sleep(0.05)
            async with serving(servicer, f"127.0.0.1:{port}"):
                assert (await call).next_page_token == "next"


async def test_a_peer_that_stays_away_is_told_as_out_of_reach(servicer: Recorder) -> None:
    async with serving(servicer) as port:
        pass
    async with calling(port) as peers:
        with acting_as(OPERATOR), pytest.raises(PeerOutOfReach):
            await list_parked(peers)


async def test_no_call_is_made_inside_a_transaction(servicer: Recorder, peers: Peers) -> None:
    with transaction(), pytest.raises(TransactionOpen):
        await list_parked(peers)

    assert servicer.callers == []


async def test_a_peer_without_an_address_is_a_mistake_of_the_settings(peers: Peers) -> None:
    with pytest.raises(PeerUnknown):
        peers.stub(OperationsServiceStub, "nobody")


async def test_business_ids_travel_with_the_call(servicer: Recorder, peers: Peers) -> None:
    ids = {"correlation_id": str(uuid4()), "engagement_id": str(uuid4())}
    with acting_as(OPERATOR), working_on(ids):
        await list_parked(peers)

    assert servicer.ids == [ids]


async def test_each_call_is_measured_by_method_and_outcome(peers: Peers) -> None:
    method = "throughline.operations.v1.OperationsService/ListParked"
    observed = RPC_SECONDS.labels(method, "PERMISSION_DENIED")
    before = observed._sum.get()

    with acting_as(Caller("user-9")), pytest.raises(PermissionDenied):
        await list_parked(peers)

    assert observed._sum.get() > before


async def test_health_follows_the_servers_life_and_needs_no_caller(servicer: Recorder) -> None:
    server = RpcServer([(add_OperationsServiceServicer_to_server, servicer)], TOKENS)
    port = await server.start("127.0.0.1:0")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        health = health_pb2_grpc.HealthStub(channel)
        before = await health.Check(health_pb2.HealthCheckRequest(), timeout=5)
        await server.leave()
        after = await health.Check(health_pb2.HealthCheckRequest(), timeout=5)
    await server.stop(0)

    assert before.status == health_pb2.HealthCheckResponse.SERVING
    assert after.status == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_calls_under_way_are_answered_while_the_server_stops(servicer: Recorder) -> None:
    started = asyncio.Event()

    async def finish(_request: pb.ListParkedRequest) -> pb.ListParkedResponse:
        started.set()
        await asyncio.sleep(0.3)
        return pb.ListParkedResponse(next_page_token="finished")

    servicer.behave = finish
    server = RpcServer([(add_OperationsServiceServicer_to_server, servicer)], TOKENS)
    async with calling(await server.start("127.0.0.1:0")) as peers:
        with acting_as(OPERATOR):
            calls = [asyncio.create_task(list_parked(peers)) for _ in range(50)]
        await started.wait()
        await asyncio.sleep(0.1)
        await server.stop()
        answers = await asyncio.gather(*calls)

    assert {answer.next_page_token for answer in answers} == {"finished"}


async def test_two_servers_never_share_an_address(servicer: Recorder, port: int) -> None:
    with pytest.raises(OSError, match="cannot listen"):
        async with serving(servicer, f"127.0.0.1:{port}"):
            pass


@pytest.mark.parametrize(("bulk", "fits"), [(False, False), (True, True)])
async def test_only_bulk_takes_more_than_four_mebibytes(
    servicer: Recorder, bulk: bool, fits: bool
) -> None:
    async def answer(_request: pb.ListParkedRequest) -> pb.ListParkedResponse:
        return pb.ListParkedResponse(next_page_token="x" * 5 * 1024 * 1024)

    servicer.behave = answer
    async with serving(servicer, bulk=bulk) as port, calling(port) as peers:
        call = peers.stub(OperationsServiceStub, PEER, bulk=bulk).ListParked
        with acting_as(OPERATOR):
            if fits:
                response = await call(pb.ListParkedRequest())
                assert len(response.next_page_token) == 5 * 1024 * 1024
            else:
                with pytest.raises(ResourceExhausted):
                    await call(pb.ListParkedRequest())


async def test_a_method_that_declares_no_access_is_not_served() -> None:
    health = (health_pb2_grpc.add_HealthServicer_to_server, HealthServicer())

    with pytest.raises(AccessUndeclared, match=r"Health\.Check"):
        RpcServer([health], TOKENS)


async def test_a_servicer_that_lacks_a_method_is_not_served() -> None:
    class Unfinished(Recorder):
        ListParked = OperationsServiceServicer.ListParked  # type: ignore[assignment]  # on purpose

    with pytest.raises(MethodUnfit, match="ListParked"):
        RpcServer([(add_OperationsServiceServicer_to_server, Unfinished())], TOKENS)
