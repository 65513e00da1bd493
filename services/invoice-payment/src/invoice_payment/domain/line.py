"""The line of an invoice: what was billed, how much of it, at which rate."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

from invoice_payment.domain.item import ItemType, Treatment
from throughline_core.money import Money
from throughline_core.period import Period

HOUR: Final = "hour"


class Disposition(StrEnum):
    """What becomes of work that a credit note takes off an invoice."""

    RETURN_TO_UNBILLED = "return_to_unbilled"
    WRITE_OFF = "write_off"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of an invoice: items of one contract line, type and rate, summed."""

    invoice_line_id: UUID
    position: int
    description: str
    contract_line_id: UUID
    quote_line_id: UUID
    type: ItemType
    quantity: Decimal
    unit: str
    unit_rate: Money
    # Quantity times unit rate, rounded once.
    net: Money
    tax_category: str
    service: Period
    item_count: int
    # What its items stood at in the books.
    recognised: Money
    treatment: Treatment = Treatment.INVOICED
    # Where it is not the one the document as a whole names.
    purchase_order_number: str = ""
    # On a credit note: the line it takes back, and what becomes of the work.
    credits_line_id: UUID | None = None
    disposition: Disposition | None = None

    @property
    def printed_quantity(self) -> str:
        """The quantity as printed: hours with two decimals, a count with those it has."""
        text = f"{self.quantity.normalize():f}"
        whole, _, decimals = text.partition(".")
        return f"{whole}.{decimals:0<2}" if self.unit == HOUR else text
