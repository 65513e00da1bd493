"""What the supervisor tells others: a file beside its data, rewritten at each change."""

import fcntl
import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import psutil

from throughline_cli.stack.failure import NotRunning
from throughline_cli.stack.layout import Layout, write_secret


class Phase(StrEnum):
    """Where the stack as a whole is."""

    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ProgramStatus:
    """One program as the supervisor sees it."""

    name: str
    state: str
    pid: int | None
    restarts: int
    address: str | None
    """Where it serves, None for what is no server."""
    ready_url: str | None
    """Which answers with success while it is ready; None for what is asked otherwise."""


@dataclass(frozen=True, slots=True)
class State:
    """The stack as the supervisor last saw it."""

    phase: Phase
    pid: int
    started_at: str
    sandbox: bool
    gateway_url: str | None = None
    simulators_url: str | None = None
    nats_url: str | None = None
    nats_monitor_url: str | None = None
    doing: str = ""
    """The step in hand while starting."""
    steps_done: int = 0
    steps_total: int = 0
    failure: str | None = None
    advice: str | None = None
    programs: tuple[ProgramStatus, ...] = field(default=())


def write_state(layout: Layout, state: State) -> None:
    """Replace the state file in one step."""
    write_secret(layout.state, json.dumps(asdict(state), indent=2))


def read_state(layout: Layout) -> State | None:
    """Return what was last written, None if nothing was since the last clean stop."""
    try:
        stored: dict[str, Any] = json.loads(layout.state.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    programs = tuple(ProgramStatus(**program) for program in stored.pop("programs"))
    return State(**stored | {"phase": Phase(stored["phase"]), "programs": programs})


def is_locked(layout: Layout) -> bool:
    """Whether a supervisor, or the guard clearing up after one, still has the folder."""
    if not layout.lock.exists():
        return False
    with layout.lock.open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that ended and waits for its parent to notice does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def running_state(layout: Layout) -> State:
    """Return the state of the running stack.

    Raises:
        NotRunning: there is none in this folder.
    """
    state = read_state(layout)
    if state is None or not is_locked(layout) or not is_alive(state.pid):
        raise NotRunning(layout.folder)
    return state
