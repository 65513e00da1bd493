"""What takes invoiced work back: taxed as the invoice that billed it, wherever it is credited."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from invoice_payment.domain.amounts import TaxTreatment
from invoice_payment.domain.invoice import Invoice


@dataclass(frozen=True, slots=True)
class Reversal:
    """An open item that takes back what an invoice billed, and how that invoice taxed it."""

    billing_event_id: UUID
    contract_id: UUID
    contract_line_id: UUID
    bill_to_customer_id: UUID
    tax_category: str
    invoice_id: UUID
    invoice_number: str
    treatment: TaxTreatment


def taxed_otherwise(reversals: Iterable[Reversal], drafts: Iterable[Invoice]) -> list[Reversal]:
    """Return those that these drafts would not tax as the invoice did that billed the work.

    A credit has the tax code and rate of its original; on a line of other work it would have those
    of that work. What no rule taxes yet is among them.
    """
    now = {
        (
            draft.contract_id,
            draft.customer_id,
            line.contract_line_id,
            line.tax_category,
        ): draft.treatments.get(line.tax_category)
        for draft in drafts
        for line in draft.lines
    }
    return [each for each in reversals if not each.treatment.taxes_as(now.get(_key(each)))]


def _key(reversal: Reversal) -> tuple[UUID, UUID, UUID, str]:
    return (
        reversal.contract_id,
        reversal.bill_to_customer_id,
        reversal.contract_line_id,
        reversal.tax_category,
    )
