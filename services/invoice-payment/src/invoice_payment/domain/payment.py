"""Payments: told once or often, in any order, and allocated to invoices in parts."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from invoice_payment.domain.invoice import OPEN_STATUSES, Invoice, InvoiceSettled
from invoice_payment.domain.settlement import settled
from throughline_core.change import Change
from throughline_core.errors import AlreadyExists, FailedPrecondition, InvalidArgument
from throughline_core.money import Money


class AmountNotPositive(InvalidArgument):
    """Nothing, or less than nothing, is no payment."""

    code = "payment.amount_not_positive"


class DayImplausible(InvalidArgument):
    """Nobody is paid on such a day: long before this service, or far ahead."""

    code = "payment.day_implausible"


class DiffersFromRecorded(AlreadyExists):
    """The provider's payment is recorded with another amount or for another entity."""

    code = "payment.differs_from_recorded"


class PaymentNotReceived(FailedPrecondition):
    """The money is not here yet, or never came."""

    code = "payment.not_received"


class InvoiceNotOpen(FailedPrecondition):
    """The invoice is not issued, is fully paid, or was voided."""

    code = "invoice.not_open"


class ExceedsPayment(FailedPrecondition):
    """More than the unapplied rest of the payment."""

    code = "allocation.exceeds_payment"


class ExceedsInvoice(FailedPrecondition):
    """More than the invoice's open amount."""

    code = "allocation.exceeds_invoice"


class CurrencyDiffers(FailedPrecondition):
    """Payment, invoice and what is to be allocated are not in one currency."""

    code = "allocation.currency_differs"


class EntityDiffers(FailedPrecondition):
    """Payment and invoice belong to different legal entities."""

    code = "allocation.entity_differs"


class PaymentStatus(StrEnum):
    """Where a payment stands."""

    PENDING = "pending"
    RECEIVED = "received"
    FAILED = "failed"


_EARLIEST: Final = date(2000, 1, 1)
_DAYS_AHEAD_MAX: Final = 31

# News of a payment may come in any order: a state gives way to a later one only.
_RANK: Final = {PaymentStatus.PENDING: 0, PaymentStatus.FAILED: 1, PaymentStatus.RECEIVED: 2}


@dataclass(frozen=True, slots=True)
class Payment:
    """Money a customer sent; the rest of it that settles no invoice is unapplied cash."""

    payment_id: UUID
    version: int
    provider: str
    provider_payment_id: str
    status: PaymentStatus
    amount: Money
    allocated: Money
    received_on: date
    legal_entity_id: UUID
    customer_id: UUID | None
    reference: str
    recorded_at: datetime

    @property
    def unapplied(self) -> Money:
        """What is not allocated yet."""
        return self.amount - self.allocated


@dataclass(frozen=True, slots=True)
class PaymentReceived:
    """The money arrived."""

    payment: Payment


PaymentChange = Change[Payment, PaymentReceived]


@dataclass(frozen=True, slots=True)
class Allocation:
    """The outcome of allocating: the payment, and the invoice with what tells of it."""

    payment: Payment
    settled: InvoiceSettled


def record(payment: Payment) -> PaymentChange:
    """Take a payment in as it is told for the first time.

    Raises:
        AmountNotPositive: it is not above zero.
        DayImplausible: it is dated before 2000, or more than a month ahead.
    """
    latest = payment.recorded_at.date() + timedelta(days=_DAYS_AHEAD_MAX)
    if not _EARLIEST <= payment.received_on <= latest:
        raise DayImplausible(
            f"{payment.received_on} is no day on which this can have been paid",
            field="received_on",
            advice="send the value date of the payment",
        )
    if payment.amount <= Money.zero(payment.amount.currency):
        raise AmountNotPositive(
            f"{payment.amount} is no payment", field="amount", advice="send an amount above zero"
        )
    return _announced(payment)


