"""`lineage`: where an amount came from and where it went."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from throughline_cli.api import Api, Document
from throughline_cli.options import AsJson, Folder
from throughline_cli.output import say, show_json, show_table
from throughline_cli.stack.layout import DEFAULT_FOLDER, Layout


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(lineage)


def lineage(
    kind: Annotated[str, typer.Argument(help="invoice, payment, time_entry, quote_line, …")],
    key: Annotated[
        str, typer.Argument(help="A UUID, or what people call it: INV-DE01-2026-000001")
    ],
    direction: Annotated[
        str, typer.Option(help="origin (towards the quote), outcome (towards cash) or both.")
    ] = "both",
    limit: Annotated[int, typer.Option(min=1, max=2000, help="At most this many things.")] = 200,
    folder: Folder = Path(DEFAULT_FOLDER),
    as_json: AsJson = False,
) -> None:
    """Show the chain around one thing, nearest first.

    Examples: `throughline lineage invoice INV-DE01-2026-000001`;
    `throughline lineage payment 0198… --direction origin --json`
    """
    with Api.of(Layout.at(folder)) as api:
        chain = api.get(f"/v1/lineage/{kind}/{key}", direction=direction, limit=limit)
    if as_json:
        show_json(chain)
        return
    show_path(sorted(chain["nodes"], key=lambda node: node["distance"]))
    if chain["truncated"]:
        say("there is more: raise --limit, or start nearer")


def show_path(nodes: Sequence[Document]) -> None:
    """Print things of a chain in the order given."""
    show_table(
        ("", "kind", "what", "amount", "on"),
        (
            (
                node["distance"] or "·",
                node["kind"],
                node["label"],
                f"{node['amount']} {node['currency']}".strip(),
                node["on"],
            )
            for node in nodes
        ),
    )
