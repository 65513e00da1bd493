"""Retainers: what is left of them, what moved them, and more of their blocks."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.commands import retainer as commands
from billing_event.domain.retainer import RetainerPeriodId
from billing_event.domain.retainer_top_up import RetainerTopUpId
from billing_event.grpc_api.fields import read_contract_id, read_entities, read_line_id
from billing_event.queries import retainer as queries
from billing_event.wire import retainers
from throughline.billing_event.v1 import retainer_service_pb2 as pb
from throughline.billing_event.v1.retainer_service_pb2_grpc import RetainerServiceServicer
from throughline_runtime import database
from throughline_runtime.context import Context
from throughline_runtime.fields import (
    read_decimal,
    read_money,
    read_optional_date,
    read_optional_enum,
    read_optional_uuid,
    read_uuid,
)
from throughline_runtime.identity import current_caller
from throughline_runtime.once import once
from throughline_runtime.page import read_page

_LIST_MAX: Final = 500


class RetainerServicer(RetainerServiceServicer):
    """Periods of retainers and their top-ups."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine
        self._clock = context.clock

    async def ListRetainerPeriods(
        self, request: pb.ListRetainerPeriodsRequest, context: object
    ) -> pb.ListRetainerPeriodsResponse:
        wanted = queries.PeriodFilter(
            legal_entity_ids=read_entities(request.legal_entity_id),
            contract_id=read_contract_id(request.contract_id),
            contract_line_id=read_line_id(request.contract_line_id),
            status=read_optional_enum("status", request.status, retainers.STATUSES),
            on=read_optional_date("on", request.on),
        )
        page = read_page(request, keys=3, max=_LIST_MAX)
        async with database.read(self._engine) as tx:
            return await queries.periods(tx, wanted, page)

    async def GetRetainerPeriod(
        self, request: pb.GetRetainerPeriodRequest, context: object
    ) -> pb.GetRetainerPeriodResponse:
        period_id = _read_period(request.retainer_period_id)
        async with database.read(self._engine) as tx:
            return pb.GetRetainerPeriodResponse(retainer_period=await queries.period(tx, period_id))

    async def ListRetainerEntries(
        self, request: pb.ListRetainerEntriesRequest, context: object
    ) -> pb.ListRetainerEntriesResponse:
        period_id = _read_period(request.retainer_period_id)
        kind = read_optional_enum("kind", request.kind, retainers.ENTRY_KINDS)
        page = read_page(request, max=_LIST_MAX)
        async with database.read(self._engine) as tx:
            return await queries.entries(tx, period_id, page, kind=kind)

    async def PreviewRetainerClose(
        self, request: pb.PreviewRetainerCloseRequest, context: object
    ) -> pb.PreviewRetainerCloseResponse:
        period_id = _read_period(request.retainer_period_id)
        async with database.read(self._engine) as tx:
            return await queries.preview_close(tx, period_id)

    async def ProposeRetainerTopUp(
        self, request: pb.ProposeRetainerTopUpRequest, context: object
    ) -> pb.ProposeRetainerTopUpResponse:
        period_id = _read_period(request.retainer_period_id)
        quantity = read_decimal("quantity", request.quantity, places=2)
        price = read_money("price", request.price)
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> pb.ProposeRetainerTopUpResponse:
            proposed = await commands.propose_top_up(
                tx, period_id, quantity, price, reason=request.reason, by=by, at=at
            )
            return pb.ProposeRetainerTopUpResponse(retainer_top_up=retainers.write_top_up(proposed))

        return await once(self._engine, request, pb.ProposeRetainerTopUpResponse, handle)

    async def ListRetainerTopUps(
        self, request: pb.ListRetainerTopUpsRequest, context: object
    ) -> pb.ListRetainerTopUpsResponse:
        period_id = read_optional_uuid("retainer_period_id", request.retainer_period_id)
        wanted = queries.TopUpFilter(
            legal_entity_ids=read_entities(request.legal_entity_id),
            retainer_period_id=None if period_id is None else RetainerPeriodId(period_id),
            status=read_optional_enum("status", request.status, retainers.TOP_UP_STATUSES),
        )
        page = read_page(request, max=_LIST_MAX)
        async with database.read(self._engine) as tx:
            return await queries.top_ups(tx, wanted, page)

    async def ApproveRetainerTopUp(
        self, request: pb.ApproveRetainerTopUpRequest, context: object
    ) -> pb.ApproveRetainerTopUpResponse:
        top_up_id = _read_top_up(request.retainer_top_up_id)
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> pb.ApproveRetainerTopUpResponse:
            approved = await commands.approve_top_up(
                tx, top_up_id, by=by, at=at, comment=request.comment
            )
            return pb.ApproveRetainerTopUpResponse(
                retainer_top_up=retainers.write_top_up(approved),
                retainer_period=await queries.period(tx, approved.retainer_period_id),
            )

        return await once(self._engine, request, pb.ApproveRetainerTopUpResponse, handle)

    async def RejectRetainerTopUp(
        self, request: pb.RejectRetainerTopUpRequest, context: object
    ) -> pb.RejectRetainerTopUpResponse:
        top_up_id = _read_top_up(request.retainer_top_up_id)
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> pb.RejectRetainerTopUpResponse:
            rejected = await commands.reject_top_up(
                tx, top_up_id, by=by, at=at, comment=request.comment
            )
            return pb.RejectRetainerTopUpResponse(retainer_top_up=retainers.write_top_up(rejected))

        return await once(self._engine, request, pb.RejectRetainerTopUpResponse, handle)


def _read_period(value: str) -> RetainerPeriodId:
    return RetainerPeriodId(read_uuid("retainer_period_id", value))


def _read_top_up(value: str) -> RetainerTopUpId:
    return RetainerTopUpId(read_uuid("retainer_top_up_id", value))
