"""The ledger of positions at sizes: re-rating previews, work in progress, memory, cost of a row."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from e2e_probe import watched
from e2e_rest import Rest
from e2e_sandbox import Sandbox

from load import ledger, rating
from load.figures import Figure
from load.world import World

MEMORY_MAX: Final = 400
"""Of the service, in MiB, whatever it works on."""

PREVIEWED: Final = 100_000
PREVIEW_SECONDS: Final = 20
WIP_ROWS: Final = 1_000_000
WIP_SECONDS: Final = 2

_WAIT_SECONDS: Final = 300.0
_LOOK_SECONDS: Final = 0.1


async def measure(
    sandbox: Sandbox,
    rest: Rest,
    world: World,
    sizes: Sequence[int],
    rate: Callable[[], Awaitable[rating.Backlog]],
    rated_before: Figure,
) -> list[Figure]:
    """Measure contracts of these sizes, smallest first, and what all rows together do to the rest.

    A backlog is rated beside them, as one was before. Aims are for 100,000 items and a million
    rows; where the bench is smaller there are none.
    """
    contracts = {deal.contract_id: size for deal, size in zip(world.deals, sizes, strict=False)}
    figures: list[Figure] = []
    async with (
        ledger.multiplied(sandbox, contracts),
        watched(sandbox, ledger.SERVICE) as peak,
    ):
        costs = await _costs(sandbox, rest, world.entity_id, contracts, figures)
        total, floor = await ledger.sum_seconds(sandbox)
        seconds = await _wip(rest)
        beside = await rate()
    figures.append(
        Figure(
            f"work in progress over {total} rows at a past day",
            seconds,
            "s",
            aim=WIP_SECONDS if total >= WIP_ROWS else None,
            is_cost=True,
            floor=floor,
            floor_name="sum of all amounts",
        )
    )
    figures += _growth(costs)
    figures.append(beside.speed(f"beside {total} rows").beside(rated_before))
    name = f"peak memory of {ledger.SERVICE} meanwhile"
    figures.append(Figure(name, peak(), "MiB", aim=MEMORY_MAX, is_cost=True))
    return figures


async def _costs(
    sandbox: Sandbox,
    rest: Rest,
    entity_id: str,
    contracts: Mapping[str, int],
    figures: list[Figure],
) -> dict[str, dict[int, float]]:
    """Return microseconds for a row by what is done and size; note each preview as a figure."""
    costs: dict[str, dict[int, float]] = {"preview": {}, "work in progress": {}}
    for contract_id, size in contracts.items():
        if size <= PREVIEWED:
            seconds = await _preview(rest, entity_id, contract_id)
            costs["preview"][size] = seconds / size * 1e6
            figures.append(
                Figure(
                    f"re-rating preview of {size} items",
                    seconds,
                    "s",
                    aim=PREVIEW_SECONDS if size == PREVIEWED else None,
                    is_cost=True,
                    floor=await ledger.read_seconds(sandbox, contract_id),
                    floor_name="reading the rows",
                )
            )
        costs["work in progress"][size] = await _wip(rest, contract_id) / size * 1e6
    return costs


def _growth(costs: Mapping[str, Mapping[int, float]]) -> list[Figure]:
    """Return what a row costs at the largest size, beside the smallest."""
    found = []
    for what, by_size in costs.items():
        least, most = min(by_size), max(by_size)
        if least != most:
            name = f"{what}: a row of {most}"
            floor = f"a row of {least}"
            found.append(
                Figure(
                    name,
                    by_size[most],
                    "µs",
                    is_cost=True,
                    floor=by_size[least],
                    floor_name=floor,
                )
            )
    return found


async def _preview(rest: Rest, entity_id: str, contract_id: str) -> float:
    """Return the seconds from asking for a preview until it is complete."""
    started = time.perf_counter()
    run = await rest.post(
        "finance",
        "/v1/rerating-runs",
        {
            "scope": {"legal_entity_id": entity_id, "contract_ids": [contract_id]},
            "cause": "manual",
            "reason": "How long it takes",
        },
    )
    path = f"/v1/rerating-runs/{run['run']['rerating_run_id']}"
    deadline = time.monotonic() + _WAIT_SECONDS
    while (status := (await rest.get("finance", path))["run"]["status"]) != "previewed":
        assert time.monotonic() < deadline, f"the run is {status}"
        await asyncio.sleep(_LOOK_SECONDS)
    seconds = time.perf_counter() - started
    await rest.post("finance", f"{path}:cancel", {"reason": "It was only to be measured"})
    return seconds


async def _wip(rest: Rest, contract_id: str | None = None) -> float:
    """Return the seconds of one page of work in progress, of a contract or of all."""
    scope = {} if contract_id is None else {"contract_id": contract_id}
    started = time.perf_counter()
    reply = await rest.get("finance", "/v1/wip", as_of=ledger.RATED_ON, **scope)
    seconds = time.perf_counter() - started
    assert reply["lines"], "there is work in progress"
    return seconds
