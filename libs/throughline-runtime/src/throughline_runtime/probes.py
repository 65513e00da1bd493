"""The small HTTP side of a process: `/metrics`, `/livez` and `/readyz`, for machines only.

One request a connection, no bodies, a few seconds for each: nothing a scraper or a kubelet misses.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final, NamedTuple

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

Check = Callable[[], Awaitable[str | None]]
"""Returns why the process cannot do its work now, None when it can."""

_REQUEST_SECONDS: Final = 5.0
_CHECK_SECONDS: Final = 3.0
_HEAD_BYTES_MAX: Final = 16 * 1024
_JSON: Final = "application/json"

_log: Final = structlog.get_logger(__name__)


class _Page(NamedTuple):
    status: HTTPStatus
    content_type: str
    body: bytes


class Probes:
    """Serves the process's probes and metrics; `checks` are asked on each look at `/readyz`."""

    def __init__(
        self, checks: Mapping[str, Check], *, metrics: Callable[[], bytes] = generate_latest
    ) -> None:
        """`metrics` replaces those of this process, where it tells for others."""
        self._checks = checks
        self._metrics = metrics
        self._server: asyncio.Server | None = None
        self._is_leaving = False

    async def start(self, address: str) -> int:
        """Listen on `host:port` and return the port, chosen freely for port 0.

        Raises:
            OSError: the address is taken or not this machine's.
        """
        host, _, port = address.rpartition(":")
        self._server = await asyncio.start_server(
            self._serve, host.strip("[]") or None, int(port), limit=_HEAD_BYTES_MAX
        )
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    def leave(self) -> None:
        """Report not ready from now on, whatever the checks say."""
        self._is_leaving = True

    async def stop(self) -> None:
        """Take no further connections."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def problems(self) -> dict[str, str]:
        """Return what keeps the process from its work, by check; empty when it is ready."""
        answers = await asyncio.gather(*(_ask(check) for check in self._checks.values()))
        found = {
            name: problem
            for name, problem in zip(self._checks, answers, strict=True)
            if problem is not None
        }
        return found | ({"process": "it is shutting down"} if self._is_leaving else {})

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                page, with_body = await self._answer(reader)
                writer.write(_render(page, with_body=with_body))
                await writer.drain()
        except (TimeoutError, ConnectionError):
            pass  # The asker is gone or never asked.
        except Exception as error:
            _log.error("probe_failed", exc_info=error)
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[_Page, bool]:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return _plain(HTTPStatus.BAD_REQUEST), True
        words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        if len(words) != 3:
            return _plain(HTTPStatus.BAD_REQUEST), True
        method, target, _ = words
        if method not in {"GET", "HEAD"}:
            return _plain(HTTPStatus.METHOD_NOT_ALLOWED), True
        return await self._page(target.partition("?")[0]), method == "GET"

    async def _page(self, path: str) -> _Page:
        match path:
            case "/livez":
                return _plain(HTTPStatus.OK)
            case "/readyz":
                problems = await self.problems()
                status = HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK
                body = json.dumps({"ready": not problems, "problems": problems})
                return _Page(status, _JSON, body.encode())
            case "/metrics":
                return _Page(HTTPStatus.OK, CONTENT_TYPE_LATEST, self._metrics())
        return _plain(HTTPStatus.NOT_FOUND)


async def _ask(check: Check) -> str | None:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            return await check()
    except TimeoutError:
        return "it does not answer in time"


def _plain(status: HTTPStatus) -> _Page:
    return _Page(status, "text/plain; charset=utf-8", status.phrase.encode())


def _render(page: _Page, *, with_body: bool) -> bytes:
    head = (
        f"HTTP/1.1 {page.status.value} {page.status.phrase}\r\n"
        f"Content-Type: {page.content_type}\r\n"
        f"Content-Length: {len(page.body)}\r\n"
        "Cache-Control: no-store\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + (page.body if with_body else b"")
