"""Whether a container's environment is what the process in it reads."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tools.deployment import declared
from tools.deployment.declared import GRPC_PORT

_PREFIX: Final = "THROUGHLINE_"
_KNOWN_BESIDES: Final = {"PGSSLROOTCERT"}
"""Read by the database driver."""


@dataclass(frozen=True, slots=True)
class Process:
    """One of our containers: whose it is, what it is told, and which files it finds."""

    where: str
    service: str
    environment: Mapping[str, str]
    files: Collection[str]
    peers: Mapping[str, str]
    """Of each service the host under which it is reached."""


def problems(process: Process) -> Sequence[str]:
    """Return what of the environment is unknown, missing, or points to nowhere."""
    found = [
        *_unknown(process),
        *_missing(process),
        *_open(process),
        *_files(process),
        *_peers(process),
    ]
    return [f"{process.where}: {problem}" for problem in found]


def _unknown(process: Process) -> Sequence[str]:
    everything = declared.all_settings() | _KNOWN_BESIDES
    return [
        f"no setting is called {name}" for name in process.environment if name not in everything
    ]


def _missing(process: Process) -> Sequence[str]:
    given = {name.removesuffix("_FILE") for name in process.environment}
    return [
        f"{name} is not set" for name in sorted(declared.required_settings(process.service) - given)
    ]


def _open(process: Process) -> Sequence[str]:
    shown = declared.secret_settings() & process.environment.keys()
    return [f"{name} is a secret: name a file instead" for name in sorted(shown)]


def _files(process: Process) -> Sequence[str]:
    return [
        f"{name} names {path}, which is not mounted"
        for name, path in process.environment.items()
        if (name.endswith("_FILE") or name in _KNOWN_BESIDES) and path not in process.files
    ]


def _peers(process: Process) -> Sequence[str]:
    given = json.loads(process.environment.get(f"{_PREFIX}PEERS", "{}"))
    wanted = {name: f"dns:///{host}:{GRPC_PORT}" for name, host in process.peers.items()}
    return [] if given == wanted else [f"its peers are {given}, should be {wanted}"]
