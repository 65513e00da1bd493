from collections.abc import Mapping
from typing import Any

import httpx
import pytest
import stripe

from throughline_simulators.control_client import ControlRefused
from throughline_simulators.testing import Simulators

CARD = {
    "amount": 5000,
    "currency": "eur",
    "payment_method": "pm_card_visa",
    "confirm": True,
    "metadata": {"invoice_number": "INV-2026-000042"},
}
TRANSFER = {
    "amount": 5000,
    "currency": "eur",
    "customer": "cus_1",
    "payment_method_types": ["customer_balance"],
    "payment_method_data": {"type": "customer_balance"},
    "confirm": True,
}


def create(payments: stripe.StripeClient, given: Mapping[str, Any]) -> stripe.PaymentIntent:
    return payments.v1.payment_intents.create(params=given)  # type: ignore[arg-type]


def event_types(payments: stripe.StripeClient) -> list[str]:
    return [event.type for event in reversed(payments.v1.events.list().data)]


def test_a_card_payment_succeeds_at_once(payments: stripe.StripeClient) -> None:
    intent = create(payments, CARD)

    assert (intent.status, intent.amount_received) == ("succeeded", 5000)
    assert intent.metadata["invoice_number"] == "INV-2026-000042"
    charge = payments.v1.charges.retrieve(str(intent.latest_charge))
    assert (charge.paid, charge.captured, charge.amount_captured) == (True, True, 5000)
    transaction = payments.v1.balance_transactions.retrieve(str(charge.balance_transaction))
    assert (transaction.amount, transaction.fee, transaction.net) == (5000, 100, 4900)
    assert transaction.source == charge.id
    assert event_types(payments) == [
        "payment_intent.created", "charge.succeeded", "payment_intent.succeeded",
    ]  # fmt: skip


def test_ids_are_expanded_into_documents(payments: stripe.StripeClient) -> None:
    intent = create(payments, {**CARD, "expand": ["latest_charge.balance_transaction"]})

    assert isinstance(intent.latest_charge, stripe.Charge)
    assert isinstance(intent.latest_charge.balance_transaction, stripe.BalanceTransaction)


@pytest.mark.parametrize(
    ("method", "code", "decline_code"),
    [
        ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
    ],
)
def test_a_declined_card_is_a_card_error(
    payments: stripe.StripeClient, method: str, code: str, decline_code: str
) -> None:
    with pytest.raises(stripe.CardError) as declined:
        create(payments, {**CARD, "payment_method": method})

    assert (declined.value.http_status, declined.value.code) == (402, code)
    assert declined.value.error is not None
    assert declined.value.error.decline_code == decline_code
    assert event_types(payments)[-1] == "payment_intent.payment_failed"


def test_an_intent_may_fail_often_and_succeed_once(payments: stripe.StripeClient) -> None:
    with pytest.raises(stripe.CardError):
        create(payments, {**CARD, "payment_method": "pm_card_chargeDeclined"})
    [failed] = payments.v1.payment_intents.list().data

    paid = payments.v1.payment_intents.confirm(failed.id, {"payment_method": "pm_card_visa"})

    charges = payments.v1.charges.list({"payment_intent": paid.id}).data
    assert failed.status == "requires_payment_method"
    assert failed.last_payment_error is not None
    assert (paid.status, paid.last_payment_error) == ("succeeded", None)
    assert [charge.status for charge in charges] == ["succeeded", "failed"]
    assert paid.latest_charge == charges[0].id


def test_a_bank_debit_rests_in_processing_until_the_bank_decides(
    simulators: Simulators, payments: stripe.StripeClient
) -> None:
    debit = {"amount": 700, "currency": "eur", "payment_method_data": {"type": "sepa_debit"}}
    good, bad = (create(payments, {**debit, "confirm": True}) for _ in range(2))

    paid = simulators.stripe.pay(good.id)
    failed = simulators.stripe.fail(bad.id, decline="debit_not_authorized")

    assert (good.status, bad.status) == ("processing", "processing")
    assert (paid["status"], paid["latest_charge"]) == ("succeeded", good.latest_charge)
    assert failed["status"] == "requires_payment_method"
    assert "payment_intent.processing" in event_types(payments)


def test_a_bank_transfer_waits_until_all_of_it_has_come(
    simulators: Simulators, payments: stripe.StripeClient
) -> None:
    intent = create(payments, TRANSFER)

    part = simulators.stripe.pay(intent.id, amount=2000)
    whole = simulators.stripe.pay(intent.id)

    assert intent.status == "requires_action"
    instructions = part["next_action"]["display_bank_transfer_instructions"]
    assert (part["status"], part["amount_received"]) == ("requires_action", 0)
    assert instructions["amount_remaining"] == 3000
    assert (whole["status"], whole["amount_received"]) == ("succeeded", 5000)
    assert "payment_intent.partially_funded" in event_types(payments)
    with pytest.raises(ControlRefused, match="succeeded"):
        simulators.stripe.pay(intent.id)


