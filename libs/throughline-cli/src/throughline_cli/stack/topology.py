"""Which streams and durables the services declare, and their place in the broker.

Reading the declarations means importing every service. That happens in a process of its own, so
that the supervisor stays small and a service that cannot be imported is named in the message.
"""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from importlib import import_module
from typing import Final

import nats
from nats.js import JetStreamContext

from throughline_cli.stack.failure import StackFailure
from throughline_cli.stack.services import SERVICES, ServiceSpec
from throughline_runtime.streams import (
    ADVISORIES,
    Durable,
    Sizing,
    Stream,
    apply,
    differences,
    durable_of,
    stream_of,
)

STREAMS: Final[Sequence[Stream]] = (*(stream_of(service.name) for service in SERVICES), ADVISORIES)

Declared = dict[str, tuple[Durable, ...]]
"""The durables of each service by its name."""


def declared(services: Sequence[ServiceSpec]) -> Declared:
    """Return the durables that each service declares.

    Raises:
        StackFailure: a service cannot be imported.
    """
    packages = [service.package for service in services if not service.is_stateless]
    if not packages:
        return {service.name: () for service in services}
    done = subprocess.run(
        [sys.executable, "-m", "throughline_cli.stack.topology", *packages],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise StackFailure(f"the services' subscriptions cannot be read\n{done.stderr.strip()}")
    found: dict[str, list[dict[str, str]]] = json.loads(done.stdout)
    return {
        service.name: tuple(Durable(**durable) for durable in found.get(service.package, ()))
        for service in services
    }


async def apply_topology(
    context: JetStreamContext, durables: Sequence[Durable], sizing: Sizing
) -> None:
    """Create or adjust the platform's streams and these durables; nothing published is lost."""
    await apply(context, STREAMS, durables, sizing)


async def topology_differences(
    context: JetStreamContext, durables: Sequence[Durable], sizing: Sizing
) -> list[str]:
    """Return in words what `apply_topology` would change."""
    return list(await differences(context, STREAMS, durables, sizing))


@asynccontextmanager
async def jetstream(url: str, *, user: str, password: str) -> AsyncIterator[JetStreamContext]:
    """Yield JetStream over a connection of its own.

    Raises:
        StackFailure: the broker cannot be reached.
    """
    try:
        connection = await nats.connect(
            url, user=user, password=password, allow_reconnect=False, connect_timeout=5
        )
    except (TimeoutError, OSError, nats.errors.Error) as error:
        raise StackFailure(f"{url} cannot be reached: {error}") from error
    try:
        yield connection.jetstream(timeout=10)
    finally:
        await connection.close()


def _read(package: str) -> list[dict[str, str]]:
    service = import_module(f"{package}.main").SERVICE
    return [asdict(durable_of(subscription)) for subscription in service.subscriptions]


def main() -> None:
    """Print the durables of the packages on the command line, as JSON."""
    json.dump({package: _read(package) for package in sys.argv[1:]}, sys.stdout)


if __name__ == "__main__":
    main()
