"""A client that does not give up: each request is repeated, under its key, until answered."""

import asyncio
import time
from collections.abc import Mapping
from random import Random
from typing import Final
from uuid import uuid4

import httpx
from e2e_rest import Body, Rest, read

from faults.ledger import Ledger
from throughline_cli.api import Document

ANSWER_SECONDS: Final = 180.0
"""Within this every request must be answered, whatever is killed meanwhile."""

_TRY_SECONDS: Final = 15.0
_PAUSE_SECONDS: Final = 0.25

LOST_SHARE: Final = 0.03
"""So many answers to commands get lost on their way: the command was carried out all the same."""

_TRY_AGAIN: Final = frozenset({408, 429, 502, 503, 504})
_FAULT: Final = 500
_LOST_RACE: Final = frozenset({"request.stale_version", "request.aborted", "database.contended"})


class Unanswered(Exception):
    """A request got no answer, however often it was repeated."""


class Persistent(Rest):
    """Repeats what was not answered, and keeps count. Now and then an answer to it gets lost."""

    forgets_keys = False
    """The fault of a client that sends a repetition under a new key, as if it were another
    command."""
    lost_share = LOST_SHARE
    """How many of the answers to commands get lost."""

    def __init__(
        self,
        url: str,
        bearers: Mapping[str, str],
        ledger: Ledger,
        *,
        connections: int,
        random: Random,
    ) -> None:
        super().__init__(url, bearers, connections=connections, timeout_seconds=_TRY_SECONDS)
        self._ledger = ledger
        self._random = random

    async def ask(
        self,
        role: str,
        method: str,
        path: str,
        body: Body | None = None,
        *,
        query: Mapping[str, str] | None = None,
    ) -> Document:
        """Return the answer, however long it takes to get one.

        Raises:
            Refused: the platform refused.
            Unanswered: there was none within `ANSWER_SECONDS`.
        """
        key = str(uuid4())
        deadline = time.monotonic() + ANSWER_SECONDS
        self._ledger.requests += 1
        while True:
            try:
                reply = await self.send(role, method, path, body, key=key, query=query)
            except httpx.TransportError as error:
                reason = type(error).__name__
            else:
                reason = _reason_to_repeat(reply)
                if not reason and method != "GET" and self._random.random() < self.lost_share:
                    reason = "answer lost"
                if not reason:
                    return read(reply)
                if reply.status_code == _FAULT:
                    self._ledger.surprises.append(f"{method} {path}: {reply.text[:300]}")
            self._ledger.repetitions[reason] += 1
            if time.monotonic() > deadline:
                raise Unanswered(f"{method} {path}: {reason}")
            if self.forgets_keys:
                key = str(uuid4())
            await asyncio.sleep(_PAUSE_SECONDS)


def _reason_to_repeat(reply: httpx.Response) -> str:
    """Return why a request has to be sent again, empty if this is its answer."""
    if reply.status_code in _TRY_AGAIN or reply.status_code == _FAULT:
        return f"{reply.status_code}"
    if reply.status_code == httpx.codes.CONFLICT and reply.json().get("code") in _LOST_RACE:
        return str(reply.json()["code"])
    return ""
