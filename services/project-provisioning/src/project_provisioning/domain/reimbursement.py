"""What people are paid back: approved reimbursable lines, net and recoverable tax together."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from throughline_core.errors import FailedPrecondition, InvalidArgument
from throughline_core.money import Money


class NothingOpen(FailedPrecondition):
    """The person is to be paid back nothing for that period."""

    code = "reimbursement.nothing_open"


class AmountDiffers(InvalidArgument):
    """Another amount is open than was paid."""

    code = "reimbursement.amount_differs"


@dataclass(frozen=True, slots=True)
class Reimbursable:
    """What one person is to be paid back by one company, in one currency."""

    person_id: UUID
    person_name: str
    legal_entity_id: UUID
    amount: Money
    line_count: int
    first_on: date
    last_on: date


@dataclass(frozen=True, slots=True)
class Reimbursement:
    """A payment to a person, for receipts before a day."""

    reimbursement_id: UUID
    person_id: UUID
    legal_entity_id: UUID
    amount: Money
    line_count: int
    incurred_before: date
    payment_reference: str
    paid_on: date
    recorded_by: str
    recorded_at: datetime


def check_paid(open_amount: Money, line_count: int, paid: Money) -> None:
    """Refuse a payment of anything but what is open.

    Raises:
        NothingOpen, AmountDiffers.
    """
    if line_count == 0:
        raise NothingOpen(
            "nothing is open for this person, company, currency and period",
            field="incurred_before",
            advice="look at the list of what is to be paid back",
        )
    if open_amount != paid:
        raise AmountDiffers(
            f"{open_amount} is open",
            field="amount",
            advice="record the amount that is open, or narrow the period to what was paid",
        )
