"""The documents Stripe answers with. Amounts are integers in minor units, times Unix seconds."""

import secrets
import string
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, TypedDict

Metadata = dict[str, str]

_LETTERS: Final = string.ascii_letters + string.digits
_ZERO_DECIMAL: Final = frozenset(
    "bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf".split()
)
_THREE_DECIMAL: Final = frozenset("bhd jod kwd omr tnd".split())


class PaymentIntent(TypedDict):
    id: str
    object: str
    amount: int
    amount_capturable: int
    amount_details: dict[str, object]
    amount_received: int
    application: None
    application_fee_amount: None
    automatic_payment_methods: dict[str, object] | None
    canceled_at: int | None
    cancellation_reason: str | None
    capture_method: str
    client_secret: str
    confirmation_method: str
    created: int
    currency: str
    customer: str | None
    customer_account: None
    description: str | None
    excluded_payment_method_types: None
    last_payment_error: dict[str, object] | None
    latest_charge: str | None
    livemode: bool
    managed_payments: None
    metadata: Metadata
    next_action: dict[str, object] | None
    on_behalf_of: None
    payment_method: str | None
    payment_method_configuration_details: None
    payment_method_options: dict[str, object]
    payment_method_types: list[str]
    processing: dict[str, object] | None
    receipt_email: str | None
    review: None
    setup_future_usage: None
    shipping: None
    source: None
    statement_descriptor: str | None
    statement_descriptor_suffix: None
    status: str
    transfer_data: None
    transfer_group: None


class Charge(TypedDict):
    id: str
    object: str
    amount: int
    amount_captured: int
    amount_refunded: int
    application: None
    application_fee: None
    application_fee_amount: None
    balance_transaction: str | None
    billing_details: dict[str, object]
    calculated_statement_descriptor: None
    captured: bool
    created: int
    currency: str
    customer: str | None
    description: str | None
    disputed: bool
    failure_balance_transaction: None
    failure_code: str | None
    failure_message: str | None
    fraud_details: dict[str, object]
    livemode: bool
    metadata: Metadata
    on_behalf_of: None
    outcome: dict[str, object] | None
    paid: bool
    payment_intent: str
    payment_method: str | None
    payment_method_details: dict[str, object]
    receipt_email: str | None
    receipt_number: None
    receipt_url: None
    refunded: bool
    review: None
    shipping: None
    source: None
    source_transfer: None
    statement_descriptor: str | None
    statement_descriptor_suffix: None
    status: str
    transfer_data: None
    transfer_group: None


class Refund(TypedDict):
    id: str
    object: str
    amount: int
    balance_transaction: str | None
    charge: str
    created: int
    currency: str
    customer: str | None
    customer_account: None
    destination_details: dict[str, object]
    metadata: Metadata
    payment_intent: str
    payment_method: str | None
    reason: str | None
    receipt_number: None
    source_transfer_reversal: None
    status: str
    transfer_reversal: None


class BalanceTransaction(TypedDict):
    id: str
    object: str
    amount: int
    available_on: int
    balance_type: str
    created: int
    currency: str
    description: str | None
    exchange_rate: Decimal | None
    fee: int
    fee_details: list[dict[str, object]]
    net: int
    reporting_category: str
    source: str
    status: str
    type: str


class Dispute(TypedDict):
    id: str
    object: str
    amount: int
    balance_transactions: list[BalanceTransaction]
    charge: str
    created: int
    currency: str
    enhanced_eligibility_types: list[str]
    evidence: dict[str, object]
    evidence_details: dict[str, object]
    is_charge_refundable: bool
    livemode: bool
    metadata: Metadata
    payment_intent: str
    payment_method_details: dict[str, object]
    reason: str
    status: str


class Cause(TypedDict):
    """The API request that an event came of; both None for what happened by itself."""

    id: str | None
    idempotency_key: str | None


class Event(TypedDict):
    id: str
    object: str
    api_version: str
    created: int
    data: dict[str, object]
    livemode: bool
    pending_webhooks: int
    request: Cause
    type: str


def new_id(prefix: str) -> str:
    """Return an id never given before, not even before a reset."""
    return f"{prefix}_3{''.join(secrets.choice(_LETTERS) for _ in range(23))}"


def exponent(currency: str) -> int:
    """Return how many decimals the vendor counts in a currency's minor unit."""
    return 0 if currency in _ZERO_DECIMAL else 3 if currency in _THREE_DECIMAL else 2


def converted(amount: int, rate: Decimal, *, source: str, target: str) -> int:
    """Return `amount` minor units of `source` in minor units of `target`."""
    scale = Decimal(10) ** (exponent(target) - exponent(source))
    return int((amount * rate * scale).quantize(Decimal(1), rounding=ROUND_HALF_UP))
