"""What every route needs of the process: peers, tokens, limits."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import Message
from starlette.requests import Request

from gateway.identity import Tokens
from gateway.problems import BodyTooLarge, BodyTooSlow
from gateway.throttle import Throttle
from throughline_core.errors import Unauthenticated, Unavailable
from throughline_runtime.identity import Access, Caller, acting_as, authorise
from throughline_runtime.rpc.client import Peers
from throughline_runtime.rpc.errors import PeerFault

CALL_SECONDS: Final = 10.0

_BODY_SECONDS: Final = 60.0


class PeerNotDeployed(Unavailable):
    """The service that owns the method is no part of this deployment."""

    code = "peer.not_deployed"


@dataclass(frozen=True, slots=True)
class Edge:
    """The parts of one gateway process."""

    peers: Peers
    services: tuple[str, ...]  # Those that are deployed, by name.
    tokens: Tokens
    throttle: Throttle
    body_bytes_max: int
    # Names subjects in the log without telling who they are.
    pseudonym_key: bytes

    async def admit(self, request: Request, access: Access) -> Caller:
        """Return the caller of a request that may go on.

        Raises:
            Unauthenticated, PermissionDenied, Throttled.
        """
        caller = await self.tokens.caller_of(request)
        request.state.subject = caller.subject
        await self.throttle.admit(caller.subject)
        authorise(caller, access)
        return caller

    async def read_body(self, request: Request, *, bytes_max: int | None = None) -> bytes:
        """Return the body, read no further than it may be long.

        Raises:
            BodyTooLarge: it is longer.
            BodyTooSlow: it did not arrive within a minute.
        """
        limit = bytes_max or self.body_bytes_max
        announced = request.headers.get("content-length", "")
        if announced.isdigit() and int(announced) > limit:
            raise _too_large(limit)
        body = bytearray()
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > limit:
                        raise _too_large(limit)
        except TimeoutError as error:
            raise BodyTooSlow("the body did not arrive in time", advice="try again") from error
        return bytes(body)

    async def call(
        self,
        stub_class: Callable[..., object],
        service: str,
        method: str,
        request: Message,
        *,
        caller: Caller,
        seconds: float = CALL_SECONDS,
    ) -> Message:
        """Return a service's answer to the caller.

        Raises:
            PeerNotDeployed, PeerFault, and the service's refusals.
        """
        if service not in self.services:
            raise PeerNotDeployed(
                f"{service} is no part of this deployment", advice="ask who runs it"
            )
        stub = self.peers.stub(stub_class, service, bulk=True)
        call: Callable[..., Awaitable[Message]] = getattr(stub, method)
        try:
            with acting_as(caller):
                return await call(request, timeout=seconds)
        except Unauthenticated as error:
            # The client has proven who it is; it is our own signature that was not believed.
            raise PeerFault(f"{service} does not believe the gateway's callers") from error


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"the body is longer than {limit} bytes", advice="send it in several smaller requests"
    )


def edge_of(request: Request) -> Edge:
    """Return the parts of the process that answers the request."""
    edge = request.app.state.edge
    assert isinstance(edge, Edge)
    return edge
