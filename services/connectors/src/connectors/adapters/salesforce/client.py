"""Salesforce's REST API: a session, queries with all their pages, and its errors as refusals."""

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any, Final

import httpx
import stamina

from throughline_core.errors import FailedPrecondition, Unavailable

API_VERSION: Final = "v67.0"
TIMEOUT_SECONDS: Final = 30.0
_ATTEMPTS: Final = 4
_TRANSIENT_STATUS: Final = frozenset({429, 500, 502, 503, 504})
_TRANSIENT_CODES: Final = frozenset({"REQUEST_LIMIT_EXCEEDED", "SERVER_UNAVAILABLE"})

Record = dict[str, Any]


class VendorUnavailable(Unavailable):
    """Salesforce cannot be reached, is in maintenance, or has had too many calls today."""

    code = "salesforce.unavailable"


class LoginRefused(FailedPrecondition):
    """Salesforce does not accept the client id and secret."""

    code = "salesforce.login_refused"


class QueryRefused(FailedPrecondition):
    """Salesforce does not understand or allow a query: a field is missing or hidden."""

    code = "salesforce.query_refused"


class _SessionExpired(Exception):
    """The access token is no longer valid; a new one is to be had."""


class SalesforceClient:
    """One connected org. Numbers are read as exact decimals, never as binary floats."""

    def __init__(
        self, http: httpx.AsyncClient, *, base_url: str, client_id: str, secret: str
    ) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._client_id = client_id
        self._secret = secret
        self._token = ""
        self._instance_url = ""

    async def pages(self, soql: str) -> AsyncIterator[list[Record]]:
        """Yield the pages of a query.

        Raises:
            VendorUnavailable, LoginRefused, QueryRefused.
        """
        page = await self._get(f"/services/data/{API_VERSION}/query", {"q": soql})
        yield page["records"]
        while not page["done"]:
            page = await self._get(page["nextRecordsUrl"])
            yield page["records"]

    async def all_children(self, children: Record | None) -> list[Record]:
        """Return the records of a subquery, those past its first page included."""
        if children is None:
            return []
        records = list(children["records"])
        while not children["done"]:
            children = await self._get(children["nextRecordsUrl"])
            records += children["records"]
        return records

    async def field_names(self, object_name: str) -> frozenset[str]:
        """Return the fields of an object that this login may see."""
        described = await self._get(f"/services/data/{API_VERSION}/sobjects/{object_name}/describe")
        return frozenset(field["name"] for field in described["fields"])

    async def _get(self, path: str, params: dict[str, str] | None = None) -> Record:
        """Read, with a new session when the old one expired, again when that may help."""
        try:
            async for attempt in stamina.retry_context(on=VendorUnavailable, attempts=_ATTEMPTS):
                with attempt:
                    if not self._token:
                        await self._log_in()
                    try:
                        return await self._read(path, params)
                    except _SessionExpired:
                        await self._log_in()
                        return await self._read(path, params)
        except _SessionExpired as error:
            raise LoginRefused("a fresh session was refused", advice=_LOGIN_ADVICE) from error
        raise AssertionError("the last attempt returns or raises")

    async def _log_in(self) -> None:
        reply = await self._send(
            self._http.build_request(
                "POST",
                f"{self._base_url}/services/oauth2/token",
                data={
                    "grant_type": "client_credentials",
                    "client_id": self._client_id,
                    "client_secret": self._secret,
                },
            )
        )
        if reply.is_error:
            raise LoginRefused(
                f"the login was refused with {_error_word(reply)}", advice=_LOGIN_ADVICE
            )
        granted = reply.json()
        self._token, self._instance_url = granted["access_token"], granted["instance_url"]

    async def _read(self, path: str, params: dict[str, str] | None) -> Record:
        reply = await self._send(
            self._http.build_request(
                "GET",
                f"{self._instance_url}{path}",
                params=params,
                headers={"Authorization": f"Bearer {self._token}"},
            )
        )
        if reply.status_code == 401:
            raise _SessionExpired
        if reply.is_error:
            word = _error_word(reply)
            if word in _TRANSIENT_CODES:
                raise VendorUnavailable(f"Salesforce answered {word}", advice="it is tried again")
            raise QueryRefused(
                f"Salesforce refused the query: {word}",
                advice="check the fields this login may see and the connection's mapping",
            )
        answer: Record = json.loads(reply.content, parse_float=Decimal, parse_int=Decimal)
        return answer

    async def _send(self, request: httpx.Request) -> httpx.Response:
        try:
            reply = await self._http.send(request)
        except httpx.TransportError as error:
            raise VendorUnavailable(
                f"Salesforce did not answer: {type(error).__name__}", advice="it is tried again"
            ) from error
        if reply.status_code in _TRANSIENT_STATUS:
            raise VendorUnavailable(
                f"Salesforce answered {reply.status_code}", advice="it is tried again"
            )
        return reply


_LOGIN_ADVICE: Final = "check client_id, the secret and the connected app's run-as user"


def _error_word(reply: httpx.Response) -> str:
    """Return the vendor's own code, which is all of its error that is worth repeating."""
    try:
        body = json.loads(reply.content)
    except ValueError:
        return f"status {reply.status_code}"
    first = body[0] if isinstance(body, list) and body else body
    if isinstance(first, dict):
        return str(first.get("errorCode") or first.get("error") or f"status {reply.status_code}")
    return f"status {reply.status_code}"
