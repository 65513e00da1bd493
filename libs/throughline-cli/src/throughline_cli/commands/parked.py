"""`parked list` and `replay`: messages that a consumer set aside, and their second chance."""

from pathlib import Path
from typing import Annotated
from urllib.parse import quote
from uuid import UUID

import typer

from throughline_cli.api import Api
from throughline_cli.options import AsJson, Folder
from throughline_cli.output import say, show_json, show_table
from throughline_cli.stack.layout import DEFAULT_FOLDER, Layout


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(no_args_is_help=True, help="Messages that a consumer set aside.")
    # A group with one command would otherwise take the command's place.
    group.callback()(_group)
    group.command("list")(list_parked)
    app.add_typer(group, name="parked")
    app.command()(replay)


def list_parked(
    service: Annotated[str | None, typer.Option(help="Only those of this service.")] = None,
    folder: Folder = Path(DEFAULT_FOLDER),
    as_json: AsJson = False,
) -> None:
    """List parked messages with the reason, oldest first.

    Example: `throughline parked list --service billing-event`
    """
    with Api.of(Layout.at(folder)) as api:
        parked = list(api.pages("/v1/operations/parked", "parked", service=service))
    if as_json:
        show_json({"parked": parked})
        return
    if not parked:
        say("nothing is parked")
        return
    columns = ("service", "parked_id", "subject", "parked_at", "owner", "reason")
    show_table(columns, ([message.get(column) for column in columns] for message in parked))


def replay(
    service: Annotated[str, typer.Argument(help="The service that parked them.")],
    parked_id: Annotated[list[UUID], typer.Argument(help="The messages to hand over again.")],
    folder: Folder = Path(DEFAULT_FOLDER),
    as_json: AsJson = False,
) -> None:
    """Hand parked messages to their consumer again. One that fails again is parked again.

    Example: `throughline replay billing-event 0199a3c2-…`
    """
    body = {"parked_ids": [str(identity) for identity in parked_id]}
    with Api.of(Layout.at(folder)) as api:
        reply = api.post(f"/v1/operations/{quote(service)}/parked:replay", body)
    if as_json:
        show_json(reply)
    else:
        say(f"{reply.get('replayed')} handed over again")


def _group() -> None:
    """Messages that a consumer set aside."""
