"""`streams`: the broker as the services declare it, and its streams made again."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from throughline_cli.api import Api
from throughline_cli.commands.clock import read_span
from throughline_cli.commands.lifecycle import service_names
from throughline_cli.options import AsJson, Folder
from throughline_cli.output import say, show_json, show_table
from throughline_cli.stack.broker import ADMINISTRATOR
from throughline_cli.stack.layout import DEFAULT_FOLDER, Layout
from throughline_cli.stack.secrets import Secrets
from throughline_cli.stack.services import ServiceSpec, chosen
from throughline_cli.stack.state import running_state
from throughline_cli.stack.topology import (
    apply_topology,
    declared,
    jetstream,
    topology_differences,
)
from throughline_runtime.streams import Sizing

NatsUrl = Annotated[
    str | None,
    typer.Option(help="Another broker than the stack's, such as a cluster's."),
]
NatsUser = Annotated[str, typer.Option(help="With --nats-url: who may make streams.")]
NatsPasswordFile = Annotated[
    Path | None, typer.Option(help="With --nats-url: the file of the password.")
]
OnlyServices = Annotated[
    list[str] | None,
    typer.Option("--service", help="With --nats-url: only its durables; may be repeated."),
]
Replicas = Annotated[int, typer.Option(min=1, max=5, help="With --nats-url: copies of a stream.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(no_args_is_help=True, help="Streams and durables of the broker.")
    group.command()(apply)
    group.command()(check)
    group.command()(republish)
    app.add_typer(group, name="streams")


@dataclass(frozen=True, slots=True)
class _Target:
    """A broker, and what it has to hold."""

    url: str
    user: str
    password: str
    services: Sequence[ServiceSpec]
    sizing: Sizing


def apply(
    folder: Folder = Path(DEFAULT_FOLDER),
    nats_url: NatsUrl = None,
    user: NatsUser = ADMINISTRATOR,
    password_file: NatsPasswordFile = None,
    replicas: Replicas = 3,
    service: OnlyServices = None,
    as_json: AsJson = False,
) -> None:
    """Create or adjust what differs from the declarations; nothing published is lost.

    Examples: `throughline streams apply`;
    `throughline streams apply --nats-url nats://nats:4222 --password-file /run/secrets/nats`
    """
    elsewhere = _elsewhere(nats_url, user, password_file, replicas, service)
    target = elsewhere or _stack(Layout.at(folder))
    changed = asyncio.run(_differences(target, mend=True))
    if as_json:
        show_json({"applied": changed})
    else:
        say("\n".join(changed) or "streams and durables are as declared")


def check(
    folder: Folder = Path(DEFAULT_FOLDER),
    nats_url: NatsUrl = None,
    user: NatsUser = ADMINISTRATOR,
    password_file: NatsPasswordFile = None,
    replicas: Replicas = 3,
    service: OnlyServices = None,
    as_json: AsJson = False,
) -> None:
    """List what differs from the declarations. Exits with 1 if anything does.

    Example: `throughline streams check`
    """
    elsewhere = _elsewhere(nats_url, user, password_file, replicas, service)
    target = elsewhere or _stack(Layout.at(folder))
    found = asyncio.run(_differences(target, mend=False))
    if as_json:
        show_json({"differences": found})
    else:
        say("\n".join(found) or "streams and durables are as declared")
    if found:
        raise typer.Exit(1)


def republish(
    since: Annotated[str, typer.Argument(help="How far back: 8d, 12h. The outbox keeps 35 days.")],
    service: Annotated[
        list[str] | None, typer.Option(help="Only this publisher; may be repeated.")
    ] = None,
    folder: Folder = Path(DEFAULT_FOLDER),
    as_json: AsJson = False,
) -> None:
    """Publish what was recorded since then once more, for a broker that lost its store.

    Events keep their ids: consumers that have taken one ignore it.

    Example: `throughline streams republish 8d`
    """
    instant = (datetime.now(UTC) - read_span(since)).isoformat()
    publishers = [
        spec.name for spec in chosen(service_names(service or ())) if not spec.is_stateless
    ]
    with Api.of(Layout.at(folder)) as api:
        events = {
            name: int(
                api.post(f"/v1/operations/{name}/outbox:republish", {"since": instant})["events"]
            )
            for name in publishers
        }
    if as_json:
        show_json({"since": instant, "events": events})
    else:
        show_table(("service", "events"), events.items())


def differences_of_stack(layout: Layout) -> list[str]:
    """Return what differs in the running stack's broker.

    Raises:
        NotRunning, StackFailure: it cannot be asked.
    """
    return asyncio.run(_differences(_stack(layout), mend=False))


def _elsewhere(
    nats_url: str | None,
    user: str,
    password_file: Path | None,
    replicas: int,
    service: Sequence[str] | None,
) -> _Target | None:
    """Return the broker that the options name, None if they name none."""
    if nats_url is None:
        return None
    if password_file is None or not password_file.is_file():
        raise typer.BadParameter("--nats-url needs --password-file, the file of the password")
    password = password_file.read_text(encoding="utf-8").rstrip("\r\n")
    services = chosen(service_names(service or ()))
    return _Target(nats_url, user, password, services, Sizing(replicas=replicas))


def _stack(layout: Layout) -> _Target:
    state = running_state(layout)
    assert state.nats_url is not None
    return _Target(
        state.nats_url,
        ADMINISTRATOR,
        Secrets(layout.secrets).value(f"nats-{ADMINISTRATOR}"),
        chosen([program.name for program in state.programs]),
        Sizing(),
    )


async def _differences(target: _Target, *, mend: bool) -> list[str]:
    """Return what differs from the declarations, having mended it if asked."""
    async with jetstream(target.url, user=target.user, password=target.password) as context:
        durables = list(chain.from_iterable(declared(target.services).values()))
        found = await topology_differences(context, durables, target.sizing)
        if mend:
            await apply_topology(context, durables, target.sizing)
    return found
