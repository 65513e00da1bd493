"""`clock`: the business clock of a sandbox, which may be moved to try a month end at will."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import httpx
import typer

from throughline_cli.options import AsJson, Folder
from throughline_cli.output import say, show_json
from throughline_cli.stack.failure import StackFailure
from throughline_cli.stack.layout import DEFAULT_FOLDER, Layout, write_secret
from throughline_cli.stack.state import State, running_state
from throughline_runtime.clock import Clock

_UNITS: Final = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_SPAN: Final = re.compile(r"(\d+)([dhms])")


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(no_args_is_help=True, help="Show or move the business clock of a sandbox.")
    group.command()(show)
    group.command()(advance)
    group.command()(reset)
    app.add_typer(group, name="clock")


def show(folder: Folder = Path(DEFAULT_FOLDER), as_json: AsJson = False) -> None:
    """Show business time and how far it is ahead of real time.

    Example: `throughline clock show`
    """
    _show(Layout.at(folder), as_json=as_json)


def advance(
    span: Annotated[str, typer.Argument(help="How far: 30d, 12h, 1d12h; m and s as well.")],
    folder: Folder = Path(DEFAULT_FOLDER),
    as_json: AsJson = False,
) -> None:
    """Move business time ahead, for every service at once. It never goes back but by `reset`.

    Example: `throughline clock advance 30d`
    """
    ahead = read_span(span)
    layout, state = _sandbox(folder)
    move(layout, state, _offset(layout) + ahead)
    _show(layout, as_json=as_json)


def reset(folder: Folder = Path(DEFAULT_FOLDER), as_json: AsJson = False) -> None:
    """Put business time back to real time. Facts already dated ahead stay ahead.

    Example: `throughline clock reset`
    """
    layout, state = _sandbox(folder)
    move(layout, state, timedelta())
    _show(layout, as_json=as_json)


def read_span(text: str) -> timedelta:
    """Return the span that `text` names, such as `1d12h`.

    Raises:
        typer.BadParameter: it names none.
    """
    parts = _SPAN.findall(text)
    if not parts or "".join(map("".join, parts)) != text:
        raise typer.BadParameter(f"{text!r} is no span such as 30d, 12h or 1d12h")
    return sum(
        (timedelta(**{_UNITS[unit]: int(amount)}) for amount, unit in parts), start=timedelta()
    )


def _sandbox(folder: Path) -> tuple[Layout, State]:
    layout = Layout.at(folder)
    state = running_state(layout)
    if not state.sandbox:
        raise StackFailure(
            "this stack runs on real time", advice="a sandbox is `throughline up --sandbox`"
        )
    return layout, state


def move(layout: Layout, state: State, offset: timedelta) -> None:
    """Move the clock of the services, and that of the simulated vendors with it."""
    seconds = int(offset.total_seconds())
    assert state.simulators_url is not None
    try:
        httpx.put(
            f"{state.simulators_url}/_control/clock",
            json={"offset_seconds": seconds},
            timeout=10,
            trust_env=False,
        ).raise_for_status()
    except httpx.HTTPError as error:
        raise StackFailure(
            f"the simulators' clock cannot be moved: {error}", advice="throughline logs simulators"
        ) from error
    # Services read the file at any moment: it is replaced whole.
    write_secret(layout.clock, str(seconds))


def _offset(layout: Layout) -> timedelta:
    if not layout.clock.exists():
        return timedelta()
    return timedelta(seconds=int(layout.clock.read_text(encoding="ascii")))


def _show(layout: Layout, *, as_json: bool) -> None:
    offset = _offset(layout)
    business = Clock(layout.clock).now().replace(microsecond=0)
    if as_json:
        show_json(
            {
                "business_time": business.isoformat(),
                "real_time": datetime.now(UTC).isoformat(timespec="seconds"),
                "offset_seconds": int(offset.total_seconds()),
            }
        )
    else:
        say(f"{business.isoformat()} ({offset} ahead of real time)")
