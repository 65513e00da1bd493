"""Claims on rows: by lines of issued invoices, and by what else settles them."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import NewType
from uuid import UUID

from billing_event.domain.position import BillingEventId
from throughline_core.errors import Aborted, FailedPrecondition
from throughline_core.ids import derived_id
from throughline_core.money import Money

AllocationId = NewType("AllocationId", UUID)


class ClaimKind(StrEnum):
    """What claims a part of a row, or gives it back."""

    INVOICE = "invoice"
    CREDIT = "credit"
    WRITE_OFF = "write_off"
    RETAINER = "retainer"


@dataclass(frozen=True, slots=True)
class Claim:
    """A quantity and exact amount of one row; negative gives back.

    Only claims of invoices and credit notes name a document and its line.
    """

    allocation_id: AllocationId
    billing_event_id: BillingEventId
    invoice_id: UUID | None
    invoice_line_id: UUID | None
    quantity: Decimal
    amount: Money
    kind: ClaimKind = ClaimKind.INVOICE


class ClaimExceedsOpen(Aborted):
    """An invoice bills more of a row than is open: perhaps a credit has to be taken first."""

    code = "allocation.exceeds_open"


class ClaimExceedsRow(FailedPrecondition):
    """An invoice bills more than the row itself, of which nothing is claimed: no credit helps."""

    code = "allocation.exceeds_row"


class ClaimBeforeRelease(Aborted):
    """An invoice bills a row that was not released: some other event has to be taken first."""

    code = "allocation.before_release"


def settlement_id(billing_event_id: BillingEventId, kind: ClaimKind, version: int) -> AllocationId:
    """Return the id of the claim on a whole row that came with a version of it."""
    return AllocationId(derived_id("allocation", kind, billing_event_id, version))


def giving_up_id(credit: AllocationId) -> AllocationId:
    """Return the id of the claim that gives up what a credit gave back."""
    return AllocationId(derived_id("allocation", ClaimKind.WRITE_OFF, credit))


def allocation_id(
    invoice_id: UUID, invoice_line_id: UUID, billing_event_id: BillingEventId
) -> AllocationId:
    """Return the id of what an invoice line claims of a row: the same whenever it is told."""
    return AllocationId(derived_id("allocation", invoice_id, invoice_line_id, billing_event_id))
