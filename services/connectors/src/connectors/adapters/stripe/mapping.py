"""Stripe's payments as ours. Pure: the vendor's objects in, messages out."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from throughline.common.v1 import money_pb2
from throughline.invoice_payment.v1 import payment_pb2
from throughline.invoice_payment.v1 import payment_service_pb2 as payments_pb
from throughline_core.money import exponent
from throughline_runtime.fields import write_decimal

PROVIDER: Final = "stripe"


class Meaning(StrEnum):
    """What a type of event asks us to do."""

    # Look at the payment intent and record what became of it.
    PAYMENT = "payment"
    # Money that goes back: a person has to record it.
    REVERSAL = "reversal"
    # Nothing that concerns receivables.
    NOTHING = "nothing"


_MEANINGS: Final[Mapping[str, Meaning]] = {
    "payment_intent.succeeded": Meaning.PAYMENT,
    "payment_intent.processing": Meaning.PAYMENT,
    "payment_intent.payment_failed": Meaning.PAYMENT,
    "charge.refunded": Meaning.REVERSAL,
    "charge.dispute.created": Meaning.REVERSAL,
    "charge.dispute.closed": Meaning.REVERSAL,
    "refund.updated": Meaning.REVERSAL,
}


@dataclass(frozen=True, slots=True)
class Event:
    """The envelope of a callback."""

    event_id: str
    event_type: str
    object_id: str

    @property
    def meaning(self) -> Meaning:
        return _MEANINGS.get(self.event_type, Meaning.NOTHING)


def read_event(body: Mapping[str, Any]) -> Event:
    """Return the envelope.

    Raises:
        KeyError, TypeError: it is no event.
    """
    return Event(str(body["id"]), str(body["type"]), str(body["data"]["object"]["id"]))


def read_payment(
    intent: Mapping[str, Any],
) -> payments_pb.RecordPaymentRequest | None:
    """Return what a payment intent, as it is now, says of its latest charge; None without one.

    A charge is booked once, under its own id: an intent has one success, but may have had several
    failed charges before it.
    """
    charge = intent.get("latest_charge")
    if not isinstance(charge, Mapping):
        return None
    status = _status(str(intent["status"]), charge)
    minor = charge["amount_captured"] if status == _RECEIVED else charge["amount"]
    currency = str(charge["currency"]).upper()
    metadata = intent.get("metadata") or {}
    amount = Decimal(int(minor)).scaleb(-exponent(currency))
    return payments_pb.RecordPaymentRequest(
        request_id=f"{charge['id']}:{status}:{minor}",
        provider=PROVIDER,
        provider_payment_id=str(charge["id"]),
        status=status,
        amount=money_pb2.Money(amount=write_decimal(amount), currency=currency),
        legal_entity_code=str(metadata.get("legal_entity", "")),
        reference=str(metadata.get("invoice_number", "")),
    )


_RECEIVED: Final = payment_pb2.PAYMENT_STATUS_RECEIVED


def _status(intent_status: str, charge: Mapping[str, Any]) -> payment_pb2.PaymentStatus.ValueType:
    if charge.get("paid") and intent_status == "succeeded":
        return _RECEIVED
    if str(charge.get("status", "")) == "failed":
        return payment_pb2.PAYMENT_STATUS_FAILED
    return payment_pb2.PAYMENT_STATUS_PENDING
