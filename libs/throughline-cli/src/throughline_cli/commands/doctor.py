"""`doctor`: what of this machine or of the running stack is not as it should be, and the remedy."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import httpx
import typer

from throughline_cli.commands.streams import differences_of_stack
from throughline_cli.options import AsJson, Folder
from throughline_cli.output import show_json, show_table
from throughline_cli.stack import broker, postgres
from throughline_cli.stack.failure import NotRunning, StackFailure
from throughline_cli.stack.layout import DEFAULT_FOLDER, Layout
from throughline_cli.stack.state import State, running_state

_FREE_BYTES_MIN: Final = 2 * 2**30
_FREE_BYTES_LOW: Final = 10 * 2**30


class Verdict(StrEnum):
    """What a finding means."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    check: str
    verdict: Verdict
    detail: str
    advice: str | None = None


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(doctor)


def doctor(folder: Folder = Path(DEFAULT_FOLDER), as_json: AsJson = False) -> None:
    """Check the machine, the data folder and, if it runs, the stack. Exits with 1 on a failure.

    Example: `throughline doctor`
    """
    layout = Layout.at(folder)
    findings = [*_machine(layout), *_running(layout)]
    if as_json:
        show_json({"findings": [asdict(finding) for finding in findings]})
    else:
        columns = ("check", "verdict", "detail", "advice")
        show_table(columns, (asdict(finding).values() for finding in findings))
    if any(finding.verdict == Verdict.FAILED for finding in findings):
        raise typer.Exit(1)


def _machine(layout: Layout) -> Iterator[Finding]:
    yield _python()
    yield _binary("PostgreSQL", postgres.version_command)
    yield _binary("NATS", broker.version_command)
    yield _space(layout)
    yield _secrets(layout)


def _running(layout: Layout) -> Iterator[Finding]:
    try:
        state = running_state(layout)
    except NotRunning:
        yield Finding("stack", Verdict.WARNING, "not running", "throughline up")
        return
    yield _programs(state)
    yield _durability(state)
    yield _streams(layout)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python", Verdict.OK, f"{version} on {sys.platform}")


def _binary(name: str, command: Callable[[], list[str]]) -> Finding:
    """Run the server's binary once: wheels of another platform are found out here."""
    try:
        done = subprocess.run(command(), capture_output=True, text=True, check=True, timeout=30)
    except StackFailure as failure:
        return Finding(name, Verdict.FAILED, str(failure), failure.advice)
    except (OSError, subprocess.SubprocessError) as error:
        return Finding(name, Verdict.FAILED, str(error), "run `make setup` on this machine")
    return Finding(name, Verdict.OK, done.stdout.strip())


def _space(layout: Layout) -> Finding:
    existing = next(path for path in (layout.folder, *layout.folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    detail = f"{free / 2**30:.1f} GiB free"
    if free < _FREE_BYTES_MIN:
        return Finding("disk", Verdict.FAILED, detail, "make room: writes will be refused soon")
    if free < _FREE_BYTES_LOW:
        return Finding("disk", Verdict.WARNING, detail, "make room before real work")
    return Finding("disk", Verdict.OK, detail)


def _secrets(layout: Layout) -> Finding:
    if not layout.secrets.exists():
        return Finding("secrets", Verdict.OK, "none yet")
    exposed = [
        path.name
        for path in (layout.secrets, *layout.secrets.rglob("*"))
        if path.stat().st_mode & 0o077
    ]
    if exposed:
        advice = f"chmod -R go-rwx {layout.secrets}"
        return Finding("secrets", Verdict.FAILED, f"others may read {', '.join(exposed)}", advice)
    return Finding("secrets", Verdict.OK, "closed to others")


def _programs(state: State) -> Finding:
    amiss = [f"{each.name} is {each.state}" for each in state.programs if each.state != "ready"]
    if amiss:
        return Finding("programs", Verdict.FAILED, ", ".join(amiss), "throughline logs")
    restarted = [f"{each.name} {each.restarts} times" for each in state.programs if each.restarts]
    if restarted:
        detail = f"restarted: {', '.join(restarted)}"
        return Finding("programs", Verdict.WARNING, detail, "throughline logs")
    return Finding("programs", Verdict.OK, f"{len(state.programs)} ready")


def _durability(state: State) -> Finding:
    assert state.nats_monitor_url is not None
    try:
        syncs = asyncio.run(broker.syncs_always(state.nats_monitor_url))
    except httpx.HTTPError as error:
        return Finding("broker", Verdict.FAILED, str(error), "throughline logs nats")
    if not syncs:
        advice = "throughline down, then up: the configuration is written afresh"
        return Finding("broker", Verdict.FAILED, "acknowledges before it syncs", advice)
    return Finding("broker", Verdict.OK, "syncs every message")


def _streams(layout: Layout) -> Finding:
    try:
        found = differences_of_stack(layout)
    except StackFailure as failure:
        return Finding("streams", Verdict.FAILED, str(failure), failure.advice)
    if found:
        return Finding("streams", Verdict.FAILED, "; ".join(found), "throughline streams apply")
    return Finding("streams", Verdict.OK, "as declared")
