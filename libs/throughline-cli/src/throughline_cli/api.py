"""The gateway's REST, bound to the running stack, with refusals in words a person can act on."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Self
from uuid import uuid4

import httpx

from throughline_cli.commands.token import mint
from throughline_cli.stack.failure import StackFailure
from throughline_cli.stack.layout import Layout
from throughline_cli.stack.secrets import Subject
from throughline_cli.stack.state import running_state

OPERATOR: Final = Subject("operator", ("admin",))

_TOKEN_SECONDS: Final = 3600
_TIMEOUT_SECONDS: Final = 60
_CSV: Final = "text/csv"

Document = Mapping[str, Any]


class Refused(StackFailure):
    """The platform refused; the message names each field, the rule it broke and what to do."""

    def __init__(self, status: int, problem: Document) -> None:
        super().__init__(_sentence(status, problem), advice=problem.get("advice"))
        self.status = status
        self.code: str | None = problem.get("code")
        self.problem = problem


class Unreachable(StackFailure):
    """The gateway does not answer."""

    def __init__(self, url: str, error: httpx.TransportError) -> None:
        super().__init__(
            f"{url} does not answer: {error}", advice="`throughline status` shows what is down"
        )


class NoSheet(StackFailure):
    """What was asked for as a sheet has no rows."""


class Api:
    """A client of one gateway for one subject. Every write carries an idempotency key."""

    def __init__(
        self, base_url: str, bearer: str, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        """Speak to `base_url`; `transport` replaces the network where there is none."""
        self._client = httpx.Client(
            base_url=base_url,
            headers={"Authorization": f"Bearer {bearer}"},
            timeout=_TIMEOUT_SECONDS,
            transport=transport,
            # The stack is on loopback, whatever proxy the machine uses for the world.
            trust_env=False,
        )

    @classmethod
    def of(cls, layout: Layout, subject: Subject = OPERATOR) -> Self:
        """Return a client of the stack running in this folder.

        Raises:
            NotRunning: there is none.
            StackFailure: it was started without the gateway.
        """
        state = running_state(layout)
        if state.gateway_url is None:
            raise StackFailure("this stack runs no gateway", advice="throughline up")
        bearer = mint(layout, subject, lifetime_seconds=_TOKEN_SECONDS)
        return cls(state.gateway_url, bearer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str, **query: object) -> Document:
        """Return the resource or list at `path`; query fields that are None are left out.

        Raises:
            Refused, Unreachable: see there.
        """
        given = {name: str(value) for name, value in query.items() if value is not None}
        return self._send("GET", path, params=given)

    def post(self, path: str, body: Document, *, key: str | None = None) -> Document:
        """Send a command once; a repetition with the same `key` gets the first reply.

        Raises:
            Refused, Unreachable: see there.
        """
        return self._send("POST", path, json=body, headers={"Idempotency-Key": key or str(uuid4())})

    def put(self, path: str, body: Document, *, key: str | None = None) -> Document:
        """Create or replace the resource at `path`; see `post`."""
        return self._send("PUT", path, json=body, headers={"Idempotency-Key": key or str(uuid4())})

    def patch(self, path: str, body: Document, *, key: str | None = None) -> Document:
        """Change the resource at `path`; see `post`."""
        headers = {"Idempotency-Key": key or str(uuid4())}
        return self._send("PATCH", path, json=body, headers=headers)

    def send(
        self,
        method: str,
        path: str,
        body: Document,
        *,
        query: Mapping[str, str],
        key: str | None = None,
    ) -> Document:
        """Call any method; `body` and `key` are of no account where the method reads.

        Raises:
            Refused, Unreachable: see there.
        """
        if method == "GET":
            return self._send(method, path, params=query)
        headers = {"Idempotency-Key": key or str(uuid4())}
        return self._send(method, path, params=query, json=body, headers=headers)

    def download(self, path: str) -> bytes:
        """Return the bytes of a document.

        Raises:
            Refused, Unreachable: see there.
        """
        return self._request("GET", path).content

    def sheet(self, path: str, *, query: Mapping[str, str]) -> Iterator[str]:
        """Yield a list as CSV, part by part to its end; together the parts are one file.

        Raises:
            NoSheet: there is no list at `path`.
            Refused, Unreachable: see there.
        """
        address, asked = path, dict(query)
        while address:
            part = self._request("GET", address, params=asked or None, headers={"Accept": _CSV})
            if not part.headers.get("content-type", "").startswith(_CSV):
                raise NoSheet(f"{path} is no list", advice="leave --csv out to see the answer")
            yield part.text
            address, asked = part.links.get("next", {}).get("url", ""), {}

    def pages(self, path: str, items: str, **query: object) -> Iterator[Document]:
        """Yield the items of a list from all its pages; `items` is their field in a page.

        Raises:
            Refused, Unreachable: see there.
        """
        token: str | None = None
        while True:
            page = self.get(path, page_token=token, **query)
            yield from page.get(items, ())
            token = page.get("next_page_token") or None
            if token is None:
                return

    def _send(self, method: str, path: str, **request: Any) -> Document:
        response = self._request(method, path, **request)
        document: Document = response.json() if response.content else {}
        return document

    def _request(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            response = self._client.request(method, path, **request)
        except httpx.TransportError as error:
            raise Unreachable(str(self._client.base_url), error) from error
        if response.is_success:
            return response
        raise Refused(response.status_code, _problem(response))


def _problem(response: httpx.Response) -> Document:
    """Return the problem document (RFC 9457), or one made of what came instead."""
    try:
        document = response.json()
    except ValueError:
        document = None
    if isinstance(document, dict):
        return document
    return {"title": response.reason_phrase, "detail": response.text[:500]}


def _sentence(status: int, problem: Document) -> str:
    head = problem.get("detail") or problem.get("title") or "refused"
    code = problem.get("code")
    lines = [f"{head} ({code}, {status})" if code else f"{head} ({status})"]
    for row in problem.get("violations") or ():
        words = (row.get("field"), row.get("detail"), row.get("advice"))
        lines.append("  " + ": ".join(filter(None, words)) + f" [{row.get('rule')}]")
    return "\n".join(lines)
