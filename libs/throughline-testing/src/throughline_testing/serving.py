"""A service's servicers behind a real server on loopback, and stubs that speak for a caller."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, TypeVar, cast
from uuid import UUID

import grpc
from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncEngine

from throughline.operations.v1.operations_service_pb2_grpc import (
    add_OperationsServiceServicer_to_server,
)
from throughline_runtime.clock import Clock
from throughline_runtime.context import Context
from throughline_runtime.identity import Caller, CallerTokens, acting_as
from throughline_runtime.operations import OperationsServicer
from throughline_runtime.ownership import Ownership
from throughline_runtime.rpc.client import Peers
from throughline_runtime.rpc.server import Mount, RpcServer
from throughline_runtime.service import Service
from throughline_runtime.settings import Settings
from throughline_testing.settings import CALLER_KEY

StubT = TypeVar("StubT")
ServicerT = TypeVar("ServicerT")

_TESTED: Final = "service under test"


def a_caller(
    *roles: str,
    subject: str = "tester",
    scopes: Sequence[str] = (),
    entities: Sequence[UUID] | None = None,
    system: str | None = None,
) -> Caller:
    """Return a caller with these roles ("finance"), limited to `entities` unless None.

    It speaks for `system` where one is named, else it is a person.
    """
    return Caller(
        subject=subject,
        roles=frozenset(f"ROLE_{role.upper()}" for role in roles),
        scopes=frozenset(scopes),
        entities=None if entities is None else frozenset(entities),
        system=system,
    )


def make_context(settings: Settings, engine: AsyncEngine) -> Context:
    """Return the context that the service's own composition would make of these settings."""
    tokens = CallerTokens(settings.caller_key.get_secret_value())
    peers = Peers(settings.service, settings.peers, tokens)
    return Context(settings, engine, Clock(settings.clock_file), peers, lambda _schedule: None)


def declared_service(service: str) -> Service:
    """Return the declaration in the `main` module of a service ("billing-event")."""
    declared = import_module(f"{service.replace('-', '_')}.main").SERVICE
    assert isinstance(declared, Service)
    return declared


def mounts_of(service: Service, context: Context, ownership: Ownership) -> list[Mount]:
    """Return the servicers of a service, with the operations that every service offers."""
    operations = OperationsServicer(
        context, service.control_totals, service.subscriptions, ownership
    )
    return [*service.servicers(context), (add_OperationsServiceServicer_to_server, operations)]


@asynccontextmanager
async def serving(
    mounts: Sequence[Mount], ownership: Ownership | None = None
) -> AsyncIterator[str]:
    """Serve these servicers, real or faked, on a free loopback port; yield their gRPC target."""
    server = RpcServer(mounts, CallerTokens(CALLER_KEY), ownership=ownership)
    port = await server.start("127.0.0.1:0")
    try:
        yield f"dns:///127.0.0.1:{port}"
    finally:
        await server.stop(0)


def faked(
    servicer_class: Callable[[], ServicerT], **methods: Callable[[Any], Awaitable[Message]]
) -> ServicerT:
    """Return a servicer that answers these methods by functions of the request alone.

    For a peer that the service under test asks; any other method fails as a bug does.
    """
    base = cast(type[Any], servicer_class)
    names = [name for name in vars(base) if not name.startswith("_")]
    unknown = methods.keys() - set(names)
    assert not unknown, f"{base.__name__} has no {', '.join(unknown)}"
    answers = {name: _answering(name, methods.get(name)) for name in names}
    return cast(ServicerT, type(f"Faked{base.__name__}", (base,), answers)())


def _answering(
    name: str, method: Callable[[Any], Awaitable[Message]] | None
) -> Callable[..., Awaitable[Message]]:
    async def answer(_servicer: object, request: Message, _context: object) -> Message:
        assert method is not None, f"the test did not expect {name}"
        return await method(request)

    return answer


@dataclass(frozen=True, slots=True)
class Running:
    """A served service and the way to call it."""

    target: str
    peers: Peers

    def stub(self, stub_class: Callable[[grpc.aio.Channel], StubT], *, caller: Caller) -> StubT:
        """Return a stub whose every call is made by `caller`; it raises refusals as peers do."""
        return cast(StubT, _StubOfCaller(self.peers.stub(stub_class, _TESTED), caller))


@asynccontextmanager
async def running_at(target: str) -> AsyncIterator[Running]:
    """Yield the way to call what is served at `target`, as the gateway calls it."""
    peers = Peers("gateway", {_TESTED: target}, CallerTokens(CALLER_KEY), is_front_door=True)
    try:
        yield Running(target, peers)
    finally:
        await peers.close()


class _StubOfCaller:
    """A stub's methods, each called on behalf of one caller."""

    def __init__(self, stub: object, caller: Caller) -> None:
        self._stub = stub
        self._caller = caller

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Message]]:
        invoke = getattr(self._stub, method)

        async def call(request: Message, **options: Any) -> Message:
            with acting_as(self._caller):
                return cast(Message, await invoke(request, **options))

        return call
