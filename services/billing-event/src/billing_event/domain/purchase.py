"""What was bought for a customer: brought in, approved by a second person, billed at cost plus."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final, NewType
from uuid import UUID

from billing_event.domain.agreement import Agreement
from billing_event.domain.civil_day import BILLABLE_DAYS
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
    SourceRef,
)
from billing_event.domain.terms import BillingModel
from throughline_core.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from throughline_core.ids import derived_id
from throughline_core.money import Money

PurchaseId = NewType("PurchaseId", UUID)

_DAY: Final = timedelta(days=1)
_REPLACEABLE: Final = (ProposalStatus.REJECTED, ProposalStatus.WITHDRAWN)


class PurchaseNotFound(NotFound):
    """No such purchase."""

    code = "purchase.not_found"


class LineNotFound(NotFound):
    """The contract has no such line on that day."""

    code = "purchase.line_not_found"


class NotPassThrough(FailedPrecondition):
    """The line does not pass costs through."""

    code = "purchase.not_pass_through"


class CostZero(InvalidArgument):
    """A purchase costs something."""

    code = "purchase.cost_zero"


class TooPrecise(InvalidArgument):
    """The cost has more decimals than its currency."""

    code = "purchase.too_precise"


class DayOutOfRange(InvalidArgument):
    """No cost was incurred on that day."""

    code = "purchase.day_out_of_range"


class PurchaseDiffers(AlreadyExists):
    """The source is known with other content."""

    code = "purchase.differs"


class PurchaseRepeated(InvalidArgument):
    """The request has the same source twice, with different content."""

    code = "purchase.repeated"


class PurchaseNotOpen(NotOpen):
    """The purchase was decided or taken back before."""

    code = "purchase.not_open"


class RecordedByCaller(SecondPersonRequired):
    """Who brought a purchase in may not decide about it."""

    code = "purchase.second_person_required"


@dataclass(frozen=True, slots=True)
class Bought:
    """A purchase as it was sent."""

    contract_id: ContractId
    contract_line_id: ContractLineId
    category: str
    supplier: str
    document_number: str
    description: str
    incurred_on: date
    cost: Money
    source: SourceRef


@dataclass(frozen=True, slots=True)
class Purchase:
    """A purchase as it is kept; its source makes it the same when it comes again.

    `decided_by` is a token subject, empty while it waits.
    """

    purchase_id: PurchaseId
    bought: Bought
    version: int
    legal_entity_id: LegalEntityId
    engagement_id: UUID
    status: ProposalStatus
    recorded_by: str
    recorded_at: datetime
    decided_by: str = ""
    decided_at: datetime | None = None
    decision_reason: str = ""


def record(bought: Bought, agreement: Agreement, *, by: str, at: datetime) -> Purchase:
    """Return a purchase that waits for its approval.

    Raises:
        DayOutOfRange, LineNotFound, NotPassThrough, CostZero, TooPrecise: see there.
    """
    if bought.incurred_on not in BILLABLE_DAYS:
        raise DayOutOfRange(
            f"nothing is billed for {bought.incurred_on}",
            field="incurred_on",
            advice="send the day on which the cost was incurred",
        )
    newest, line_id = agreement.newest, bought.contract_line_id
    found = agreement.line_on(line_id, bought.incurred_on)
    if found is None:
        raise LineNotFound(
            f"contract {newest.contract_id} has no line {line_id} on {bought.incurred_on}",
            field="contract_line_id",
        )
    if found[1].billing_model is not BillingModel.PASS_THROUGH:
        raise NotPassThrough(
            f"line {line_id} does not pass costs through",
            field="contract_line_id",
            advice="name a pass-through line, or agree on one by a change order",
        )
    if bought.cost.is_zero:
        raise CostZero("the cost is zero", field="cost.amount")
    if bought.cost != bought.cost.rounded():
        raise TooPrecise(
            f"{bought.cost} has more decimals than {bought.cost.currency}", field="cost.amount"
        )
    source = bought.source
    return Purchase(
        PurchaseId(derived_id("purchase", source.system, source.object_type, source.object_id)),
        bought,
        1,
        newest.legal_entity_id,
        newest.engagement_id,
        ProposalStatus.PROPOSED,
        by,
        at,
    )


def bring(purchase: Purchase, known: Purchase | None, fresh: Purchase | None) -> Purchase | None:
    """Return the purchase to keep; None where it is kept as it is, before or by the same request.

    One that was rejected or taken back comes again mended, as its next version.

    Raises:
        PurchaseDiffers, PurchaseRepeated: its source is kept, with other content.
    """
    if fresh is not None and fresh.bought != purchase.bought:
        raise PurchaseRepeated(
            "the request has this source twice, with different content",
            field="source.object_id",
            advice="send the right one only",
        )
    if fresh is not None:
        return None
    if known is None:
        return purchase
    if known.bought == purchase.bought:
        return None
    if known.status not in _REPLACEABLE:
        raise PurchaseDiffers(
            f"{purchase.bought.source.object_id} is known with other content, and {known.status}",
            field="source.object_id",
            advice="have one that waits rejected or withdrawn first; send a supplier's correction"
            " as a purchase of its own, with its own number",
        )
    return replace(purchase, purchase_id=known.purchase_id, version=known.version + 1)


def decide(
    purchase: Purchase, status: ProposalStatus, *, by: str, at: datetime, reason: str = ""
) -> Purchase:
    """Return the purchase as it is once decided, or taken back.

    Raises:
        PurchaseNotOpen, RecordedByCaller: see there.
        DayOutOfRange: it is approved, and was recorded when any day was taken.
    """
    day = purchase.bought.incurred_on
    if status is ProposalStatus.APPROVED and day not in BILLABLE_DAYS:
        raise DayOutOfRange(
            f"purchase {purchase.purchase_id} was incurred on {day}: nothing is billed for that",
            field="purchase_ids",
            advice="reject it, and send it with the day on which the cost was incurred, under a"
            " number of its own",
        )
    require_movable(
        "purchase",
        purchase.purchase_id,
        purchase.status,
        status,
        proposed_by=purchase.recorded_by,
        by=by,
        not_open=PurchaseNotOpen,
        same_person=RecordedByCaller,
    )
    return replace(
        purchase,
        status=status,
        version=purchase.version + 1,
        decided_by=by,
        decided_at=at,
        decision_reason=reason,
    )


def source_item_of(purchase: Purchase) -> SourceItem:
    """Return the thing that an approved purchase bills, like an expense of the selling entity."""
    bought = purchase.bought
    return SourceItem(
        source_item_id=SourceItemId(purchase.purchase_id),
        type=ItemType.EXPENSE,
        contract_id=bought.contract_id,
        contract_line_id=bought.contract_line_id,
        engagement_id=purchase.engagement_id,
        delivering_entity_id=purchase.legal_entity_id,
        description=f"{bought.supplier}: {bought.description}",
        service_from=bought.incurred_on,
        service_to=bought.incurred_on + _DAY,
        price=bought.cost,
        approved_by=purchase.decided_by,
        source=bought.source,
        category=bought.category,
    )
