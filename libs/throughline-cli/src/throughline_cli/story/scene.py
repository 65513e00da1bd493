"""What every part of the story needs: the people, the vendors, the clock, and patience."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final, TypeVar

from throughline_cli.commands.clock import move
from throughline_cli.stack.failure import StackFailure
from throughline_cli.stack.layout import Layout
from throughline_cli.stack.state import State
from throughline_cli.story.cast import Cast
from throughline_cli.story.told import Told
from throughline_simulators.control_client import ControlClient

WAIT_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.1

T = TypeVar("T")


class Scene:
    """A part of the story on one running sandbox."""

    def __init__(self, layout: Layout, state: State, cast: Cast, told: Told) -> None:
        assert state.simulators_url is not None
        self.layout = layout
        self.state = state
        self.cast = cast
        self.told = told
        self.vendors = ControlClient(state.simulators_url)

    def is_settled(self) -> bool:
        return bool(self.cast.auditor.get("/v1/reconciliation")["settled"])

    def until(self, what: str, ask: Callable[[], T | None]) -> T:
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            answer = ask()
            if answer:
                return answer
            time.sleep(_PAUSE_SECONDS)
        raise StackFailure(
            f"waited {WAIT_SECONDS:.0f} s in vain until {what}",
            advice="see `throughline status`, `throughline logs`, `throughline parked list`",
        )

    def at(self, instant: str) -> None:
        """Let business time be at least this instant."""
        wanted = datetime.fromisoformat(instant)
        move(self.layout, self.state, wanted - datetime.now(UTC))


def key(*parts: object) -> str:
    """Return the idempotency key of a step: always the same for the same words."""
    return sha256("\x1f".join(("demo", *map(str, parts))).encode()).hexdigest()


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
