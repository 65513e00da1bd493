"""A sandbox of its own: services in a temporary folder, ended with the block."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from throughline_cli.commands.clock import move
from throughline_cli.commands.token import mint
from throughline_cli.stack import control
from throughline_cli.stack.layout import Layout
from throughline_cli.stack.secrets import Subject
from throughline_cli.stack.services import ALL_SERVICES
from throughline_cli.stack.state import ProgramStatus, State, read_state

EVERY_SERVICE: Final = tuple(service.name for service in ALL_SERVICES)

# Who acts: nobody approves what they did themselves.
SUBJECTS: Final = {
    "sales": Subject("sam.sales", ("sales_operations",)),
    "pmo": Subject("petra.pmo", ("pmo",)),
    "delivery": Subject("dana.delivery", ("pmo",)),
    "finance": Subject("fiona.finance", ("finance",)),
    "controller": Subject("felix.finance", ("finance",)),
    "integration": Subject("ines.integration", ("integration",)),
    "auditor": Subject("anna.audit", ("auditor",)),
    "admin": Subject("operator", ("admin",)),
}

_TOKEN_SECONDS: Final = 4 * 3600


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running stack."""

    layout: Layout
    state: State
    """As it was when all was ready."""

    @property
    def url(self) -> str:
        assert self.state.gateway_url is not None
        return self.state.gateway_url

    @property
    def monitor_url(self) -> str:
        assert self.state.nats_monitor_url is not None
        return self.state.nats_monitor_url

    def bearers(self) -> dict[str, str]:
        """Return a fresh token for each of `SUBJECTS`."""
        return {
            name: mint(self.layout, subject, lifetime_seconds=_TOKEN_SECONDS)
            for name, subject in SUBJECTS.items()
        }

    def programs(self) -> Mapping[str, ProgramStatus]:
        """Return every program as its supervisor sees it now."""
        state = read_state(self.layout)
        assert state is not None, "the supervisor has ended"
        return {program.name: program for program in state.programs}

    def set_clock(self, instant: str) -> None:
        """Let business time be at least this instant."""
        move(self.layout, self.state, datetime.fromisoformat(instant) - datetime.now(UTC))


@contextmanager
def sandbox(
    services: Sequence[str] = EVERY_SERVICE, *, environment: Mapping[str, str] | None = None
) -> Iterator[Sandbox]:
    """Start these services, with more variables in their environment, and end them afterwards."""
    # The name is short because a socket's path may not be long.
    with TemporaryDirectory(prefix="tl-", ignore_cleanup_errors=True) as scratch:
        layout = Layout.at(Path(scratch))
        with _environment(environment or {}):
            state = control.start(layout, services, sandbox=True)
        try:
            yield Sandbox(layout, state)
        finally:
            control.stop(layout)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
