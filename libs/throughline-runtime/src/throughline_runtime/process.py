"""The life of one process: an ordered start, work until told to stop or a part fails, a clean end.

The end loses nothing: callers are sent elsewhere first, calls under way are answered, fetched
messages are finished and acknowledged, and only then are the connections closed.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, Protocol

import structlog

from throughline_runtime.probes import Probes
from throughline_runtime.rpc.server import RpcServer

FINISH_SECONDS: Final = 25.0
"""How long loops may take to finish what they have begun."""

_log: Final = structlog.get_logger(__name__)


class ExitCode(IntEnum):
    """How a process ended, for its supervisor."""

    CLEAN = 0
    FAILED = 1
    # 2 is argparse's: the command line was wrong.
    UNFIT = 3  # Settings or contract forbid to start; a restart changes nothing.
    ADDRESS_TAKEN = 4


class Loop(Protocol):
    """A part that works until it is told to stop, and then finishes what it has begun."""

    async def run(self, stop: asyncio.Event) -> None: ...


@dataclass
class Process:
    """The parts of one process. `loops` stop in the order given; `rpc` answers before they do."""

    probes: Probes
    http_address: str
    loops: Mapping[str, Loop] = field(default_factory=dict)
    rpc: RpcServer | None = None
    grpc_address: str = ""
    leave_seconds: float = 0.0

    def __post_init__(self) -> None:
        self._leaving = asyncio.Event()
        self._failed = False
        self._http_port: int | None = None
        self._grpc_port: int | None = None

    def fail(self) -> None:
        """End the process in good order, with an exit code that says it failed."""
        self._failed = True
        self._leaving.set()

    async def run(self) -> ExitCode:
        """Work until SIGTERM, SIGINT or the failure of a part."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._leaving.set)
        try:
            async with self._serving_probes(), self._running_loops(), self._serving_calls():
                _log.info(
                    "process_started",
                    parts=[*self.loops, *(["rpc"] if self.rpc else [])],
                    http_port=self._http_port,
                    grpc_port=self._grpc_port,
                )
                await self._leaving.wait()
                await self._leave()
        except OSError as error:
            _log.error("address_taken", exc_info=error)
            return ExitCode.ADDRESS_TAKEN
        _log.info("process_ended", failed=self._failed)
        return ExitCode.FAILED if self._failed else ExitCode.CLEAN

    async def _leave(self) -> None:
        """Tell everybody that asks to go elsewhere, and give the news time to spread."""
        _log.info("process_leaving")
        self.probes.leave()
        if self.rpc is not None:
            await self.rpc.leave()
            await asyncio.sleep(self.leave_seconds)

    @asynccontextmanager
    async def _serving_probes(self) -> AsyncIterator[None]:
        self._http_port = await self.probes.start(self.http_address)
        try:
            yield
        finally:
            await self.probes.stop()

    @asynccontextmanager
    async def _serving_calls(self) -> AsyncIterator[None]:
        if self.rpc is None:
            yield
            return
        self._grpc_port = await self.rpc.start(self.grpc_address)
        try:
            yield
        finally:
            await self.rpc.stop()

    @asynccontextmanager
    async def _running_loops(self) -> AsyncIterator[None]:
        """Run the loops beside the block; stop each after the one before it has finished."""
        stops = {name: asyncio.Event() for name in self.loops}
        tasks = {
            name: asyncio.create_task(self._watch(name, loop, stops[name]), name=name)
            for name, loop in self.loops.items()
        }
        try:
            yield
        finally:
            deadline = asyncio.get_running_loop().time() + FINISH_SECONDS
            for name, task in tasks.items():
                stops[name].set()
                await self._finish(name, task, deadline)

    async def _watch(self, name: str, loop: Loop, stop: asyncio.Event) -> None:
        try:
            await loop.run(stop)
        except Exception as error:
            _log.error("part_failed", part=name, exc_info=error)
            self.fail()
        else:
            if not stop.is_set():
                _log.error("part_ended", part=name)
                self.fail()

    async def _finish(self, name: str, task: asyncio.Task[None], deadline: float) -> None:
        seconds = max(0.0, deadline - asyncio.get_running_loop().time())
        _, late = await asyncio.wait([task], timeout=seconds)
        if late:
            _log.error("part_not_finished", part=name)
            self._failed = True
            task.cancel()
            await asyncio.wait([task])
