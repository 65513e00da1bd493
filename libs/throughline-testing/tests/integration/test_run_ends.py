"""However a test run ends, its servers end with it and leave no file."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from throughline_testing.servers import RUN_VARIABLE, run_folder

TEST = """
import asyncio
import pytest

@pytest.mark.service("toy-ledger")
async def test_uses_both_servers(empty_database, broker):
    print("SERVERS RUN", flush=True)
    await asyncio.sleep({seconds})
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a test run of its own, whose one test takes some seconds once its servers run."""
    runs: list[subprocess.Popen[str]] = []

    def start(*options: str, seconds: int) -> subprocess.Popen[str]:
        (tmp_path / "test_inner.py").write_text(TEST.format(seconds=seconds))
        command = [sys.executable, "-m", "pytest", "-s", "-q", "-o", "asyncio_mode=auto"]
        run = subprocess.Popen(
            [*command, *options, "test_inner.py"],
            # It names itself, as one from a shell does.
            env={name: value for name, value in os.environ.items() if name != RUN_VARIABLE},
            stdout=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )
        runs.append(run)
        return run

    yield start
    for run in runs:
        run.kill()
        run.wait()


def test_a_run_that_ends_waits_for_its_servers_to_end(start: Start) -> None:
    run = start(seconds=0)

    said, _ = run.communicate(timeout=60)

    assert "1 passed" in said
    assert _left_of(run) == []


def test_processes_of_one_run_share_their_servers(start: Start) -> None:
    run = start("-n", "2", "--dist", "each", seconds=1)

    said, _ = run.communicate(timeout=60)

    assert "2 passed" in said
    assert _left_of(run) == []


def test_nothing_outlives_a_run_that_was_killed(start: Start) -> None:
    run = start(seconds=60)
    assert run.stdout is not None
    while "SERVERS RUN" not in run.stdout.readline():
        assert run.poll() is None
    assert len(_left_of(run)) >= 4

    run.kill()

    deadline = time.monotonic() + 30
    while _left_of(run):
        assert time.monotonic() < deadline, _left_of(run)
        time.sleep(0.1)


def _left_of(run: subprocess.Popen[str]) -> list[str]:
    """Return the processes and folders of servers that the run started."""
    folder = str(run_folder(str(run.pid)))
    left = [folder] if Path(folder).exists() else []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or ()
        left += [" ".join(words)] if any(folder in word for word in words) else []
    return left
