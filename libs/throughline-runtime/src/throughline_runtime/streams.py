"""Streams and durables as data: one stream for each publisher, one durable for each subscription.

`apply` makes them with an administrator's connection; a service may only look at its own.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import NotFoundError, ServerError

from throughline_runtime.events import publisher_of
from throughline_runtime.subscription import Subscription

ACK_WAIT_SECONDS: Final = 30
ACK_PENDING_MAX: Final = 1_000
MAX_AGE_DAYS: Final = 7
DUPLICATE_WINDOW_SECONDS: Final = 120
_DAY_SECONDS: Final = 24 * 60 * 60
_STORE_BUSY: Final = 10049
"""The broker's code for a store that cannot be made."""
_STORE_BUSY_PAUSES: Final = (0.05, 0.1, 0.2, 0.4, 0.8)


@dataclass(frozen=True, slots=True)
class Sizing:
    """What differs between one machine and a cluster."""

    replicas: int = 1
    max_bytes: int = 1 << 30  # At which a stream refuses more.


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream: what it captures."""

    name: str
    subjects: tuple[str, ...]

    def config(self, sizing: Sizing) -> Mapping[str, Any]:
        """Return the JetStream settings it is declared with.

        A full stream refuses what comes next, which the outbox keeps and tries again; before its
        age is over it drops nothing it holds.
        """
        return {
            "name": self.name,
            "subjects": list(self.subjects),
            "retention": RetentionPolicy.LIMITS,
            "discard": DiscardPolicy.NEW,
            "storage": StorageType.FILE,
            "num_replicas": sizing.replicas,
            "max_bytes": sizing.max_bytes,
            "max_age": float(MAX_AGE_DAYS * _DAY_SECONDS),
            "duplicate_window": float(DUPLICATE_WINDOW_SECONDS),
        }


# What the broker itself gave up on: advisories are lost unless a stream holds them.
ADVISORIES: Final = Stream(
    "ADVISORIES",
    (
        "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>",
        "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>",
    ),
)


@dataclass(frozen=True, slots=True)
class Durable:
    """A durable pull consumer on a publisher's stream."""

    stream: str
    name: str
    subject: str

    @property
    def config(self) -> Mapping[str, Any]:
        """The JetStream settings it is declared with.

        The broker redelivers without end. Past a bound of its own it would hide the message, while
        the consumer, which counts as well, parks it where it is seen.
        """
        return {
            "durable_name": self.name,
            "filter_subject": self.subject,
            "deliver_policy": DeliverPolicy.ALL,
            "ack_policy": AckPolicy.EXPLICIT,
            "ack_wait": float(ACK_WAIT_SECONDS),
            "max_ack_pending": ACK_PENDING_MAX,
            "max_deliver": -1,
        }


def stream_of(publisher: str) -> Stream:
    """Return the stream of a service, named `billing-event` or `billing_event`."""
    package = publisher.replace("-", "_")
    return Stream(package.upper(), (f"{package}.>",))


def durable_of(subscription: Subscription[Any]) -> Durable:
    """Return the durable of a subscription, on its publisher's stream."""
    stream = stream_of(publisher_of(subscription.subject))
    return Durable(stream.name, subscription.durable, subscription.subject)


async def apply(
    context: JetStreamContext,
    streams: Iterable[Stream],
    durables: Iterable[Durable],
    sizing: Sizing,
) -> None:
    """Create what is missing and adjust what differs; messages and positions are kept."""
    for stream in streams:
        declared = stream.config(sizing)
        present = await _present_stream(context, stream)
        if present is None:
            await _add_stream(context, StreamConfig(**declared))
        elif _differing(present, declared):
            await context.update_stream(StreamConfig(**declared))
    for durable in durables:
        if await drift_of(context, durable):
            await context.add_consumer(durable.stream, ConsumerConfig(**durable.config))


async def differences(
    context: JetStreamContext,
    streams: Iterable[Stream],
    durables: Iterable[Durable],
    sizing: Sizing,
) -> Sequence[str]:
    """Return in words what `apply` would change, nothing when all is as declared."""
    found: list[str] = []
    for stream in streams:
        present = await _present_stream(context, stream)
        differing = ["absent"] if present is None else _differing(present, stream.config(sizing))
        found += [f"stream {stream.name}: {difference}" for difference in differing]
    for durable in durables:
        found += await drift_of(context, durable)
    return found


async def drift_of(context: JetStreamContext, durable: Durable) -> Sequence[str]:
    """Return in words how the broker's durable differs from the declared one."""
    try:
        info = await context.consumer_info(durable.stream, durable.name)
    except NotFoundError:
        differing: Sequence[str] = ["absent"]
    else:
        differing = _differing(info.config, durable.config)
    return [f"durable {durable.stream}.{durable.name}: {difference}" for difference in differing]


async def _add_stream(context: JetStreamContext, config: StreamConfig) -> None:
    """Create a stream, in the place of one just deleted too: its files go after the answer."""
    for pause_seconds in _STORE_BUSY_PAUSES:
        try:
            await context.add_stream(config)
        except ServerError as error:
            if error.err_code != _STORE_BUSY:
                raise
            await asyncio.sleep(pause_seconds)
        else:
            return
    await context.add_stream(config)


async def _present_stream(context: JetStreamContext, stream: Stream) -> StreamConfig | None:
    try:
        return (await context.stream_info(stream.name)).config
    except NotFoundError:
        return None


def _differing(present: object, declared: Mapping[str, Any]) -> Sequence[str]:
    return [
        f"{name} is {getattr(present, name)}, declared {getattr(value, 'value', value)}"
        for name, value in declared.items()
        if getattr(present, name) != value
    ]
