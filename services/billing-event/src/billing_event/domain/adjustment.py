"""Amounts agreed by hand: proposed, approved by a second person, undone by another of them."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final, NewType
from uuid import UUID

from billing_event.domain.agreement import Agreement
from billing_event.domain.civil_day import (
    BILLABLE_DAYS,
    YEARS_AFTER_END,
    is_settled_by_hand,
)
from billing_event.domain.position import BillingEventId
from billing_event.domain.proposal import (
    NotOpen,
    ProposalStatus,
    SecondPersonRequired,
    require_movable,
)
from billing_event.domain.source import (
    ContractId,
    ContractLineId,
    ItemType,
    LegalEntityId,
    SourceItem,
    SourceItemId,
)
from throughline_core.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from throughline_core.money import Money

AdjustmentId = NewType("AdjustmentId", UUID)

_DAY: Final = timedelta(days=1)


class AdjustmentNotFound(NotFound):
    """No such adjustment."""

    code = "adjustment.not_found"


class LineNotFound(NotFound):
    """The contract has no such line on that day."""

    code = "adjustment.line_not_found"


class AmountZero(InvalidArgument):
    """An adjustment of nothing changes nothing."""

    code = "adjustment.amount_zero"


class DayOutOfRange(InvalidArgument):
    """The contract was not in force by that day, or ended too long before."""

    code = "adjustment.day_out_of_range"


class WrongCurrency(InvalidArgument):
    """The contract is in another currency."""

    code = "adjustment.wrong_currency"


class TooPrecise(InvalidArgument):
    """The amount has more decimals than its currency."""

    code = "adjustment.too_precise"


class ReasonUnknown(NotFound):
    """No such reason is configured."""

    code = "adjustment.reason_unknown"


class ReasonInactive(FailedPrecondition):
    """The reason is kept for adjustments that have it, and taken for no more."""

    code = "adjustment.reason_inactive"


class OtherLine(InvalidArgument):
    """The row it refers to bills another contract line."""

    code = "adjustment.other_line"


class NotApproved(FailedPrecondition):
    """Only what was approved has an effect to undo."""

    code = "adjustment.not_approved"


class Undone(AlreadyExists):
    """Another adjustment undoes it, or waits to."""

    code = "adjustment.undone"


class CounterAmount(FailedPrecondition):
    """The adjustment undoes another one."""

    code = "adjustment.counter_amount"


class AdjustmentNotOpen(NotOpen):
    """It was decided or taken back before."""

    code = "adjustment.not_open"


class ProposedByCaller(SecondPersonRequired):
    """Who proposed an adjustment may not decide about it."""

    code = "adjustment.second_person_required"


@dataclass(frozen=True, slots=True)
class AdjustmentReason:
    """Why people adjust; one that is not active is taken for no new adjustment."""

    code: str
    version: int
    description: str
    is_active: bool


@dataclass(frozen=True, slots=True)
class Adjustment:
    """An amount of either sign on a contract line, for a day of service.

    `billing_event_id` is the row it writes up or corrects, `undoes_adjustment_id` the adjustment it
    takes back. `decided_by` is a token subject, empty while it waits.
    """

    adjustment_id: AdjustmentId
    version: int
    contract_id: ContractId
    contract_line_id: ContractLineId
    legal_entity_id: LegalEntityId
    engagement_id: UUID
    status: ProposalStatus
    amount: Money
    service_on: date
    reason_code: str
    description: str
    billing_event_id: BillingEventId | None
    undoes_adjustment_id: AdjustmentId | None
    proposed_by: str
    proposed_at: datetime
    decided_by: str = ""
    decided_at: datetime | None = None
    decision_reason: str = ""


def check_amount(
    amount: Money, agreement: Agreement, contract_line_id: ContractLineId, day: date
) -> None:
    """Check that an amount may be adjusted on a line.

    Raises:
        LineNotFound, DayOutOfRange, AmountZero, WrongCurrency, TooPrecise: see there.
    """
    newest = agreement.newest
    found = agreement.line_on(contract_line_id, day)
    if found is None:
        raise LineNotFound(
            f"contract {newest.contract_id} has no line {contract_line_id} on {day}",
            field="contract_line_id",
        )
    _, line = found
    first_day = agreement.first_day
    if not is_settled_by_hand(day, first_day, line.term.end):
        raise DayOutOfRange(
            f"the contract began on {first_day} and the line ends on {line.term.end}:"
            f" nothing of {day} is settled under it",
            field="service_on",
            advice="name the day of service the amount is for, from the first day of the contract"
            f" to {YEARS_AFTER_END} years after the end of the line",
        )
    if amount.currency != newest.currency:
        raise WrongCurrency(
            f"the contract is in {newest.currency}",
            field="amount.currency",
            advice="agree on the amount in the currency of the contract",
        )
    if amount.is_zero:
        raise AmountZero("the amount is zero", field="amount.amount")
    if amount != amount.rounded():
        raise TooPrecise(
            f"{amount} has more decimals than {amount.currency}",
            field="amount.amount",
            advice="round it as agreed",
        )


def check_reason(reason: AdjustmentReason | None, code: str) -> None:
    """Check that a reason may be given.

    Raises:
        ReasonUnknown, ReasonInactive: see there.
    """
    if reason is None:
        raise ReasonUnknown(
            f"there is no reason {code!r}",
            field="reason_code",
            advice="name one of the configured reasons, or have finance put another",
        )
    if not reason.is_active:
        raise ReasonInactive(f"reason {code!r} is taken for no more", field="reason_code")


def undo(
    original: Adjustment, adjustment_id: AdjustmentId, description: str, *, by: str, at: datetime
) -> Adjustment:
    """Return the counter-adjustment of an approved one.

    Raises:
        NotApproved, CounterAmount: see there.
    """
    if original.status is not ProposalStatus.APPROVED:
        raise NotApproved(
            f"adjustment {original.adjustment_id} is {original.status}",
            advice="withdraw it while it waits",
        )
    if original.undoes_adjustment_id is not None:
        raise CounterAmount(
            f"adjustment {original.adjustment_id} undoes {original.undoes_adjustment_id}",
            advice="propose the amount anew",
        )
    return replace(
        original,
        adjustment_id=adjustment_id,
        version=1,
        status=ProposalStatus.PROPOSED,
        amount=-original.amount,
        description=description,
        undoes_adjustment_id=original.adjustment_id,
        proposed_by=by,
        proposed_at=at,
        decided_by="",
        decided_at=None,
        decision_reason="",
    )


def decide(
    adjustment: Adjustment, status: ProposalStatus, *, by: str, at: datetime, reason: str = ""
) -> Adjustment:
    """Return the adjustment as it is once decided, or taken back.

    Raises:
        AdjustmentNotOpen, ProposedByCaller: see there.
        DayOutOfRange: it is approved, and was proposed when any day was taken.
    """
    is_new = status is ProposalStatus.APPROVED and adjustment.undoes_adjustment_id is None
    if is_new and adjustment.service_on not in BILLABLE_DAYS:
        raise DayOutOfRange(
            f"adjustment {adjustment.adjustment_id} is for {adjustment.service_on}:"
            " nothing is billed for that",
            advice="reject it, and propose it for the day of service it is for",
        )
    require_movable(
        "adjustment",
        adjustment.adjustment_id,
        adjustment.status,
        status,
        proposed_by=adjustment.proposed_by,
        by=by,
        not_open=AdjustmentNotOpen,
        same_person=ProposedByCaller,
    )
    return replace(
        adjustment,
        status=status,
        version=adjustment.version + 1,
        decided_by=by,
        decided_at=at,
        decision_reason=reason,
    )


def source_item_of(adjustment: Adjustment, reason: AdjustmentReason) -> SourceItem:
    """Return the thing that an approved adjustment bills; one that undoes takes the other back."""
    undone = adjustment.undoes_adjustment_id
    basis = f"agreed by {adjustment.proposed_by} and {adjustment.decided_by}: {reason.description}"
    if adjustment.billing_event_id is not None:
        basis += f", for billing event {adjustment.billing_event_id}"
    return SourceItem(
        source_item_id=SourceItemId(adjustment.adjustment_id),
        type=ItemType.ADJUSTMENT,
        contract_id=adjustment.contract_id,
        contract_line_id=adjustment.contract_line_id,
        engagement_id=adjustment.engagement_id,
        delivering_entity_id=adjustment.legal_entity_id,
        description=adjustment.description,
        service_from=adjustment.service_on,
        service_to=adjustment.service_on + _DAY,
        price=adjustment.amount,
        price_basis=basis,
        approved_by=adjustment.decided_by,
        reverses_item_id=None if undone is None else SourceItemId(undone),
    )
