"""Calls to peers: one channel for each, a deadline on every call, refusals as if raised here."""

import asyncio
import json
import random
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, cast

import grpc
from google.protobuf.message import Message
from opentelemetry.trace import SpanKind

from throughline_runtime import guard
from throughline_runtime.identity import METADATA_KEY, Caller, CallerTokens, caller_or
from throughline_runtime.rpc.deadline import remaining_seconds
from throughline_runtime.rpc.errors import DeadlineExpired, read_failure, retry_after_seconds
from throughline_runtime.rpc.server import (
    BULK_MESSAGE_BYTES_MAX,
    MESSAGE_BYTES_MAX,
    METADATA_BYTES_MAX,
)
from throughline_runtime.telemetry import tracing
from throughline_runtime.telemetry.ids import HEADERS, current_ids

DEADLINE_SECONDS: Final = 5.0

_ATTEMPTS_MAX: Final = 4
_PAUSE_SECONDS_FIRST: Final = 0.05
_PAUSE_SECONDS_MAX: Final = 1.0

StubT = TypeVar("StubT")
_Invoke = Callable[..., grpc.aio.UnaryUnaryCall[Any, Any]]


class PeerUnknown(LookupError):
    """The settings name no address for a peer that the code calls."""


class Peers:
    """The peers of one service, and the identity under which it calls them."""

    def __init__(
        self,
        service: str,
        targets: Mapping[str, str],
        tokens: CallerTokens,
        *,
        is_front_door: bool = False,
    ) -> None:
        """`targets` maps services to gRPC targets such as `dns:///host:port`.

        The front door presents outside callers as they are; any other service is named as the
        actor of what it passes on.
        """
        self._targets = targets
        self._identity = _Identity(service, tokens, is_front_door=is_front_door)
        self._channels: dict[tuple[str, bool], grpc.aio.Channel] = {}
        self._stubs: dict[tuple[object, str, bool], object] = {}

    def stub(
        self,
        stub_class: Callable[[grpc.aio.Channel], StubT],
        service: str,
        *,
        bulk: bool = False,
    ) -> StubT:
        """Return the stub of one of the peer's services; `bulk` takes answers of up to 32 MiB.

        Its methods take `timeout` in seconds (5 unless told, never more than is left of the call
        being answered) and raise the peer's refusals, `DeadlineExpired`, `PeerOutOfReach`, or
        `PeerFault`.

        Raises:
            PeerUnknown: the settings name no such peer.
        """
        key = (stub_class, service, bulk)
        stub = self._stubs.get(key)
        if stub is None:
            channel = _StubChannel(service, self._channel(service, bulk), self._identity)
            stub = self._stubs[key] = stub_class(cast(grpc.aio.Channel, channel))
        return cast(StubT, stub)

    async def close(self) -> None:
        """Cancel calls under way and close the channels."""
        self._stubs.clear()
        channels = list(self._channels.values())
        self._channels.clear()
        for channel in channels:
            await channel.close(None)

    def _channel(self, service: str, bulk: bool) -> grpc.aio.Channel:
        key = (service, bulk)
        if key not in self._channels:
            target = self._targets.get(service)
            if target is None:
                raise PeerUnknown(f"no address is set for peer {service}")
            limit = BULK_MESSAGE_BYTES_MAX if bulk else MESSAGE_BYTES_MAX
            self._channels[key] = grpc.aio.insecure_channel(target, options=_options(limit))
        return self._channels[key]


class _Identity:
    """Signs who calls: whoever this task works for, else the service itself."""

    def __init__(self, service: str, tokens: CallerTokens, *, is_front_door: bool) -> None:
        self._service = service
        self._tokens = tokens
        self._is_front_door = is_front_door
        self._own = Caller.service(service)

    def sign(self) -> str:
        caller = caller_or(self._own)
        if not self._is_front_door:
            caller = caller.passed_on_by(self._service)
        return self._tokens.mint(caller)


class _StubChannel:
    """What a generated stub needs of a channel; each method becomes a `_PeerMethod`."""

    def __init__(self, peer: str, channel: grpc.aio.Channel, identity: _Identity) -> None:
        self._peer = peer
        self._channel = channel
        self._identity = identity

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> "_PeerMethod":
        invoke = cast(_Invoke, self._channel.unary_unary(method, *args, **kwargs))
        return _PeerMethod(self._peer, method.lstrip("/"), invoke, self._identity)


class _PeerMethod:
    """One method of a peer, called like the stub's own."""

    def __init__(self, peer: str, name: str, invoke: _Invoke, identity: _Identity) -> None:
        self._peer = peer
        self._name = name
        self._invoke = invoke
        self._identity = identity

    async def __call__(self, request: Message, *, timeout: float = DEADLINE_SECONDS) -> Message:
        """Return the peer's answer, asking again while that is safe and there is time."""
        guard.require_no_transaction(self._name)
        left = remaining_seconds()
        ends_at = time.monotonic() + (timeout if left is None else min(timeout, left))
        attempts = _ATTEMPTS_MAX if _is_repeatable(request) else 1
        for attempt in range(1, attempts + 1):
            seconds = ends_at - time.monotonic()
            if seconds <= 0:
                raise DeadlineExpired(f"no time is left to ask {self._peer}", advice="try again")
            try:
                return await self._attempt(request, seconds)
            except grpc.aio.AioRpcError as error:
                pause = _pause_seconds(error, attempt)
                if (
                    error.code() is not grpc.StatusCode.UNAVAILABLE
                    or attempt == attempts
                    or time.monotonic() + pause >= ends_at
                ):
                    raise read_failure(error, self._peer) from error
            await asyncio.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    async def _attempt(self, request: Message, seconds: float) -> Message:
        with tracing.open_span(
            self._name,
            SpanKind.CLIENT,
            attributes={"rpc.system": "grpc", "rpc.method": self._name, "peer": self._peer},
        ):
            ids = current_ids()
            metadata = (
                (METADATA_KEY, self._identity.sign()),
                *tracing.inject().items(),
                *((HEADERS[name], value) for name, value in ids.items()),
            )
            return cast(Message, await self._invoke(request, timeout=seconds, metadata=metadata))


def _is_repeatable(request: Message) -> bool:
    """Whether asking twice does no more than asking once.

    A command carries its idempotency key in `request_id`; a request without such a field reads.
    """
    return "request_id" not in request.DESCRIPTOR.fields_by_name or bool(
        getattr(request, "request_id", "")
    )


def _pause_seconds(error: grpc.aio.AioRpcError, attempt: int) -> float:
    """Return how long to wait: growing and spread at random, or what the peer asked for."""
    backoff = min(_PAUSE_SECONDS_FIRST * 2.0 ** (attempt - 1), _PAUSE_SECONDS_MAX)
    return max(random.uniform(backoff / 2, backoff), retry_after_seconds(error))


def _options(message_bytes_max: int) -> list[tuple[str, int | str]]:
    return [
        ("grpc.max_receive_message_length", message_bytes_max),
        ("grpc.max_send_message_length", message_bytes_max),
        ("grpc.max_metadata_size", METADATA_BYTES_MAX),
        ("grpc.absolute_max_metadata_size", METADATA_BYTES_MAX),
        ("grpc.service_config_disable_resolution", 1),
        ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
        # Only the code above knows which calls may be repeated.
        ("grpc.enable_retries", 0),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 1_000),
        ("grpc.max_reconnect_backoff_ms", 1_000),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    ]
