"""Waits until every fact has reached everybody, or until nothing moves any more."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx
from e2e_probe import database
from e2e_rest import Rest
from e2e_sandbox import Sandbox

from throughline_cli.api import Document
from throughline_cli.stack.services import SERVICES

SETTLE_SECONDS: Final = 240.0
"""Messages that a dead consumer held come back after 30 s, and some more than once."""

_TAKEN_BY: Final = "taken by "
# Longer than any schedule that takes up what is left.
_STILL_SECONDS: Final = 4.0
_LOOK_SECONDS: Final = 0.5

_WAITING: Final = "SELECT EXISTS (SELECT FROM outbox WHERE published_at IS NULL)"


@dataclass(frozen=True, slots=True)
class Settlement:
    """The services' figures when the waiting ended."""

    reconciliation: Document
    is_settled: bool
    """False: nothing moves any more, and yet what was taken is not what was published."""
    waited_seconds: float


async def settle(rest: Rest, sandbox: Sandbox) -> Settlement:
    """Return once everything published was taken, or once all is still without that."""
    started = time.monotonic()
    figures: Any = None
    still_since = started
    while True:
        found = await rest.get("auditor", "/v1/reconciliation")
        waited = time.monotonic() - started
        if found["settled"]:
            return Settlement(found, True, waited)
        if found["invariants"] != figures or not await _is_idle(sandbox):
            figures, still_since = found["invariants"], time.monotonic()
        is_still = time.monotonic() - still_since > _STILL_SECONDS
        if is_still or waited > SETTLE_SECONDS:
            return Settlement(found, False, waited)
        await asyncio.sleep(_LOOK_SECONDS)


async def count_redeliveries(settlement: Settlement, sandbox: Sandbox) -> int:
    """Return how many deliveries were not the first of their event, over all durables.

    What each durable should have got is what was published for it, as the services say.
    """
    due = {
        comparison["right_name"].removeprefix(_TAKEN_BY): int(comparison["left"])
        for invariant in settlement.reconciliation["invariants"]
        for comparison in invariant["comparisons"]
        if comparison["right_name"].startswith(_TAKEN_BY)
    }
    return sum(
        consumer["delivered"]["consumer_seq"] - due[consumer["name"]]
        for consumer in await _consumers(sandbox)
        if consumer["name"] in due
    )


async def _is_idle(sandbox: Sandbox) -> bool:
    """Whether no outbox has anything to publish, and no durable anything to deliver."""
    if any(
        consumer["num_pending"] or consumer["num_ack_pending"]
        for consumer in await _consumers(sandbox)
    ):
        return False
    for service in SERVICES:
        async with database(sandbox, service.name) as connection:
            if await connection.fetchval(_WAITING):
                return False
    return True


async def _consumers(sandbox: Sandbox) -> list[Mapping[str, Any]]:
    async with httpx.AsyncClient(timeout=5, trust_env=False) as monitor:
        reply = await monitor.get(
            f"{sandbox.monitor_url}/jsz", params={"consumers": "1", "accounts": "1"}
        )
    return [
        consumer
        for account in reply.raise_for_status().json()["account_details"]
        for stream in account.get("stream_detail", ())
        for consumer in stream.get("consumer_detail", ())
    ]
