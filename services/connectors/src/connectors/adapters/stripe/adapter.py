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
from throughline_core.errors import FailedPrecondition, Unavailable

if TYPE_CHECKING:
    from throughline.invoice_payment.v1.payment_service_pb2_grpc import PaymentServiceAsyncStub

SIGNATURE_HEADER: Final = "stripe-signature"
TOLERANCE_SECONDS: Final = 300
TIMEOUT_SECONDS: Final = 10.0
RETRIES: Final = 2


class VendorUnavailable(Unavailable):
    """Stripe cannot be reached, limits our calls, or does not take our key for now."""

    code = "stripe.unavailable"


class LookUpRefused(FailedPrecondition):
    """Stripe does not know the payment a callback tells of, or does not show it to us."""

    code = "stripe.look_up_refused"


def verify(
    body: bytes, headers: Mapping[str, str], secrets: Mapping[str, Sequence[str]]
) -> Callback:
    """Return the callback when one of the live secrets signed these bytes lately.

    `secrets` are those of each connection by its name.

    Raises:
        SignatureInvalid, CallbackMalformed.
    """
    header = headers.get(SIGNATURE_HEADER, "")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CallbackMalformed("the body is not UTF-8") from error
    signers = (
        name
        for name, live in secrets.items()
        if any(_signed_by(text, header, secret) for secret in live)
    )
    connection = next(signers, None)
    if connection is None:
        raise SignatureInvalid(
            "the signature does not fit the body, or is too old",
            advice="check the endpoint's signing secret on both sides",
        )
    try:
        event = mapping.read_event(json.loads(text))
    except (ValueError, KeyError, TypeError) as error:
        raise CallbackMalformed("the body is no Stripe event") from error
    return Callback(mapping.PROVIDER, connection, event.event_id, event.event_type, body)


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
        self._http = stripe.HTTPXClient(timeout=TIMEOUT_SECONDS)
        self._client = stripe.StripeClient(
            api_key,
            base_addresses={"api": connection.base_url.rstrip("/")},
            http_client=self._http,
            max_network_retries=RETRIES,
        )
        self._payments = payments

    async def close(self) -> None:
        """Let go of the connections to Stripe."""
        await self._http.close_async()  # type: ignore[no-untyped-call]  # as the library has it

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
        except (stripe.InvalidRequestError, stripe.CardError) as error:
            raise LookUpRefused(
                f"Stripe does not show {intent_id}: {type(error).__name__}",
                advice="check that the key belongs to the account that sent the callback",
            ) from error
        except stripe.StripeError as error:
            # A key that was revoked or may not read payments is mended at Stripe, not here.
            raise VendorUnavailable(
                f"Stripe did not answer: {type(error).__name__}", advice="it is tried again"
            ) from error
        return json.loads(str(intent))  # type: ignore[no-any-return]  # its text is its JSON
