"""The connection to NATS, under the rules that keep an acknowledged event from being lost."""

import asyncio
import json
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import structlog
from nats.aio.client import Client
from nats.js import JetStreamContext
from prometheus_client import Counter

from throughline_runtime.settings import Settings

BROKER_ERRORS: Final = Counter(
    "throughline_broker_errors", "Errors the NATS client reported, by class.", ["error"]
)

_RECONNECT_SECONDS: Final = 0.5
_PING_SECONDS: Final = 10
_PROOF_SECONDS: Final = 30.0
_MONITOR_TIMEOUT_SECONDS: Final = 3

_log: Final = structlog.get_logger(__name__)


# The broker's monitor is a neighbour, whatever proxy the machine uses for the world.
_DIRECT: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Broker:
    """One process's connection to NATS. It reconnects for ever, and says whether it is up.

    Nothing is buffered while it is down: what would be sent then fails at once, and the outbox
    keeps it. Should the client close for good, `on_closed` is called, and has to end the process.
    """

    def __init__(self, settings: Settings, *, on_closed: Callable[[], None]) -> None:
        self._settings = settings
        self._on_closed = on_closed
        self._closing = False
        self._connected = asyncio.Event()
        self._connecting: asyncio.Task[None] | None = None
        self._proven_at: float | None = None
        self._problem: str | None = "the broker was not asked yet whether it syncs every message"
        self.client: Final = Client()
        self.jetstream: Final[JetStreamContext] = self.client.jetstream()

    @property
    def is_connected(self) -> bool:
        return self.client.is_connected

    def start(self) -> None:
        """Begin to connect, and go on trying for as long as it takes."""
        self._connecting = asyncio.create_task(self._connect(), name="broker-connect")

    async def wait_connected(self, *, timeout_seconds: float) -> bool:
        """Return whether the broker is connected, after at most `timeout_seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._connected.wait()
        return self.is_connected

    async def close(self) -> None:
        """Send what is pending and close; whoever fetched messages has settled them by now."""
        self._closing = True
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        if self.is_connected:
            await self.client.drain()
        else:
            await self.client.close()

    async def durability_problem(self) -> str | None:
        """Return why acknowledged messages might be lost in a power cut; None when they cannot.

        The server's monitoring endpoint is asked, at most once in half a minute and connection.
        """
        if not self._settings.require_durable_broker:
            return None
        proven_at = self._proven_at
        if proven_at is None or time.monotonic() - proven_at > _PROOF_SECONDS:
            self._problem = await asyncio.to_thread(_ask_whether_durable, self._settings)
            self._proven_at = time.monotonic() if self._problem is None else None
        return self._problem

    async def _connect(self) -> None:
        settings = self._settings
        await self.client.connect(
            [url.strip() for url in settings.nats_url.split(",")],
            name=settings.service,
            user=settings.nats_user,
            password=settings.nats_password.get_secret_value(),
            # The broker's grants give each user inboxes of its own.
            inbox_prefix=f"_INBOX_{settings.nats_user}",
            max_reconnect_attempts=-1,
            reconnect_time_wait=_RECONNECT_SECONDS,  # type: ignore[arg-type]  # a fraction works
            ping_interval=_PING_SECONDS,
            pending_size=0,
            error_cb=self._note_error,
            disconnected_cb=self._note_disconnected,
            reconnected_cb=self._note_reconnected,
            closed_cb=self._note_closed,
        )
        self._connected.set()
        _log.info("broker_connected")

    async def _note_error(self, error: Exception) -> None:
        BROKER_ERRORS.labels(type(error).__name__).inc()
        _log.warning("broker_error", error=type(error).__name__, reason=str(error))

    async def _note_disconnected(self) -> None:
        # The server that comes back may have been configured anew.
        self._proven_at = None
        self._connected.clear()
        _log.warning("broker_disconnected")

    async def _note_reconnected(self) -> None:
        self._connected.set()
        _log.info("broker_reconnected")

    async def _note_closed(self) -> None:
        if not self._closing:
            _log.error("broker_closed")
            self._on_closed()


def _ask_whether_durable(settings: Settings) -> str | None:
    if settings.nats_monitor_url is None:
        return "nats_monitor_url is not set, so nobody knows whether the broker syncs every message"
    reports = [_report_of(url.strip()) for url in settings.nats_monitor_url.split(",")]
    answers = [report for report in reports if report is not None]
    if not answers:
        return "no monitoring endpoint of the broker answers"
    if not all(answers):
        return "the broker does not sync every message: set sync_interval to always"
    return None


def _report_of(url: str) -> bool | None:
    """Return whether the server syncs every message, None when it does not answer."""
    try:
        with _DIRECT.open(f"{url}/jsz", timeout=_MONITOR_TIMEOUT_SECONDS) as answer:
            return json.load(answer).get("config", {}).get("sync_always") is True
    except (OSError, ValueError):
        return None
