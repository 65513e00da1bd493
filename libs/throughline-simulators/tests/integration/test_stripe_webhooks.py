import json
import time

import pytest
import stripe

from throughline_simulators.testing import Simulators, WebhookReceiver

FAST = {"webhook_retry_seconds": [0.1, 0.1]}


def pay(simulators: Simulators, amount: int = 100) -> str:
    paid = simulators.stripe.receive_bank_transfer(amount=amount, currency="eur", metadata={})
    return str(paid["id"])


def verified(receiver: WebhookReceiver, secret: str, place: int = -1) -> stripe.Event:
    headers, body = receiver.received[place]
    return stripe.Webhook.construct_event(body, headers["Stripe-Signature"], secret)  # type: ignore[no-any-return]  # the vendor left it untyped


def test_each_event_is_delivered_signed(simulators: Simulators, receiver: WebhookReceiver) -> None:
    intent_id = pay(simulators, amount=3179680)
    simulators.stripe.wait_until_delivered()

    assert [event["type"] for event in receiver.events] == [
        "payment_intent.created", "charge.succeeded", "payment_intent.succeeded",
    ]  # fmt: skip
    event = verified(receiver, "whsec_first")
    assert event.type == "payment_intent.succeeded"
    assert event.data.object["id"] == intent_id
    assert event.data.object["amount_received"] == 3179680
    assert set(receiver.events[-1]) == {
        "id", "object", "api_version", "created", "data", "livemode", "pending_webhooks",
        "request", "type",
    }  # fmt: skip


def test_an_event_tells_the_request_that_caused_it(
    payments: stripe.StripeClient, simulators: Simulators, receiver: WebhookReceiver
) -> None:
    payments.v1.payment_intents.create(
        {"amount": 100, "currency": "eur"}, {"idempotency_key": "q2c-1"}
    )
    pay(simulators)
    simulators.stripe.wait_until_delivered()

    by_api, by_payer = receiver.events[0]["request"], receiver.events[1]["request"]
    assert by_api["id"].startswith("req_")
    assert by_api["idempotency_key"] == "q2c-1"
    assert by_payer == {"id": None, "idempotency_key": None}


def test_the_body_is_not_what_a_client_would_write_again(
    simulators: Simulators, receiver: WebhookReceiver
) -> None:
    pay(simulators)
    simulators.stripe.wait_until_delivered()
    headers, body = receiver.received[-1]

    with pytest.raises(stripe.SignatureVerificationError):
        stripe.WebhookSignature.verify_header(
            json.dumps(json.loads(body)), headers["Stripe-Signature"], "whsec_first"
        )


def test_while_a_secret_is_rolled_both_sign(
    simulators: Simulators, receiver: WebhookReceiver
) -> None:
    simulators.stripe.roll_secret("whsec_second")
    pay(simulators)
    simulators.stripe.wait_until_delivered()
    verified(receiver, "whsec_first")
    verified(receiver, "whsec_second")

    simulators.stripe.drop_old_secrets()
    pay(simulators)
    simulators.stripe.wait_until_delivered()

    verified(receiver, "whsec_second")
    with pytest.raises(stripe.SignatureVerificationError):
        verified(receiver, "whsec_first")


@pytest.mark.parametrize(
    "misdeed", [{"webhook_bad_signature_next": 3}, {"webhook_age_seconds": 301}]
)
def test_forged_and_stale_signatures_are_there_to_be_refused(
    simulators: Simulators, receiver: WebhookReceiver, misdeed: dict[str, int]
) -> None:
    simulators.stripe.turn(**misdeed)
    pay(simulators)
    simulators.stripe.wait_until_delivered()

    with pytest.raises(stripe.SignatureVerificationError):
        verified(receiver, "whsec_first")


def test_a_refused_delivery_is_tried_again_with_a_fresh_signature(
    simulators: Simulators, receiver: WebhookReceiver
) -> None:
    simulators.stripe.turn(**FAST)
    receiver.answers.extend([500, 302])
    pay(simulators)

    attempts = simulators.stripe.wait_until_delivered()

    first = receiver.events[0]["id"]
    assert [event["id"] for event in receiver.events].count(first) == 2
    assert [attempt["status"] for attempt in attempts] == [500, 302, 200, 200, 200]
    assert [a["attempt"] for a in attempts if a["event_id"] == first] == [1, 2]
    verified(receiver, "whsec_first")


