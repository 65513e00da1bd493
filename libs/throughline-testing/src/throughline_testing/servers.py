"""The run's PostgreSQL and NATS: started when first asked for, shared by all test processes."""

import contextlib
import fcntl
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

LEASE: Final = "lease"
READY: Final = "ready.json"

RUN_VARIABLE: Final = "THROUGHLINE_TEST_RUN"
"""Names the run for all its processes; the outermost pytest sets it."""

_START_SECONDS: Final = 120
_END_SECONDS: Final = 30


class ServerFailure(Exception):
    """A server of the test run did not start; the message holds its log."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server's folder and what it said when it was ready."""

    folder: Path
    ready: Mapping[str, Any]
    lease: TextIO


_acquired: dict[str, Server] = {}


def run_folder(run: str | None = None) -> Path:
    """Return the short folder of a run, this one's by default, for everything it starts."""
    digest = hashlib.sha256((run or os.environ[RUN_VARIABLE]).encode()).hexdigest()[:10]
    return Path(tempfile.gettempdir()) / f"tl-{digest}"


def acquire(kind: str) -> Server:
    """Return the run's server of `kind` (postgres, broker), starting it if nobody has.

    Raises:
        ServerFailure: it did not start.
    """
    if kind not in _acquired:
        folder = run_folder() / kind
        with exclusive(lock_of(folder)):
            lease = _locked(folder / LEASE, fcntl.LOCK_SH)
            if not (folder / READY).exists():
                _start_keeper(kind, folder)
        _acquired[kind] = Server(folder, json.loads((folder / READY).read_text()), lease)
    return _acquired[kind]


def release() -> None:
    """Give up this process's servers; the last process to do so lets them end."""
    for server in _acquired.values():
        server.lease.close()
    _acquired.clear()


def wait_gone() -> None:
    """Return when the servers of this run have ended and their files are removed.

    Raises:
        ServerFailure: they are still there after half a minute.
    """
    folder = run_folder()
    deadline = time.monotonic() + _END_SECONDS
    while folder.exists():
        if time.monotonic() > deadline:
            raise ServerFailure(f"servers of this test run did not end: {folder}")
        time.sleep(0.05)


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock file against every other process of the run."""
    with _locked(path, fcntl.LOCK_EX):
        yield


def lock_of(folder: Path) -> Path:
    """Return the lock under which the server in this folder is started and cleared away."""
    return folder.with_suffix(".lock")


def clear_away(folder: Path) -> None:
    """Remove what an ended server leaves: its lock, and the run's folder if it was the last."""
    lock = lock_of(folder)
    with exclusive(lock):
        if not folder.exists():
            lock.unlink()
    with contextlib.suppress(OSError):
        folder.parent.rmdir()


def _locked(path: Path, kind: int) -> TextIO:
    """Return the locked file at `path`, made if need be.

    Whoever clears away may remove a file while others wait for its lock: they take the next one.
    """
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            file = path.open("w")
            fcntl.flock(file, kind)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    return file
            file.close()


def _start_keeper(kind: str, folder: Path) -> None:
    # A file of no folder: the keeper of a server that failed removes all that it wrote.
    with tempfile.TemporaryFile() as output:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "throughline_testing.keeper", kind, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        deadline = time.monotonic() + _START_SECONDS
        while not (folder / READY).exists():
            if keeper.poll() is not None or time.monotonic() > deadline:
                output.seek(0)
                said = output.read().decode(errors="replace")
                raise ServerFailure(f"the {kind} of this test run did not start\n{said}")
            time.sleep(0.02)
