"""New payment intents and charges, filled with what the vendor fills in."""

from dataclasses import dataclass
from typing import Final, cast

from throughline_simulators.stripe.errors import InvalidRequest
from throughline_simulators.stripe.methods import BANK_TRANSFER, KINDS
from throughline_simulators.stripe.objects import Charge, Metadata, PaymentIntent, new_id
from throughline_simulators.stripe.params import Params, merged
from throughline_simulators.stripe.switches import StripeSwitches

_CAPTURE_METHODS: Final = ("automatic", "automatic_async", "manual")
# Accepted because clients send them, without effect here.
_IGNORED: Final = ("off_session", "return_url", "error_on_requires_action", "use_stripe_sdk")
_IGNORED_TREES: Final = ("payment_method_options", "shipping", "mandate_data")


@dataclass(frozen=True, slots=True)
class Changes:
    """The attributes that both creation and update may give; None leaves one alone."""

    customer: str | None
    description: str | None
    receipt_email: str | None
    metadata: Metadata | None


def changes(params: Params, switches: StripeSwitches) -> Changes:
    return Changes(
        customer=params.take("customer"),
        description=params.take("description"),
        receipt_email=params.take("receipt_email"),
        metadata=params.take_metadata(
            keys_max=switches.metadata_keys_max, value_max=switches.metadata_value_max
        ),
    )


def ignore(params: Params) -> None:
    for name in _IGNORED:
        params.take(name)
    for name in _IGNORED_TREES:
        params.take_tree(name)


def intent(params: Params, *, amount: int, now: int, switches: StripeSwitches) -> PaymentIntent:
    """Return a new intent from the parameters of a creation.

    Raises:
        InvalidRequest: currency, kind of method or capture method is none we know.
    """
    given = changes(params, switches)
    intent_id = new_id("pi")
    automatic = params.take_tree("automatic_payment_methods")
    kinds = params.take_list("payment_method_types")
    for kind in kinds:
        if kind not in KINDS:
            raise InvalidRequest(
                f"Invalid payment_method_types[]: must be one of {', '.join(KINDS)}",
                param="payment_method_types",
            )
    ignore(params)
    return {
        "id": intent_id,
        "object": "payment_intent",
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": {"enabled": True} if automatic or not kinds else None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": params.take_choice("capture_method", _CAPTURE_METHODS)
        or "automatic_async",
        "client_secret": f"{intent_id}_secret_{new_id('x')[3:]}",
        "confirmation_method": params.take_choice("confirmation_method", ("automatic", "manual"))
        or "automatic",
        "created": now,
        "currency": _currency(params),
        "customer": given.customer,
        "customer_account": None,
        "description": given.description,
        "excluded_payment_method_types": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "managed_payments": None,
        "metadata": merged({}, given.metadata),
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": kinds or ["card"],
        "processing": None,
        "receipt_email": given.receipt_email,
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "source": None,
        "statement_descriptor": params.take("statement_descriptor"),
        "statement_descriptor_suffix": None,
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
    }


def charge(intent: PaymentIntent, kind: str, *, now: int, switches: StripeSwitches) -> Charge:
    """Return a new charge of an intent by a method of `kind`, its outcome still open."""
    address = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
    details: dict[str, object] = {"type": kind, kind: {}}
    if kind == "card":
        details["card"] = {"brand": "visa", "country": "US", "funding": "credit", "last4": "4242"}
    return {
        "id": new_id("ch" if kind == "card" else switches.other_charge_prefix),
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": 0,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": {
            "address": address, "email": None, "name": None, "phone": None, "tax_id": None,
        },
        "calculated_statement_descriptor": None,
        "captured": False,
        "created": now,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "fraud_details": {},
        "livemode": False,
        "metadata": intent["metadata"],
        "on_behalf_of": None,
        "outcome": None,
        "paid": False,
        "payment_intent": intent["id"],
        "payment_method": intent["payment_method"],
        "payment_method_details": details,
        "receipt_email": intent["receipt_email"],
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "shipping": None,
        "source": None,
        "source_transfer": None,
        "statement_descriptor": intent["statement_descriptor"],
        "statement_descriptor_suffix": None,
        "status": "pending",
        "transfer_data": None,
        "transfer_group": None,
    }  # fmt: skip


def amount_remaining(intent: PaymentIntent) -> int:
    """Return what a bank transfer still owes of the intent, in minor units."""
    action = intent["next_action"] or {}
    instructions = cast("dict[str, int]", action.get("display_bank_transfer_instructions", {}))
    return instructions.get("amount_remaining", intent["amount"])


def with_instructions(intent: PaymentIntent, *, amount_remaining: int) -> PaymentIntent:
    """Return the intent waiting for a bank transfer of the amount remaining."""
    return {
        **intent,
        "status": "requires_action",
        "payment_method_options": {BANK_TRANSFER: {"funding_type": "bank_transfer"}},
        "next_action": {
            "type": "display_bank_transfer_instructions",
            "display_bank_transfer_instructions": {
                "amount_remaining": amount_remaining,
                "currency": intent["currency"],
                "reference": intent["id"][-8:].upper(),
                "type": "eu_bank_transfer",
            },
        },
    }


def _currency(params: Params) -> str:
    currency = params.require("currency").lower()
    if len(currency) != 3 or not currency.isalpha():
        raise InvalidRequest(f"Invalid currency: {currency}", param="currency")
    return currency
