"""Time import: bodies of many rows, single entries, and one command at a time."""

import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import date, timedelta
from typing import Final

from e2e_deals import hire
from e2e_probe import watched
from e2e_rest import Rest, read
from e2e_sandbox import Sandbox

from load.figures import Figure, Timing, drive
from load.wire import Wire
from load.world import BODY_ROWS, CLIENTS, World

BULK_CLIENTS: Final = 4
MEMORY_MAX: Final = 300
"""Of one service, in MiB."""

_FIRST_DAY: Final = date(2026, 9, 1)
_DAYS: Final = 30
_OWNER: Final = "project-provisioning"
_GROWTH_MAX: Final = 50


async def bring_in(rest: Rest, bodies: Sequence[bytes]) -> Timing:
    """Import bodies: each is durable, approved and queued when it is answered."""

    async def send(body: bytes) -> None:
        reply = read(await rest.send("integration", "POST", "/v1/time-entries:batch", body))
        assert reply["recorded_count"] == BODY_ROWS, reply

    return await drive(bodies, send, clients=BULK_CLIENTS)


async def bulk(rest: Rest, bodies: Sequence[bytes]) -> Figure:
    """Measure the bulk import."""
    timing = await bring_in(rest, bodies)
    return Figure(
        f"bulk import, bodies of {BODY_ROWS}, {BULK_CLIENTS} clients",
        timing.per_second * BODY_ROWS,
        "entries/s",
        aim=10_000,
    )


async def at_scale(
    sandbox: Sandbox, rest: Rest, bodies: Sequence[bytes], *, rows: int
) -> list[Figure]:
    """Import large bodies one after the other, and watch the memory of the service that takes them.

    Flat is what does not grow with what was imported: the first body is left out of the growth,
    because it is what takes the service to its working size.
    """
    peaks: list[float] = []

    async def send(body: bytes) -> None:
        async with watched(sandbox, _OWNER) as peak:
            reply = read(await rest.send("integration", "POST", "/v1/time-entries:batch", body))
        assert reply["recorded_count"] == rows, reply
        peaks.append(peak())

    timing = await drive(bodies, send, clients=1)
    total = rows * len(bodies)
    return [
        Figure(f"import of {total}, bodies of {rows}", timing.per_second * rows, "entries/s"),
        Figure(f"its peak memory in {_OWNER}", max(peaks), "MiB", aim=MEMORY_MAX, is_cost=True),
        Figure(
            "its growth after the first body",
            max(0.0, max(peaks) - peaks[0]),
            "MiB",
            aim=_GROWTH_MAX,
            is_cost=True,
        ),
    ]


async def singly(sandbox: Sandbox, rest: Rest, world: World, *, count: int, clients: int) -> Timing:
    """Record entries one by one."""
    people = await hire(rest, world.entity_id, [f"Single {clients} {n}" for n in range(clients)])
    days = [(_FIRST_DAY + timedelta(n)).isoformat() for n in range(_DAYS)]
    bodies = [
        json.dumps(
            {
                "person_id": people[number % clients],
                "task_id": world.deals[number % len(world.deals)].task_id,
                "work_date": days[number // clients % _DAYS],
                "minutes": 5,
                "note": f"Entry {number}",
            }
        ).encode()
        for number in range(count)
    ]

    bearer = sandbox.bearers()["integration"]
    async with AsyncExitStack() as stack:
        idle = [
            await stack.enter_async_context(Wire(sandbox.url, "/v1/time-entries", bearer))
            for _ in range(clients)
        ]

        async def send(body: bytes) -> None:
            wire = idle.pop()
            await wire.post(body)
            idle.append(wire)

        return await drive(bodies, send, clients=clients)


async def singles(sandbox: Sandbox, rest: Rest, world: World, *, count: int) -> list[Figure]:
    """Measure single entries from many clients, and one command from one client."""
    together = await singly(sandbox, rest, world, count=count, clients=CLIENTS)
    alone = await singly(sandbox, rest, world, count=max(50, count // 8), clients=1)
    return [
        Figure(f"single entries, {CLIENTS} clients", together.per_second, "entries/s", aim=500),
        Figure("single entry, one client, p50", alone.milliseconds(50), "ms", is_cost=True),
        Figure("single entry, one client, p99", alone.milliseconds(99), "ms", is_cost=True),
    ]
