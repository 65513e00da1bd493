"""AdjustmentService."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.commands import adjustment as commands
from billing_event.domain.adjustment import AdjustmentId
from billing_event.domain.position import BillingEventId
from billing_event.domain.proposal import ProposalStatus
from billing_event.domain.source import ContractId, ContractLineId
from billing_event.grpc_api.fields import read_contract_id, read_entities, read_line_id
from billing_event.queries import adjustment as queries
from throughline.billing_event.v1 import adjustment_service_pb2 as pb
from throughline.billing_event.v1.adjustment_service_pb2_grpc import AdjustmentServiceServicer
from throughline_core.money import RATE_PLACES
from throughline_runtime import database
from throughline_runtime.context import Context
from throughline_runtime.fields import (
    read_date,
    read_money,
    read_optional_enum,
    read_optional_uuid,
    read_uuid,
)
from throughline_runtime.identity import current_caller
from throughline_runtime.once import once
from throughline_runtime.page import read_page

_LIST_MAX: Final = 500


class AdjustmentServicer(AdjustmentServiceServicer):
    """Amounts agreed by hand."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine
        self._clock = context.clock

    async def ProposeAdjustment(
        self, request: pb.ProposeAdjustmentRequest, context: object
    ) -> pb.ProposeAdjustmentResponse:
        row_id = read_optional_uuid("billing_event_id", request.billing_event_id)
        proposed = commands.Proposed(
            contract_id=ContractId(read_uuid("contract_id", request.contract_id)),
            contract_line_id=ContractLineId(
                read_uuid("contract_line_id", request.contract_line_id)
            ),
            amount=read_money("amount", request.amount, places=RATE_PLACES),
            service_on=read_date("service_on", request.service_on),
            reason_code=request.reason_code,
            description=request.description,
            billing_event_id=None if row_id is None else BillingEventId(row_id),
        )
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> pb.ProposeAdjustmentResponse:
            made = await commands.propose(tx, proposed, by=by, at=at)
            return pb.ProposeAdjustmentResponse(
                adjustment=await queries.adjustment(tx, made.adjustment_id)
            )

        return await once(self._engine, request, pb.ProposeAdjustmentResponse, handle)

    async def UndoAdjustment(
        self, request: pb.UndoAdjustmentRequest, context: object
    ) -> pb.UndoAdjustmentResponse:
        adjustment_id = _read_id(request.adjustment_id)
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> pb.UndoAdjustmentResponse:
            counter = await commands.undo(tx, adjustment_id, request.description, by=by, at=at)
            return pb.UndoAdjustmentResponse(
                adjustment=await queries.adjustment(tx, counter.adjustment_id)
            )

        return await once(self._engine, request, pb.UndoAdjustmentResponse, handle)

    async def ApproveAdjustment(
        self, request: pb.ApproveAdjustmentRequest, context: object
    ) -> pb.ApproveAdjustmentResponse:
        adjustment_id = _read_id(request.adjustment_id)
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> pb.ApproveAdjustmentResponse:
            await commands.decide(tx, adjustment_id, ProposalStatus.APPROVED, by=by, at=at)
            return pb.ApproveAdjustmentResponse(
                adjustment=await queries.adjustment(tx, adjustment_id)
            )

        return await once(self._engine, request, pb.ApproveAdjustmentResponse, handle)

    async def RejectAdjustment(
        self, request: pb.RejectAdjustmentRequest, context: object
    ) -> pb.RejectAdjustmentResponse:
        adjustment_id = _read_id(request.adjustment_id)
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> pb.RejectAdjustmentResponse:
            status, reason = ProposalStatus.REJECTED, request.reason
            await commands.decide(tx, adjustment_id, status, by=by, at=at, reason=reason)
            return pb.RejectAdjustmentResponse(
                adjustment=await queries.adjustment(tx, adjustment_id)
            )

        return await once(self._engine, request, pb.RejectAdjustmentResponse, handle)

    async def WithdrawAdjustment(
        self, request: pb.WithdrawAdjustmentRequest, context: object
    ) -> pb.WithdrawAdjustmentResponse:
        adjustment_id = _read_id(request.adjustment_id)
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> pb.WithdrawAdjustmentResponse:
            await commands.decide(tx, adjustment_id, ProposalStatus.WITHDRAWN, by=by, at=at)
            return pb.WithdrawAdjustmentResponse(
                adjustment=await queries.adjustment(tx, adjustment_id)
            )

        return await once(self._engine, request, pb.WithdrawAdjustmentResponse, handle)

    async def GetAdjustment(
        self, request: pb.GetAdjustmentRequest, context: object
    ) -> pb.GetAdjustmentResponse:
        adjustment_id = _read_id(request.adjustment_id)
        async with database.read(self._engine) as tx:
            return pb.GetAdjustmentResponse(adjustment=await queries.adjustment(tx, adjustment_id))

    async def ListAdjustments(
        self, request: pb.ListAdjustmentsRequest, context: object
    ) -> pb.ListAdjustmentsResponse:
        wanted = queries.AdjustmentFilter(
            legal_entity_ids=read_entities(request.legal_entity_id),
            contract_id=read_contract_id(request.contract_id),
            contract_line_id=read_line_id(request.contract_line_id),
            status=read_optional_enum("status", request.status, queries.STATUSES),
            reason_code=request.reason_code,
        )
        page = read_page(request, keys=2, max=_LIST_MAX)
        async with database.read(self._engine) as tx:
            return await queries.adjustments(tx, wanted, page)

    async def PutAdjustmentReason(
        self, request: pb.PutAdjustmentReasonRequest, context: object
    ) -> pb.PutAdjustmentReasonResponse:
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> pb.PutAdjustmentReasonResponse:
            reason = await commands.put_reason(
                tx, request.code, request.description, is_active=request.active, by=by, at=at
            )
            return pb.PutAdjustmentReasonResponse(adjustment_reason=queries.write_reason(reason))

        return await once(self._engine, request, pb.PutAdjustmentReasonResponse, handle)

    async def ListAdjustmentReasons(
        self, request: pb.ListAdjustmentReasonsRequest, context: object
    ) -> pb.ListAdjustmentReasonsResponse:
        page = read_page(request)
        async with database.read(self._engine) as tx:
            return await queries.reasons(tx, page)


def _read_id(value: str) -> AdjustmentId:
    return AdjustmentId(read_uuid("adjustment_id", value))
