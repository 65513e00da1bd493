"""What can be turned on simulated Stripe: faults, webhook misdeeds, and unverified points."""

from decimal import Decimal
from typing import Literal

from pydantic import Field

from throughline_simulators.switchboard import Switches


class StripeSwitches(Switches):
    """Faults of the account and the choices where the vendor's documents leave doubt."""

    api_keys: list[str] = Field(default=["sk_test_simulated"], description="Accepted secret keys.")
    api_version: str = "2026-06-24.dahlia"
    server_error_next: int = Field(
        default=0, ge=0, description="Fail the next n POSTs with 500 after doing their work."
    )
    execution_milliseconds: int = Field(
        default=0, ge=0, description="POSTs take this long; a twin with the same key meets 409."
    )
    idempotency_hours: int = Field(default=24, gt=0, description="How long replies are kept.")
    key_in_use_type: Literal["idempotency_error", "invalid_request_error"] = Field(
        default="idempotency_error", description="Type of the 409 for a twin still running."
    )
    amount_max: int = Field(default=99_999_999, gt=0, description="Largest amount, minor units.")
    metadata_keys_max: int = Field(default=50, gt=0)
    metadata_value_max: int = Field(default=500, gt=0)
    event_retention_days: int = Field(default=30, gt=0, description="How long events are listed.")

    fee_percent: Decimal = Field(default=Decimal("1.5"), ge=0, description="Of the gross amount.")
    fee_fixed: int = Field(default=25, ge=0, description="Minor units on top.")
    settlement_currency: str | None = Field(
        default=None, pattern="^[a-z]{3}$", description="Of the balance; null: the charge's own."
    )
    exchange_rate: Decimal = Field(
        default=Decimal("1.1"), gt=0, description="Settlement units for one charge unit."
    )
    available_after_days: int = Field(default=7, ge=0)
    other_charge_prefix: Literal["ch", "py"] = Field(
        default="ch", description="How ids of charges begin that are not by card."
    )
    balance_transaction_reads: int = Field(
        default=0, ge=0, description="A charge's balance_transaction is null for n reads."
    )
    refunds_pending: bool = Field(
        default=False, description="Refunds rest in pending until the control settles them."
    )
    refund_failed_event: str = Field(default="refund.failed", description="Name of its event.")

    webhooks_paused: bool = Field(default=False, description="Hold all deliveries back.")
    webhook_copies: int = Field(default=1, ge=1, description="Deliver each event n times.")
    webhooks_shuffled: bool = Field(default=False, description="Deliver what is due out of order.")
    webhook_delay_milliseconds: int = Field(
        default=0, ge=0, description="From event to first delivery; lets shuffling find company."
    )
    webhook_retry_seconds: list[float] = Field(
        default=[1.0, 5.0, 30.0], description="Waits before each retry, then delivery gives up."
    )
    webhook_timeout_seconds: float = Field(default=10.0, gt=0)
    webhook_bad_signature_next: int = Field(
        default=0, ge=0, description="Sign the next n deliveries with a wrong secret."
    )
    webhook_age_seconds: int = Field(
        default=0, ge=0, description="Date signatures this far back; over 300 is to be refused."
    )
