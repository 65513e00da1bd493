"""The line of an invoice: what was billed, how much of it, at which rate."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from uuid import UUID

from invoice_payment.domain.item import ItemType
from throughline_core.money import Money
from throughline_core.period import Period

HOUR: Final = "hour"


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
    # What the release of its items recognised as revenue.
    recognised: Money

    @property
    def printed_quantity(self) -> str:
        """The quantity as printed: hours with two decimals, a count with those it has."""
        text = f"{self.quantity.normalize():f}"
        whole, _, decimals = text.partition(".")
        return f"{whole}.{decimals:0<2}" if self.unit == HOUR else text
