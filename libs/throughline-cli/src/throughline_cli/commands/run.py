"""`run`: one service on its own, fed with the agreed samples of the events it listens to."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from google.protobuf import json_format
from google.protobuf.message import Message

from throughline.options.v1 import options_pb2
from throughline_cli.commands.lifecycle import service_names, start_showing_progress
from throughline_cli.commands.logs import logs
from throughline_cli.options import AsJson
from throughline_cli.output import say, show_json
from throughline_cli.stack import control
from throughline_cli.stack.broker import ADMINISTRATOR
from throughline_cli.stack.failure import StackFailure
from throughline_cli.stack.layout import DEFAULT_FOLDER, Layout
from throughline_cli.stack.secrets import Secrets
from throughline_cli.stack.services import GATEWAY, chosen
from throughline_cli.stack.topology import declared, jetstream
from throughline_core.ids import derived_id
from throughline_runtime.events import event_types


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(run)


def run(
    service: Annotated[str, typer.Argument(help="The service to run, such as billing-event.")],
    folder: Annotated[
        Path | None,
        typer.Option(help="Data folder.", show_default=f"{DEFAULT_FOLDER}/run-SERVICE"),
    ] = None,
    samples: Annotated[Path, typer.Option(help="Folder of the samples.")] = Path("proto/samples"),
    as_json: AsJson = False,
) -> None:
    """Run one service with its own database, the broker and the gateway, until Ctrl-C.

    Every event it listens to is published to it once, as proto/samples has it. With --json the
    addresses are printed and the service is left running.

    Example: `throughline run billing-event`
    """
    names = [*service_names([service]), GATEWAY.name]
    layout = Layout.at(folder or Path(DEFAULT_FOLDER) / f"run-{service}")
    state = start_showing_progress(layout, names, sandbox=True, quiet=as_json)
    assert state.nats_url is not None
    subjects = sorted({d.subject for d in declared(chosen([service]))[service]})
    fed = asyncio.run(_feed(layout, state.nats_url, _read_samples(samples, subjects)))
    if as_json:
        show_json({"gateway_url": state.gateway_url, "folder": str(layout.folder), "fed": fed})
        return
    say(f"{service} answers at [bold]{state.gateway_url}[/]; its data is in {layout.folder}")
    say(f"fed with {len(fed)} samples: {', '.join(fed) or 'it listens to nothing'}")
    try:
        logs([service], layout.folder, lines=0, follow=True)
    finally:
        control.stop(layout)


def _read_samples(folder: Path, subjects: Sequence[str]) -> Mapping[str, Message]:
    found = {}
    for subject in subjects:
        file = folder / f"{subject}.json"
        if not file.exists():
            raise StackFailure(
                f"there is no sample {file}", advice="run this in the repository, or pass --samples"
            )
        found[subject] = json_format.Parse(
            file.read_text(encoding="utf-8"), event_types()[subject]()
        )
    return found


async def _feed(layout: Layout, url: str, events: Mapping[str, Message]) -> list[str]:
    """Publish each event as its publisher would. Those published before change nothing."""
    password = Secrets(layout.secrets).value(f"nats-{ADMINISTRATOR}")
    async with jetstream(url, user=ADMINISTRATOR, password=password) as context:
        for subject, event in events.items():
            await context.publish(
                subject, event.SerializeToString(), headers=_headers(subject, event)
            )
    return list(events)


def _headers(subject: str, event: Message) -> dict[str, str]:
    declaration: Any = event.DESCRIPTOR.GetOptions().Extensions[options_pb2.event]
    event_id = str(derived_id("sample", subject))
    return {
        "Nats-Msg-Id": event_id,
        "ce-id": event_id,
        "ce-type": subject,
        "ce-source": "/throughline/sample",
        "ce-specversion": "1.0",
        "schema": event.DESCRIPTOR.full_name,
        "aggregate-id": str(getattr(event, declaration.aggregate_id, "")),
        "aggregate-version": str(getattr(event, "version", 1)),
    }
