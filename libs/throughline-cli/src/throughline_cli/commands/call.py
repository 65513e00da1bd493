"""`call`: any method of the API by its REST path, as anybody."""

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from throughline_cli.api import Api, Document
from throughline_cli.commands.token import GRANTABLE
from throughline_cli.options import AsJson, Folder
from throughline_cli.output import show_json
from throughline_cli.stack.failure import StackFailure
from throughline_cli.stack.layout import DEFAULT_FOLDER, Layout
from throughline_cli.stack.secrets import Subject

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_LOOK_AGAIN_SECONDS: Final = 0.2


class NothingThere(StackFailure):
    """The answer has nothing at the path that was to be picked."""


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(call)


def call(
    method: Annotated[str, typer.Argument(help=f"One of {', '.join(_METHODS)}.")],
    path: Annotated[str, typer.Argument(help="`/v1/contracts`, as on the reference page.")],
    body: Annotated[
        str, typer.Argument(help="JSON, `@file`, or `-` for standard input.", show_default=False)
    ] = "{}",
    query: Annotated[
        list[str] | None, typer.Option(help="name=value; may be repeated.", show_default=False)
    ] = None,
    role: Annotated[
        list[str] | None, typer.Option(help="Of the caller; may be repeated.", show_default="admin")
    ] = None,
    subject: Annotated[str, typer.Option(help="Who calls.")] = "operator",
    key: Annotated[
        str | None, typer.Option(help="Idempotency key of a write; a fresh one unless given.")
    ] = None,
    pick: Annotated[
        str | None, typer.Option(help="Print only the value there: `contracts.0.contract_id`.")
    ] = None,
    wait: Annotated[
        float, typer.Option(min=0, help="With GET and --pick: look again for so many seconds.")
    ] = 0,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print a list as a sheet, with all its pages.")
    ] = False,
    folder: Folder = Path(DEFAULT_FOLDER),
    as_json: AsJson = False,
) -> None:
    """Call one method of the API and print the answer.

    Examples: `throughline call GET /v1/contracts --query status=active --pick contracts.0.number`;
    `throughline call POST /v1/customers @customer.json --role sales_operations --subject sam`
    """
    del as_json  # The answer is a JSON document already; the option decides how failures look.
    verb = method.upper()
    if verb not in _METHODS:
        raise typer.BadParameter(f"{method} is none of {', '.join(_METHODS)}")
    if as_csv and (verb != "GET" or pick):
        raise typer.BadParameter("--csv is for a GET, and without --pick")
    unknown = set(role or ()) - set(GRANTABLE)
    if unknown:
        raise typer.BadParameter(f"{min(unknown)} is none of {', '.join(GRANTABLE)}")
    fields = dict(_pair(each) for each in query or ())
    content = read_body(body)
    caller = Subject(subject, tuple(role or ("admin",)))
    with Api.of(Layout.at(folder), caller) as api:
        if as_csv:
            for part in api.sheet(path, query=fields):
                sys.stdout.write(part)
            return
        ends_at = time.monotonic() + (wait if verb == "GET" and pick else 0)
        while True:
            answer = api.send(verb, path, content, query=fields, key=key)
            try:
                show(answer, pick)
            except NothingThere:
                if time.monotonic() > ends_at:
                    raise
                time.sleep(_LOOK_AGAIN_SECONDS)
            else:
                return


def read_body(given: str) -> Document:
    """Return the JSON object that an argument is, or names.

    Raises:
        BadParameter: it is none.
    """
    try:
        if given == "-":
            text = sys.stdin.read()
        elif given.startswith("@"):
            text = Path(given[1:]).read_text(encoding="utf-8")
        else:
            text = given
        document = json.loads(text)
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"the body is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise typer.BadParameter("the body has to be a JSON object")
    return document


def show(answer: Document, pick: str | None) -> None:
    """Print an answer, or the value at a path of field names and places; texts without quotes.

    Raises:
        NothingThere: there is no such value.
    """
    value: Any = answer
    for step in pick.split(".") if pick else ():
        try:
            value = value[int(step)] if isinstance(value, list) else value[step]
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise NothingThere(
                f"the answer has nothing at {pick}",
                advice="leave --pick out to see the whole of it; --wait waits for what comes later",
            ) from error
    if isinstance(value, Mapping | list):
        show_json(value)
    else:
        typer.echo(value)


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise typer.BadParameter(f"{text}: write name=value")
    return name, value