def test_a_card_is_not_paid_in_part(simulators: Simulators, payments: stripe.StripeClient) -> None:
    intent = create(payments, {"amount": 5000, "currency": "eur"})

    with pytest.raises(ControlRefused, match="in part"):
        simulators.stripe.pay(intent.id, amount=2000)
    with pytest.raises(ControlRefused, match="more than"):
        simulators.stripe.pay(intent.id, amount=5001)


def test_a_customers_transfer_of_any_amount_names_its_invoice(
    simulators: Simulators, payments: stripe.StripeClient
) -> None:
    received = simulators.stripe.receive_bank_transfer(
        amount=123456, currency="eur", customer="cus_1", metadata={"invoice_number": "INV10318"}
    )

    intent = payments.v1.payment_intents.retrieve(received["id"])
    assert (intent.status, intent.amount_received) == ("succeeded", 123456)
    assert intent.metadata.to_dict() == {"invoice_number": "INV10318"}
    assert intent.payment_method_types == ["customer_balance"]
    assert event_types(payments)[-1] == "payment_intent.succeeded"


def test_manual_capture_takes_all_or_less(payments: stripe.StripeClient) -> None:
    intent = create(payments, {**CARD, "capture_method": "manual"})

    captured = payments.v1.payment_intents.capture(intent.id, {"amount_to_capture": 3000})

    assert (intent.status, intent.amount_capturable) == ("requires_capture", 5000)
    assert (captured.status, captured.amount_received) == ("succeeded", 3000)
    with pytest.raises(stripe.InvalidRequestError, match="status of succeeded"):
        payments.v1.payment_intents.capture(intent.id)


def test_a_card_may_ask_for_authentication(
    simulators: Simulators, payments: stripe.StripeClient
) -> None:
    intent = create(payments, {**CARD, "payment_method": "pm_card_authenticationRequired"})

    assert intent.status == "requires_action"
    assert simulators.stripe.pay(intent.id)["status"] == "succeeded"


