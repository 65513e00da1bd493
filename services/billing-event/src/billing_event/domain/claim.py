"""Claims of issued invoices on rows."""

from dataclasses import dataclass
from decimal import Decimal
from typing import NewType
from uuid import UUID

from billing_event.domain.position import BillingEventId
from throughline_core.errors import Aborted, FailedPrecondition
from throughline_core.ids import derived_id
from throughline_core.money import Money

AllocationId = NewType("AllocationId", UUID)


@dataclass(frozen=True, slots=True)
class Claim:
    """A quantity and exact amount of one row on one invoice line; negative gives back."""

    allocation_id: AllocationId
    billing_event_id: BillingEventId
    invoice_id: UUID
    invoice_line_id: UUID
    quantity: Decimal
    amount: Money


class ClaimExceedsOpen(FailedPrecondition):
    """An invoice bills more of a row than is open."""

    code = "allocation.exceeds_open"


class ClaimBeforeRelease(Aborted):
    """An invoice bills a row that was not released: some other event has to be taken first."""

    code = "allocation.before_release"


def allocation_id(
    invoice_id: UUID, invoice_line_id: UUID, billing_event_id: BillingEventId
) -> AllocationId:
    """Return the id of what an invoice line claims of a row: the same whenever it is told."""
    return AllocationId(derived_id("allocation", invoice_id, invoice_line_id, billing_event_id))
