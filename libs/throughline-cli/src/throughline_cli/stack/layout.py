"""Where everything of one stack lies: folders, secrets and ports below its data folder."""

import json
import os
import random
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from throughline_cli.stack.failure import StackFailure

DEFAULT_FOLDER: Final = ".throughline"

_LOG_BYTES_MAX: Final = 32 * 2**20

# Below the range from which systems take the ports of outgoing connections, so that none of
# those can be lent the port of a service between two of its starts.
_PORTS: Final = range(20_000, 32_000)


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one stack; two stacks are two folders."""

    folder: Path

    @classmethod
    def at(cls, folder: Path) -> "Layout":
        """Return the layout below `folder`, made absolute."""
        return cls(folder.expanduser().resolve())

    @property
    def postgres(self) -> Path:
        return self.folder / "postgres"

    @property
    def broker(self) -> Path:
        return self.folder / "nats"

    @property
    def simulators(self) -> Path:
        """The file in which the simulated vendors keep what they know."""
        return self.folder / "simulators.db"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def secrets(self) -> Path:
        return self.folder / "secrets"

    @property
    def clock(self) -> Path:
        """The offset of the business clock, which every service reads."""
        return self.folder / "clock"

    @property
    def state(self) -> Path:
        """What runs, as the supervisor last wrote it; absent when nothing runs."""
        return self.folder / "state.json"

    @property
    def lock(self) -> Path:
        """Held by the supervisor for as long as it lives."""
        return self.folder / "supervisor.lock"

    @property
    def vendor_secrets(self) -> Path:
        """Secrets of outside systems, one file each, named by a connection's `secret_ref`."""
        return self.secrets / "vendors"

    @property
    def documents(self) -> Path:
        """Where commands put what people look at."""
        return self.folder / "documents"

    @property
    def ports(self) -> Path:
        return self.folder / "ports.json"

    def log_of(self, program: str) -> Path:
        return self.logs / f"{program}.log"

    def prepare(self) -> None:
        """Make the folders, closed to other users where they hold secrets."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(exist_ok=True)
        self.secrets.mkdir(mode=0o700, exist_ok=True)
        self.secrets.chmod(0o700)
        self.vendor_secrets.mkdir(mode=0o700, exist_ok=True)

    def rotate_logs(self) -> None:
        """Set large logs of earlier runs aside, in place of those set aside before."""
        for log in self.logs.glob("*.log"):
            if log.stat().st_size > _LOG_BYTES_MAX:
                log.replace(log.with_suffix(".log.1"))


def choose_ports(layout: Layout, names: Iterable[str]) -> Mapping[str, int]:
    """Return a free loopback port for each name: last time's where it is still free."""
    remembered: dict[str, int] = (
        json.loads(layout.ports.read_text()) if layout.ports.exists() else {}
    )
    chosen: dict[str, int] = {}
    for name in names:
        wanted = remembered.get(name)
        if wanted is None or wanted in chosen.values() or not _is_free(wanted):
            wanted = free_port(taken=chosen.values())
        chosen[name] = wanted
    layout.ports.write_text(json.dumps(remembered | chosen, indent=2) + "\n")
    return chosen


def free_port(*, taken: Iterable[int] = ()) -> int:
    """Return a loopback port nobody listens on.

    Raises:
        StackFailure: no port of the range is free.
    """
    candidates = set(_PORTS).difference(taken)
    for port in random.sample(sorted(candidates), k=200):
        if _is_free(port):
            return port
    raise StackFailure(f"no free port between {_PORTS.start} and {_PORTS.stop}")


def write_secret(path: Path, text: str) -> None:
    """Write a file that its owner alone may read, whole or not at all."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Connections still dying away on the port do not stop a server from listening there.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
