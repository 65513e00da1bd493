"""A client for the controls, for tests, demos and sandboxes. Its calls block: no event loop."""

import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeAlias, cast

import httpx

from throughline_simulators import exact_json

Document: TypeAlias = Mapping[str, Any]


class ControlRefused(Exception):
    """The controls refused a request; the message says why."""


class _Controls:
    def __init__(self, http: httpx.Client, vendor: str) -> None:
        self._http = http
        self._vendor = vendor

    def turn(self, **switches: object) -> Document:
        """Set some switches and return all; see the vendor's `Switches` for their names."""
        return self._call("PATCH", "/switches", switches)

    def switches(self) -> Document:
        return self._call("GET", "/switches")

    def calls(self) -> Document:
        """Return counts since the last reset, by `operations`, `statuses` and `faults`."""
        return self._call("GET", "/calls")

    def reset(self, *, data: bool = False) -> None:
        """Turn all switches back and zero the counts; with `data` forget all records as well."""
        self._call("POST", f"/reset?data={str(data).lower()}")

    def _call(self, method: str, path: str, body: object = None) -> Document:
        reply = self._http.request(
            method,
            f"/_control/{self._vendor}{path}",
            content=None if body is None else exact_json.write(body),
            headers={"Content-Type": "application/json"},
        )
        if reply.is_error:
            raise ControlRefused(f"{method} {path}: {reply.status_code} {reply.text}")
        return cast("Document", exact_json.read(reply.content)) if reply.content else {}


class SalesforceControls(_Controls):
    """What an administrator, CPQ and time do to the org."""

    def seed(
        self,
        records: Iterable[Mapping[str, object]],
        *,
        fields: Iterable[Mapping[str, object]] = (),
    ) -> Mapping[str, str]:
        """Load records, parents first, and return the id of each `attributes.referenceId`."""
        body = {"fields": list(fields), "records": list(records)}
        seeded: Mapping[str, Mapping[str, str]] = self._call("POST", "/seed", body)
        return seeded["ids"]

    def hide_field(self, object_name: str, field: str, *, hidden: bool = True) -> None:
        body = {"object": object_name, "field": field, "hidden": hidden}
        self._call("POST", "/hidden-fields", body)

    def recalculate(self, quote_id: str) -> None:
        """Let CPQ recalculate a quote as after an edit, with the lag that the switches ask for."""
        self._call("POST", "/recalculate", {"quote_id": quote_id})

    def expire_sessions(self) -> None:
        self._call("POST", "/expire-sessions")


class StripeControls(_Controls):
    """What payers, banks and the vendor's delivery do. Amounts are in minor units."""

    def set_webhook_endpoint(
        self, url: str, secrets: Sequence[str], *, event_types: Sequence[str] = ("*",)
    ) -> None:
        body = {"url": url, "secrets": list(secrets), "event_types": list(event_types)}
        self._call("PUT", "/webhook-endpoint", body)

    def remove_webhook_endpoint(self) -> None:
        self._call("DELETE", "/webhook-endpoint")

    def roll_secret(self, secret: str) -> None:
        """Sign with `secret`, and with the one before it until `drop_old_secrets`."""
        self._call("POST", "/webhook-endpoint/roll-secret", {"secret": secret})

    def drop_old_secrets(self) -> None:
        self._call("POST", "/webhook-endpoint/drop-old-secrets")

    def pay(self, intent_id: str, *, amount: int | None = None, kind: str = "card") -> Document:
        """Let the payer pay an intent, all of it or, by bank transfer, a part."""
        return self._call(
            "POST", f"/payment-intents/{intent_id}/pay", {"amount": amount, "kind": kind}
        )

    def fail(self, intent_id: str, *, decline: str = "generic_decline") -> Document:
        return self._call("POST", f"/payment-intents/{intent_id}/fail", {"decline": decline})

    def receive_bank_transfer(
        self,
        *,
        amount: int,
        currency: str,
        metadata: Mapping[str, str],
        customer: str | None = None,
        description: str | None = None,
    ) -> Document:
        """Book a customer's transfer of just that amount and return its succeeded intent."""
        body = {
            "amount": amount,
            "currency": currency,
            "metadata": metadata,
            "customer": customer,
            "description": description,
        }
        return self._call("POST", "/bank-transfers", body)

    def settle_refund(self, refund_id: str, *, succeeded: bool) -> Document:
        return self._call("POST", f"/refunds/{refund_id}/settle", {"succeeded": succeeded})

    def open_dispute(self, charge_id: str, *, amount: int | None = None) -> Document:
        return self._call("POST", f"/charges/{charge_id}/dispute", {"amount": amount})

    def close_dispute(self, dispute_id: str, *, won: bool) -> Document:
        return self._call("POST", f"/disputes/{dispute_id}/close", {"won": won})

    def deliver(
        self,
        event_ids: Sequence[str] = (),
        *,
        types: Sequence[str] = (),
        times: int = 1,
        shuffled: bool = False,
    ) -> int:
        """Deliver events again, all if none are named; return how many deliveries are added."""
        body = {
            "event_ids": list(event_ids),
            "types": list(types),
            "times": times,
            "shuffled": shuffled,
        }
        owed: int = self._call("POST", "/deliver", body)["owed"]
        return owed

    def deliveries(self) -> Document:
        """Return how many deliveries are `owed`, and the `attempts` made."""
        return self._call("GET", "/deliveries")

    def wait_until_delivered(self, *, timeout_seconds: float = 10.0) -> Sequence[Document]:
        """Wait until nothing is owed and return all attempts.

        Call it from another thread than the one that receives the webhooks.

        Raises:
            TimeoutError: deliveries are still owed, or paused.
        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            deliveries = self.deliveries()
            if deliveries["owed"] == 0:
                attempts: Sequence[Document] = deliveries["attempts"]
                return attempts
            if time.monotonic() > deadline:
                raise TimeoutError(f"{deliveries['owed']} deliveries are still owed")
            time.sleep(0.02)


class ControlClient:
    """The controls of a running process at `url`."""

    def __init__(self, url: str) -> None:
        # The simulators are on this machine or network: no proxy stands between.
        self._http = httpx.Client(base_url=url, timeout=30, trust_env=False)
        self.salesforce = SalesforceControls(self._http, "salesforce")
        self.stripe = StripeControls(self._http, "stripe")

    def move_clock(self, *, offset_seconds: int) -> None:
        """Let the vendors' stamps run ahead of real time."""
        self._http.put(
            "/_control/clock", json={"offset_seconds": offset_seconds}
        ).raise_for_status()

    def is_ready(self) -> bool:
        try:
            return self._http.get("/_control/health").is_success
        except httpx.TransportError:
            return False

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