def test_an_unpaid_intent_can_be_changed_and_canceled(payments: stripe.StripeClient) -> None:
    intent = create(payments, {"amount": 100, "currency": "EUR", "metadata": {"a": "1", "b": "2"}})

    changed = payments.v1.payment_intents.update(intent.id, {"amount": 90, "metadata": {"b": ""}})
    canceled = payments.v1.payment_intents.cancel(intent.id, {"cancellation_reason": "duplicate"})

    assert (intent.currency, changed.amount) == ("eur", 90)
    assert changed.metadata.to_dict() == {"a": "1"}
    assert (canceled.status, canceled.cancellation_reason) == ("canceled", "duplicate")
    with pytest.raises(stripe.InvalidRequestError) as refused:
        payments.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    assert refused.value.code == "payment_intent_unexpected_state"


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"currency": "eur"}, "amount"),
        ({"amount": 100}, "currency"),
        ({"amount": "12.50", "currency": "eur"}, "amount"),
        ({"amount": -1, "currency": "eur"}, "amount"),
        ({"amount": 10**9, "currency": "eur"}, "amount"),
        ({"amount": 100, "currency": "euro"}, "currency"),
        ({"amount": 100, "currency": "eur", "ammount": 1}, "ammount"),
        ({"amount": 100, "currency": "eur", "payment_method": "pm_none"}, "payment_method"),
        ({"amount": 100, "currency": "eur", "metadata": {"a": "x" * 501}}, "metadata[a]"),
        ({"amount": 100, "currency": "eur", "expand": ["secrets"]}, "expand"),
        ({"amount": 100, "currency": "eur", "payment_method_types": ["cash"]},
         "payment_method_types"),
    ],
)  # fmt: skip
def test_wrong_parameters_are_refused_by_name_and_make_nothing(
    payments: stripe.StripeClient, given: Mapping[str, Any], param: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        create(payments, given)

    assert (refused.value.http_status, refused.value.param) == (400, param)
    assert payments.v1.payment_intents.list().data == []


def test_an_unknown_id_is_missing(payments: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        payments.v1.payment_intents.retrieve("pi_none")

    assert (refused.value.http_status, refused.value.code) == (404, "resource_missing")


@pytest.mark.parametrize("authorization", ["", "Bearer sk_test_other", "Basic !"])
def test_a_call_needs_the_secret_key(simulators: Simulators, authorization: str) -> None:
    refused = httpx.get(
        f"{simulators.stripe_url}/v1/events", headers={"Authorization": authorization}
    )

    assert refused.status_code == 401
    assert refused.json()["error"]["type"] == "invalid_request_error"


def test_the_balance_transaction_may_come_late(
    simulators: Simulators, payments: stripe.StripeClient
) -> None:
    simulators.stripe.turn(balance_transaction_reads=2)
    charge_id = str(create(payments, CARD).latest_charge)

    seen = [payments.v1.charges.retrieve(charge_id).balance_transaction for _ in range(3)]

    assert seen[:2] == [None, None]
    assert str(seen[2]).startswith("txn_")
    assert event_types(payments)[-1] == "charge.updated"


def test_settlement_may_be_in_another_currency(
    simulators: Simulators, payments: stripe.StripeClient
) -> None:
    simulators.stripe.turn(settlement_currency="usd", exchange_rate="1.2")

    intent = create(payments, {**CARD, "expand": ["latest_charge.balance_transaction"]})

    assert isinstance(intent.latest_charge, stripe.Charge)
    transaction = intent.latest_charge.balance_transaction
    assert isinstance(transaction, stripe.BalanceTransaction)
    assert (transaction.currency, transaction.amount, transaction.fee) == ("usd", 6000, 120)
    assert transaction.exchange_rate == 1.2


def test_refunds_give_back_at_most_what_was_paid(payments: stripe.StripeClient) -> None:
    intent = create(payments, CARD)

    first = payments.v1.refunds.create({"payment_intent": intent.id, "amount": 2000})
    second = payments.v1.refunds.create({"charge": str(intent.latest_charge)})

    charge = payments.v1.charges.retrieve(str(intent.latest_charge))
    assert (first.status, first.amount, second.amount) == ("succeeded", 2000, 3000)
    assert (charge.amount_refunded, charge.refunded) == (5000, True)
    assert "charge.refunded" in event_types(payments)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        payments.v1.refunds.create({"payment_intent": intent.id, "amount": 1})
    assert refused.value.code == "charge_already_refunded"


def test_a_refund_can_fail_later(simulators: Simulators, payments: stripe.StripeClient) -> None:
    simulators.stripe.turn(refunds_pending=True, refund_failed_event="charge.refund.failed")
    intent = create(payments, CARD)
    refund = payments.v1.refunds.create({"payment_intent": intent.id})

    failed = simulators.stripe.settle_refund(refund.id, succeeded=False)

    charge = payments.v1.charges.retrieve(str(intent.latest_charge))
    moved = payments.v1.balance_transactions.list({"source": refund.id}).data
    assert (refund.status, failed["status"]) == ("pending", "failed")
    assert (charge.amount_refunded, charge.refunded) == (0, False)
    assert sum(transaction.net for transaction in moved) == 0
    assert event_types(payments)[-2:] == ["refund.updated", "charge.refund.failed"]


def test_a_dispute_takes_the_money_and_a_won_one_brings_it_back(
    simulators: Simulators, payments: stripe.StripeClient
) -> None:
    charge_id = str(create(payments, CARD).latest_charge)
    dispute = simulators.stripe.open_dispute(charge_id)
    disputed = payments.v1.charges.retrieve(charge_id).disputed

    closed = simulators.stripe.close_dispute(dispute["id"], won=True)

    assert disputed is True
    assert (dispute["status"], closed["status"]) == ("needs_response", "won")
    assert sum(each["amount"] for each in closed["balance_transactions"]) == 0
    assert {"charge.dispute.created", "charge.dispute.closed"} <= set(event_types(payments))


def test_lists_go_newest_first_in_pages(payments: stripe.StripeClient) -> None:
    made = [create(payments, {"amount": n, "currency": "eur"}).id for n in range(1, 8)]

    first = payments.v1.payment_intents.list({"limit": 3})
    every = [intent.id for intent in first.auto_paging_iter()]
    before = payments.v1.payment_intents.list({"limit": 2, "ending_before": made[0]})

    assert every == made[::-1]
    assert first.has_more is True
    assert [intent.id for intent in before.data] == [made[2], made[1]]
    with pytest.raises(stripe.InvalidRequestError):
        payments.v1.payment_intents.list({"limit": 101})


def test_events_are_filtered_by_type_and_time(payments: stripe.StripeClient) -> None:
    intent = create(payments, CARD)

    succeeded = payments.v1.events.list({"type": "payment_intent.succeeded"}).data
    family = payments.v1.events.list({"types": ["charge.*", "refund.*"]}).data
    later = payments.v1.events.list({"created": {"gt": intent.created + 3600}}).data

    assert [event.data.object["id"] for event in succeeded] == [intent.id]
    assert [event.type for event in family] == ["charge.succeeded"]
    assert later == []
    assert payments.v1.events.retrieve(succeeded[0].id).type == "payment_intent.succeeded"


def test_events_are_forgotten_after_a_month(
    simulators: Simulators, payments: stripe.StripeClient
) -> None:
    create(payments, CARD)

    simulators.control.move_clock(offset_seconds=31 * 86400)

    assert payments.v1.events.list().data == []
