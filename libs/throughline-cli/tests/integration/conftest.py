"""Stacks of the tests: whatever a test starts ends with it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from throughline_cli.stack.layout import Layout
from throughline_cli.stack.state import ProgramStatus, is_alive, is_locked, read_state


@dataclass(frozen=True, slots=True)
class CommandLine:
    """The `throughline` command on one data folder."""

    folder: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "throughline_cli.main", *arguments]
        return subprocess.run(
            [*command, "--folder", str(self.folder)],
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )

    def json(self, *arguments: str) -> Any:
        """Return the document a command prints."""
        done = self.run(*arguments, "--json")
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def program(self, name: str) -> ProgramStatus:
        """Return one program as the supervisor last saw it."""
        state = read_state(Layout.at(self.folder))
        assert state is not None
        return next(program for program in state.programs if program.name == name)

    def processes(self) -> list[psutil.Process]:
        """Return every process that was started for this folder, whoever is its parent now."""
        return [process for process in psutil.process_iter() if _concerns(process, self.folder)]


@contextmanager
def _ended(lines: list[CommandLine]) -> Iterator[None]:
    try:
        yield
    finally:
        for line in lines:
            _end(line)


def _end(line: CommandLine) -> None:
    """Kill the supervisor; its guard does the rest."""
    state = read_state(Layout.at(line.folder))
    if state is not None and is_alive(state.pid):
        psutil.Process(state.pid).kill()
    _eventually(lambda: not line.processes() and not is_locked(Layout.at(line.folder)))


def _concerns(process: psutil.Process, folder: Path) -> bool:
    if process.pid == os.getpid():
        return False
    try:
        return any(str(folder) in word for word in process.cmdline())
    except psutil.Error:
        return False


def _eventually(holds: Callable[[], bool], *, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def eventually() -> Callable[..., None]:
    """`eventually(holds)` waits until something holds, or fails."""
    return _eventually


@pytest.fixture
def command_lines(tmp_path: Path) -> Iterator[Callable[[str], CommandLine]]:
    """Makes command lines on folders of their own."""
    made: list[CommandLine] = []

    def make(name: str) -> CommandLine:
        made.append(CommandLine(tmp_path / name))
        return made[-1]

    with _ended(made):
        yield make


@pytest.fixture
def throughline(command_lines: Callable[[str], CommandLine]) -> CommandLine:
    """The command on a folder in which nothing runs yet."""
    return command_lines("stack")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """The command on a stack of PostgreSQL and NATS, shared by the tests of a module."""
    line = CommandLine(tmp_path_factory.mktemp("running") / "stack")
    with _ended([line]):
        up = line.run("up", "--servers-only")
        assert up.returncode == 0, up.stderr
        yield line
