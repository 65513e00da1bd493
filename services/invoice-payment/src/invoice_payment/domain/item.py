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
    PROGRESS = "progress"
    USAGE = "usage"
    RETAINER_DRAW = "retainer_draw"
    ADJUSTMENT = "adjustment"


class Treatment(StrEnum):
    """What becomes of an item."""

    INVOICED = "invoiced"
    """Invoiced; its release recognised the revenue."""
    PREPAYMENT = "prepayment"
    """Invoiced in advance, and owed to the customer until work draws on it."""
    DRAWN = "drawn"
    """Never invoiced: earned out of a prepayment."""


class ItemKind(StrEnum):
    """How the row came about; reversals are negative."""

    ORIGINAL = "original"
    REVERSAL = "reversal"
    ADJUSTMENT = "adjustment"


@dataclass(frozen=True, slots=True)
class Portion:
    """A part of an item that is billed once, as it stands: where it is on, and in the books.

    `invoice_id` is the draft or document that claims it; `is_billed` when that one is issued and
    not taken back in full. `number` is the document's, None on a draft.
    """

    billing_event_id: UUID
    portion: int
    row_version: int
    legal_entity_id: UUID
    contract_id: UUID
    contract_line_id: UUID
    engagement_id: UUID
    correlation_id: UUID
    recognised: Money
    treatment: Treatment
    is_netted: bool
    invoice_id: UUID | None
    number: str | None
    is_billed: bool


@dataclass(frozen=True, slots=True)
class Retracted:
    """Up to which versions releases of an item were withdrawn, given up, and taken up again.

    A write-off that is heard of after a withdrawal that covers it is not among these.
    """

    withdrawn: int
    written_off: int
    undone: int

    def is_withdrawn_by_undoing(self, version: int) -> bool:
        """Tell if undoing the write-off, by this version, leaves a withdrawal to be booked.

        The release was withdrawn when the books had given the item up and nobody had said yet that
        it counts again: there was nothing to take back then.
        """
        return self.undone < self.written_off < version <= self.withdrawn


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What a credit note gave up and counts again, as the row `reversal_id` takes it back too."""

    reversal_id: UUID
    legal_entity_id: UUID
    contract_id: UUID
    contract_line_id: UUID
    engagement_id: UUID
    correlation_id: UUID
    recognised: Money
    treatment: Treatment


@dataclass(frozen=True, slots=True)
class BillableItem:
    """A released billing event as it came, with everything an invoice needs of it.

    `reverses_billing_event_id` is the item this one takes back, None on all others; with
    `rerating_run_id` it does so because the work was rated anew. `version` is the billing event's
    at its release. `purchase_order_number` is empty where the contract's own holds.
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
    version: int = 1
    treatment: Treatment = Treatment.INVOICED
    purchase_order_number: str = ""
    reverses_billing_event_id: UUID | None = None
    rerating_run_id: UUID | None = None

    @property
    def recognised(self) -> Money:
        """What it stands at in the books until it is invoiced: its amount, rounded by itself."""
        return self.amount.rounded()

    @property
    def billable_on(self) -> date:
        """The day from which a cut-off takes it in.

        That is the last day of service; for what is released before its service is over, such as
        a month charged in advance, it is the first.
        """
        last = self.service.end - timedelta(days=1)
        return self.service.start if last > self.released_at.astimezone(UTC).date() else last
