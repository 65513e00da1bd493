"""Verifies Stripe's callbacks and records the payments they tell of."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import stripe

from connectors.adapters.stripe import mapping
from connectors.adapters.stripe.mapping import Meaning
from connectors.domain import (
    Callback,
    CallbackMalformed,
    Connection,
    Outcome,
    SignatureInvalid,
    WebhookStatus,
)
from throughline_core.errors import Unavailable

if TYPE_CHECKING:
    from throughline.invoice_payment.v1.payment_service_pb2_grpc import PaymentServiceAsyncStub

SIGNATURE_HEADER: Final = "stripe-signature"
TOLERANCE_SECONDS: Final = 300
TIMEOUT_SECONDS: Final = 10.0
RETRIES: Final = 2


class VendorUnavailable(Unavailable):
    """Stripe cannot be reached or limits our calls."""

    code = "stripe.unavailable"


def verify(body: bytes, headers: Mapping[str, str], secrets: Sequence[str]) -> Callback:
    """Return the callback when one of the endpoint's live secrets signed these bytes lately.

    Raises:
        SignatureInvalid, CallbackMalformed.
    """
    header = headers.get(SIGNATURE_HEADER, "")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CallbackMalformed("the body is not UTF-8") from error
    if not any(_signed_by(text, header, secret) for secret in secrets):
        raise SignatureInvalid(
            "the signature does not fit the body, or is too old",
            advice="check the endpoint's signing secret on both sides",
        )
    try:
        event = mapping.read_event(json.loads(text))
    except (ValueError, KeyError, TypeError) as error:
        raise CallbackMalformed("the body is no Stripe event") from error
    return Callback(mapping.PROVIDER, event.event_id, event.event_type, body)


def _signed_by(text: str, header: str, secret: str) -> bool:
    try:
        return bool(
            stripe.WebhookSignature.verify_header(text, header, secret, tolerance=TOLERANCE_SECONDS)
        )
    except stripe.SignatureVerificationError:
        return False


class StripeAdapter:
    """One Stripe account."""

    def __init__(
        self, connection: Connection, api_key: str, payments: "PaymentServiceAsyncStub"
    ) -> None:
        self._client = stripe.StripeClient(
            api_key,
            base_addresses={"api": connection.base_url.rstrip("/")},
            http_client=stripe.HTTPXClient(timeout=TIMEOUT_SECONDS),
            max_network_retries=RETRIES,
        )
        self._payments = payments

    async def work_on(self, body: bytes) -> Outcome:
        """Do what a callback asks for.

        What it carries is only a hint, late or out of order; the payment is read anew.

        Raises:
            Unavailable: Stripe or the owning service is out of reach; try again later.
            Refusal: the owner refuses the payment.
        """
        event = mapping.read_event(json.loads(body))
        if event.meaning is Meaning.NOTHING:
            return Outcome(WebhookStatus.IGNORED)
        if event.meaning is Meaning.REVERSAL:
            return Outcome(
                WebhookStatus.FAILED, f"{event.event_type} of {event.object_id} is not booked by us"
            )
        request = mapping.read_payment(await self._read_intent(event.object_id))
        if request is None:
            return Outcome(WebhookStatus.IGNORED, "the payment has no charge yet")
        await self._payments.RecordPayment(request)
        return Outcome(WebhookStatus.DONE)

    async def _read_intent(self, intent_id: str) -> Mapping[str, object]:
        try:
            intent = await self._client.v1.payment_intents.retrieve_async(
                intent_id, {"expand": ["latest_charge"]}
            )
        except (stripe.APIConnectionError, stripe.RateLimitError, stripe.APIError) as error:
            raise VendorUnavailable(
                f"Stripe did not answer: {type(error).__name__}", advice="it is tried again"
            ) from error
        return json.loads(str(intent))  # type: ignore[no-any-return]  # its text is its JSON
