"""Waits until every fact has reached everybody, or until nothing moves any more."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

from faults.persistent import Persistent
from throughline_cli.api import Document

SETTLE_SECONDS: Final = 240.0
"""Messages that a dead consumer held come back after 30 s, and some more than once."""

_TAKEN_BY: Final = "taken by "
_STILL_SECONDS: Final = 4.0
_LOOK_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Settlement:
    """The services' figures when the waiting ended."""

    reconciliation: Document
    is_settled: bool
    """False: all consumers are idle, and yet what they took is not what was published."""
    waited_seconds: float


async def settle(rest: Persistent, monitor_url: str) -> Settlement:
    """Return once everything published was taken, or once all is still without that."""
    started = time.monotonic()
    figures: Any = None
    still_since = started
    async with httpx.AsyncClient(timeout=5, trust_env=False) as monitor:
        while True:
            found = await rest.get("auditor", "/v1/reconciliation")
            waited = time.monotonic() - started
            if found["settled"]:
                return Settlement(found, True, waited)
            moved = found["invariants"] != figures or not await _is_idle(monitor, monitor_url)
            if moved:
                figures, still_since = found["invariants"], time.monotonic()
            is_still = time.monotonic() - still_since > _STILL_SECONDS
            if is_still or waited > SETTLE_SECONDS:
                return Settlement(found, False, waited)
            await asyncio.sleep(_LOOK_SECONDS)


async def count_redeliveries(settlement: Settlement, monitor_url: str) -> int:
    """Return how many deliveries were not the first of their message, over all durables.

    What each durable should have got is what was published for it, as the services say.
    """
    due = {
        comparison["right_name"].removeprefix(_TAKEN_BY): int(comparison["left"])
        for invariant in settlement.reconciliation["invariants"]
        for comparison in invariant["comparisons"]
        if comparison["right_name"].startswith(_TAKEN_BY)
    }
    async with httpx.AsyncClient(timeout=5, trust_env=False) as monitor:
        consumers = await _consumers(monitor, monitor_url)
    return sum(
        consumer["delivered"]["consumer_seq"] - due[consumer["name"]]
        for consumer in consumers
        if consumer["name"] in due
    )


async def _is_idle(monitor: httpx.AsyncClient, monitor_url: str) -> bool:
    """Whether no durable has anything waiting or under way."""
    return all(
        consumer["num_pending"] == consumer["num_ack_pending"] == 0
        for consumer in await _consumers(monitor, monitor_url)
    )


async def _consumers(monitor: httpx.AsyncClient, monitor_url: str) -> list[Mapping[str, Any]]:
    reply = await monitor.get(f"{monitor_url}/jsz", params={"consumers": "1", "accounts": "1"})
    return [
        consumer
        for account in reply.raise_for_status().json()["account_details"]
        for stream in account.get("stream_detail", ())
        for consumer in stream.get("consumer_detail", ())
    ]
