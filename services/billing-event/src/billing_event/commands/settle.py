"""Asks invoice-payment to keep its hands off rows, or to let go of them, and acts on its answer."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog
from google.protobuf.timestamp_pb2 import Timestamp

from billing_event.commands import withdraw_release
from billing_event.domain.position import BillingEventId
from billing_event.domain.release_run import WithdrawalId, WithdrawalStatus
from billing_event.repository import release as repository
from throughline.invoice_payment.v1 import billable_item_service_pb2 as items_pb
from throughline.invoice_payment.v1.billable_item_service_pb2_grpc import BillableItemServiceStub
from throughline_core.errors import FailedPrecondition, Refusal, Unavailable
from throughline_runtime import database
from throughline_runtime.context import Context
from throughline_runtime.ids import new_id

if TYPE_CHECKING:
    # Only the stub file knows it: at run time the other class serves both kinds of channel.
    from throughline.invoice_payment.v1.billable_item_service_pb2_grpc import (
        BillableItemServiceAsyncStub,
    )

_log = structlog.get_logger(__name__)
_REASON_MAX = 200


@asynccontextmanager
async def set_aside(
    context: Context, billing_event_ids: Collection[BillingEventId]
) -> AsyncIterator[set[BillingEventId]]:
    """Have invoicing keep its hands off released rows while they are taken back here.

    Yields these rows: the caller removes what it took back. The others are billable again at once,
    also where the caller is refused; if nobody answers then, when the time of an aside is over.

    Raises:
        FailedPrecondition: a draft or an issued invoice has claimed one of them.
        Unavailable: invoicing does not answer.
    """
    left = set(billing_event_ids)
    if not left:
        yield left
        return
    stub = context.stub(BillableItemServiceStub, "invoice-payment")
    # A retry that comes late has to set them aside anew: no request id of the caller's.
    request_id = str(new_id())
    aside = await stub.SetItemsAside(
        items_pb.SetItemsAsideRequest(
            request_id=request_id, billing_event_ids=map(str, billing_event_ids)
        )
    )
    try:
        yield left
    except Refusal:
        await _put_back(stub, request_id, billing_event_ids, aside.until)
        raise
    await _put_back(stub, request_id, left, aside.until)


async def _put_back(
    stub: "BillableItemServiceAsyncStub",
    request_id: str,
    billing_event_ids: Collection[BillingEventId],
    until: Timestamp,
) -> None:
    if not billing_event_ids:
        return
    try:
        await stub.PutItemsBack(
            items_pb.PutItemsBackRequest(
                request_id=request_id,
                billing_event_ids=map(str, billing_event_ids),
                until=until,
            )
        )
    except Refusal as error:
        _log.warning("items_stay_aside", request=request_id, reason=error.message)


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
