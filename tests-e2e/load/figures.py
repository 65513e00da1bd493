"""What a benchmark yields: figures with their aims and floors, and how they are taken."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Figure:
    """One result; `floor` is what the bare machine does with the same rows, in the same unit."""

    name: str
    value: float
    unit: str
    aim: float | None = None
    is_cost: bool = False
    """Whether less is better."""
    floor: float | None = None
    floor_name: str = ""

    @property
    def is_reached(self) -> bool | None:
        """Whether the aim is reached, None without one."""
        if self.aim is None:
            return None
        return self.value <= self.aim if self.is_cost else self.value >= self.aim

    def beside(self, other: "Figure") -> "Figure":
        """Return the figure with another one in the place of a floor."""
        return replace(self, floor=other.value, floor_name=other.name)

    @property
    def ratio(self) -> float | None:
        """The value as a share of the floor."""
        return self.value / self.floor if self.floor else None


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a number of requests took: together, and each by itself."""

    seconds: float
    each_seconds: Sequence[float]

    @property
    def per_second(self) -> float:
        return len(self.each_seconds) / self.seconds

    def milliseconds(self, percentile: int) -> float:
        """Return the time within which so many per cent were answered."""
        return milliseconds(self.each_seconds, percentile)


def milliseconds(seconds: Sequence[float], percentile: int) -> float:
    """Return a percentile of durations, from 1 to 99."""
    if len(seconds) == 1:
        return seconds[0] * 1000
    return statistics.quantiles(seconds, n=100, method="inclusive")[percentile - 1] * 1000


async def drive(
    items: Iterable[T], ask: Callable[[T], Awaitable[object]], *, clients: int
) -> Timing:
    """Work through the items with so many clients, each with one request under way."""
    waiting = iter(items)
    each: list[float] = []

    async def work() -> None:
        for item in waiting:
            started = time.perf_counter()
            await ask(item)
            each.append(time.perf_counter() - started)

    began = time.perf_counter()
    await asyncio.gather(*[work() for _ in range(clients)])
    return Timing(time.perf_counter() - began, each)
