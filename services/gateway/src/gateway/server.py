"""The HTTP server as one part of a process."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_BACKLOG: Final = 2048
# The parser knows no limits of its own.
_HEAD_BYTES_MAX: Final = 64 * 1024
_HEAD_SECONDS: Final = 20
_HEAD_TOO_LONG: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)
# Within what a process gives its parts to finish.
_GRACE_SECONDS: Final = 9


def listen(address: str) -> socket.socket:
    """Return a socket that listens on `host:port`.

    Raises:
        OSError: the address is taken or not this machine's.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, int(port)), family=family, backlog=_BACKLOG)
    # Connections inherit it. A reply is two writes, and the second is not to wait until the first
    # is acknowledged, which takes 40 ms; asyncio sees to it only for sockets it made itself.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


class _Protocol(HttpToolsProtocol):
    """Ends connections whose request line and headers are too long, or too long in coming."""

    _head_bytes: int | None = None  # Those received of a head that is not complete.
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its base
        """Take a connection, which has to ask something soon."""
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came, and go no further where a head does not end."""
        super().data_received(data)
        if self._head_bytes is not None:
            self._head_bytes += len(data)
            if self._head_bytes > _HEAD_BYTES_MAX:
                self.transport.write(_HEAD_TOO_LONG)
                self.transport.close()

    def on_message_begin(self) -> None:
        """Note that a head begins."""
        super().on_message_begin()
        self._stop_waiting()
        self._wait_for_head()
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        """Note that a head has ended."""
        self._stop_waiting()
        self._head_bytes = None
        super().on_headers_complete()

    def _wait_for_head(self) -> None:
        self._head_timer = self.loop.call_later(_HEAD_SECONDS, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class _Server(uvicorn.Server):
    """Leaves signals to the process, which tells its parts in order."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class FrontDoor:
    """Serves the application on a socket until it is told to stop."""

    def __init__(
        self, app: ASGIApp, listener: socket.socket, *, leave_seconds: float = 0.0
    ) -> None:
        """`leave_seconds` is how long it still takes requests after it was told to stop."""
        self._listener = listener
        self._leave_seconds = leave_seconds
        config = uvicorn.Config(
            app,
            http=_Protocol,
            ws="none",
            lifespan="off",
            # Requests are logged by the application, with what they are about.
            log_config=None,
            access_log=False,
            server_header=False,
            # Nothing here depends on a client's address.
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        self._server = _Server(config)

    async def run(self, stop: asyncio.Event) -> None:
        """Answer requests; once stopped, finish those under way."""
        serving = asyncio.create_task(self._server.serve(sockets=[self._listener]))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not serving.done():
            await asyncio.sleep(self._leave_seconds)
            self._server.should_exit = True
        await serving
