"""More of a retainer's block, as one person wants it and another approves."""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import NewType
from uuid import UUID

from billing_event.domain.proposal import DECISIONS, DecisionStatus
from billing_event.domain.retainer import (
    HOURS,
    Block,
    PeriodStatus,
    RetainerPeriod,
    RetainerPeriodId,
)
from billing_event.domain.source import ItemType, LegalEntityId, SourceItem, SourceItemId
from billing_event.domain.step import SourceStep, StepState
from throughline_core.errors import FailedPrecondition, InvalidArgument, NotFound, PermissionDenied
from throughline_core.ids import derived_id
from throughline_core.money import Money
from throughline_core.transition import move

RetainerTopUpId = NewType("RetainerTopUpId", UUID)


class PeriodNotFound(NotFound):
    """No such period of a retainer, or none the caller may see."""

    code = "retainer_period.not_found"


class PeriodClosed(FailedPrecondition):
    """The period is over, or its contract or line ends before it."""

    code = "retainer_period.closed"


class EmptyTopUp(InvalidArgument):
    """A top-up adds something, and is not paid less than nothing."""

    code = "retainer_top_up.empty"


class ForeignPrice(InvalidArgument):
    """The price is in another currency than the retainer's, or not what is added of money."""

    code = "retainer_top_up.foreign_price"


class TopUpNotFound(NotFound):
    """No such top-up, or none the caller may see."""

    code = "retainer_top_up.not_found"


class OwnTopUp(PermissionDenied):
    """Who proposes a top-up does not approve it."""

    code = "retainer_top_up.own"


@dataclass(frozen=True, slots=True)
class TopUp:
    """More hours, or more money, for one period, and what the customer pays for it."""

    retainer_top_up_id: RetainerTopUpId
    version: int
    retainer_period_id: RetainerPeriodId
    legal_entity_id: LegalEntityId
    quantity: Decimal
    price: Money
    status: DecisionStatus
    reason: str
    proposed_by: str
    proposed_at: datetime
    decided_by: str = ""
    decided_at: datetime | None = None
    comment: str = ""


def propose(
    top_up_id: RetainerTopUpId,
    period: RetainerPeriod,
    quantity: Decimal,
    price: Money,
    *,
    reason: str,
    by: str,
    at: datetime,
) -> TopUp:
    """Return a top-up that waits for a second person.

    Raises:
        PeriodClosed: the period is over.
        EmptyTopUp: it adds nothing, or its price is below zero.
        ForeignPrice: the price is in another currency, or differs from the money added.
    """
    _require_open(period)
    if quantity <= 0 or price.amount < 0:
        raise EmptyTopUp(
            f"{quantity:f} for {price} is no top-up",
            field="quantity",
            advice="add more than 0, at a price of 0 or more",
        )
    block = period.block
    is_whole = block.unit == HOURS or price.amount == quantity
    if price.currency != block.price.currency or not is_whole:
        raise ForeignPrice(
            f"a retainer in {block.price.currency} cannot be topped up by {quantity:f} for {price}",
            field="price",
            advice="send the price in the retainer's currency; of a retainer of money it is"
            " exactly what is added",
        )
    return TopUp(
        retainer_top_up_id=top_up_id,
        version=1,
        retainer_period_id=period.retainer_period_id,
        legal_entity_id=block.legal_entity_id,
        quantity=quantity,
        price=price,
        status=DecisionStatus.PROPOSED,
        reason=reason,
        proposed_by=by,
        proposed_at=at,
    )


def approve(top_up: TopUp, period: RetainerPeriod, *, by: str, at: datetime, comment: str) -> TopUp:
    """Return the top-up as it takes effect.

    Raises:
        IllegalTransition: it was decided on before.
        OwnTopUp: `by` proposed it.
        PeriodClosed: the period is over.
    """
    approved = _decide(top_up, DecisionStatus.APPROVED, by=by, at=at, comment=comment)
    if by == top_up.proposed_by:
        raise OwnTopUp(
            "the top-up was proposed by the same person",
            advice="let somebody else in finance or sales operations approve it",
        )
    _require_open(period)
    return approved


def reject(top_up: TopUp, *, by: str, at: datetime, comment: str) -> TopUp:
    """Return the top-up as it is turned down, by whoever it is.

    Raises:
        IllegalTransition: it was decided on before.
    """
    return _decide(top_up, DecisionStatus.REJECTED, by=by, at=at, comment=comment)


def source_item_of(top_up: TopUp, block: Block) -> SourceItem:
    """Return what is billed for an approved top-up: in advance, like the block it adds to."""
    what = "hours" if block.unit == HOURS else block.unit
    return SourceItem(
        source_item_id=_source_item_id(top_up),
        type=ItemType.RECURRING,
        contract_id=block.contract_id,
        contract_line_id=block.contract_line_id,
        engagement_id=block.engagement_id,
        delivering_entity_id=block.legal_entity_id,
        description=f"Top-up of {top_up.quantity:f} {what}: {top_up.reason}",
        service_from=block.service.start,
        service_to=block.service.end,
        price=top_up.price,
        price_basis=f"top-up of {top_up.quantity:f} {what} for {top_up.price}",
        approved_by=top_up.decided_by,
    )


def repricing(top_up: TopUp, block: Block | None, *, version: int) -> SourceStep:
    """Return the word that an approved top-up is charged for a block, or no longer with None."""
    item_id = _source_item_id(top_up)
    if block is None:
        nothing = Money.zero(top_up.price.currency)
        reason = "nothing is left of the period it was for"
        return SourceStep(item_id, version, StepState.REPRICED, nothing, reason=reason)
    item = source_item_of(top_up, block)
    return SourceStep(
        item_id,
        version,
        StepState.REPRICED,
        item.price,
        service_to=item.service_to,
        reason=item.price_basis,
    )


def _source_item_id(top_up: TopUp) -> SourceItemId:
    return SourceItemId(derived_id("retainer_top_up", top_up.retainer_top_up_id))


def _require_open(period: RetainerPeriod) -> None:
    if period.status in (PeriodStatus.CLOSED, PeriodStatus.VOID):
        is_void = period.status is PeriodStatus.VOID
        why = "not agreed any more" if is_void else "closed"
        raise PeriodClosed(
            f"the period from {period.block.service.start} is {why}",
            field="retainer_period_id",
            advice="top up the period that is open",
        )


def _decide(top_up: TopUp, status: DecisionStatus, *, by: str, at: datetime, comment: str) -> TopUp:
    move(f"top-up {top_up.retainer_top_up_id}", top_up.status, status, DECISIONS)
    return replace(
        top_up,
        version=top_up.version + 1,
        status=status,
        decided_by=by,
        decided_at=at,
        comment=comment,
    )
