"""Consumers: pull messages of each subscription, take them in, and tell the broker the outcome.

The order is always: commit, then acknowledge. A process that dies in between gets the message
again, and the inbox knows it.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final
from uuid import UUID

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from sqlalchemy.ext.asyncio import AsyncEngine

from throughline_core.errors import Refusal, Unavailable
from throughline_runtime import database, parked
from throughline_runtime.broker import Broker
from throughline_runtime.delivery import Delivery
from throughline_runtime.identity import Caller, acting_as
from throughline_runtime.intake import Intake, Outcome, Verdicts
from throughline_runtime.pace import Backoff, wait_for_any
from throughline_runtime.settings import Settings
from throughline_runtime.streams import ACK_WAIT_SECONDS, drift_of, durable_of
from throughline_runtime.subscription import Subscription
from throughline_runtime.telemetry import tracing
from throughline_runtime.telemetry.metrics import (
    CONSUME_SECONDS,
    CONSUMED,
    CONSUMER_PENDING,
    PARKED,
)

__all__ = ["Consumer", "DurableUnfit", "Subscription"]

BATCH: Final = 200
BATCH_BYTES: Final = 2 * 1024 * 1024
FETCH_SECONDS: Final = 1.0
DELAY_SECONDS_MAX: Final = 60.0
REPLAY_SECONDS: Final = 1.0
# How long a look at the connection lasts, and so how late a stop is noticed without one.
_CONNECT_SECONDS: Final = 0.5
# Where several messages came at once more will follow, and a batch costs by the transaction.
_GATHER_SECONDS: Final = 0.05
_FIRST_BATCH: Final = 50
_FIRST_DELAY_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 10.0

_log: Final = structlog.get_logger(__name__)


class DurableUnfit(Unavailable):
    """The broker has no such durable, or another one than the service declares."""

    code = "broker.durable_unfit"


def delay_seconds(attempt: int) -> float:
    """Return how long a message rests after its `attempt`-th failure: 1, 2, 4 … 60 seconds."""
    return min(_FIRST_DELAY_SECONDS * 2.0 ** (attempt - 1), DELAY_SECONDS_MAX)


class Consumer:
    """Works on all subscriptions of a service; any number of replicas may do so side by side."""

    def __init__(
        self,
        settings: Settings,
        engine: AsyncEngine,
        broker: Broker,
        subscriptions: Sequence[Subscription[Any]],
        *,
        wake: Callable[[str], None] = lambda name: None,
    ) -> None:
        self._caller = Caller.service(settings.service)
        self._workers = [
            _Worker(engine, broker, subscription, wake, inbox_disabled=settings.inbox_disabled)
            for subscription in subscriptions
            for _ in range(subscription.workers)
        ]
        self._replays = _Replays(engine, self._workers)

    @property
    def problems(self) -> Sequence[str]:
        """Why messages are not taken now, for readiness; empty when all is well."""
        problems = (worker.problem for worker in self._workers)
        return list(dict.fromkeys(problem for problem in problems if problem is not None))

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop` is set; return when everything fetched has been settled."""
        if not self._workers:
            await stop.wait()
            return
        with acting_as(self._caller):
            async with asyncio.TaskGroup() as tasks:
                for worker in self._workers:
                    tasks.create_task(worker.run(stop), name=f"consume-{worker.durable}")
                tasks.create_task(self._replays.run(stop), name="replay-parked")


