"""REST for many callers at once: keep-alive connections, a token for each role."""

from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Final, Self
from uuid import uuid4

import httpx

from throughline_cli.api import Document, Refused

_TIMEOUT_SECONDS: Final = 30.0

Body = Mapping[str, Any] | bytes


class Rest:
    """Speaks to one gateway for several roles. Every write carries an idempotency key."""

    def __init__(
        self,
        url: str,
        bearers: Mapping[str, str],
        *,
        connections: int = 16,
        timeout_seconds: float = _TIMEOUT_SECONDS,
    ) -> None:
        self._bearers = bearers
        self._http = httpx.AsyncClient(
            base_url=url,
            timeout=timeout_seconds,
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            # On loopback, whatever proxy the machine uses for the world.
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def send(
        self,
        role: str,
        method: str,
        path: str,
        body: Body | None = None,
        *,
        key: str | None = None,
        query: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send a request once and return whatever comes back; `bytes` are a body already in JSON.

        Raises:
            httpx.TransportError: nothing came back.
        """
        headers = {"Authorization": f"Bearer {self._bearers[role]}"}
        if method != "GET":
            headers["Idempotency-Key"] = key or str(uuid4())
        content: dict[str, Any] = {}
        if isinstance(body, bytes):
            headers["Content-Type"] = "application/json"
            content["content"] = body
        elif body is not None:
            content["json"] = body
        return await self._http.request(method, path, headers=headers, params=query, **content)

    async def ask(
        self,
        role: str,
        method: str,
        path: str,
        body: Body | None = None,
        *,
        query: Mapping[str, str] | None = None,
    ) -> Document:
        """Return the answer.

        Raises:
            Refused: the platform refused.
            httpx.TransportError: nothing came back.
        """
        return read(await self.send(role, method, path, body, query=query))

    async def post(self, role: str, path: str, body: Body) -> Document:
        """Send a command; see `ask`."""
        return await self.ask(role, "POST", path, body)

    async def put(self, role: str, path: str, body: Body) -> Document:
        """Create or replace a resource; see `ask`."""
        return await self.ask(role, "PUT", path, body)

    async def get(self, role: str, path: str, **query: object) -> Document:
        """Return a resource or a list; see `ask`."""
        return await self.ask(
            role, "GET", path, query={name: str(value) for name, value in query.items()}
        )

    async def pages(
        self, role: str, path: str, items: str, **query: object
    ) -> AsyncIterator[Document]:
        """Yield the items of a list from all its pages; see `ask`."""
        token = ""
        while True:
            page = await self.get(role, path, **query, **({"page_token": token} if token else {}))
            for item in page[items]:
                yield item
            token = page["next_page_token"]
            if not token:
                return


def read(response: httpx.Response) -> Document:
    """Return the document of an answer.

    Raises:
        Refused: it is none but a problem.
    """
    if response.is_success:
        document: Document = response.json()
        return document
    is_problem = "json" in response.headers.get("content-type", "")
    raise Refused(
        response.status_code, response.json() if is_problem else {"detail": response.text[:500]}
    )
