"""`logs`: what the processes of a stack wrote."""

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from throughline_cli.options import AsJson, Folder
from throughline_cli.output import show_json
from throughline_cli.stack.failure import StackFailure
from throughline_cli.stack.layout import DEFAULT_FOLDER, Layout
from throughline_cli.stack.program import tail

_LOOK_SECONDS: Final = 0.2


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(logs)


def logs(
    program: Annotated[
        list[str] | None, typer.Argument(help="Programs to show; all when none is named.")
    ] = None,
    folder: Folder = Path(DEFAULT_FOLDER),
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many, of each.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the last lines of each log, also of a stack that no longer runs.

    Examples: `throughline logs billing-event -n 200`; `throughline logs -f`
    """
    files = _files(Layout.at(folder), program or ())
    if as_json:
        show_json({name: tail(file, lines=lines).splitlines() for name, file in files.items()})
        return
    offsets = {name: file.stat().st_size for name, file in files.items()}
    for name, file in files.items():
        _write(name, tail(file, lines=lines).splitlines())
    if follow:
        _follow(files, offsets)


def _files(layout: Layout, names: Sequence[str]) -> dict[str, Path]:
    found = {file.stem: file for file in sorted(layout.logs.glob("*.log"))}
    unknown = set(names) - set(found)
    if unknown or not found:
        raise StackFailure(
            f"no log of {', '.join(sorted(unknown)) or 'anything'} in {layout.logs}",
            advice=f"logs there are: {', '.join(found) or 'none'}",
        )
    return {name: file for name, file in found.items() if not names or name in names}


def _follow(files: dict[str, Path], offsets: dict[str, int]) -> None:
    try:
        while True:
            for name, file in files.items():
                offsets[name], lines = _new_lines(file, offsets[name])
                _write(name, lines)
            time.sleep(_LOOK_SECONDS)
    except KeyboardInterrupt:
        return


def _new_lines(file: Path, offset: int) -> tuple[int, Iterator[str]]:
    """Return the whole lines written past `offset`, and the offset behind the last of them."""
    with file.open("rb") as log:
        log.seek(offset)
        written = log.read()
    whole = written[: written.rfind(b"\n") + 1]
    return offset + len(whole), iter(whole.decode(errors="replace").splitlines())


def _write(name: str, lines: Sequence[str] | Iterator[str]) -> None:
    for line in lines:
        sys.stdout.write(f"{name:<22} {line}\n")
    sys.stdout.flush()
