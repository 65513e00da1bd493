"""Takes releases back: invoice-payment lets go of the rows first, then they wait here again."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.bulk import checkpoint
from billing_event.commands.rate import keep, make_judge, reconsider
from billing_event.commands.release import lock_named, lock_owners, rows_of
from billing_event.domain.giving_up import withdraw
from billing_event.domain.hold import HoldReason, OpenHold
from billing_event.domain.position import BillingEventId, EventStatus
from billing_event.domain.release_run import (
    AlreadyInvoiced,
    NotReleased,
    Withdrawal,
    WithdrawalId,
    WithdrawalStatus,
)
from billing_event.repository import release as repository
from billing_event.repository import standing
from throughline_runtime import audit
from throughline_runtime.identity import require_entity
from throughline_runtime.ids import new_id


async def request(
    tx: AsyncConnection,
    billing_event_ids: Sequence[BillingEventId],
    reason: str,
    *,
    places_hold: bool,
    by: str,
    at: datetime,
) -> Withdrawal:
    """Note that the release of rows is to be taken back; invoice-payment is asked afterwards.

    Raises:
        BillingEventNotFound, EntityForbidden: one is not there, or not for the caller.
        NotReleased, AlreadyInvoiced: there is nothing to take back, or it is too late.
        WithdrawalUnderWay: somebody does so already.
    """
    standings = await lock_named(tx, billing_event_ids)
    rows = rows_of(standings, billing_event_ids)
    claimed = await standing.claimed(tx, billing_event_ids)
    billed = await standing.billed(tx, billing_event_ids)
    for row in rows:
        if row.billing_event_id in billed:
            raise AlreadyInvoiced(
                f"billing event {row.billing_event_id} is billed already",
                field="billing_event_ids",
                advice="credit the invoice it is on instead",
            )
        if row.status is EventStatus.RELEASED and row.billing_event_id in claimed:
            raise NotReleased(
                f"a credit note gave up some of billing event {row.billing_event_id}",
                field="billing_event_ids",
                advice="leave it out, or propose to write off what is left of it",
            )
        if row.status is not EventStatus.RELEASED or row.is_taken_back:
            raise NotReleased(
                f"billing event {row.billing_event_id} is {row.status}",
                field="billing_event_ids",
                advice="leave it out",
            )
    withdrawal = Withdrawal(
        withdrawal_id=WithdrawalId(new_id()),
        status=WithdrawalStatus.PENDING,
        rows=tuple((row.billing_event_id, row.version) for row in rows),
        reason=reason,
        places_hold=places_hold,
        requested_by=by,
        requested_at=at,
    )
    await repository.add_withdrawal(tx, withdrawal)
    return withdrawal


async def finish(tx: AsyncConnection, withdrawal_id: WithdrawalId, *, at: datetime) -> None:
    """Have the rows wait for the checkpoint again, once invoice-payment has let go of them."""
    withdrawal = await repository.get_withdrawal(tx, withdrawal_id, lock=True)
    if withdrawal.status is not WithdrawalStatus.PENDING:
        return
    row_ids = [row_id for row_id, _ in withdrawal.rows]
    standings = await lock_owners(tx, await checkpoint.find(tx, row_ids))
    rows = rows_of(standings, row_ids)
    judge = await make_judge(tx, (row.item for row in rows), at=at)
    hold = None
    if withdrawal.places_hold:
        hold = OpenHold(HoldReason.MANUAL, withdrawal.reason, placed_by=withdrawal.requested_by)
    for row in rows:
        withdraw(judge, row, hold)
    await keep(tx, judge, at=at)
    # What was released may have been billed to who no longer pays.
    await reconsider(tx, [each.item.source_item_id for each in standings], at=at)
    audit.touch(tx, *row_ids)
    await repository.finish_withdrawal(tx, withdrawal_id, WithdrawalStatus.DONE, at=at)


async def refuse(
    tx: AsyncConnection, withdrawal_id: WithdrawalId, refusal: str, *, at: datetime
) -> None:
    """Note that invoice-payment does not let go of the rows; they stay released."""
    await repository.finish_withdrawal(
        tx, withdrawal_id, WithdrawalStatus.REFUSED, refusal=refusal, at=at
    )


async def require_visible(tx: AsyncConnection, withdrawal: Withdrawal) -> None:
    """Check that the caller may see a withdrawal: the entities of all its rows.

    Raises:
        EntityForbidden: the caller may not.
    """
    owners = await checkpoint.find(tx, [row_id for row_id, _ in withdrawal.rows])
    for owner in owners.values():
        require_entity(owner.legal_entity_id)
