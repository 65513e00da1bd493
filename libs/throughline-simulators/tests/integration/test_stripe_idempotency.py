import threading
import time
from typing import Any

import httpx
import pytest
import stripe

from throughline_simulators.testing import Simulators

CARD = {"amount": 5000, "currency": "eur", "payment_method": "pm_card_visa", "confirm": "true"}


def post(
    simulators: Simulators, key: str, form: dict[str, Any], path: str = "/v1/payment_intents"
) -> httpx.Response:
    return httpx.post(
        f"{simulators.stripe_url}{path}",
        data=form,
        headers={"Authorization": "Bearer sk_test_simulated", "Idempotency-Key": key},
    )


def count(payments: stripe.StripeClient) -> int:
    return len(payments.v1.payment_intents.list().data)


def test_a_repeated_key_gets_the_first_reply(
    simulators: Simulators, payments: stripe.StripeClient
) -> None:
    first = post(simulators, "key-1", CARD)
    again = post(simulators, "key-1", dict(reversed(CARD.items())))

    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Request-Id"] == first.headers["Request-Id"]
    assert count(payments) == 1


def test_a_declined_payment_is_replayed_too(
    simulators: Simulators, payments: stripe.StripeClient
) -> None:
    declined = {**CARD, "payment_method": "pm_card_chargeDeclined"}

    first, again = (post(simulators, "key-1", declined) for _ in range(2))

    assert (first.status_code, again.content) == (402, first.content)
    assert count(payments) == 1


def test_a_server_error_is_replayed_although_its_work_was_done(
    simulators: Simulators, payments: stripe.StripeClient
) -> None:
    simulators.stripe.turn(server_error_next=1)

    first, again = (post(simulators, "key-1", CARD) for _ in range(2))

    assert (first.status_code, again.status_code) == (500, 500)
    assert first.json()["error"]["type"] == "api_error"
    assert count(payments) == 1


@pytest.mark.parametrize(
    ("form", "path"),
    [({**CARD, "amount": 1}, "/v1/payment_intents"), (CARD, "/v1/refunds")],
)
def test_a_key_used_for_another_call_is_an_idempotency_error(
    simulators: Simulators, payments: stripe.StripeClient, form: dict[str, Any], path: str
) -> None:
    post(simulators, "key-1", CARD)

    refused = post(simulators, "key-1", form, path)

    assert refused.status_code == 400
    assert refused.json()["error"]["type"] == "idempotency_error"
    assert count(payments) == 1


def test_refused_parameters_leave_the_key_free(simulators: Simulators) -> None:
    wrong = post(simulators, "key-1", {**CARD, "amount": "x"})
    right = post(simulators, "key-1", CARD)

    assert (wrong.status_code, right.status_code) == (400, 200)


@pytest.mark.parametrize("fault", [{"unavailable_next": 1}, {"throttled_next": 1}])
def test_a_call_that_never_ran_leaves_the_key_free(
    simulators: Simulators, fault: dict[str, int]
) -> None:
    simulators.stripe.turn(**fault)

    statuses = [post(simulators, "key-1", CARD).status_code for _ in range(2)]

    assert statuses[0] in (429, 503)
    assert statuses[1] == 200


def test_a_twin_of_a_running_call_conflicts(
    simulators: Simulators, payments: stripe.StripeClient
) -> None:
    simulators.stripe.turn(execution_milliseconds=500)
    replies: list[httpx.Response] = []
    first = threading.Thread(target=lambda: replies.append(post(simulators, "key-1", CARD)))
    first.start()
    time.sleep(0.2)

    twin = post(simulators, "key-1", CARD)

    first.join()
    assert twin.status_code == 409
    assert twin.json()["error"]["code"] == "idempotency_key_in_use"
    assert replies[0].status_code == 200
    assert post(simulators, "key-1", CARD).content == replies[0].content
    assert count(payments) == 1


def test_a_lost_reply_is_found_again_by_its_key(
    simulators: Simulators, payments: stripe.StripeClient
) -> None:
    simulators.stripe.turn(hang_next=1, hang_seconds=5, only_on="POST /v1/payment_intents")
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{simulators.stripe_url}/v1/payment_intents",
            data=CARD,
            headers={"Authorization": "Bearer sk_test_simulated", "Idempotency-Key": "key-1"},
            timeout=0.3,
        )

    retried = post(simulators, "key-1", CARD)

    assert retried.json()["status"] == "succeeded"
    assert retried.headers["Idempotent-Replayed"] == "true"
    assert count(payments) == 1


def test_a_key_has_at_most_255_characters(simulators: Simulators) -> None:
    assert post(simulators, "k" * 255, CARD).status_code == 200
    assert post(simulators, "k" * 256, CARD).status_code == 400


def test_the_vendors_library_gets_its_own_error_kind(payments: stripe.StripeClient) -> None:
    given = {"amount": 100, "currency": "eur"}
    options: stripe.RequestOptions = {"idempotency_key": "key-1"}
    payments.v1.payment_intents.create({"amount": 100, "currency": "eur"}, options)

    with pytest.raises(stripe.IdempotencyError):
        payments.v1.payment_intents.create({**given, "amount": 200}, options)  # type: ignore[typeddict-item]
