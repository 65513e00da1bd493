"""Signed callbacks are stored once and become payments, read anew from the vendor."""

import asyncio
import json
import time

import pytest
import stripe
from connectors_world import NotNow, World
from sqlalchemy import text

from connectors import schedules
from connectors.grpc_api import WebhookServicer
from connectors.settings import ConnectorSettings
from throughline.connectors.v1 import webhook_service_pb2 as pb
from throughline_core.errors import StaleVersion, Unauthenticated
from throughline_runtime.database import read

INVOICE = {"invoice_number": "INV-DE01-2026-000001", "legal_entity": "DE01"}


def signed(
    body: str, secret: str = "whsec_first", *, age_seconds: int = 0
) -> pb.ReceiveWebhookRequest:
    stamp = int(time.time()) - age_seconds
    signature = stripe.WebhookSignature._compute_signature(f"{stamp}.{body}", secret)
    return pb.ReceiveWebhookRequest(
        provider="stripe",
        body=body.encode(),
        headers={"stripe-signature": f"t={stamp},v1={signature}"},
    )


async def paid(world: World, amount: int = 11900) -> str:
    """Let a bank transfer arrive at the vendor and return the callback that tells of it."""
    intent = await asyncio.to_thread(
        world.simulators.stripe.receive_bank_transfer,
        amount=amount,
        currency="eur",
        metadata=INVOICE,
    )
    return event_of(str(intent["id"]))


def event_of(intent_id: str, kind: str = "payment_intent.succeeded", number: int = 1) -> str:
    return json.dumps(
        {"id": f"evt_{intent_id}_{number}", "type": kind, "data": {"object": {"id": intent_id}}}
    )


async def receive(
    world: World, body: str, *, secret: str = "whsec_first"
) -> pb.ReceiveWebhookResponse:
    return await WebhookServicer(world.context).ReceiveWebhook(signed(body, secret), None)


async def states(world: World) -> dict[str, int]:
    async with read(world.context.engine) as tx:
        rows = await tx.execute(text("SELECT status, sum(deliveries) FROM webhook GROUP BY status"))
    return {status: int(deliveries) for status, deliveries in rows.all()}


async def test_a_payment_is_recorded_from_what_the_vendor_says_now(world: World) -> None:
    await world.connect_stripe()
    await receive(world, await paid(world))

    await schedules.work_webhooks(world.context)

    [payment] = world.owners.payments
    assert (payment.amount.amount, payment.amount.currency) == ("119", "EUR")
    assert payment.provider_payment_id.startswith("ch_")
    assert payment.reference == INVOICE["invoice_number"]
    assert payment.legal_entity_code == "DE01"
    assert await states(world) == {"done": 1}


async def test_the_same_callback_five_times_is_worked_on_once(world: World) -> None:
    await world.connect_stripe()
    body = await paid(world)
    replies = [await receive(world, body) for _ in range(5)]
    await schedules.work_webhooks(world.context)
    await schedules.work_webhooks(world.context)

    assert [reply.duplicate for reply in replies] == [False, True, True, True, True]
    assert len(world.owners.payments) == 1
    assert await states(world) == {"done": 5}


async def test_callbacks_out_of_order_tell_the_same_story(world: World) -> None:
    await world.connect_stripe()
    body = await paid(world)
    intent = json.loads(body)["data"]["object"]["id"]
    await receive(world, body)
    await receive(world, event_of(intent, "payment_intent.processing", 2))
    await schedules.work_webhooks(world.context)

    assert len({payment.request_id for payment in world.owners.payments}) == 1


@pytest.mark.parametrize("secret", ["whsec_first", "whsec_second"])
async def test_both_live_secrets_are_accepted_while_one_is_rotated(
    world: World, secret: str
) -> None:
    await world.connect_stripe()
    assert not (await receive(world, await paid(world), secret=secret)).duplicate


