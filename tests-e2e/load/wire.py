"""HTTP at the least cost to this process, so that a benchmark measures the platform.

A full client takes longer over a small request than the service that answers it, on the same cores.
"""

import asyncio
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit
from uuid import uuid4

import httptools

_OK: Final = 200


class Wire:
    """One keep-alive connection that posts JSON to `path`, one request at a time."""

    def __init__(self, url: str, path: str, bearer: str) -> None:
        self._address = urlsplit(url)
        self._path = path
        self._head = (
            " HTTP/1.1\r\n"
            f"Host: {self._address.netloc}\r\n"
            f"Authorization: Bearer {bearer}\r\n"
            "Content-Type: application/json\r\n"
        )

    async def __aenter__(self) -> Self:
        assert self._address.hostname, "the sandbox names its host"
        assert self._address.port, "the sandbox names its port"
        self._reply = _Reply()
        self._transport, _ = await asyncio.get_running_loop().create_connection(
            lambda: self._reply, self._address.hostname, self._address.port
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._transport.close()

    async def post(self, body: bytes, below: str = "") -> bytes:
        """Send a command under a key of its own and return its answer; it has to succeed.

        `below` goes on after the path of the connection.
        """
        head = (
            f"POST {self._path}{below}{self._head}"
            f"Idempotency-Key: {uuid4()}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        answered = self._reply.expect()
        self._transport.write(head.encode() + body)
        status, content = await answered
        assert status == _OK, (status, content)
        return content


class _Reply(asyncio.Protocol):
    """Reads one reply after the other."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._content = b""
        self._answered: asyncio.Future[tuple[int, bytes]] | None = None

    def expect(self) -> asyncio.Future[tuple[int, bytes]]:
        """Return what becomes the status and the content of the next reply."""
        self._content = b""
        answered = self._answered = asyncio.get_running_loop().create_future()
        return answered

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, error: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(error or ConnectionError("the connection was closed"))

    def on_body(self, content: bytes) -> None:
        self._content += content

    def on_message_complete(self) -> None:
        assert self._answered is not None, "nothing comes unasked"
        self._answered.set_result((self._parser.get_status_code(), self._content))
