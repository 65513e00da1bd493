"""Kills parts of the stack with SIGKILL, at random times, and watches each come back."""

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, repeat
from random import Random
from typing import Final

import httpx
from e2e_sandbox import EVERY_SERVICE, Sandbox

from throughline_cli.stack.program import ProgramState

PARTS: Final = (*EVERY_SERVICE, "nats", "postgres")
READY_SECONDS: Final = 90.0
"""Within this a killed part must work again, beside everything else that is being killed."""

_LOOK_SECONDS: Final = 0.1


@dataclass
class Deaths:
    """The kills of one part and how long it took each time until it was ready again."""

    part: str
    recoveries: list[float] = field(default_factory=list)
    missing: int = 0
    """How often it was not ready again in time."""

    @property
    def kills(self) -> int:
        return len(self.recoveries) + self.missing


class Killer:
    """Kills by process id, taken from the supervisor's state; whoever restarts it is not told."""

    def __init__(self, sandbox: Sandbox, random: Random) -> None:
        self._sandbox = sandbox
        self._random = random
        self._watches: list[asyncio.Task[None]] = []
        self.deaths = {part: Deaths(part) for part in PARTS}

    async def rage(self, *, kills: int, seconds: float) -> None:
        """Kill `kills` times within `seconds`, every part about equally often."""
        started = time.monotonic()
        moments = sorted(self._random.uniform(0, seconds) for _ in range(kills))
        for moment, part in zip(moments, self._victims(), strict=False):
            await asyncio.sleep(max(0.0, started + moment - time.monotonic()))
            await self.kill(part)

    async def kill(self, part: str) -> None:
        """Kill a part once it is ready, and watch from then on how it comes back."""
        program = self._sandbox.programs()[part]
        while program.state != ProgramState.READY or program.pid is None:
            await asyncio.sleep(_LOOK_SECONDS)
            program = self._sandbox.programs()[part]
        # It may have ended by itself since the state was written.
        with suppress(ProcessLookupError):
            os.kill(program.pid, signal.SIGKILL)
        self._watches.append(asyncio.create_task(self._watch(part, program.restarts)))

    async def all_back(self) -> Sequence[str]:
        """Wait for everything to be ready and return the parts that are not, in good time."""
        await asyncio.gather(*self._watches)
        deadline = time.monotonic() + READY_SECONDS
        urls = {
            name: program.ready_url
            for name, program in self._sandbox.programs().items()
            if program.ready_url is not None
        }
        async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
            while True:
                absent = [name for name, url in urls.items() if not await _answers(client, url)]
                if not absent or time.monotonic() > deadline:
                    return absent
                await asyncio.sleep(_LOOK_SECONDS)

    def _victims(self) -> chain[str]:
        """Return parts in rounds; in each round every part dies once."""
        return chain.from_iterable(
            self._random.sample(parts, len(parts)) for parts in repeat(PARTS)
        )

    async def _watch(self, part: str, restarts_before: int) -> None:
        started = time.monotonic()
        while True:
            program = self._sandbox.programs()[part]
            waited = time.monotonic() - started
            if program.restarts > restarts_before and program.state == ProgramState.READY:
                self.deaths[part].recoveries.append(waited)
                return
            if waited > READY_SECONDS:
                self.deaths[part].missing += 1
                return
            await asyncio.sleep(_LOOK_SECONDS)


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).is_success
    except httpx.TransportError:
        return False
