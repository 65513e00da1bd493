"""The month end of the drill: release, invoices, a payment; invoicing is killed in between."""

import asyncio
import time
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from e2e_deals import CURRENCY, LAST_DAY
from e2e_sandbox import Sandbox

from faults.killer import Killer
from faults.persistent import Persistent
from throughline_cli.api import Document
from throughline_cli.story.opening import SIGNING_SECRET
from throughline_simulators.control_client import ControlClient, StripeControls

_INVOICING: Final = "invoice-payment"
_PHASES: Final = ("drafting", "drafted", "approving", "approved", "issuing", "issued")
_PHASE_SECONDS: Final = 180.0
_TRANSFER_MAX: Final = Decimal("999999.99")
"""Stripe moves no more at once."""
_PAID_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.2
_CALLBACKS: Final = 5


class MonthEndStuck(Exception):
    """A step of the month end did not come to its end."""


@dataclass(frozen=True, slots=True)
class MonthEnd:
    """What came of it: the issued invoices, and what was paid on the first."""

    invoices: tuple[Document, ...]
    paid: Decimal


async def release(rest: Persistent, entity_id: str) -> None:
    """Pass what waits for a second person, chunk by chunk."""
    has_more = True
    while has_more:
        reply = await rest.post(
            "finance", "/v1/billing-events:release", {"legal_entity_id": entity_id}
        )
        has_more = reply["has_more"]


async def invoice(rest: Persistent, killer: Killer | None, entity_id: str) -> tuple[Document, ...]:
    """Draft, approve and issue; a killer strikes the service while it drafts and issues."""
    started = await rest.post(
        "finance", "/v1/invoice-runs", {"legal_entity_id": entity_id, "cut_off": LAST_DAY}
    )
    if killer is not None:
        await killer.kill(_INVOICING)
    run_id = started["run"]["run_id"]
    await _reach(rest, run_id, "drafted")
    # Whoever starts a run does not approve it.
    await rest.post("controller", f"/v1/invoice-runs/{run_id}:approve", {})
    await _reach(rest, run_id, "approved")
    await rest.post("controller", f"/v1/invoice-runs/{run_id}:issue", {})
    if killer is not None:
        await killer.kill(_INVOICING)
    await _reach(rest, run_id, "issued")
    return tuple(
        [each async for each in rest.pages("finance", "/v1/invoices", "invoices", run_id=run_id)]
    )


async def pay(rest: Persistent, sandbox: Sandbox, invoice: Document) -> Decimal:
    """Have Stripe report one transfer five times; return its amount once it is booked."""
    assert sandbox.state.simulators_url is not None
    vendors = ControlClient(sandbox.state.simulators_url)
    gross = Decimal(invoice["gross_total"]["amount"])
    amount = min(gross, _TRANSFER_MAX)
    expected = "paid" if amount == gross else "partially_paid"
    await asyncio.to_thread(_transfer, vendors.stripe, sandbox.url, invoice["number"], amount)
    deadline = time.monotonic() + _PAID_SECONDS
    path = f"/v1/invoices/{invoice['invoice_id']}"
    while (await rest.get("finance", path))["invoice"]["status"] != expected:
        if time.monotonic() > deadline:
            raise MonthEndStuck(f"the payment of {invoice['number']} is not booked")
        await asyncio.sleep(_LOOK_SECONDS)
    return amount


def _transfer(stripe: StripeControls, gateway_url: str, number: str, amount: Decimal) -> None:
    stripe.set_webhook_endpoint(
        f"{gateway_url}/v1/webhooks/stripe",
        [SIGNING_SECRET],
        event_types=("payment_intent.succeeded",),
    )
    stripe.receive_bank_transfer(
        amount=int(amount * 100), currency=CURRENCY.lower(), metadata={"invoice_number": number}
    )
    [*_, last] = stripe.wait_until_delivered()
    stripe.deliver([last["event_id"]], times=_CALLBACKS - 1)
    stripe.wait_until_delivered()


async def _reach(rest: Persistent, run_id: str, phase: str) -> None:
    deadline = time.monotonic() + _PHASE_SECONDS
    while True:
        run = (await rest.get("finance", f"/v1/invoice-runs/{run_id}"))["run"]
        if _PHASES.index(run["status"]) >= _PHASES.index(phase):
            return
        if time.monotonic() > deadline:
            raise MonthEndStuck(f"the invoice run is {run['status']}, not {phase}")
        await asyncio.sleep(_LOOK_SECONDS)
