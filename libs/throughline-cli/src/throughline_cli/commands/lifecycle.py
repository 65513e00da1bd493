"""`up`, `down` and `status`: the life of a stack."""

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import httpx
import psutil
import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from throughline_cli.options import AsJson, Folder
from throughline_cli.output import say, show_json, show_table
from throughline_cli.stack import control
from throughline_cli.stack.failure import StackFailure
from throughline_cli.stack.layout import DEFAULT_FOLDER, Layout
from throughline_cli.stack.services import ALL_SERVICES
from throughline_cli.stack.state import (
    Phase,
    ProgramStatus,
    State,
    is_alive,
    read_state,
    running_state,
)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(up)
    app.command()(down)
    app.command()(status)


def up(
    folder: Folder = Path(DEFAULT_FOLDER),
    sandbox: Annotated[
        bool,
        typer.Option("--sandbox", help="With the vendors' simulators and a clock that moves."),
    ] = False,
    service: Annotated[
        list[str] | None, typer.Option(help="Start only this service; may be repeated.")
    ] = None,
    servers_only: Annotated[
        bool, typer.Option("--servers-only", help="Start PostgreSQL and NATS, and no service.")
    ] = False,
    foreground: Annotated[
        bool,
        typer.Option("--foreground", help="Stay and log to the terminal, as systemd wants it."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Start PostgreSQL, NATS and every service, and wait until all are ready.

    Examples: `throughline up --sandbox`; `throughline up --service billing-event`
    """
    names = [] if servers_only else service_names(service or ())
    layout = Layout.at(folder)
    if foreground:
        command = control.supervisor_command(layout, names, sandbox=sandbox)
        os.execv(command[0], command)
    state = start_showing_progress(layout, names, sandbox=sandbox, quiet=as_json)
    if as_json:
        show_json(asdict(state))
    else:
        say(f"the stack is ready: [bold]{state.gateway_url or 'without a gateway'}[/]")
        say("sign in with `throughline token`; see `throughline status` and `throughline logs`")


def down(
    folder: Folder = Path(DEFAULT_FOLDER),
    force: Annotated[
        bool, typer.Option("--force", help="Kill the supervisor; its guard ends the rest.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Stop every service, then NATS and PostgreSQL. Data stays.

    Example: `throughline down`
    """
    layout = Layout.at(folder)
    control.stop(layout, force=force)
    if as_json:
        show_json({"stopped": str(layout.folder)})
    else:
        say(f"stopped; data stays in {layout.folder}")


def status(folder: Folder = Path(DEFAULT_FOLDER), as_json: AsJson = False) -> None:
    """Show what runs and whether it is ready now. Exits with 1 if anything is not.

    Example: `throughline status --json`
    """
    layout = Layout.at(folder)
    state = read_state(layout)
    if state is not None and state.phase == Phase.FAILED:
        raise StackFailure(f"the last start failed: {state.failure}", advice=state.advice)
    state = running_state(layout)
    programs = [_live(program) for program in state.programs]
    if as_json:
        show_json(asdict(state) | {"programs": programs})
    else:
        say(f"{state.phase}: {state.gateway_url or 'no gateway'} (supervisor {state.pid})")
        columns = ("name", "state", "pid", "restarts", "memory_mb", "address")
        show_table(columns, ([row[column] for column in columns] for row in programs))
    if state.phase != Phase.READY or any(row["state"] != "ready" for row in programs):
        raise typer.Exit(1)


def service_names(chosen: Sequence[str]) -> list[str]:
    """Return the services asked for, all when none is named.

    Raises:
        typer.BadParameter: a name is no service's.
    """
    known = [spec.name for spec in ALL_SERVICES]
    for name in chosen:
        if name not in known:
            raise typer.BadParameter(f"{name} is none of {', '.join(known)}")
    return list(chosen) or known


def start_showing_progress(
    layout: Layout, services: Sequence[str], *, sandbox: bool, quiet: bool
) -> State:
    """Start a stack, with a bar on a terminal. See `control.start` for what it raises."""
    with _bar(shown=sys.stdout.isatty() and not quiet) as progress:
        task = progress.add_task("starting", total=None)

        def show(state: State) -> None:
            progress.update(
                task,
                description=state.doing,
                completed=state.steps_done,
                total=state.steps_total or None,
            )

        return control.start(layout, services, sandbox=sandbox, on_progress=show)


@contextmanager
def _bar(*, shown: bool) -> Iterator[Progress]:
    columns = (TextColumn("{task.description:<24}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, transient=True, disable=not shown) as progress:
        yield progress


def _live(program: ProgramStatus) -> Mapping[str, Any]:
    """Return the program as it answers now, not as it was when its state last changed."""
    shown = asdict(program) | {"memory_mb": None}
    if program.pid is not None:
        with contextlib.suppress(psutil.NoSuchProcess):
            shown["memory_mb"] = psutil.Process(program.pid).memory_info().rss // 2**20
    if program.state == "ready" and not _answers(program):
        shown["state"] = "not_ready"
    return shown


def _answers(program: ProgramStatus) -> bool:
    if program.pid is None or not is_alive(program.pid):
        return False
    if program.ready_url is None:
        return True
    try:
        return httpx.get(program.ready_url, timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False
