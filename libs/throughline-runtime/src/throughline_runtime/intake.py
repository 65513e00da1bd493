"""Takes deliveries in: a batch in one transaction, and if that fails one by one, each judged."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import structlog
from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncEngine

from throughline_core.errors import Aborted, NotFound, Refusal, ResourceExhausted, Unavailable
from throughline_runtime import database, inbox
from throughline_runtime.delivery import Delivery, Undecodable
from throughline_runtime.pace import Backoff
from throughline_runtime.subscription import Subscription

ATTEMPTS: Final = 8
_SINGLY_FROM_ATTEMPT: Final = 4
# Deliveries that ended with no verdict at all: the process died over them, again and again.
_UNTRIED_FROM_ATTEMPT: Final = 2 * ATTEMPTS

_TRANSIENT: Final = (NotFound, Aborted, Unavailable, ResourceExhausted)

_log: Final = structlog.get_logger(__name__)


class Outcome(StrEnum):
    """What becomes of a delivery."""

    TAKEN = "taken"
    RETRIED = "retried"
    PARKED = "parked"
    RELEASED = "released"  # Given back untouched: the process stops while the database is away.


@dataclass(frozen=True, slots=True)
class Verdict:
    """An outcome, with the reason where it is not simply taken."""

    outcome: Outcome
    code: str = ""
    reason: str = ""


_TAKEN: Final = Verdict(Outcome.TAKEN)
_RELEASED: Final = Verdict(Outcome.RELEASED)
_WAITS: Final = Verdict(Outcome.RETRIED, "event.waits_for_earlier", "an earlier event failed")

Verdicts = Mapping[Delivery, Verdict]


class Intake:
    """Hands the deliveries of one subscription to its function, exactly once each in effect."""

    def __init__(
        self, engine: AsyncEngine, subscription: Subscription[Any], *, inbox_disabled: bool
    ) -> None:
        self._engine = engine
        self._subscription = subscription
        self._inbox_disabled = inbox_disabled

    async def take(self, deliveries: Sequence[Delivery], stop: asyncio.Event) -> Verdicts:
        """Return what became of each delivery; nothing raised by the function gets out.

        While the database is out of reach it waits, because to give the messages back would use
        up their attempts, and to park one needs the database.
        """
        verdicts: dict[Delivery, Verdict] = {}
        messages: dict[Delivery, Message] = {}
        for delivery in sorted(deliveries, key=lambda each: each.stream_sequence):
            try:
                messages[delivery] = delivery.decode(self._subscription.message)
            except Undecodable as refusal:
                verdicts[delivery] = _park(refusal)
        # What failed before is kept apart, so that it does not fail what is new.
        for group in _by_suspicion(messages):
            waiting = _retried_aggregates(verdicts)
            verdicts |= await self._take_group(group, waiting, stop)
        return verdicts

    async def _take_group(
        self, messages: Mapping[Delivery, Message], waiting: set[str], stop: asyncio.Event
    ) -> dict[Delivery, Verdict]:
        """Take messages together, or else one at a time, except for those of `waiting` aggregates.

        After one that is tried again, the rest of its aggregate waits as well.
        """
        verdicts = {d: _WAITS for d in messages if d.aggregate_id in waiting}
        ready = {d: m for d, m in messages.items() if d not in verdicts}
        if len(ready) > 1 and not _are_suspect(ready):
            failure = await self._attempt(ready, stop)
            if failure is None:
                return verdicts | dict.fromkeys(ready, _TAKEN)
            if isinstance(failure, _Stopped):
                return verdicts | dict.fromkeys(ready, _RELEASED)
        for delivery, message in ready.items():
            if delivery.aggregate_id in waiting:
                verdicts[delivery] = _WAITS
                continue
            verdict = await self._take_one(delivery, message, stop)
            if verdict is _RELEASED:
                return dict.fromkeys(messages, _RELEASED) | verdicts
            if verdict.outcome is Outcome.RETRIED and delivery.aggregate_id:
                waiting.add(delivery.aggregate_id)
            verdicts[delivery] = verdict
        return verdicts

    async def _take_one(self, delivery: Delivery, message: Message, stop: asyncio.Event) -> Verdict:
        if delivery.attempt > _UNTRIED_FROM_ATTEMPT:
            return Verdict(
                Outcome.PARKED, "event.fatal", "the process ended each time it was delivered"
            )
        failure = await self._attempt({delivery: message}, stop)
        if failure is None:
            return _TAKEN
        if isinstance(failure, _Stopped):
            return _RELEASED
        verdict = judge(failure, attempt=delivery.attempt)
        _log.warning(
            "event_not_taken",
            durable=self._subscription.durable,
            event_id=str(delivery.event_id),
            attempt=delivery.attempt,
            outcome=verdict.outcome,
            code=verdict.code,
            exc_info=None if isinstance(failure, Refusal) else failure,
        )
        return verdict

    async def _attempt(
        self, messages: Mapping[Delivery, Message], stop: asyncio.Event
    ) -> Exception | None:
        """Take messages in one transaction; return what prevented it, once the database answers."""
        backoff = Backoff()
        while True:
            try:
                await self._transact(messages)
            except database.DatabaseUnavailable as refusal:
                if await database.is_reachable(self._engine):
                    return refusal
            except Exception as error:
                return error
            else:
                return None
            if stop.is_set():
                return _Stopped()
            await backoff.wait(stop)

    async def _transact(self, messages: Mapping[Delivery, Message]) -> None:
        async with database.write(self._engine) as tx:
            fresh = list(messages.values())
            if not self._inbox_disabled:
                by_event: dict[UUID, Message] = {}
                for delivery, message in messages.items():
                    by_event.setdefault(delivery.event_id, message)
                taken = await inbox.take(tx, self._subscription.durable, by_event)
                fresh = [message for event_id, message in by_event.items() if event_id in taken]
            if fresh:
                await self._subscription.function(tx, fresh)


def _by_suspicion(messages: Mapping[Delivery, Message]) -> list[dict[Delivery, Message]]:
    """Return the messages in up to three groups: failed often, failed before, and new."""
    suspect = {d: m for d, m in messages.items() if d.attempt >= _SINGLY_FROM_ATTEMPT}
    repeated = {d: m for d, m in messages.items() if 1 < d.attempt < _SINGLY_FROM_ATTEMPT}
    new = {d: m for d, m in messages.items() if d.attempt == 1}
    return [group for group in (suspect, repeated, new) if group]


def _are_suspect(messages: Mapping[Delivery, Message]) -> bool:
    return any(delivery.attempt >= _SINGLY_FROM_ATTEMPT for delivery in messages)


def _retried_aggregates(verdicts: Verdicts) -> set[str]:
    return {
        delivery.aggregate_id
        for delivery, verdict in verdicts.items()
        if verdict.outcome is Outcome.RETRIED and delivery.aggregate_id
    }


class _Stopped(Exception):
    """The process was told to stop while the database was out of reach."""


def judge(failure: Exception, *, attempt: int) -> Verdict:
    """Return what to do about a delivery that failed: try it again, or park it.

    A refusal that time may cure and a bug, which the next version may cure, get `ATTEMPTS`
    attempts; any other refusal would only be repeated.
    """
    if isinstance(failure, Refusal):
        code, reason = failure.stable_code, failure.message
        is_hopeless = not isinstance(failure, _TRANSIENT)
    else:
        # Its text may quote a row; the log has the place.
        code, reason = "event.failed", f"{type(failure).__qualname__}, see the log"
        is_hopeless = False
    outcome = Outcome.PARKED if is_hopeless or attempt >= ATTEMPTS else Outcome.RETRIED
    return Verdict(outcome, code, reason)


def _park(refusal: Refusal) -> Verdict:
    return Verdict(Outcome.PARKED, refusal.stable_code, refusal.message)
