"""How commands speak: tables and sentences to people, one JSON document to programs."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from throughline_cli.stack.failure import StackFailure

# Wide enough that a table in a pipe or a log is not folded to eighty columns.
_console: Final = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
_errors: Final = Console(stderr=True, highlight=False)

_COLOURS: Final = {
    "ok": "green",
    "ready": "green",
    "warning": "yellow",
    "starting": "yellow",
    "backing_off": "red",
    "failed": "red",
}


def show_json(document: Mapping[str, Any] | Sequence[Any]) -> None:
    """Print the one document a program reads."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n")


def say(text: str) -> None:
    """Print a sentence for people, markup included."""
    _console.print(text)


def show_table(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    """Print rows under column heads; words that name a state get its colour."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(_cell, row))
    _console.print(table)


def show_failure(failure: StackFailure, *, as_json: bool) -> None:
    """Print what went wrong and what to try: to standard error, or as the JSON document."""
    if as_json:
        show_json({"error": {"message": str(failure), "advice": failure.advice}})
        return
    _errors.print(f"error: {failure}", style="red", markup=False, soft_wrap=True)
    if failure.advice:
        _errors.print(f"advice: {failure.advice}", markup=False, soft_wrap=True)


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    colour = _COLOURS.get(text)
    return f"[{colour}]{text}[/]" if colour else text
