"""What payments and credits settle of an invoice, and the status that follows from it."""

from dataclasses import replace

from invoice_payment.domain.invoice import Invoice, InvoiceStatus, step
from throughline_core.money import Money


def settled(invoice: Invoice, amount: Money) -> Invoice:
    """Return the document after `amount`, at most what is open, was paid; or, of a credit, used.

    Raises:
        IllegalTransition: it is not open.
    """
    return _standing(replace(invoice, paid=invoice.paid + amount))


def credited(invoice: Invoice, amount: Money) -> Invoice:
    """Return the invoice after a credit settled `amount`, at most what is open.

    Raises:
        IllegalTransition: it is not open.
    """
    return _standing(replace(invoice, credited=invoice.credited + amount))


def _standing(invoice: Invoice) -> Invoice:
    """Return the invoice with the status that follows from what settled it."""
    if invoice.open_amount.is_zero:
        is_paid = not invoice.paid.is_zero
        return step(invoice, InvoiceStatus.PAID if is_paid else InvoiceStatus.CREDITED)
    if invoice.paid.is_zero and invoice.status is InvoiceStatus.ISSUED:
        # Credited in part: nobody paid anything yet.
        return replace(invoice, version=invoice.version + 1)
    return step(invoice, InvoiceStatus.PARTIALLY_PAID)