def test_delivery_gives_up_after_its_retries(
    simulators: Simulators, receiver: WebhookReceiver, payments: stripe.StripeClient
) -> None:
    simulators.stripe.turn(**FAST)
    receiver.answers.extend([500] * 9)
    pay(simulators)

    attempts = simulators.stripe.wait_until_delivered()

    assert len(attempts) == 9
    assert payments.v1.events.list().data[0].pending_webhooks == 1
    assert simulators.stripe.deliver(types=["payment_intent.succeeded"]) == 1
    simulators.stripe.wait_until_delivered()
    assert payments.v1.events.list().data[0].pending_webhooks == 0


def test_an_endpoint_that_is_down_gets_its_events_later(
    simulators: Simulators, receiver: WebhookReceiver
) -> None:
    simulators.stripe.turn(webhook_retry_seconds=[0.5])
    simulators.stripe.set_webhook_endpoint("http://127.0.0.1:9/", ["whsec_first"])
    pay(simulators)
    while not simulators.stripe.deliveries()["attempts"]:
        time.sleep(0.02)

    simulators.stripe.set_webhook_endpoint(receiver.url, ["whsec_first"])
    attempts = simulators.stripe.wait_until_delivered()

    assert attempts[0]["status"] is None
    assert "ConnectError" in attempts[0]["error"]
    assert len(receiver.events) == 3


def test_each_event_may_come_many_times(simulators: Simulators, receiver: WebhookReceiver) -> None:
    simulators.stripe.turn(webhook_copies=5)
    pay(simulators)
    simulators.stripe.wait_until_delivered()

    ids = [event["id"] for event in receiver.events]
    assert len(ids) == 15
    assert all(ids.count(each) == 5 for each in set(ids))


def test_what_is_due_together_may_come_out_of_order(
    simulators: Simulators, receiver: WebhookReceiver, payments: stripe.StripeClient
) -> None:
    simulators.stripe.turn(webhooks_paused=True, webhooks_shuffled=True)
    for amount in range(100, 105):
        pay(simulators, amount)
    assert receiver.events == []

    simulators.stripe.turn(webhooks_paused=False)
    simulators.stripe.wait_until_delivered()

    told = [event.id for event in reversed(payments.v1.events.list({"limit": 100}).data)]
    delivered = [event["id"] for event in receiver.events]
    assert sorted(delivered) == sorted(told)
    assert delivered != told


def test_an_event_can_be_delivered_again_at_will(
    simulators: Simulators, receiver: WebhookReceiver
) -> None:
    pay(simulators)
    simulators.stripe.wait_until_delivered()
    event_id = receiver.events[-1]["id"]

    simulators.stripe.deliver([event_id], times=5)
    simulators.stripe.deliver(shuffled=True, times=2)
    simulators.stripe.wait_until_delivered()

    assert [event["id"] for event in receiver.events].count(event_id) == 1 + 5 + 2


def test_an_endpoint_gets_only_the_types_it_wants(
    simulators: Simulators, receiver: WebhookReceiver
) -> None:
    simulators.stripe.set_webhook_endpoint(
        receiver.url, ["whsec_first"], event_types=["payment_intent.succeeded"]
    )
    pay(simulators)
    simulators.stripe.wait_until_delivered()

    assert [event["type"] for event in receiver.events] == ["payment_intent.succeeded"]


def test_an_event_shows_its_object_as_it_was_then(
    simulators: Simulators, receiver: WebhookReceiver, payments: stripe.StripeClient
) -> None:
    intent_id = pay(simulators, amount=900)
    payments.v1.refunds.create({"payment_intent": intent_id, "amount": 300})
    simulators.stripe.wait_until_delivered()

    by_type = {event["type"]: event["data"] for event in receiver.events}
    assert by_type["charge.succeeded"]["object"]["amount_refunded"] == 0
    assert by_type["charge.refunded"]["object"]["amount_refunded"] == 300
    assert by_type["charge.refunded"]["previous_attributes"]["amount_refunded"] == 0
