"""The approval checkpoint, and the holds and thresholds people set."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.bulk import checkpoint, save
from billing_event.commands.rate import keep, make_judge, reconsider
from billing_event.domain.hold import (
    HoldAlreadyCleared,
    HoldAlreadyPlaced,
    HoldId,
    HoldNotFound,
    HoldNotManual,
    HoldReason,
    OpenHold,
)
from billing_event.domain.position import (
    AlreadyReleased,
    BillingEventId,
    BillingEventNotFound,
    EventStatus,
    Row,
)
from billing_event.domain.release import ReleasePolicy, replaced, require_releasable
from billing_event.domain.source import ContractId, LegalEntityId
from billing_event.domain.standing import Standing
from billing_event.repository import policy, standing
from throughline_core.money import Money
from throughline_runtime import audit
from throughline_runtime.identity import require_entity

RELEASED_MAX: Final = 5_000
"""Rows one call releases."""


@dataclass(frozen=True, slots=True)
class Released:
    """What became of the rows a person wanted to release."""

    rows: Sequence[Row]
    held: int
    needs_other_person: int = 0
    has_more: bool = False

    @property
    def amounts(self) -> list[Money]:
        """The sum of the released rows, one for each currency."""
        totals: dict[str, Money] = {}
        for row in self.rows:
            amount = row.amount
            totals[amount.currency] = totals.get(amount.currency, amount - amount) + amount
        return [totals[currency] for currency in sorted(totals)]


async def release_named(
    tx: AsyncConnection,
    billing_event_ids: Collection[BillingEventId],
    *,
    by: str,
    at: datetime,
) -> Released:
    """Release exactly these rows, or none of them.

    Raises:
        BillingEventNotFound, EntityForbidden: one is not there, or not for the caller.
        NotEligible, SecondPersonRequired: see `domain.release.require_releasable`.
    """
    owners = await checkpoint.find(tx, billing_event_ids)
    _require_all(billing_event_ids, owners.keys())
    for owner in owners.values():
        require_entity(owner.legal_entity_id)
    items = list({owner.source_item_id: None for owner in owners.values()})
    standings = await standing.lock_standings(tx, items)
    for row in _rows(standings, billing_event_ids):
        require_releasable(row, by=by)
    return await _pass(tx, standings, billing_event_ids, by=by, at=at)


async def release_matching(
    tx: AsyncConnection,
    *,
    by: str,
    at: datetime,
    through: date | None,
    contract_id: ContractId | None,
    legal_entity_ids: Collection[UUID] | None,
) -> Released:
    """Release the eligible rows of a contract or of legal entities, as many as one call may.

    Rows whose work `by` approved are left for somebody else and counted.
    """
    found = await checkpoint.match(
        tx,
        by=by,
        through=through,
        contract_id=contract_id,
        legal_entity_ids=legal_entity_ids,
        limit=RELEASED_MAX + 1,
    )
    chosen = found[:RELEASED_MAX]
    standings = await standing.lock_standings(
        tx, list({row.source_item_id: None for row in chosen})
    )
    named = {row.billing_event_id for row in chosen}
    done = await _pass(tx, standings, named, by=by, at=at)
    own = await checkpoint.count_own(
        tx, by=by, through=through, contract_id=contract_id, legal_entity_ids=legal_entity_ids
    )
    return Released(done.rows, done.held, own, has_more=len(found) > RELEASED_MAX)


async def place_hold(
    tx: AsyncConnection,
    billing_event_id: BillingEventId,
    reason: str,
    *,
    by: str,
    at: datetime,
) -> HoldId:
    """Hold a row until a person clears it; return the hold's id.

    Raises:
        BillingEventNotFound, EntityForbidden: it is not there, or not for the caller.
        AlreadyReleased: it may be invoiced by now.
        HoldAlreadyPlaced: somebody holds it already.
    """
    owners = await checkpoint.find(tx, [billing_event_id])
    _require_all([billing_event_id], owners.keys())
    require_entity(owners[billing_event_id].legal_entity_id)
    standings = await standing.lock_standings(tx, [owners[billing_event_id].source_item_id])
    [row] = _rows(standings, [billing_event_id])
    if row.status is EventStatus.RELEASED:
        raise AlreadyReleased(
            f"billing event {billing_event_id} was released by {row.released_by}",
            advice="leave it out of the invoice, or credit it afterwards",
        )
    if any(hold.reason is HoldReason.MANUAL for hold in row.holds):
        raise HoldAlreadyPlaced(f"billing event {billing_event_id} is held by hand already")
    judge = await make_judge(tx, [row.item], at=at)
    judge.hold(row, OpenHold(HoldReason.MANUAL, reason, placed_by=by))
    await keep(tx, judge, at=at)
    [opened] = judge.decision.opened
    hold_id = save.hold_id(opened, epoch=judge.epoch)
    audit.touch(tx, billing_event_id, hold_id, engagement_id=row.rating.engagement_id)
    return hold_id


async def clear_hold(
    tx: AsyncConnection, hold_id: HoldId, reason: str, *, by: str, at: datetime
) -> BillingEventId:
    """Clear a hold that a person placed; its row, which is returned, goes on by today's facts.

    Raises:
        HoldNotFound, EntityForbidden: it is not there, or not for the caller.
        HoldNotManual: it has a cause that has to go first.
        HoldAlreadyCleared: it was cleared before.
    """
    hold = await checkpoint.find_hold(tx, hold_id)
    if hold is None:
        raise HoldNotFound(f"hold {hold_id} does not exist", field="hold_id")
    if hold.legal_entity_id is not None:
        require_entity(hold.legal_entity_id)
    if hold.reason != HoldReason.MANUAL:
        raise HoldNotManual(
            f"hold {hold_id} is {hold.reason}: {hold.detail}",
            advice="it clears by itself when its cause is gone",
        )
    await reconsider(tx, [hold.source_item_id], at=at, dropping={hold_id})
    if not await checkpoint.sign_clearing(tx, hold_id, reason, by=by):
        raise HoldAlreadyCleared(f"hold {hold_id} was cleared before")
    audit.touch(tx, hold.billing_event_id, hold_id)
    return BillingEventId(hold.billing_event_id)


async def set_policy(
    tx: AsyncConnection,
    legal_entity_id: LegalEntityId,
    threshold: Money,
    *,
    by: str,
    at: datetime,
) -> ReleasePolicy:
    """Set the threshold of a legal entity.

    Raises:
        EntityForbidden: it is not for the caller.
        NegativeThreshold: see `domain.release.replaced`.
        StaleVersion: somebody else changed it first.
    """
    require_entity(legal_entity_id)
    present = await policy.get_policy(tx, legal_entity_id)
    changed = replaced(present, legal_entity_id, threshold, by=by, at=at)
    await policy.save_policy(tx, changed)
    audit.touch(tx, legal_entity_id)
    return changed


async def _pass(
    tx: AsyncConnection,
    standings: Sequence[Standing],
    named: Collection[BillingEventId],
    *,
    by: str,
    at: datetime,
) -> Released:
    """Look at the facts once more, then let those named rows pass that nothing holds."""
    judge = await make_judge(tx, (each.item for each in standings), at=at)
    judge.decide_again(standings)
    stopped = {row.billing_event_id for row in judge.decision.changed}
    passing = [
        row
        for row in _rows(standings, named)
        if row.billing_event_id not in stopped and row.status is EventStatus.ELIGIBLE
    ]
    judge.release(passing, by=by)
    audit.touch(tx, *(row.billing_event_id for row in passing))
    await keep(tx, judge, at=at)
    held = sum(row.billing_event_id in stopped for row in _rows(standings, named))
    return Released(passing, held)


def _rows(standings: Sequence[Standing], named: Collection[BillingEventId]) -> list[Row]:
    wanted = set(named)
    return [row for each in standings for row in each.rows if row.billing_event_id in wanted]


def _require_all(named: Collection[BillingEventId], found: Collection[BillingEventId]) -> None:
    missing = set(named) - set(found)
    if missing:
        raise BillingEventNotFound(
            f"billing event {min(missing)} does not exist", field="billing_event_ids"
        )
