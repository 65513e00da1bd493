"""Time import: bodies of many rows, single entries, and one command at a time."""

import json
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

from e2e_deals import hire
from e2e_rest import Rest, read

from load.figures import Figure, Timing, drive
from load.world import BODY_ROWS, CLIENTS, World

BULK_CLIENTS: Final = 4

_FIRST_DAY: Final = date(2026, 9, 1)
_DAYS: Final = 30
_OWNER: Final = "project-provisioning"
_TABLE: Final = "time_entry"


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


async def singly(rest: Rest, world: World, *, count: int, clients: int) -> Timing:
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

    async def send(body: bytes) -> None:
        read(await rest.send("integration", "POST", "/v1/time-entries", body))

    return await drive(bodies, send, clients=clients)


async def singles(rest: Rest, world: World, *, count: int) -> list[Figure]:
    """Measure single entries from many clients, and one command from one client."""
    together = await singly(rest, world, count=count, clients=CLIENTS)
    alone = await singly(rest, world, count=max(50, count // 8), clients=1)
    return [
        Figure(f"single entries, {CLIENTS} clients", together.per_second, "entries/s", aim=500),
        Figure("single entry, one client, p50", alone.milliseconds(50), "ms", is_cost=True),
        Figure("single entry, one client, p99", alone.milliseconds(99), "ms", is_cost=True),
    ]
