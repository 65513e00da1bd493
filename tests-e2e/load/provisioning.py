"""From the approved quote to the active project: latency one at a time, and speed from clients.

A quote counts from the moment its approval is sent until the broker tells that its project is
active: approval, signature, contract in force, every readiness check, project.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from e2e_deals import FIRST_DAY, by_the_hour, import_quote
from e2e_probe import broker
from e2e_rest import Rest
from e2e_sandbox import Sandbox
from nats.aio.msg import Msg

from load.figures import Figure, drive, milliseconds
from load.wire import Wire
from load.world import CLIENTS, World
from throughline.project_provisioning.events.v1.project_provisioning_events_pb2 import (
    ProjectActivated,
)
from throughline_cli.api import Document
from throughline_runtime.events import subject_of

_WAIT_SECONDS: Final = 120.0
_APPROVED: Final = json.dumps({"quote_version": 1}).encode()
_SIGNED: Final = json.dumps(
    {
        "document_sha256": "0" * 64,
        "signatory": "M. Roth",
        "signed_on": FIRST_DAY,
        "activate": True,
    }
).encode()


class Listener:
    """Notes when each contract's project was heard of on the broker."""

    def __init__(self) -> None:
        self.heard_at: dict[str, float] = {}
        self._news = asyncio.Condition()

    async def take(self, message: Msg) -> None:
        """Note one project."""
        now = time.perf_counter()
        contract_id = ProjectActivated.FromString(message.data).project.contract_id
        async with self._news:
            self.heard_at.setdefault(contract_id, now)
            self._news.notify_all()

    async def wait_for(self, contract_ids: Sequence[str]) -> None:
        """Return once every contract has its project."""
        wanted = set(contract_ids)
        async with asyncio.timeout(_WAIT_SECONDS), self._news:
            await self._news.wait_for(lambda: wanted <= self.heard_at.keys())


async def provision(sandbox: Sandbox, rest: Rest, world: World, *, count: int) -> list[Figure]:
    """Measure one quote after the other, then many from `CLIENTS` clients."""
    alone = await _quotes(rest, world, "ALONE", max(3, count // 10))
    together = await _quotes(rest, world, "TOGETHER", count)
    async with _listening(sandbox) as listener, _calling(sandbox) as wires:
        waits = [await _one(wires[0], listener, quote) for quote in alone]
        seconds = await _all(wires, listener, together)
    return [
        Figure(
            f"quote to active project, {CLIENTS} clients",
            len(together) / seconds,
            "quotes/s",
            aim=125,
        ),
        Figure(
            "quote to active project, one at a time, p50",
            milliseconds(waits, 50),
            "ms",
            aim=100,
            is_cost=True,
        ),
        Figure(
            "quote to active project, one at a time, p99",
            milliseconds(waits, 99),
            "ms",
            is_cost=True,
        ),
    ]


async def _quotes(rest: Rest, world: World, name: str, count: int) -> list[Document]:
    """Return so many quotes of one line, in review."""
    made: list[Document] = []

    async def bring_in(number: int) -> None:
        made.append(
            await import_quote(
                rest, world.entity_id, world.customer_id, f"{name}-{number:05}", [by_the_hour()]
            )
        )

    await drive(range(count), bring_in, clients=CLIENTS)
    return made


async def _enforce(wire: Wire, quote: Document) -> str:
    """Approve a quote, sign its contract into force, and return the contract's id."""
    approved = json.loads(await wire.post(_APPROVED, f"/quotes/{quote['quote_id']}:approve"))
    contract_id: str = approved["contract"]["contract_id"]
    await wire.post(_SIGNED, f"/contracts/{contract_id}:sign")
    return contract_id


async def _one(wire: Wire, listener: Listener, quote: Document) -> float:
    """Return the seconds from a quote's approval to its project."""
    started = time.perf_counter()
    contract_id = await _enforce(wire, quote)
    await listener.wait_for([contract_id])
    return listener.heard_at[contract_id] - started


async def _all(wires: Sequence[Wire], listener: Listener, quotes: Sequence[Document]) -> float:
    """Return the seconds from the first approval to the last project, one client on each wire."""
    contract_ids: list[str] = []
    idle = list(wires)

    async def enforce(quote: Document) -> None:
        wire = idle.pop()
        contract_ids.append(await _enforce(wire, quote))
        idle.append(wire)

    started = time.perf_counter()
    await drive(quotes, enforce, clients=len(wires))
    await listener.wait_for(contract_ids)
    return max(listener.heard_at[contract_id] for contract_id in contract_ids) - started


@asynccontextmanager
async def _calling(sandbox: Sandbox) -> AsyncIterator[Sequence[Wire]]:
    bearer = sandbox.bearers()["sales"]
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(Wire(sandbox.url, "/v1", bearer))
            for _ in range(CLIENTS)
        ]


@asynccontextmanager
async def _listening(sandbox: Sandbox) -> AsyncIterator[Listener]:
    listener = Listener()
    async with broker(sandbox) as connection:
        subscription = await connection.subscribe(subject_of(ProjectActivated), cb=listener.take)
        await connection.flush()
        try:
            yield listener
        finally:
            await subscription.unsubscribe()
