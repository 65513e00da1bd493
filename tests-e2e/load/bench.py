"""All benchmarks in order, on a running sandbox that has no firm yet."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from e2e_probe import memory
from e2e_rest import Rest
from e2e_sandbox import Sandbox
from e2e_settling import settle

from load import importing, invoicing, positions, provisioning, rating
from load.figures import Figure
from load.floors import insert_floor, publish_floor
from load.world import BODY_ROWS, CLIENTS, Timeclock, make_world

_TIME: Final = ("project-provisioning", "time_entry")
_PROJECT_LINE: Final = ("project-provisioning", "project_line")
_ALONE: Final = "one process"
_SHARED: Final = "2 processes"
_CONNECTIONS: Final = 32
_PUBLISHED: Final = 2_000
_PUBLISHED_BYTES: Final = 1_000


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured; bodies hold `BODY_ROWS` rows."""

    contracts: int
    bodies: int
    singles: int
    backlog_bodies: int
    rated_singly: int
    large_bodies: int
    large_body_rows: int
    ledgers: tuple[int, ...]
    """Rows of the contracts that previews and work in progress are measured on."""


FULL: Final = Size(
    contracts=500,
    bodies=60,
    singles=2_000,
    backlog_bodies=60,
    rated_singly=200,
    large_bodies=10,
    large_body_rows=10_000,
    ledgers=(1_000, 10_000, 100_000, 1_000_000),
)
QUICK: Final = Size(
    contracts=100,
    bodies=16,
    singles=400,
    backlog_bodies=20,
    rated_singly=50,
    large_bodies=3,
    large_body_rows=10_000,
    ledgers=(1_000, 10_000),
)
TINY: Final = Size(
    contracts=3,
    bodies=2,
    singles=24,
    backlog_bodies=1,
    rated_singly=5,
    large_bodies=2,
    large_body_rows=250,
    ledgers=(20, 100),
)


async def bench(sandbox: Sandbox, size: Size) -> Sequence[Figure]:
    """Return every figure, with its floor where the bare machine has one."""
    sandbox.set_clock("2026-10-01T07:00:00Z")
    async with Rest(sandbox.url, sandbox.bearers(), connections=_CONNECTIONS) as rest:
        world = await make_world(rest, contracts=size.contracts)
        provisioned = await provisioning.provision(sandbox, rest, world, count=size.contracts)
        clock = Timeclock(rest, world)
        imported = await importing.bulk(rest, await clock.bodies(size.bodies))
        await settle(rest, sandbox)
        singles = await importing.singles(sandbox, rest, world, count=size.singles)
        await settle(rest, sandbox)
        rows = (await clock.single_rows())[: size.rated_singly]
        latency = await rating.latency(sandbox, rest, rows)
        backlog = await rating.warm_backlog(sandbox, rest, clock, bodies=size.backlog_bodies)
        await settle(rest, sandbox)
        drafts, issue = await invoicing.run_invoices(rest, world.entity_id)
        await settle(rest, sandbox)
        async with rating.another_consumer(sandbox) as second:
            shared = await rating.warm_backlog(
                sandbox, rest, clock, bodies=2 * size.backlog_bodies, others=[second]
            )
            await settle(rest, sandbox)
        ledgers = await positions.measure(
            sandbox,
            rest,
            world,
            size.ledgers,
            partial(rating.warm_backlog, sandbox, rest, clock, bodies=size.backlog_bodies),
            backlog.speed(_ALONE),
        )
        # Last, because what it leaves to others to do would slow everything else down.
        bodies = await clock.large_bodies(size.large_bodies, size.large_body_rows)
        scale = await importing.at_scale(sandbox, rest, bodies, rows=size.large_body_rows)
    memories = [
        Figure(f"memory of {service}", mebibytes, "MiB", aim=importing.MEMORY_MAX, is_cost=True)
        for service, mebibytes in memory(sandbox).items()
    ]
    published = await publish_floor(sandbox, count=_PUBLISHED, size=_PUBLISHED_BYTES)
    return [
        await _floored(sandbox, imported, _TIME, connections=importing.BULK_CLIENTS),
        await _floored(sandbox, singles[0], _TIME, connections=CLIENTS, batch=1),
        *singles[1:],
        await _floored(sandbox, backlog.speed(_ALONE), ("billing-event", "billing_event")),
        replace(shared.speed(_SHARED), aim=2 * rating.ENTRIES_A_SECOND).beside(
            backlog.speed(_ALONE)
        ),
        shared.cost(_SHARED).beside(backlog.cost(_ALONE)),
        *ledgers,
        *latency,
        await _floored(sandbox, drafts, ("invoice-payment", "invoice_item")),
        await _floored(sandbox, issue, ("invoice-payment", "invoice")),
        Figure(f"quotes imported, {CLIENTS} clients", world.quotes.per_second, "quotes/s"),
        await _floored(sandbox, provisioned[0], _PROJECT_LINE, connections=CLIENTS, batch=1),
        *provisioned[1:],
        Figure("floor: messages published, each synced", published, "messages/s"),
        *memories,
        *scale,
    ]


async def _floored(
    sandbox: Sandbox,
    figure: Figure,
    table: tuple[str, str],
    *,
    connections: int = 1,
    batch: int = BODY_ROWS,
) -> Figure:
    """Return the figure beside the raw insert of the rows it wrote; a table is service and name."""
    floor = await insert_floor(sandbox, *table, batch=batch, connections=connections)
    return replace(figure, floor=floor, floor_name=f"insert into {table[1]}, {batch} at once")
