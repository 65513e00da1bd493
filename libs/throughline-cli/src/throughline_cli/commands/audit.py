"""`audit verify`: whether the trail of who did what is still as it was written."""

from pathlib import Path

import typer

from throughline_cli.api import Api
from throughline_cli.options import AsJson, Folder
from throughline_cli.output import show_json, show_table
from throughline_cli.stack.layout import DEFAULT_FOLDER, Layout


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(no_args_is_help=True, help="The trail of who did what.")
    # A group with one command would otherwise take the command's place.
    group.callback()(_group)
    group.command()(verify)
    app.add_typer(group, name="audit")


def verify(folder: Folder = Path(DEFAULT_FOLDER), as_json: AsJson = False) -> None:
    """Recompute every service's chain of hashes. Exits with 1 where one does not hold.

    Example: `throughline audit verify --json`
    """
    with Api.of(Layout.at(folder)) as api:
        reply = api.get("/v1/operations/audit:verify")
    chains = reply.get("chains", ())
    if as_json:
        show_json(reply)
    else:
        columns = ("service", "intact", "sealed", "head", "broken_seal", "broken_reason")
        show_table(columns, ([chain.get(column) for column in columns] for chain in chains))
    # No answer is no proof.
    if not chains or not all(chain.get("intact") for chain in chains):
        raise typer.Exit(1)


def _group() -> None:
    """The trail of who did what."""
