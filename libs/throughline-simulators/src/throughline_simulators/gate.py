"""The door of a vendor: counts calls, strikes faults, and commits before a reply leaves."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Generic

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from throughline_simulators.store import Store
from throughline_simulators.switchboard import AnySwitches, SwitchBoard

Refusal = Callable[[], Response]


class Calls:
    """How often each operation was called, how it ended, and which faults struck."""

    def __init__(self) -> None:
        self.operations: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()

    def clear(self) -> None:
        for counter in (self.operations, self.statuses, self.faults):
            counter.clear()


class CommitFirst:
    """ASGI middleware that lets no reply leave before what it tells of is kept."""

    def __init__(self, app: ASGIApp, store: Store) -> None:
        self._app = app
        self._store = store

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def commit_then_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._store.commit()
            await send(message)

        await self._app(scope, receive, commit_then_send)


class Gate(Generic[AnySwitches]):
    """ASGI middleware around one vendor's application.

    A call that meets a fault before its work is not handed on; one that hangs has done and
    committed its work, so a client cannot tell it from a lost reply.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        store: Store,
        board: SwitchBoard[AnySwitches],
        calls: Calls,
        unavailable: Refusal,
        throttled: Refusal,
    ) -> None:
        self._app = app
        self._store = store
        self._board = board
        self._calls = calls
        self._unavailable = unavailable
        self._throttled = throttled

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # A mounted application sees the whole path; what the vendor calls its path is the rest.
        path = str(scope["path"]).removeprefix(str(scope.get("root_path", "")))
        called = f"{scope['method']} {path}"
        struck = self._board.now.only_on in called
        if struck and self._board.now.latency_milliseconds:
            await asyncio.sleep(self._board.now.latency_milliseconds / 1000)
        refusal = self._strike() if struck else None
        hang = struck and refusal is None and self._board.take("hang_next")
        inner = self._app if refusal is None else refusal

        async def commit_then_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._count(scope, called, int(message["status"]))
                self._store.commit()
                if hang:
                    self._calls.faults["hang"] += 1
                    await asyncio.sleep(self._board.now.hang_seconds)
            await send(message)

        await inner(scope, receive, commit_then_send)

    def _strike(self) -> Response | None:
        now = self._board.now
        by_chance = now.unavailable_probability > 0 and (
            self._board.random.random() < now.unavailable_probability
        )
        if by_chance or self._board.take("unavailable_next"):
            self._calls.faults["unavailable"] += 1
            return self._with_retry_after(self._unavailable())
        if self._board.take("throttled_next"):
            self._calls.faults["throttled"] += 1
            return self._with_retry_after(self._throttled())
        return None

    def _with_retry_after(self, refusal: Response) -> Response:
        if self._board.now.retry_after_seconds is not None:
            refusal.headers["Retry-After"] = str(self._board.now.retry_after_seconds)
        return refusal

    def _count(self, scope: Scope, called: str, status: int) -> None:
        # The router leaves the matched route in the scope; a refused call never reached it.
        route = scope.get("route")
        template = getattr(route, "path", None)
        self._calls.operations[called if template is None else f"{scope['method']} {template}"] += 1
        self._calls.statuses[str(status)] += 1