class _Worker:
    """Pulls from one durable. It outlives every failure of broker, database and function."""

    def __init__(
        self,
        engine: AsyncEngine,
        broker: Broker,
        subscription: Subscription[Any],
        wake: Callable[[str], None],
        *,
        inbox_disabled: bool,
    ) -> None:
        self._engine = engine
        self._wakes = subscription.wakes
        self._wake = wake
        self._broker = broker
        self._durable = durable_of(subscription)
        self._intake = Intake(engine, subscription, inbox_disabled=inbox_disabled)
        self._pull: JetStreamContext.PullSubscription | None = None
        self._looked_at = float("-inf")
        self._batch = _FIRST_BATCH
        self.durable = subscription.durable
        self.problem: str | None = f"{subscription.durable} has not started"

    async def run(self, stop: asyncio.Event) -> None:
        backoff = Backoff()
        while not stop.is_set():
            if not await self._broker.wait_connected(timeout_seconds=_CONNECT_SECONDS):
                self.problem = f"{self.durable}: the broker is out of reach"
                continue
            try:
                await self._look()
                messages = await self._fetch()
                self.problem = None
                backoff.reset()
                if messages:
                    fetched_at = time.monotonic()
                    await self._consume(messages, stop)
                    await _let_gather(messages, fetched_at)
            except Exception as error:
                self.problem = f"{self.durable}: {type(error).__name__}"
                _log.warning(
                    "consumer_interrupted",
                    durable=self.durable,
                    error=type(error).__name__,
                    reason=str(error) if isinstance(error, Refusal | NatsError) else None,
                    exc_info=None if isinstance(error, Refusal | NatsError) else error,
                )
                await self._drop_pull()
                await backoff.wait(stop)
        await self._drop_pull()

    async def take(self, deliveries: Sequence[Delivery], stop: asyncio.Event) -> Verdicts:
        """Take deliveries in, park the hopeless, and return what became of each."""
        started_at = time.perf_counter()
        subject = self._durable.subject
        with tracing.consume_span(subject, [delivery.headers for delivery in deliveries]):
            verdicts = await self._intake.take(deliveries, stop)
            if self._wakes is not None:
                self._wake(self._wakes)
            hopeless = {d: v for d, v in verdicts.items() if v.outcome is Outcome.PARKED}
            if hopeless:
                async with database.write(self._engine) as tx:
                    await parked.park(tx, self.durable, hopeless)
        CONSUME_SECONDS.labels(self.durable).observe(time.perf_counter() - started_at)
        for verdict in verdicts.values():
            CONSUMED.labels(self.durable, verdict.outcome).inc()
        return verdicts

    async def _consume(self, messages: Sequence[Msg], stop: asyncio.Event) -> None:
        deliveries = {Delivery.from_broker(message): message for message in messages}
        with _kept_alive(messages):
            verdicts = await self.take(list(deliveries), stop)
        for delivery, message in deliveries.items():
            match verdicts[delivery].outcome:
                case Outcome.TAKEN:
                    await message.ack()
                case Outcome.RETRIED:
                    await message.nak(delay_seconds(delivery.attempt))
                case Outcome.PARKED:
                    await message.term()
                case Outcome.RELEASED:
                    await message.nak(delay_seconds(1))

    async def _fetch(self) -> Sequence[Msg]:
        if self._pull is None:
            self._pull = await self._broker.jetstream.pull_subscribe_bind(
                self._durable.name, self._durable.stream
            )
        try:
            messages = await self._pull.fetch(self._batch, timeout=FETCH_SECONDS)
        except TimeoutError:
            CONSUMER_PENDING.labels(self.durable).set(0)
            return []
        if not messages:
            # What a fetch returns when the durable is deleted under it.
            self._looked_at = float("-inf")
            return []
        CONSUMER_PENDING.labels(self.durable).set(messages[-1].metadata.num_pending)
        bytes_each = sum(len(message.data) for message in messages) / len(messages)
        self._batch = max(1, min(BATCH, int(BATCH_BYTES / max(bytes_each, 1))))
        return messages

    async def _look(self) -> None:
        """Ask the broker about the durable now and then: an empty fetch does not tell it is gone.

        Raises:
            DurableUnfit: it is not there, or is not what was declared.
        """
        if self._pull is not None and time.monotonic() - self._looked_at < _LOOK_SECONDS:
            return
        if differences := await drift_of(self._broker.jetstream, self._durable):
            raise DurableUnfit("; ".join(differences))
        self._looked_at = time.monotonic()

    async def _drop_pull(self) -> None:
        pull, self._pull = self._pull, None
        if pull is not None:
            with suppress(NatsError):
                await pull.unsubscribe()


class _Replays:
    """Hands parked messages that were replayed to their workers again."""

    def __init__(self, engine: AsyncEngine, workers: Sequence[_Worker]) -> None:
        self._engine = engine
        self._workers = {worker.durable: worker for worker in workers}
        self._counted_at = float("-inf")

    async def run(self, stop: asyncio.Event) -> None:
        backoff = Backoff()
        while not stop.is_set():
            try:
                await self._count()
                await self._replay(stop)
                backoff.reset()
            except Exception as error:
                _log.warning(
                    "replay_interrupted",
                    error=type(error).__name__,
                    exc_info=None if isinstance(error, Refusal) else error,
                )
                await backoff.wait(stop)
            await wait_for_any([stop], timeout_seconds=REPLAY_SECONDS)

    async def _replay(self, stop: asyncio.Event) -> None:
        async with database.write(self._engine) as tx:
            due = await parked.claim(tx, list(self._workers), limit=BATCH)
        for durable, deliveries in due.items():
            verdicts = await self._workers[durable].take(deliveries, stop)
            async with database.write(self._engine) as tx:
                await parked.settle(tx, durable, _delays(verdicts))

    async def _count(self) -> None:
        if time.monotonic() - self._counted_at < _LOOK_SECONDS:
            return
        async with database.read(self._engine) as tx:
            counted = await parked.counts(tx)
        for durable in self._workers:
            PARKED.labels(durable).set(counted.get(durable, 0))
        self._counted_at = time.monotonic()


def _delays(verdicts: Verdicts) -> Mapping[UUID, float | None]:
    """Return for each replayed event how long it is put off, None for one that was taken.

    What was parked anew has left the replay already.
    """
    return {
        delivery.event_id: (
            None if verdict.outcome is Outcome.TAKEN else delay_seconds(delivery.attempt)
        )
        for delivery, verdict in verdicts.items()
        if verdict.outcome is not Outcome.PARKED
    }


async def _let_gather(messages: Sequence[Msg], fetched_at: float) -> None:
    """Wait a moment after several messages that were all there was, so that the next come together.

    A message that comes alone is never waited after: whoever works one by one is not slowed down.
    """
    if len(messages) > 1 and messages[-1].metadata.num_pending == 0:
        await asyncio.sleep(max(0.0, fetched_at + _GATHER_SECONDS - time.monotonic()))


@contextmanager
def _kept_alive(messages: Sequence[Msg]) -> Iterator[None]:
    """Tell the broker, while the block runs, that the messages are still being worked on."""

    async def extend() -> None:
        while True:
            await asyncio.sleep(ACK_WAIT_SECONDS / 3)
            for message in messages:
                with suppress(NatsError):
                    await message.in_progress()

    task = asyncio.create_task(extend(), name="keep-alive")
    try:
        yield
    finally:
        task.cancel()
