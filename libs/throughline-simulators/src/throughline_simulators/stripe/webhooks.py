"""Webhooks out: signed as the vendor signs, and delivered late, twice or shuffled on demand."""

import asyncio
import hashlib
import hmac
import time
from collections import deque
from collections.abc import Sequence
from typing import Final, TypedDict

import httpx

from throughline_simulators import exact_json
from throughline_simulators.store import Collection
from throughline_simulators.stripe.account import Account
from throughline_simulators.stripe.objects import Event

_POLL_SECONDS: Final = 0.05
_ATTEMPTS_KEPT: Final = 5000


class Endpoint(TypedDict):
    """Where events go; every secret signs, the newest first, while one is being rolled."""

    url: str
    secrets: list[str]
    event_types: list[str]


class Delivery(TypedDict):
    """One delivery still owed; times are milliseconds of real time."""

    event_id: str
    attempt: int
    due_at: int


class Attempt(TypedDict):
    """One delivery tried; `status` is None when no reply came."""

    event_id: str
    type: str
    attempt: int
    status: int | None
    error: str | None


def signature(body: bytes, secrets: Sequence[str], timestamp: int) -> str:
    """Return the Stripe-Signature header: one v1 for each secret, and a v0 to be ignored."""
    signed = f"{timestamp}.".encode() + body
    parts = [f"t={timestamp}"]
    parts += [f"v1={hmac.new(s.encode(), signed, hashlib.sha256).hexdigest()}" for s in secrets]
    parts.append(f"v0={hashlib.sha256(signed).hexdigest()}")
    return ",".join(parts)


class Webhooks:
    """Owed deliveries, which survive a restart, and the task that makes them."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._endpoints: Collection[Endpoint] = Collection(account.store, "stripe.endpoint")
        self._owed: Collection[Delivery] = Collection(account.store, "stripe.delivery")
        self.attempts: deque[Attempt] = deque(maxlen=_ATTEMPTS_KEPT)
        account.on_event = self._announce

    @property
    def endpoint(self) -> Endpoint | None:
        return self._endpoints.get("endpoint")

    @endpoint.setter
    def endpoint(self, endpoint: Endpoint | None) -> None:
        if endpoint is None:
            self._endpoints.remove("endpoint")
        else:
            self._endpoints.put("endpoint", endpoint)

    @property
    def owed_count(self) -> int:
        return len(self._owed)

    def _announce(self, event: Event) -> None:
        """Owe a new event to the endpoint, if there is one and it wants events of that type."""
        account, endpoint = self._account, self.endpoint
        if endpoint is None:
            return
        if "*" in endpoint["event_types"] or event["type"] in endpoint["event_types"]:
            account.events.put(event["id"], {**event, "pending_webhooks": 1})
            due_at = _now() + account.switches.webhook_delay_milliseconds
            self.owe([event["id"]] * account.switches.webhook_copies, due_at=due_at)

    def owe(self, event_ids: Sequence[str], *, due_at: int | None = None) -> None:
        """Owe one delivery for each id, in that order."""
        for event_id in event_ids:
            number = self._account.store.next_number("stripe.counter.delivery")
            self._owed.put(
                str(number),
                {
                    "event_id": event_id,
                    "attempt": 1,
                    "due_at": _now() if due_at is None else due_at,
                },
            )

    async def run(self) -> None:
        """Deliver what is due, one at a time, for ever."""
        # Webhooks go straight to the endpoint, whatever proxy this machine's environment names.
        async with httpx.AsyncClient(trust_env=False, follow_redirects=False) as client:
            while True:
                self._account.store.commit()
                due = self._due()
                for key, delivery in due:
                    if self._account.switches.webhooks_paused:
                        break
                    await self._deliver(client, key, delivery)
                if not due:
                    await asyncio.sleep(_POLL_SECONDS)

    def _due(self) -> list[tuple[str, Delivery]]:
        if self._account.switches.webhooks_paused:
            return []
        now = _now()
        due = [(key, delivery) for key, delivery in self._owed.items() if delivery["due_at"] <= now]
        if self._account.switches.webhooks_shuffled and len(due) > 1:
            shuffled = self._account.board.random.sample(due, len(due))
            due = shuffled if shuffled != due else due[::-1]
        return due

    async def _deliver(self, client: httpx.AsyncClient, key: str, delivery: Delivery) -> None:
        endpoint, event = self.endpoint, self._account.events.get(delivery["event_id"])
        if endpoint is None or event is None:
            self._owed.remove(key)
            return
        attempt = await self._post(client, endpoint, event, delivery["attempt"])
        self.attempts.append(attempt)
        if attempt["status"] is not None and 200 <= attempt["status"] < 300:
            self._owed.remove(key)
            current = self._account.events.get(event["id"])
            if current is not None:
                self._account.events.put(event["id"], {**current, "pending_webhooks": 0})
            return
        waits = self._account.switches.webhook_retry_seconds
        if delivery["attempt"] > len(waits):
            self._owed.remove(key)
            return
        wait = waits[delivery["attempt"] - 1]
        self._owed.put(
            key,
            {
                "event_id": event["id"],
                "attempt": delivery["attempt"] + 1,
                "due_at": _now() + int(wait * 1000),
            },
        )

    async def _post(
        self, client: httpx.AsyncClient, endpoint: Endpoint, event: Event, number: int
    ) -> Attempt:
        switches = self._account.switches
        body = exact_json.write(event, indent=2).encode()
        forged = self._account.board.take("webhook_bad_signature_next")
        secrets = ["whsec_of_somebody_else"] if forged else endpoint["secrets"]
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": signature(
                body, secrets, int(time.time()) - switches.webhook_age_seconds
            ),
        }
        attempt: Attempt = {
            "event_id": event["id"],
            "type": event["type"],
            "attempt": number,
            "status": None,
            "error": None,
        }
        try:
            reply = await client.post(
                endpoint["url"],
                content=body,
                headers=headers,
                timeout=switches.webhook_timeout_seconds,
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return {**attempt, "error": f"{type(error).__name__}: {error}"}
        return {**attempt, "status": reply.status_code}


def _now() -> int:
    return time.time_ns() // 1_000_000
