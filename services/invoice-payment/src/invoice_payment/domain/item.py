"""Billable items: released billing events, each to be invoiced once."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from throughline_core.money import Money
from throughline_core.period import Period


class ItemType(StrEnum):
    """What was billed for."""

    TIME = "time"
    EXPENSE = "expense"
    MILESTONE = "milestone"
    RECURRING = "recurring"


class ItemKind(StrEnum):
    """How the row came about; reversals are negative."""

    ORIGINAL = "original"
    REVERSAL = "reversal"
    ADJUSTMENT = "adjustment"


@dataclass(frozen=True, slots=True)
class BillableItem:
    """A released billing event as it came, with everything an invoice needs of it.

    `reverses_billing_event_id` is the item this one takes back, None on all others.
    """

    billing_event_id: UUID
    batch_id: UUID
    source_item_id: UUID
    type: ItemType
    kind: ItemKind
    contract_id: UUID
    contract_line_id: UUID
    quote_line_id: UUID
    engagement_id: UUID
    correlation_id: UUID
    bill_to_customer_id: UUID
    legal_entity_id: UUID
    project_id: UUID | None
    person_id: UUID | None
    person_name: str
    role: str
    description: str
    service: Period
    quantity: Decimal
    unit: str
    unit_rate: Money
    amount: Money
    tax_category: str
    released_at: datetime
    reverses_billing_event_id: UUID | None = None

    @property
    def recognised(self) -> Money:
        """The revenue its release recognises: its amount, rounded by itself."""
        return self.amount.rounded()

    @property
    def billable_on(self) -> date:
        """The day from which a cut-off takes it in.

        That is the last day of service; for what is released before its service is over, such as
        a month charged in advance, it is the first.
        """
        last = self.service.end - timedelta(days=1)
        return self.service.start if last > self.released_at.astimezone(UTC).date() else last
