"""Starts and stops a stack from outside: through its supervisor's process, lock and state file."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

from throughline_cli.stack.failure import NotRunning, StackFailure
from throughline_cli.stack.layout import Layout
from throughline_cli.stack.program import tail
from throughline_cli.stack.state import Phase, State, is_alive, is_locked, read_state, running_state

START_SECONDS: Final = 600
"""Recovery of a large database and long migrations included; a step that fails ends it sooner."""

STOP_SECONDS: Final = 240

_LOOK_SECONDS: Final = 0.05


def supervisor_command(layout: Layout, services: Sequence[str], *, sandbox: bool) -> list[str]:
    """Return the command that supervises these services ("billing-event") until SIGTERM."""
    command = [sys.executable, "-m", "throughline_cli.stack.supervisor"]
    command += ["--folder", str(layout.folder)]
    command += ["--sandbox"] if sandbox else []
    return command + [f"--service={name}" for name in services]


def start(
    layout: Layout,
    services: Sequence[str],
    *,
    sandbox: bool,
    on_progress: Callable[[State], None] = lambda _state: None,
) -> State:
    """Start a stack beside this process and return its state when all is ready.

    `on_progress` is called while it starts. A stack that is ready already is left as it is; an
    interrupted start is ended again.

    Raises:
        StackFailure: a part did not start, or a stack is just starting or stopping.
    """
    present = running_or_none(layout)
    if present is not None:
        if present.phase == Phase.READY:
            return present
        raise StackFailure(f"a stack is {present.phase} in {layout.folder}")
    layout.prepare()
    layout.state.unlink(missing_ok=True)
    with layout.log_of("supervisor").open("ab") as log:
        supervisor = subprocess.Popen(
            supervisor_command(layout, services, sandbox=sandbox),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        return _wait_ready(layout, supervisor, on_progress)
    except BaseException:
        if supervisor.poll() is None:
            supervisor.terminate()
            supervisor.wait(STOP_SECONDS)
        raise


def stop(layout: Layout, *, force: bool = False) -> None:
    """End the stack and return when nothing of it runs any more. Data stays.

    `force` kills the supervisor, whose guard then ends the rest without order.

    Raises:
        NotRunning: there is none.
        StackFailure: it has not ended in time.
    """
    state = running_state(layout)
    os.kill(state.pid, signal.SIGKILL if force else signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while is_locked(layout) or is_alive(state.pid):
        if time.monotonic() > deadline:
            raise StackFailure("the stack is still stopping", advice="throughline down --force")
        time.sleep(_LOOK_SECONDS)
    layout.state.unlink(missing_ok=True)


def running_or_none(layout: Layout) -> State | None:
    """Return the state of the stack in this folder, None if none runs."""
    try:
        return running_state(layout)
    except NotRunning:
        return None


def _wait_ready(
    layout: Layout, supervisor: subprocess.Popen[bytes], on_progress: Callable[[State], None]
) -> State:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        has_ended = supervisor.poll() is not None
        state = read_state(layout)
        if has_ended:
            raise _start_failure(layout, state)
        if state is not None:
            if state.phase == Phase.READY:
                return state
            on_progress(state)
        time.sleep(_LOOK_SECONDS)
    raise StackFailure(f"the stack was not ready within {START_SECONDS} s")


def _start_failure(layout: Layout, state: State | None) -> StackFailure:
    if state is not None and state.failure is not None:
        return StackFailure(state.failure, advice=state.advice)
    log = layout.log_of("supervisor")
    return StackFailure(f"the supervisor ended while starting\n{tail(log, lines=20)}")