async def test_a_forged_or_stale_callback_is_refused_and_not_stored(world: World) -> None:
    await world.connect_stripe()
    body = await paid(world)
    servicer = WebhookServicer(world.context)
    forged = signed(body)
    forged.body = body.replace("evt_", "evt_x").encode()
    for request in (
        signed(body, "whsec_other"),
        signed(body, age_seconds=600),
        forged,
        pb.ReceiveWebhookRequest(provider="stripe", body=body.encode()),
    ):
        with pytest.raises(Unauthenticated):
            await servicer.ReceiveWebhook(request, None)
    assert await states(world) == {}


async def test_an_event_that_concerns_nobody_is_kept_as_ignored(world: World) -> None:
    await world.connect_stripe()
    await receive(world, event_of("cus_1", "customer.created"))
    await schedules.work_webhooks(world.context)
    assert await states(world) == {"ignored": 1}


async def test_money_that_goes_back_is_put_before_a_person(world: World) -> None:
    await world.connect_stripe()
    await receive(world, event_of("ch_1", "charge.refunded"))
    await schedules.work_webhooks(world.context)
    assert await states(world) == {"failed": 1}
    assert "charge.refunded" in (await world.exceptions())[schedules.WEBHOOK_FAILED]


async def test_a_refused_payment_is_put_before_a_person(world: World) -> None:
    await world.connect_stripe()
    await receive(world, await paid(world))
    world.owners.refusal = NotNow("no such legal entity")
    await schedules.work_webhooks(world.context)
    assert (await world.exceptions())[schedules.WEBHOOK_FAILED] == "no such legal entity"


async def test_an_outage_of_the_vendor_only_delays(world: World) -> None:
    await world.connect_stripe()
    await receive(world, await paid(world))
    world.simulators.stripe.turn(unavailable_next=20)
    await schedules.work_webhooks(world.context)
    assert await states(world) == {"received": 1}

    world.simulators.stripe.turn(unavailable_next=0)
    async with world.context.engine.begin() as tx:
        await tx.execute(text("UPDATE webhook SET due_at = now()"))
    await schedules.work_webhooks(world.context)
    assert await states(world) == {"done": 1}
    assert len(world.owners.payments) == 1


async def test_a_callback_is_worked_on_by_the_account_that_sent_it(
    world: World, secrets: ConnectorSettings
) -> None:
    """The first account by name cannot read anything: its address answers nobody."""
    (secrets.secrets_dir / "other").write_text("sk_test_other")
    (secrets.secrets_dir / "other-webhook").write_text("whsec_other")
    await world.connect_stripe(name="another", secret_ref="other", base_url="http://127.0.0.1:9")
    await world.connect_stripe()
    await receive(world, await paid(world))

    await schedules.work_webhooks(world.context)

    assert len(world.owners.payments) == 1
    assert await states(world) == {"done": 1}


async def test_a_payment_the_vendor_does_not_know_stops_no_other(world: World) -> None:
    await world.connect_stripe()
    await receive(world, event_of("pi_unknown"))
    await receive(world, await paid(world))

    await schedules.work_webhooks(world.context)

    assert await states(world) == {"done": 1, "failed": 1}
    assert "pi_unknown" in (await world.exceptions())[schedules.WEBHOOK_FAILED]


async def test_a_failed_callback_that_is_sent_again_is_tried_again(world: World) -> None:
    await world.connect_stripe()
    body = await paid(world)
    await receive(world, body)
    world.owners.refusal = NotNow("the legal entity is not there yet")
    await schedules.work_webhooks(world.context)
    assert await states(world) == {"failed": 1}

    world.owners.refusal = None
    assert (await receive(world, body)).duplicate
    await schedules.work_webhooks(world.context)

    assert await states(world) == {"done": 2}
    assert await world.exceptions() == {}


async def test_a_conflict_at_the_owner_only_delays(world: World) -> None:
    await world.connect_stripe()
    await receive(world, await paid(world))
    world.owners.refusal = StaleVersion("somebody else was faster")
    await schedules.work_webhooks(world.context)
    assert await states(world) == {"received": 1}
