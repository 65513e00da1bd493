"""Payment intents from creation to success, failure or cancellation, and their charges."""

from typing import NoReturn

from throughline_simulators.stripe import drafts
from throughline_simulators.stripe.account import Account
from throughline_simulators.stripe.errors import ApiError, InvalidRequest
from throughline_simulators.stripe.methods import (
    BANK_DEBITS,
    BANK_TRANSFER,
    CARD,
    Decline,
    Method,
    Methods,
)
from throughline_simulators.stripe.objects import Charge, PaymentIntent
from throughline_simulators.stripe.params import Params, merged

_UNPAID = ("requires_payment_method", "requires_confirmation", "requires_action")
_CANCELLATION_REASONS = ("duplicate", "fraudulent", "requested_by_customer", "abandoned")


class Payments:
    """What may happen to payment intents, by the API and by payers."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._methods = Methods(account.store)

    def create(self, params: Params) -> PaymentIntent:
        """Make an intent and, where asked, confirm it.

        Raises:
            InvalidRequest: bad parameters.
            ApiError: the confirmation was declined; the intent exists.
        """
        switches = self._account.switches
        amount = params.take_amount("amount", most=switches.amount_max)
        if amount is None:
            raise InvalidRequest(
                "Missing required param: amount.", code="parameter_missing", param="amount"
            )
        intent = drafts.intent(params, amount=amount, now=self._account.now(), switches=switches)
        method = self._take_method(params)
        confirm = params.take_flag("confirm")
        params.finish()
        if method is not None:
            intent = _with_method(intent, method)
        elif confirm:
            raise _without_method(intent)
        self._account.intents.put(intent["id"], intent)
        self._account.tell("payment_intent.created", intent)
        return self._confirm(intent) if confirm else intent

    def update(self, intent: PaymentIntent, params: Params) -> PaymentIntent:
        """Change amount, description, customer, method or metadata of an intent not yet paid."""
        switches = self._account.switches
        changes = drafts.changes(params, switches)
        amount = params.take_amount("amount", most=switches.amount_max)
        method = self._take_method(params)
        params.finish()
        if (amount is not None or method is not None) and intent["status"] not in _UNPAID:
            raise _unexpected_state(intent, "update")
        metadata = merged(intent["metadata"], changes.metadata)
        intent = {
            **intent,
            "amount": intent["amount"] if amount is None else amount,
            "customer": changes.customer or intent["customer"],
            "description": changes.description or intent["description"],
            "receipt_email": changes.receipt_email or intent["receipt_email"],
            "metadata": metadata,
        }
        if method is not None:
            intent = _with_method(intent, method)
        self._account.intents.put(intent["id"], intent)
        return intent

    def confirm(self, intent: PaymentIntent, params: Params) -> PaymentIntent:
        """Try to take the money.

        Raises:
            InvalidRequest: not in a state to be confirmed, or no method.
            ApiError: declined, HTTP 402.
        """
        method = self._take_method(params)
        drafts.ignore(params)
        params.finish()
        return self._confirm(intent if method is None else _with_method(intent, method))

    def capture(self, intent: PaymentIntent, params: Params) -> PaymentIntent:
        """Take an authorised amount, all of it or less; the rest is let go."""
        amount = params.take_amount("amount_to_capture", most=self._account.switches.amount_max)
        params.finish()
        if intent["status"] != "requires_capture":
            raise _unexpected_state(intent, "capture")
        if amount is not None and amount > intent["amount_capturable"]:
            raise InvalidRequest(
                f"The amount to capture ({amount}) is greater than the amount that can be captured "
                f"({intent['amount_capturable']}).",
                code="amount_too_large",
                param="amount_to_capture",
            )
        return self.succeed(intent, amount=amount or intent["amount_capturable"])

    def cancel(self, intent: PaymentIntent, params: Params) -> PaymentIntent:
        """Give an unpaid intent up; an authorised amount is released."""
        reason = params.take_choice("cancellation_reason", _CANCELLATION_REASONS)
        params.finish()
        if intent["status"] not in (*_UNPAID, "requires_capture"):
            raise _unexpected_state(intent, "cancel")
        if intent["amount_capturable"] and intent["latest_charge"]:
            charge = self._account.charge(intent["latest_charge"])
            self._account.charges.put(
                charge["id"],
                {**charge, "refunded": True, "amount_refunded": charge["amount"]},
            )
        canceled: PaymentIntent = {
            **intent,
            "status": "canceled",
            "canceled_at": self._account.now(),
            "cancellation_reason": reason,
            "amount_capturable": 0,
            "next_action": None,
        }
        return self._keep(canceled, "payment_intent.canceled")

    # What payers and their banks do

    def settle(self, intent: PaymentIntent, *, amount: int | None, kind: str) -> PaymentIntent:
        """Let the payer pay, by `kind` where no method is attached; `amount` None is the whole.

        Part of the amount is possible by bank transfer, which waits for the rest, and for an
        intent of manual capture, which is captured in part.

        Raises:
            InvalidRequest: already final, or the method knows no part payment.
        """
        if intent["status"] not in (*_UNPAID, "processing", "requires_capture"):
            raise _unexpected_state(intent, "pay")
        if intent["payment_method"] is None:
            intent = _with_method(intent, self._methods.make(kind))
        by_transfer = self._method_of(intent).kind == BANK_TRANSFER
        due = drafts.amount_remaining(intent) if by_transfer else intent["amount"]
        paid = due if amount is None else amount
        if paid > due:
            raise InvalidRequest(f"{paid} is more than the {due} still due", param="amount")
        if by_transfer and paid < due:
            funded = drafts.with_instructions(intent, amount_remaining=due - paid)
            return self._keep(funded, "payment_intent.partially_funded")
        if paid < due and intent["capture_method"] != "manual":
            raise InvalidRequest(
                "only bank transfers and manual capture pay in part", param="amount"
            )
        return self.succeed(intent, amount=intent["amount"] if by_transfer else paid)

    def receive_transfer(self, params: Params) -> PaymentIntent:
        """Book money a customer sent by bank: a succeeded intent of just that amount."""
        intent = _with_method(self.create(params), self._methods.make(BANK_TRANSFER))
        return self.succeed(intent, amount=intent["amount"])

    def fail(self, intent: PaymentIntent, decline: Decline) -> PaymentIntent:
        """Let a payment fail; the intent asks for another method."""
        if intent["status"] not in (*_UNPAID, "processing"):
            raise _unexpected_state(intent, "fail")
        failed = {"failure_code": decline.code, "failure_message": decline.message}
        charge = self._charge(intent, status="failed", captured=False)
        charge = {**charge, **failed}  # type: ignore[typeddict-item]  # two of its own keys
        self._account.charges.put(charge["id"], charge)
        self._account.tell("charge.failed", charge)
        failed_intent: PaymentIntent = {
            **intent,
            "status": "requires_payment_method",
            "latest_charge": charge["id"],
            "last_payment_error": decline.error(charge_id=charge["id"]),
            "payment_method": None,
            "next_action": None,
            "processing": None,
        }
        return self._keep(failed_intent, "payment_intent.payment_failed")

    def succeed(self, intent: PaymentIntent, *, amount: int) -> PaymentIntent:
        """Book `amount` as received: charge, balance transaction, intent, and their events."""
        account = self._account
        charge = self._charge(intent, status="succeeded", captured=True, amount_captured=amount)
        transaction = account.enter_balance(
            amount=amount,
            currency=intent["currency"],
            kind="charge" if self._method_of(intent).kind == CARD else "payment",
            category="charge",
            source=charge["id"],
            fee=account.fee(amount),
            description=intent["description"],
        )
        charge = account.defer_transaction(charge, transaction)
        account.charges.put(charge["id"], charge)
        succeeded: PaymentIntent = {
            **intent,
            "status": "succeeded",
            "amount_received": amount,
            "amount_capturable": 0,
            "latest_charge": charge["id"],
            "last_payment_error": None,
            "next_action": None,
            "processing": None,
        }
        account.tell("charge.succeeded", charge)
        return self._keep(succeeded, "payment_intent.succeeded")

    # Steps

    def _confirm(self, intent: PaymentIntent) -> PaymentIntent:
        if intent["status"] not in _UNPAID:
            raise _unexpected_state(intent, "confirm")
        if intent["payment_method"] is None:
            raise _without_method(intent)
        method = self._method_of(intent)
        if method.decline is not None:
            self._decline(intent, method.decline)
        if method.kind == BANK_TRANSFER:
            due = drafts.amount_remaining(intent)
            waiting = drafts.with_instructions(intent, amount_remaining=due)
            return self._keep(waiting, "payment_intent.requires_action")
        if method.kind in BANK_DEBITS:
            return self._process(intent, method)
        if method.asks_authentication and intent["status"] != "requires_action":
            asking: PaymentIntent = {
                **intent, "status": "requires_action", "next_action": {"type": "use_stripe_sdk"},
            }  # fmt: skip
            return self._keep(asking, "payment_intent.requires_action")
        if intent["capture_method"] == "manual":
            return self._authorise(intent)
        return self.succeed(intent, amount=intent["amount"])

    def _decline(self, intent: PaymentIntent, decline: Decline) -> NoReturn:
        failed = self.fail(intent, decline)
        error = dict(failed["last_payment_error"] or {})
        raise ApiError(
            decline.message,
            status=402,
            type="card_error",
            code=decline.code,
            extra={
                "charge": error["charge"],
                "decline_code": decline.decline_code,
                "payment_intent": failed,
            },
        )

    def _process(self, intent: PaymentIntent, method: Method) -> PaymentIntent:
        charge = self._charge(intent, status="pending", captured=True)
        self._account.charges.put(charge["id"], charge)
        self._account.tell("charge.pending", charge)
        processing: PaymentIntent = {
            **intent,
            "status": "processing",
            "latest_charge": charge["id"],
            "processing": {"type": method.kind},
        }
        return self._keep(processing, "payment_intent.processing")

    def _authorise(self, intent: PaymentIntent) -> PaymentIntent:
        charge = self._charge(intent, status="succeeded", captured=False)
        self._account.charges.put(charge["id"], charge)
        self._account.tell("charge.succeeded", charge)
        authorised: PaymentIntent = {
            **intent,
            "status": "requires_capture",
            "amount_capturable": intent["amount"],
            "latest_charge": charge["id"],
        }
        return self._keep(authorised, "payment_intent.amount_capturable_updated")

    def _charge(
        self, intent: PaymentIntent, *, status: str, captured: bool, amount_captured: int = 0
    ) -> Charge:
        """Return the charge of this attempt: the one under way, or a new one."""
        latest = intent["latest_charge"]
        charge = None if latest is None else self._account.charge(latest)
        if charge is None or charge["status"] == "failed":
            kind, account = self._method_of(intent).kind, self._account
            charge = drafts.charge(intent, kind, now=account.now(), switches=account.switches)
        return {
            **charge,
            "status": status,
            "paid": status == "succeeded",
            "captured": captured,
            "amount_captured": amount_captured,
        }

    def _method_of(self, intent: PaymentIntent) -> Method:
        if intent["payment_method"] is None:
            return Method("", CARD)
        return self._methods.find(intent["payment_method"])

    def _take_method(self, params: Params) -> Method | None:
        method_id = params.take("payment_method")
        data = params.take_tree("payment_method_data")
        if method_id is not None:
            return self._methods.find(method_id)
        return None if data is None else self._methods.make(str(data.get("type")))

    def _keep(self, intent: PaymentIntent, event_type: str) -> PaymentIntent:
        self._account.intents.put(intent["id"], intent)
        self._account.tell(event_type, intent)
        return intent


def _with_method(intent: PaymentIntent, method: Method) -> PaymentIntent:
    status = intent["status"]
    if status == "requires_payment_method":
        status = "requires_confirmation"
    kinds = intent["payment_method_types"]
    if method.kind not in kinds:
        kinds = [*kinds, method.kind] if intent["automatic_payment_methods"] else [method.kind]
    return {**intent, "status": status, "payment_method": method.id, "payment_method_types": kinds}


def _unexpected_state(intent: PaymentIntent, action: str) -> InvalidRequest:
    return InvalidRequest(
        f"You cannot {action} this PaymentIntent because it has a status of {intent['status']}.",
        code="payment_intent_unexpected_state",
        extra={"payment_intent": intent},
    )


def _without_method(intent: PaymentIntent) -> InvalidRequest:
    return InvalidRequest(
        "You cannot confirm this PaymentIntent because it's missing a payment method.",
        code="payment_intent_unexpected_state",
        extra={"payment_intent": intent},
    )
