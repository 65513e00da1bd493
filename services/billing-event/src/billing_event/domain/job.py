"""Where runs stand that are worked off chunk by chunk."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class RunStatus(StrEnum):
    """Where a run stands; a running one is worked on until nothing is left of its scope."""

    RUNNING = "running"
    STOPPED = "stopped"
    DONE = "done"


TRANSITIONS: Final[Mapping[RunStatus, frozenset[RunStatus]]] = {
    RunStatus.RUNNING: frozenset({RunStatus.STOPPED, RunStatus.DONE}),
    RunStatus.STOPPED: frozenset({RunStatus.RUNNING}),
    RunStatus.DONE: frozenset(),
}
