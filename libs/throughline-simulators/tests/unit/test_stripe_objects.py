from decimal import Decimal

import pytest
import stripe

from throughline_simulators.stripe.objects import converted
from throughline_simulators.stripe.webhooks import signature

BODY = b'{\n  "id": "evt_1",\n  "object": "event",\n  "note": "\xc3\xa9"\n}'
NOW = 1_785_489_243


def verify(header: str, secret: str, body: bytes = BODY) -> None:
    stripe.WebhookSignature.verify_header(body, header, secret)


def test_the_vendors_own_library_accepts_the_signature() -> None:
    verify(signature(BODY, ["whsec_a"], NOW), "whsec_a")


def test_while_a_secret_is_rolled_both_secrets_verify() -> None:
    header = signature(BODY, ["whsec_new", "whsec_old"], NOW)

    verify(header, "whsec_new")
    verify(header, "whsec_old")


@pytest.mark.parametrize(("body", "secret"), [(BODY + b" ", "whsec_a"), (BODY, "whsec_b")])
def test_another_body_or_secret_does_not_verify(body: bytes, secret: str) -> None:
    with pytest.raises(stripe.SignatureVerificationError):
        verify(signature(BODY, ["whsec_a"], NOW), secret, body)


@pytest.mark.parametrize(
    ("amount", "rate", "source", "target", "settled"),
    [
        (1000, "1.1", "eur", "usd", 1100),
        (1000, "0.0062", "jpy", "eur", 620),
        (620, "161.29", "eur", "jpy", 1000),
        (1, "1.5", "eur", "usd", 2),
        (-1000, "1.1", "eur", "usd", -1100),
    ],
)
def test_settlement_counts_in_the_minor_units_of_each_currency(
    amount: int, rate: str, source: str, target: str, settled: int
) -> None:
    assert converted(amount, Decimal(rate), source=source, target=target) == settled
