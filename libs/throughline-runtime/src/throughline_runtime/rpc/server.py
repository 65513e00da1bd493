"""The gRPC server: mounts servicers so that no method can be reached around its checks."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import grpc
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from throughline_runtime.identity import CallerTokens
from throughline_runtime.ownership import Ownership
from throughline_runtime.rpc.endpoint import Endpoint

MESSAGE_BYTES_MAX: Final = 4 * 1024 * 1024
BULK_MESSAGE_BYTES_MAX: Final = 32 * 1024 * 1024
STOP_GRACE_SECONDS: Final = 20
# Rich errors travel in trailers: more than gRPC's own limit of 8 KiB.
METADATA_BYTES_MAX: Final = 64 * 1024

_CONCURRENT_RPCS_MAX: Final = 1000

# Quoted, because grpc's classes are generic to the type checker only.
_MethodHandler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

Mount = tuple[Callable[[Any, grpc.aio.Server], None], object]
"""A generated `add_XServicer_to_server` with the servicer it adds."""


class MethodUnfit(Exception):
    """A method streams, where lists are to be paged, or its servicer does not implement it."""


class RpcServer:
    """A server of one process: its methods behind their checks, health and reflection besides."""

    def __init__(
        self,
        mounts: Sequence[Mount],
        tokens: CallerTokens,
        *,
        ownership: Ownership | None = None,
        bulk: bool = False,
    ) -> None:
        """`bulk` raises the message limit from 4 to 32 MiB, for services that hand out documents.

        Without `ownership` no outside system is limited: for servers that keep nothing of a firm.

        Raises:
            AccessUndeclared, OwnershipUndeclared, MethodUnfit: a method is not fit to be served.
        """
        self._server = grpc.aio.server(
            options=_options(BULK_MESSAGE_BYTES_MAX if bulk else MESSAGE_BYTES_MAX),
            maximum_concurrent_rpcs=_CONCURRENT_RPCS_MAX,
        )
        recorder = _Recorder(tokens, ownership)
        for add, servicer in mounts:
            add(servicer, recorder)  # type: ignore[arg-type]  # the part of a server that add uses
        if len(recorder.services) < len(mounts):
            raise MethodUnfit("generated code registers its methods in a way not known here")
        for name, handlers in recorder.services.items():
            generic = grpc.method_handlers_generic_handler(name, handlers)
            self._server.add_generic_rpc_handlers((generic,))
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]  # set at import
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._names = (*recorder.services, health.SERVICE_NAME)
        reflection.enable_server_reflection((*self._names, reflection.SERVICE_NAME), self._server)

    async def start(self, address: str) -> int:
        """Listen on `address` and report SERVING; return the port, chosen freely for port 0.

        Raises:
            OSError: the address is taken or not this machine's.
        """
        try:
            port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {address}") from error
        await self._server.start()
        for name in ("", *self._names):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        return port

    async def leave(self) -> None:
        """Report NOT_SERVING from now on, and still answer what comes in."""
        await self._health.enter_graceful_shutdown()

    async def stop(self, grace_seconds: float = STOP_GRACE_SECONDS) -> None:
        """Take no further calls and wait for those under way, at most `grace_seconds`."""
        await self._server.stop(grace_seconds)


class _Recorder:
    """Stands in for the server while servicers are added: puts each method behind its checks."""

    def __init__(self, tokens: CallerTokens, ownership: Ownership | None) -> None:
        self._tokens = tokens
        self._ownership = ownership
        self.services: dict[str, dict[str, _MethodHandler]] = {}

    def add_generic_rpc_handlers(self, _handlers: object) -> None:
        """Ignore the second registration generated code makes: it would bypass the checks."""

    def add_registered_method_handlers(
        self, service: str, handlers: Mapping[str, _MethodHandler]
    ) -> None:
        """Note the methods of one service, each as its endpoint."""
        descriptor = descriptor_pool.Default().FindServiceByName(service)
        self.services[service] = {
            name: self._guard(descriptor, name, handler) for name, handler in handlers.items()
        }

    def _guard(
        self, service: ServiceDescriptor, name: str, handler: _MethodHandler
    ) -> _MethodHandler:
        if handler.unary_unary is None:
            raise MethodUnfit(f"{service.full_name}.{name} streams")
        if not inspect.iscoroutinefunction(handler.unary_unary):
            raise MethodUnfit(f"{service.full_name}.{name} has no coroutine that implements it")
        method = service.methods_by_name[name]
        endpoint = Endpoint(
            method,
            handler.unary_unary,
            message_factory.GetMessageClass(method.input_type),
            self._tokens,
            self._ownership,
        )
        return grpc.unary_unary_rpc_method_handler(endpoint.serve)


def _options(message_bytes_max: int) -> list[tuple[str, int]]:
    return [
        # A second process on the same port is a mistake to be told, not a share of the calls.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", message_bytes_max),
        ("grpc.max_send_message_length", message_bytes_max),
        ("grpc.max_metadata_size", METADATA_BYTES_MAX),
        ("grpc.absolute_max_metadata_size", METADATA_BYTES_MAX),
        # Clients ping each 30 s, also while idle.
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        # Lets clients find servers that came later.
        ("grpc.max_connection_age_ms", 300_000),
        ("grpc.max_connection_age_grace_ms", 30_000),
    ]
