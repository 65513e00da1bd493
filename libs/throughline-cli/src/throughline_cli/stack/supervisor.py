"""Starts a stack in order, keeps it running and ends it in reverse, in a process of its own."""

import argparse
import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TextIO

from throughline_cli.stack.failure import StackFailure
from throughline_cli.stack.guard import Guard
from throughline_cli.stack.layout import Layout
from throughline_cli.stack.postgres import socket_folder
from throughline_cli.stack.program import Program, Runner, run_once
from throughline_cli.stack.programs import broker_program, postgres_program
from throughline_cli.stack.services import ALL_SERVICES, GATEWAY, chosen
from throughline_cli.stack.stack import Stack
from throughline_cli.stack.state import Phase, ProgramStatus, State, write_state

_log = logging.getLogger(__name__)

_LOCK_SECONDS: Final = 30
"""How long a start waits while the guard of a killed supervisor still ends its processes."""

Step = tuple[str, Callable[[], Awaitable[None]]]


class Supervisor:
    """Runs one stack until it is told to stop."""

    def __init__(self, stack: Stack, guard: Guard) -> None:
        self._stack = stack
        self._guard = guard
        self._groups: list[list[Runner]] = []
        simulators = f"http://127.0.0.1:{stack.ports['simulators']}" if stack.sandbox else None
        self._state = replace(
            _first_state(sandbox=stack.sandbox),
            gateway_url=stack.gateway_url if GATEWAY in stack.services else None,
            simulators_url=simulators,
            nats_url=stack.broker.url,
            nats_monitor_url=stack.broker.monitor_url,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Start everything, wait for `stop`, end everything.

        Raises:
            StackFailure: a step of the start failed; what had started has been ended again.
        """
        starting = asyncio.create_task(self._start())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                await starting
                await stopping
        finally:
            self._update(phase=Phase.STOPPING)
            for task in (starting, stopping):
                task.cancel()
            await asyncio.gather(starting, stopping, return_exceptions=True)
            await self._stop()

    async def _start(self) -> None:
        steps = self._steps()
        for done, (doing, step) in enumerate(steps):
            _log.info("%s", doing)
            self._update(doing=doing, steps_done=done, steps_total=len(steps))
            await step()
        _log.info("ready")
        self._update(phase=Phase.READY, doing="", steps_done=len(steps))

    def _steps(self) -> list[Step]:
        stack, layout = self._stack, self._stack.layout
        postgres = postgres_program(stack.postgres, layout.log_of("postgres"))
        broker = broker_program(stack.broker, layout.log_of("nats"))
        services = [stack.program(service) for service in stack.services if service != GATEWAY]
        steps: list[Step] = [
            ("starting PostgreSQL", lambda: self._run([postgres])),
            ("starting NATS", lambda: self._run([broker])),
            ("preparing databases", stack.prepare_databases),
            ("migrating databases", self._migrate),
            ("applying streams", stack.apply_streams),
        ]
        if stack.sandbox:
            steps.append(("starting simulators", lambda: self._run([stack.simulators()])))
        if services:
            steps.append(("starting services", lambda: self._run(services)))
        if GATEWAY in stack.services:
            steps.append(("starting the gateway", lambda: self._run([stack.program(GATEWAY)])))
        return steps

    async def _migrate(self) -> None:
        await _all(run_once(program, self._guard) for program in self._stack.migrations())

    async def _run(self, programs: Iterable[Program]) -> None:
        """Start programs that do not wait for each other."""
        runners = [Runner(program, self._guard, self._update) for program in programs]
        self._groups.append(runners)
        await _all(runner.start() for runner in runners)

    async def _stop(self) -> None:
        """End what was started last first, so that nothing loses what it stands on."""
        for runners in reversed(self._groups):
            await asyncio.gather(*(runner.stop() for runner in runners))
        self._stack.layout.state.unlink(missing_ok=True)

    def _update(self, **changes: Any) -> None:
        programs = tuple(_status(runner) for runners in self._groups for runner in runners)
        self._state = replace(self._state, programs=programs, **changes)
        write_state(self._stack.layout, self._state)


def _first_state(*, sandbox: bool) -> State:
    return State(
        phase=Phase.STARTING,
        pid=os.getpid(),
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        sandbox=sandbox,
    )


def _status(runner: Runner) -> ProgramStatus:
    program = runner.program
    return ProgramStatus(
        program.name,
        runner.state,
        runner.pid,
        runner.restarts,
        program.address,
        program.ready_url,
    )


async def _all(awaitables: Iterable[Awaitable[None]]) -> None:
    """Await all of them; the first failure cancels the others and is raised."""
    tasks = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.contextmanager
def _hold(layout: Layout) -> Iterator[TextIO]:
    """Hold the folder against every other supervisor.

    Raises:
        StackFailure: another one has it.
    """
    deadline = time.monotonic() + _LOCK_SECONDS
    with layout.lock.open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise StackFailure(f"another stack runs in {layout.folder}") from error
                time.sleep(0.1)
            else:
                yield lock
                return


async def _supervise(arguments: argparse.Namespace, layout: Layout, guard: Guard) -> None:
    stop = asyncio.Event()
    for received in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(received, stop.set)
    stack = Stack.prepare(layout, chosen(arguments.service), sandbox=arguments.sandbox)
    await Supervisor(stack, guard).run(stop)


def main() -> None:
    """Supervise the stack named on the command line until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--sandbox", action="store_true")
    names = [service.name for service in ALL_SERVICES]
    parser.add_argument("--service", action="append", default=[], choices=names)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # Each readiness poll would be a line.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    layout = Layout.at(arguments.folder)
    layout.prepare()
    with _hold(layout) as lock:
        layout.rotate_logs()
        guard = Guard(layout.folder, lock=lock.fileno(), remove=socket_folder(layout.postgres))
        try:
            asyncio.run(_supervise(arguments, layout, guard))
        except StackFailure as failure:
            _log.error("%s", failure)
            state = _first_state(sandbox=arguments.sandbox)
            failed = replace(state, phase=Phase.FAILED, failure=str(failure), advice=failure.advice)
            write_state(layout, failed)
            sys.exit(failure.exit_code)
        finally:
            guard.close()


if __name__ == "__main__":
    main()
