"""One process of the stack: started, found ready, restarted when it dies, ended."""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from throughline_cli.stack.failure import StackFailure
from throughline_cli.stack.guard import Guard

_log = logging.getLogger(__name__)

_BACKOFF_FIRST_SECONDS: Final = 0.5
_BACKOFF_MAX_SECONDS: Final = 30.0
_BACKOFF_DOUBLINGS_MAX: Final = 16
_STEADY_SECONDS: Final = 60.0
"""A process that lived this long starts its backoff anew."""


_LAST_WORDS_LINES: Final = 30
_LINE_BYTES: Final = 1_000
"""Longer lines than this on average only make a tail shorter."""


class ProgramState(StrEnum):
    """Where a program is between two lives."""

    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    BACKING_OFF = "backing_off"


IsAlive = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Program:
    """What to run and how to know that it is ready."""

    name: str
    command: tuple[str, ...]
    log: Path
    wait_ready: Callable[[IsAlive], Awaitable[None]]
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 45
    address: str | None = None
    ready_url: str | None = None


def tail(log: Path, *, lines: int, since: int = 0) -> str:
    """Return the last lines of a log file past the byte `since`, nothing if there is none."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(since, file.seek(0, os.SEEK_END) - lines * _LINE_BYTES))
        text = file.read().decode(errors="replace")
    return "\n".join(text.splitlines()[-lines:])


def backoff_seconds(failures: int) -> float:
    """Return the pause before the next start after `failures` short lives in a row (from 1)."""
    doublings = min(failures - 1, _BACKOFF_DOUBLINGS_MAX)
    return min(_BACKOFF_MAX_SECONDS, _BACKOFF_FIRST_SECONDS * 2.0**doublings)


async def run_once(program: Program, guard: Guard) -> None:
    """Run a program that ends by itself.

    Raises:
        StackFailure: it ended with anything but 0.
    """
    log_start = _size(program.log)
    process = await _spawn(program, guard)
    try:
        code = await process.wait()
    finally:
        await _end(process, program)
        guard.forget(process.pid)
    if code != 0:
        raise _with_log(StackFailure(f"{program.name} ended with {code}"), program, log_start)


class Runner:
    """Keeps one program running from `start` until `stop`."""

    def __init__(self, program: Program, guard: Guard, on_change: Callable[[], None]) -> None:
        self.program = program
        self.state = ProgramState.STOPPED
        self.restarts = 0
        self.pid: int | None = None
        self._guard = guard
        self._on_change = on_change
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._ready_once = asyncio.Event()

    async def start(self) -> None:
        """Start the program and return when it is ready for the first time.

        Raises:
            StackFailure: it ended or did not become ready; it is not tried again.
        """
        self._ready_once.clear()
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.program.name}")
        ready = asyncio.create_task(self._ready_once.wait())
        try:
            await asyncio.wait({self._keeper, ready}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
        if self._keeper.done():
            self._keeper.result()

    async def stop(self) -> None:
        """End the program; kill it if it does not go within its time."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
            self._keeper = None
        await self._end_process()
        self._change(ProgramState.STOPPED)

    async def _keep(self) -> None:
        failures = 0
        log_start = _size(self.program.log)
        while True:
            started = time.monotonic()
            try:
                await self._live_once()
            except StackFailure as failure:
                await self._end_process()
                if not self._ready_once.is_set():
                    self._change(ProgramState.STOPPED)
                    raise _with_log(failure, self.program, log_start) from failure
            lived = time.monotonic() - started
            failures = 1 if lived > _STEADY_SECONDS else failures + 1
            self.restarts += 1
            self._change(ProgramState.BACKING_OFF)
            pause = backoff_seconds(failures)
            _log.warning("%s ended after %.1f s, starts in %.1f s", self.program.name, lived, pause)
            await asyncio.sleep(pause)

    async def _live_once(self) -> None:
        """Run the program from birth to its end, which nobody asked for."""
        process = await self._launch()
        await self.program.wait_ready(lambda: process.returncode is None)
        self._change(ProgramState.READY)
        self._ready_once.set()
        await process.wait()
        self._forget(process)

    async def _launch(self) -> asyncio.subprocess.Process:
        process = await _spawn(self.program, self._guard)
        self._process, self.pid = process, process.pid
        self._change(ProgramState.STARTING)
        return process

    async def _end_process(self) -> None:
        if self._process is not None:
            await _end(self._process, self.program)
            self._forget(self._process)

    def _forget(self, process: asyncio.subprocess.Process) -> None:
        self._guard.forget(process.pid)
        self._process = self.pid = None

    def _change(self, state: ProgramState) -> None:
        self.state = state
        self._on_change()


async def _spawn(program: Program, guard: Guard) -> asyncio.subprocess.Process:
    with program.log.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *program.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=os.environ | dict(program.environment),
            # Ctrl-C is for the supervisor, which then ends its programs in order.
            start_new_session=True,
        )
    guard.watch(process.pid, program.stop_signal)
    return process


async def _end(process: asyncio.subprocess.Process, program: Program) -> None:
    """Ask the process to end, and kill it when its time is over."""
    if process.returncode is not None:
        return
    process.send_signal(program.stop_signal)
    try:
        await asyncio.wait_for(process.wait(), program.stop_seconds)
    except TimeoutError:
        process.kill()
        await process.wait()


def _size(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0


def _with_log(failure: StackFailure, program: Program, log_start: int) -> StackFailure:
    """Return the failure with the last words of the program, which say why."""
    said = tail(program.log, lines=_LAST_WORDS_LINES, since=log_start)
    return StackFailure(f"{failure}\n{said}", advice=failure.advice)
