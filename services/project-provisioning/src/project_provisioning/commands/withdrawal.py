"""Taking an acceptance back, over two services: billing-event forgets it first, then it is undone.

What was begun is kept in a row of its own, so that it is finished even when this process dies, or
billing-event does not answer, between the two.
"""

from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from project_provisioning.commands import milestone as commands
from project_provisioning.domain.acceptance import Withdrawal
from project_provisioning.repository import milestone as repository
from throughline.billing_event.v1.position_service_pb2 import WithdrawSourceRequest
from throughline.billing_event.v1.position_service_pb2_grpc import PositionServiceStub
from throughline_core.errors import (
    Aborted,
    FailedPrecondition,
    NotFound,
    Refusal,
    ResourceExhausted,
    Unavailable,
)
from throughline_runtime.context import Context
from throughline_runtime.database import read, write

_ABANDONED_AFTER: Final = timedelta(seconds=30)
_BATCH: Final = 50

_log: Final = structlog.get_logger(__name__)


async def prepare(context: Context, milestone_id: UUID, *, reason: str, by: str) -> None:
    """Have billing-event forget an acceptance; without an acceptance nothing is asked.

    Raises:
        MilestoneNotFound, EntityForbidden.
        Refusal: what billing-event says, `source.already_billed` among it; nothing has changed.
        Unavailable: it did not answer; the withdrawal is finished as soon as it does.
    """
    async with write(context.engine) as tx:
        withdrawal = await commands.begin_withdrawal(tx, milestone_id, reason=reason, by=by)
    if withdrawal is not None:
        await _ask(context, withdrawal)


async def finish_withdrawals(context: Context) -> None:
    """Finish withdrawals that were begun and left, each on its own."""
    async with read(context.engine) as tx:
        left = await repository.withdrawals_left(tx, older_than=_ABANDONED_AFTER, size=_BATCH)
    for withdrawal in left:
        try:
            await _ask(context, withdrawal)
            async with write(context.engine) as tx:
                await commands.withdraw_acceptance(
                    tx,
                    withdrawal.milestone_id,
                    reason=withdrawal.reason,
                    by=withdrawal.requested_by,
                    clock=context.clock,
                )
        except (FailedPrecondition, NotFound):
            async with write(context.engine) as tx:
                await repository.end_withdrawal(tx, withdrawal.milestone_id)
        except Refusal as refusal:
            _log.warning(
                "withdrawal_waits",
                milestone_id=str(withdrawal.milestone_id),
                code=refusal.stable_code,
            )


async def _ask(context: Context, withdrawal: Withdrawal) -> None:
    """Ask billing-event; what it refuses for good is no longer begun."""
    request = WithdrawSourceRequest(
        request_id=f"withdraw:{withdrawal.milestone_id}:{withdrawal.milestone_version}",
        source_item_id=str(withdrawal.milestone_id),
        source_version=withdrawal.milestone_version,
        reason=withdrawal.reason,
    )
    try:
        await context.stub(PositionServiceStub, "billing-event").WithdrawSource(request)
    except (Unavailable, ResourceExhausted, Aborted):
        raise
    except Refusal:
        async with write(context.engine) as tx:
            await repository.end_withdrawal(tx, withdrawal.milestone_id)
        raise
