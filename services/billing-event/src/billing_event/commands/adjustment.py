"""Proposes, decides and undoes amounts agreed by hand, and sets the reasons they may have."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.commands.lines import require_agreement
from billing_event.commands.rate import rate
from billing_event.domain import adjustment as domain
from billing_event.domain.adjustment import Adjustment, AdjustmentId, AdjustmentReason, OtherLine
from billing_event.domain.position import BillingEventId, BillingEventNotFound
from billing_event.domain.proposal import ProposalStatus
from billing_event.domain.source import ContractId, ContractLineId
from billing_event.repository import adjustment as repository
from throughline_core.ids import derived_id
from throughline_core.money import Money
from throughline_runtime import audit
from throughline_runtime.identity import require_entity, require_every_entity
from throughline_runtime.ids import new_id


@dataclass(frozen=True, slots=True)
class Proposed:
    """What somebody wants to adjust; see `Adjustment`."""

    contract_id: ContractId
    contract_line_id: ContractLineId
    amount: Money
    service_on: date
    reason_code: str
    description: str
    billing_event_id: BillingEventId | None


async def propose(tx: AsyncConnection, proposed: Proposed, *, by: str, at: datetime) -> Adjustment:
    """Keep an adjustment until a second person decides.

    Raises:
        ContractNotFound, EntityForbidden: it is not known as in force, or not for the caller.
        LineNotFound, DayOutOfRange, AmountZero, WrongCurrency, TooPrecise: see
            `domain.adjustment.check_amount`.
        ReasonUnknown, ReasonInactive: see `domain.adjustment.check_reason`.
        BillingEventNotFound, OtherLine: the row it names is not there, or of another line.
    """
    agreement = await require_agreement(tx, proposed.contract_id)
    domain.check_amount(proposed.amount, agreement, proposed.contract_line_id, proposed.service_on)
    reason = await repository.get_reason(tx, proposed.reason_code)
    domain.check_reason(reason, proposed.reason_code)
    if proposed.billing_event_id is not None:
        await _require_row_of_line(tx, proposed.billing_event_id, proposed.contract_line_id)
    made = Adjustment(
        adjustment_id=AdjustmentId(new_id()),
        version=1,
        contract_id=proposed.contract_id,
        contract_line_id=proposed.contract_line_id,
        legal_entity_id=agreement.newest.legal_entity_id,
        engagement_id=agreement.newest.engagement_id,
        status=ProposalStatus.PROPOSED,
        amount=proposed.amount.rounded(),
        service_on=proposed.service_on,
        reason_code=proposed.reason_code,
        description=proposed.description,
        billing_event_id=proposed.billing_event_id,
        undoes_adjustment_id=None,
        proposed_by=by,
        proposed_at=at,
    )
    await _add(tx, made)
    return made


async def undo(
    tx: AsyncConnection, adjustment_id: AdjustmentId, description: str, *, by: str, at: datetime
) -> Adjustment:
    """Propose the counter-amount of an approved adjustment.

    Raises:
        AdjustmentNotFound, EntityForbidden: it is not there, or not for the caller.
        NotApproved, CounterAmount: see `domain.adjustment.undo`.
        Undone: another one undoes it, or waits to.
    """
    original = await _load(tx, adjustment_id)
    counter = domain.undo(original, AdjustmentId(new_id()), description, by=by, at=at)
    await _add(tx, counter)
    return counter


async def decide(
    tx: AsyncConnection,
    adjustment_id: AdjustmentId,
    status: ProposalStatus,
    *,
    by: str,
    at: datetime,
    reason: str = "",
) -> Adjustment:
    """Decide about an adjustment, or take it back; what is approved is rated.

    Raises:
        AdjustmentNotFound, EntityForbidden: it is not there, or not for the caller.
        AdjustmentNotOpen, ProposedByCaller, DayOutOfRange: see `domain.adjustment.decide`.
        StaleVersion: somebody else decided first.
    """
    waiting = await _load(tx, adjustment_id)
    decided = domain.decide(waiting, status, by=by, at=at, reason=reason)
    await repository.save(tx, decided)
    audit.touch(tx, adjustment_id, engagement_id=decided.engagement_id)
    if status is ProposalStatus.APPROVED:
        why = await repository.get_reason(tx, decided.reason_code)
        assert why is not None, "the row refers to its reason"
        await rate(tx, [domain.source_item_of(decided, why)], at=at)
    return decided


async def put_reason(
    tx: AsyncConnection,
    code: str,
    description: str,
    *,
    is_active: bool,
    by: str,
    at: datetime,
) -> AdjustmentReason:
    """Set a reason that adjustments may have.

    Raises:
        EntityForbidden: the caller is limited to some entities; reasons are everybody's.
        StaleVersion: somebody else changed it first.
    """
    require_every_entity()
    present = await repository.get_reason(tx, code)
    version = 1 if present is None else present.version + 1
    reason = AdjustmentReason(code, version, description, is_active)
    await repository.put_reason(tx, reason, by=by, at=at)
    audit.touch(tx, derived_id("adjustment_reason", code))
    return reason


async def _require_row_of_line(
    tx: AsyncConnection, billing_event_id: BillingEventId, contract_line_id: ContractLineId
) -> None:
    line_id = await repository.line_of_row(tx, billing_event_id)
    if line_id is None:
        raise BillingEventNotFound(
            f"billing event {billing_event_id} does not exist", field="billing_event_id"
        )
    if line_id != contract_line_id:
        raise OtherLine(
            f"billing event {billing_event_id} bills line {line_id}",
            field="billing_event_id",
            advice="name the line that the row bills",
        )


async def _load(tx: AsyncConnection, adjustment_id: AdjustmentId) -> Adjustment:
    found = await repository.get(tx, adjustment_id)
    require_entity(found.legal_entity_id)
    return found


async def _add(tx: AsyncConnection, adjustment: Adjustment) -> None:
    await repository.add(tx, adjustment)
    audit.touch(tx, adjustment.adjustment_id, engagement_id=adjustment.engagement_id)
