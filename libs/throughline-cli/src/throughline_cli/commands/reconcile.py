"""`reconcile`: whether all services tell the same story, to the cent."""

from pathlib import Path
from typing import Annotated

import typer

from throughline_cli.api import Api, Document
from throughline_cli.options import AsJson, Folder
from throughline_cli.output import say, show_json, show_table
from throughline_cli.stack.layout import DEFAULT_FOLDER, Layout


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(reconcile)


def reconcile(
    details: Annotated[
        bool, typer.Option("--details", help="Show every comparison, not only what differs.")
    ] = False,
    folder: Folder = Path(DEFAULT_FOLDER),
    as_json: AsJson = False,
) -> None:
    """Check the invariants over all services' control totals. Exits with 1 if one does not hold.

    Example: `throughline reconcile --details`
    """
    with Api.of(Layout.at(folder)) as api:
        found = api.get("/v1/reconciliation")
    if as_json:
        show_json(found)
    else:
        show_invariants(found, details=details)
    if not found["holds"]:
        raise typer.Exit(1)


def show_invariants(found: Document, *, details: bool = False) -> None:
    """Print each invariant with its figures; what differs is always shown in full."""
    show_table(
        ("", "invariant", "holds", "figures"),
        (
            (
                invariant["number"],
                invariant["rule"],
                "ok" if invariant["holds"] else "failed",
                _figures(invariant),
            )
            for invariant in found["invariants"]
        ),
    )
    rows = [
        (
            invariant["number"],
            comparison["left_name"],
            comparison["left"],
            comparison["right_name"],
            comparison["right"],
            comparison["difference"],
        )
        for invariant in found["invariants"]
        for comparison in invariant["comparisons"]
        if details or comparison["difference"] not in {"0", "0.00"}
    ]
    if rows:
        show_table(("", "one says", "", "the other says", "", "difference"), rows)
    if not found["settled"]:
        say("some facts are still on their way between services; ask again in a moment")


def _figures(invariant: Document) -> str:
    """Return a few figures that were compared, and how many there are in all."""
    telling = [each for each in invariant["comparisons"] if each["left"] != "0"]
    shown = ", ".join(f"{each['figure']} {each['left']}" for each in telling[:3])
    return (
        f"{len(invariant['comparisons'])} compared: {shown}"
        if shown
        else (f"{len(invariant['comparisons'])} compared")
    )