def hear_again(recorded: Payment, told: Payment) -> PaymentChange:
    """Take the news about a recorded payment; old news changes nothing.

    Raises:
        DiffersFromRecorded: amount, currency or entity are not those recorded.
    """
    if (told.amount, told.legal_entity_id) != (recorded.amount, recorded.legal_entity_id):
        raise DiffersFromRecorded(
            f"{recorded.provider} payment {recorded.provider_payment_id} is recorded with"
            f" {recorded.amount}",
            field="amount",
            advice="read the recorded payment; send a different payment under its own id",
        )
    if _RANK[told.status] <= _RANK[recorded.status]:
        return Change(recorded, ())
    return _announced(
        replace(
            recorded,
            version=recorded.version + 1,
            status=told.status,
            received_on=told.received_on,
            customer_id=told.customer_id or recorded.customer_id,
            reference=told.reference or recorded.reference,
        )
    )


def allocate(
    payment: Payment, invoice: Invoice, amount: Money, *, allocation_id: UUID, on: date
) -> Allocation:
    """Settle a part of the invoice, or all of it, out of the payment.

    Raises:
        AmountNotPositive, PaymentNotReceived, InvoiceNotOpen, EntityDiffers, CurrencyDiffers,
        ExceedsPayment, ExceedsInvoice: why it cannot be.
    """
    _require_fit(payment, invoice)
    if amount.currency != payment.amount.currency:
        raise CurrencyDiffers(
            f"payment and invoice are in {payment.amount.currency}",
            field="amount",
            advice="send the amount in that currency",
        )
    if amount <= Money.zero(payment.amount.currency):
        raise AmountNotPositive(
            f"{amount} settles nothing", field="amount", advice="send an amount above zero"
        )
    if amount > payment.unapplied:
        raise ExceedsPayment(
            f"only {payment.unapplied} of the payment are unapplied",
            field="amount",
            advice="allocate at most this much",
        )
    if amount > invoice.open_amount:
        raise ExceedsInvoice(
            f"only {invoice.open_amount} of the invoice are open",
            field="amount",
            advice="allocate at most this much; the rest stays unapplied",
        )
    paid = settled(invoice, amount)
    return Allocation(
        replace(payment, version=payment.version + 1, allocated=payment.allocated + amount),
        InvoiceSettled(paid, allocation_id, payment.payment_id, amount, on),
    )


def allocatable(payment: Payment, invoice: Invoice) -> Money:
    """Return how much of a received payment the invoice can take by itself; zero if none."""
    fits = (
        payment.status is PaymentStatus.RECEIVED
        and invoice.status in OPEN_STATUSES
        and not invoice.is_credit_note
        and invoice.legal_entity_id == payment.legal_entity_id
        and invoice.currency == payment.amount.currency
    )
    zero = Money.zero(payment.amount.currency)
    return max(min(payment.unapplied, invoice.open_amount), zero) if fits else zero


def _announced(payment: Payment) -> PaymentChange:
    events = (PaymentReceived(payment),) if payment.status is PaymentStatus.RECEIVED else ()
    return Change(payment, events)


def _require_fit(payment: Payment, invoice: Invoice) -> None:
    if payment.status is not PaymentStatus.RECEIVED:
        raise PaymentNotReceived(
            f"payment {payment.payment_id} is {payment.status}",
            advice="allocate it when the provider confirms that the money arrived",
        )
    if invoice.status not in OPEN_STATUSES or invoice.is_credit_note:
        raise InvoiceNotOpen(
            f"{invoice.document_type.replace('_', ' ')} {invoice.invoice_id} is {invoice.status}",
            advice="allocate to an issued invoice that is not fully paid",
        )
    if invoice.legal_entity_id != payment.legal_entity_id:
        raise EntityDiffers(
            "the invoice is another legal entity's",
            field="invoice_id",
            advice="have the money moved to the entity that is owed, then record it there",
        )
    if invoice.currency != payment.amount.currency:
        raise CurrencyDiffers(
            f"the payment is in {payment.amount.currency}, the invoice in {invoice.currency}",
            field="invoice_id",
            advice="convert the payment at a recorded rate of exchange first",
        )
