"""Idempotency keys: the first reply is kept and given again, whatever it was."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypedDict

from throughline_simulators import exact_json
from throughline_simulators.store import Collection
from throughline_simulators.stripe.account import Account
from throughline_simulators.stripe.errors import ApiError, InvalidRequest
from throughline_simulators.stripe.params import Tree

_KEY_LENGTH_MAX: Final = 255


class Reply(TypedDict):
    """A kept reply, with the endpoint and parameters it belongs to."""

    path: str
    parameters: str
    status: int
    body: str
    request_id: str
    kept_at: int


class Replies:
    """The replies kept for the account, by idempotency key."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._kept: Collection[Reply] = Collection(account.store, "stripe.idempotent_reply")
        self._running: set[str] = set()

    def recall(self, key: str, path: str, parameters: Tree) -> Reply | None:
        """Return the reply kept under a key, None if the call is new.

        Raises:
            InvalidRequest: the key is too long.
            ApiError: the key was used for another call, or its call is still running.
        """
        if len(key) > _KEY_LENGTH_MAX:
            raise InvalidRequest(f"Idempotency keys can have up to {_KEY_LENGTH_MAX} characters.")
        if key in self._running:
            raise ApiError(
                "There is currently another in-progress request using this Idempotent Key (that "
                "probably means you submitted twice, and the other request is still going "
                f"through): {key}. Please try again later.",
                status=409,
                type=self._account.switches.key_in_use_type,
                code="idempotency_key_in_use",
            )
        reply = self._kept.get(key)
        if reply is None:
            return None
        if reply["kept_at"] + self._account.switches.idempotency_hours * 3600 < time.time():
            self._kept.remove(key)
            return None
        if reply["path"] != path:
            raise _misused(key, "endpoint", f"they were first used for ('{reply['path']}')")
        if reply["parameters"] != _canonical(parameters):
            raise _misused(key, "parameters", "they were first used with")
        return reply

    @contextmanager
    def running(self, key: str | None) -> Iterator[None]:
        """Mark a key's call as running, so that its twins are refused."""
        if key is None:
            yield
            return
        self._running.add(key)
        try:
            yield
        finally:
            self._running.discard(key)

    def keep(
        self, key: str, *, path: str, parameters: Tree, status: int, body: str, request_id: str
    ) -> None:
        self._kept.put(
            key,
            {
                "path": path,
                "parameters": _canonical(parameters),
                "status": status,
                "body": body,
                "request_id": request_id,
                "kept_at": int(time.time()),
            },
        )


def _canonical(parameters: Tree) -> str:
    """Return the parameters so that their order does not matter."""

    def ordered(tree: Tree) -> Tree:
        return {
            name: ordered(value) if isinstance(value, dict) else value
            for name, value in sorted(tree.items())
        }

    return exact_json.write(ordered(parameters))


def _misused(key: str, what: str, how: str) -> ApiError:
    return ApiError(
        f"Keys for idempotent requests can only be used for the same {what} {how}. Try using a key "
        f"other than '{key}' if you meant to execute a different request.",
        type="idempotency_error",
    )
