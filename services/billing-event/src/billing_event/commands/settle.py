"""Asks invoice-payment to let go of rows whose release is taken back, and acts on its answer."""

import structlog

from billing_event.commands import withdraw_release
from billing_event.domain.release_run import WithdrawalId, WithdrawalStatus
from billing_event.repository import release as repository
from throughline.invoice_payment.v1 import billable_item_service_pb2 as items_pb
from throughline.invoice_payment.v1.billable_item_service_pb2_grpc import BillableItemServiceStub
from throughline_core.errors import FailedPrecondition, Unavailable
from throughline_runtime import database
from throughline_runtime.context import Context

_log = structlog.get_logger(__name__)
_REASON_MAX = 200


async def settle_withdrawal(context: Context, withdrawal_id: WithdrawalId) -> None:
    """Bring a pending withdrawal to its end; where nobody answers it stays pending.

    Cut off at any point it is done again: invoice-payment lets go of a row once, by its version.
    """
    async with database.read(context.engine) as tx:
        withdrawal = await repository.get_withdrawal(tx, withdrawal_id)
    if withdrawal.status is not WithdrawalStatus.PENDING:
        return
    stub = context.stub(BillableItemServiceStub, "invoice-payment")
    request = items_pb.WithdrawItemsRequest(
        request_id=str(withdrawal_id),
        items=[
            items_pb.WithdrawnItem(billing_event_id=str(row_id), version=version)
            for row_id, version in withdrawal.rows
        ],
        reason=withdrawal.reason[:_REASON_MAX],
    )
    at = context.clock.now()
    try:
        await stub.WithdrawItems(request)
    except FailedPrecondition as refusal:
        async with database.write(context.engine) as tx:
            await withdraw_release.refuse(tx, withdrawal_id, refusal.message, at=at)
    except Unavailable as error:
        _log.warning("withdrawal_waits", withdrawal=str(withdrawal_id), reason=error.message)
    else:
        async with database.write(context.engine) as tx:
            await withdraw_release.finish(tx, withdrawal_id, at=at)
