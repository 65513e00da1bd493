"""Ends what a supervisor started when the supervisor itself was killed and could not.

A child process of its own session reads from a pipe that only the supervisor holds open. However
the supervisor ends, the kernel closes the pipe; the guard then ends every process still
registered and removes the folders it was told to. It also holds the supervisor's lock until then,
so that a new one cannot start among the remains.
"""

import contextlib
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import psutil

_GRACE_SECONDS: Final = 15


class Guard:
    """The supervisor's side: what to end, and what to remove, should we die."""

    def __init__(self, folder: Path, *, lock: int, remove: Path | None = None) -> None:
        """Start the guard of what runs in `folder`.

        `lock` is the descriptor it shares, `remove` a folder it deletes at the end.
        """
        # The first is for people who look at the list of processes.
        arguments = [str(folder)] if remove is None else [str(folder), str(remove)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "throughline_cli.stack.guard", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[lock],
            start_new_session=True,
            text=True,
        )

    def watch(self, pid: int, stop_signal: signal.Signals) -> None:
        """Have the process ended by `stop_signal`, and killed if that does not do."""
        self._tell([pid, int(stop_signal)])

    def forget(self, pid: int) -> None:
        """Leave alone a process that has ended."""
        self._tell([pid, None])

    def close(self) -> None:
        """Let the guard do its last work and wait for it."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()

    def _tell(self, words: list[int | None]) -> None:
        assert self._process.stdin is not None
        # A guard that was killed protects no more, which is no reason to fall with it.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(words) + "\n")
            self._process.stdin.flush()


def end(processes: Mapping[psutil.Process, int], *, grace_seconds: float = _GRACE_SECONDS) -> None:
    """Send each process its signal and kill those that outlive the grace."""
    for process, stop_signal in processes.items():
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(stop_signal)
    _, alive = psutil.wait_procs(list(processes), timeout=grace_seconds)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=grace_seconds)


def _registered(lines: Iterable[str]) -> dict[psutil.Process, int]:
    """Return what is still registered when the pipe closes, the last started first."""
    watched: dict[int, tuple[psutil.Process, int]] = {}
    for line in lines:
        pid, stop_signal = json.loads(line)
        watched.pop(pid, None)
        if stop_signal is not None:
            # A process that is gone already needs no end; one with a reused number is spared
            # because psutil compares the time of birth before it signals.
            with contextlib.suppress(psutil.NoSuchProcess):
                watched[pid] = (psutil.Process(pid), stop_signal)
    return dict(reversed(watched.values()))


def main() -> None:
    """Wait for the pipe to close, then end and remove."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    end(_registered(sys.stdin))
    for folder in sys.argv[2:]:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
