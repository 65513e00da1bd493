"""`token`: a bearer token from the issuer of this machine."""

from pathlib import Path
from typing import Annotated, Final
from uuid import UUID

import typer

from throughline.options.v1.options_pb2 import Role
from throughline_cli.options import AsJson, Folder
from throughline_cli.output import show_json
from throughline_cli.stack.failure import StackFailure
from throughline_cli.stack.layout import DEFAULT_FOLDER, Layout
from throughline_cli.stack.secrets import LIFETIME_SECONDS_MAX, Secrets, Subject
from throughline_runtime.identity import is_system

_PREFIX: Final = "ROLE_"

GRANTABLE: Final = tuple(
    name.removeprefix(_PREFIX).lower()
    for name, number in Role.items()
    if number not in {Role.ROLE_UNSPECIFIED, Role.ROLE_SERVICE}
)
"""The roles a person may have, as tokens and REST spell them."""


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(token)


def token(
    role: Annotated[
        list[str] | None,
        typer.Option(help=f"One of {', '.join(GRANTABLE)}; may be repeated.", show_default="admin"),
    ] = None,
    subject: Annotated[str, typer.Option(help="For whom the token speaks.")] = "operator",
    scope: Annotated[
        list[str] | None, typer.Option(help="Limit to this scope; may be repeated.")
    ] = None,
    entity: Annotated[
        list[UUID] | None, typer.Option(help="Limit to this legal entity; may be repeated.")
    ] = None,
    system: Annotated[
        str | None,
        typer.Option(help="Speak for this outside system, within what the ownership rules let it."),
    ] = None,
    minutes: Annotated[
        int, typer.Option(min=1, max=LIFETIME_SECONDS_MAX // 60, help="How long it is valid.")
    ] = 480,
    folder: Folder = Path(DEFAULT_FOLDER),
    as_json: AsJson = False,
) -> None:
    """Mint a bearer token for the gateway of this machine.

    Example: `curl -H "Authorization: Bearer $(throughline token --role finance)" …/v1/invoices`
    """
    roles = tuple(role or ("admin",))
    for name in roles:
        if name not in GRANTABLE:
            raise typer.BadParameter(f"{name} is none of {', '.join(GRANTABLE)}")
    if system is not None and not is_system(system):
        raise typer.BadParameter(f"{system} is no name of a system: use a-z, 0-9, - and _")
    entities = tuple(entity) if entity else None
    bearer = mint(
        Layout.at(folder),
        Subject(subject, roles, tuple(scope or ()), entities, system),
        lifetime_seconds=minutes * 60,
    )
    if as_json:
        show_json({"token": bearer, "subject": subject, "roles": roles, "minutes": minutes})
    else:
        # Alone on its line, so that it can stand in a command substitution.
        typer.echo(bearer)


def mint(layout: Layout, subject: Subject, *, lifetime_seconds: int) -> str:
    """Return a token of the stack in this folder.

    Raises:
        StackFailure: the folder never held a stack, so no gateway would know the key.
    """
    issuer = Secrets(layout.secrets).issuer
    if not issuer.jwks_file.exists():
        raise StackFailure(
            f"{layout.folder} holds no token issuer", advice="start a stack with `throughline up`"
        )
    return issuer.mint(subject, lifetime_seconds=lifetime_seconds)
