"""Asks invoice-payment to keep its hands off rows, or to let go of them, and acts on its answer."""

from collections.abc import Collection

import structlog

from billing_event.commands import withdraw_release
from billing_event.domain.position import BillingEventId
from billing_event.domain.release_run import WithdrawalId, WithdrawalStatus
from billing_event.repository import release as repository
from throughline.invoice_payment.v1 import billable_item_service_pb2 as items_pb
from throughline.invoice_payment.v1.billable_item_service_pb2_grpc import BillableItemServiceStub
from throughline_core.errors import FailedPrecondition, Unavailable
from throughline_runtime import database
from throughline_runtime.context import Context
from throughline_runtime.ids import new_id

_log = structlog.get_logger(__name__)
_REASON_MAX = 200


async def set_aside(context: Context, billing_event_ids: Collection[BillingEventId]) -> None:
    """Have invoicing keep its hands off released rows before they are taken back here.

    Raises:
        FailedPrecondition: a draft or an issued invoice has claimed one of them.
        Unavailable: invoicing does not answer.
    """
    if not billing_event_ids:
        return
    stub = context.stub(BillableItemServiceStub, "invoice-payment")
    await stub.SetItemsAside(
        items_pb.SetItemsAsideRequest(
            # A retry that comes late has to set them aside anew.
            request_id=str(new_id()),
            billing_event_ids=map(str, billing_event_ids),
        )
    )


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
