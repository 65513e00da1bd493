"""The rest of a credit note settles further invoices of the same customer."""

from datetime import date
from uuid import UUID

from invoice_payment.domain.invoice import OPEN_STATUSES, CreditApplied, Invoice
from invoice_payment.domain.payment import (
    AmountNotPositive,
    CurrencyDiffers,
    EntityDiffers,
    ExceedsInvoice,
    InvoiceNotOpen,
)
from invoice_payment.domain.settlement import credited, settled
from throughline_core.errors import FailedPrecondition
from throughline_core.money import Money


class CreditNotIssued(FailedPrecondition):
    """A draft settles nothing, and nothing is left of what settled in full."""

    code = "credit.not_issued"


class ExceedsCredit(FailedPrecondition):
    """More than the unapplied rest of the credit note."""

    code = "credit.exceeds_credit"


class CustomerDiffers(FailedPrecondition):
    """The credit is another customer's."""

    code = "credit.customer_differs"


def apply_credit(
    credit_note: Invoice, invoice: Invoice, amount: Money, *, application_id: UUID, on: date
) -> CreditApplied:
    """Settle a part of the invoice, or all of it, out of the credit note.

    Raises:
        AmountNotPositive, InvoiceNotOpen, EntityDiffers, CurrencyDiffers, ExceedsInvoice,
        CreditNotIssued, ExceedsCredit, CustomerDiffers: why it cannot be.
    """
    _require_fit(credit_note, invoice)
    if amount.currency != invoice.currency:
        raise CurrencyDiffers(
            f"both documents are in {invoice.currency}",
            field="amount",
            advice="send the amount in that currency",
        )
    if amount <= Money.zero(amount.currency):
        raise AmountNotPositive(
            f"{amount} settles nothing", field="amount", advice="send an amount above zero"
        )
    unapplied = -credit_note.open_amount
    if amount > unapplied:
        raise ExceedsCredit(
            f"only {unapplied} of the credit note are unapplied",
            field="amount",
            advice="apply at most this much",
        )
    if amount > invoice.open_amount:
        raise ExceedsInvoice(
            f"only {invoice.open_amount} of the invoice are open",
            field="amount",
            advice="apply at most this much; the rest stays unapplied",
        )
    return CreditApplied(
        application_id, settled(credit_note, -amount), credited(invoice, amount), amount, on
    )


def _require_fit(credit_note: Invoice, invoice: Invoice) -> None:
    if credit_note.status not in OPEN_STATUSES:
        raise CreditNotIssued(
            f"credit note {credit_note.invoice_id} is {credit_note.status}",
            field="credit_note_id",
            advice="apply an issued credit note of which a rest is unapplied",
        )
    if invoice.status not in OPEN_STATUSES or invoice.is_credit_note:
        raise InvoiceNotOpen(
            f"{invoice.document_type.replace('_', ' ')} {invoice.invoice_id} is {invoice.status}",
            field="invoice_id",
            advice="apply to an issued invoice that is not fully settled",
        )
    if invoice.legal_entity_id != credit_note.legal_entity_id:
        raise EntityDiffers(
            "the invoice is another legal entity's",
            field="invoice_id",
            advice="apply it to an invoice of the entity that owes the credit",
        )
    if invoice.currency != credit_note.currency:
        raise CurrencyDiffers(
            f"the credit is in {credit_note.currency}, the invoice in {invoice.currency}",
            field="invoice_id",
            advice="apply it to an invoice in the same currency",
        )
    if invoice.customer_id != credit_note.customer_id:
        raise CustomerDiffers(
            "the invoice is another customer's",
            field="invoice_id",
            advice="apply it to an invoice of the customer that was credited",
        )
