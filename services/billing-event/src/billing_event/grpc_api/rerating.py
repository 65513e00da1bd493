"""Re-rating runs: opened, looked at, decided on, steered."""

from datetime import date
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.commands import rerating
from billing_event.commands.rerating_drive import REPORT, RERATE
from billing_event.domain.rerating_run import Drafted, ReratingRun, ReratingRunId, Scope
from billing_event.domain.source import ContractId, ContractLineId, CustomerId, LegalEntityId
from billing_event.grpc_api.fields import read_contract_id, read_entities, read_line_id
from billing_event.queries import rerating as queries
from billing_event.repository import rerating as repository
from throughline.billing_event.v1 import rerating_service_pb2 as pb
from throughline.billing_event.v1.rerating_service_pb2_grpc import ReratingServiceServicer
from throughline_runtime import database
from throughline_runtime.context import Context
from throughline_runtime.fields import (
    read_date,
    read_enum,
    read_optional_date,
    read_optional_enum,
    read_optional_uuid,
    read_uuid,
)
from throughline_runtime.identity import current_caller, require_entity
from throughline_runtime.once import once
from throughline_runtime.page import read_page

_ITEMS_MAX: Final = 500
_EXPORTED_MAX: Final = 5_000
_EXPORTED_DEFAULT: Final = 1_000


class ReratingServicer(ReratingServiceServicer):
    """Runs that post what changed terms make of rated work."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._engine = context.engine
        self._clock = context.clock

    async def CreateReratingRun(
        self, request: pb.CreateReratingRunRequest, context: object
    ) -> pb.CreateReratingRunResponse:
        scope = _read_scope(request.scope)
        cause = read_enum("cause", request.cause, queries.CAUSES)
        drafted = read_optional_enum("drafted_items", request.drafted_items, queries.DRAFTED)
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> pb.CreateReratingRunResponse:
            run = await rerating.create(
                tx,
                scope,
                cause=cause,
                reason=request.reason,
                drafted=drafted or Drafted.WAIT,
                moves_payers=request.move_payers,
                by=by,
                at=at,
            )
            return pb.CreateReratingRunResponse(run=queries.write_run(run))

        reply = await once(self._engine, request, pb.CreateReratingRunResponse, handle)
        self._context.wake(RERATE)
        return reply

    async def PreviewReratingRun(
        self, request: pb.PreviewReratingRunRequest, context: object
    ) -> pb.PreviewReratingRunResponse:
        run_id, by = _read_run_id(request.rerating_run_id), current_caller().subject

        async def handle(tx: AsyncConnection) -> pb.PreviewReratingRunResponse:
            run = await rerating.preview(tx, run_id, by=by)
            return pb.PreviewReratingRunResponse(run=queries.write_run(run))

        reply = await once(self._engine, request, pb.PreviewReratingRunResponse, handle)
        self._context.wake(RERATE)
        return reply

    async def GetReratingRun(
        self, request: pb.GetReratingRunRequest, context: object
    ) -> pb.GetReratingRunResponse:
        run_id = _read_run_id(request.rerating_run_id)
        async with database.read(self._engine) as tx:
            run = await _visible(tx, run_id)
        return pb.GetReratingRunResponse(run=queries.write_run(run))

    async def ListReratingRuns(
        self, request: pb.ListReratingRunsRequest, context: object
    ) -> pb.ListReratingRunsResponse:
        wanted = queries.RunFilter(
            legal_entity_ids=read_entities(request.legal_entity_id),
            contract_id=read_contract_id(request.contract_id),
            status=read_optional_enum("status", request.status, queries.STATUSES),
            cause=read_optional_enum("cause", request.cause, queries.CAUSES),
        )
        page = read_page(request, keys=2)
        async with database.read(self._engine) as tx:
            return await queries.runs(tx, wanted, page)

    async def ListReratingItems(
        self, request: pb.ListReratingItemsRequest, context: object
    ) -> pb.ListReratingItemsResponse:
        run_id = _read_run_id(request.rerating_run_id)
        payer_id = read_optional_uuid("payer_customer_id", request.payer_customer_id)
        wanted = queries.ItemFilter(
            different_only=request.different_only,
            action=read_optional_enum("action", request.action, queries.ACTIONS),
            place=read_optional_enum("place", request.place, queries.PLACES),
            outcome=read_optional_enum("outcome", request.outcome, queries.OUTCOMES),
            contract_line_id=read_line_id(request.contract_line_id),
            payer_id=None if payer_id is None else CustomerId(payer_id),
            month=_read_month(request.month),
        )
        page = read_page(request, max=_ITEMS_MAX)
        async with database.read(self._engine) as tx:
            return await queries.items(tx, await _visible(tx, run_id), wanted, page)

    async def GetReratingSummary(
        self, request: pb.GetReratingSummaryRequest, context: object
    ) -> pb.GetReratingSummaryResponse:
        run_id = _read_run_id(request.rerating_run_id)
        async with database.read(self._engine) as tx:
            await _visible(tx, run_id)
            return await queries.summary(tx, run_id)

    async def ExportReratingItems(
        self, request: pb.ExportReratingItemsRequest, context: object
    ) -> pb.ExportReratingItemsResponse:
        run_id = _read_run_id(request.rerating_run_id)
        wanted = queries.ItemFilter(different_only=request.different_only)
        request.page_size = request.page_size or _EXPORTED_DEFAULT
        page = read_page(request, max=_EXPORTED_MAX)
        async with database.read(self._engine) as tx:
            return await queries.export(tx, await _visible(tx, run_id), wanted, page)

    async def ApproveReratingRun(
        self, request: pb.ApproveReratingRunRequest, context: object
    ) -> pb.ApproveReratingRunResponse:
        run_id, by = _read_run_id(request.rerating_run_id), current_caller().subject

        async def handle(tx: AsyncConnection) -> pb.ApproveReratingRunResponse:
            run = await rerating.approve(tx, run_id, by=by)
            return pb.ApproveReratingRunResponse(run=queries.write_run(run))

        reply = await once(self._engine, request, pb.ApproveReratingRunResponse, handle)
        self._context.wake(RERATE)
        return reply

    async def RejectReratingRun(
        self, request: pb.RejectReratingRunRequest, context: object
    ) -> pb.RejectReratingRunResponse:
        run_id, by = _read_run_id(request.rerating_run_id), current_caller().subject
        at = self._clock.now()

        async def handle(tx: AsyncConnection) -> pb.RejectReratingRunResponse:
            run = await rerating.reject(tx, run_id, request.reason, by=by, at=at)
            return pb.RejectReratingRunResponse(run=queries.write_run(run))

        reply = await once(self._engine, request, pb.RejectReratingRunResponse, handle)
        self._context.wake(REPORT)
        return reply

    async def CancelReratingRun(
        self, request: pb.CancelReratingRunRequest, context: object
    ) -> pb.CancelReratingRunResponse:
        run_id, by = _read_run_id(request.rerating_run_id), current_caller().subject
        at = self._clock.now()

        async def handle(tx: AsyncConnection) -> pb.CancelReratingRunResponse:
            run = await rerating.cancel(tx, run_id, request.reason, by=by, at=at)
            return pb.CancelReratingRunResponse(run=queries.write_run(run))

        return await once(self._engine, request, pb.CancelReratingRunResponse, handle)

    async def StopReratingRun(
        self, request: pb.StopReratingRunRequest, context: object
    ) -> pb.StopReratingRunResponse:
        run_id = _read_run_id(request.rerating_run_id)

        async def handle(tx: AsyncConnection) -> pb.StopReratingRunResponse:
            run = await rerating.stop(tx, run_id)
            return pb.StopReratingRunResponse(run=queries.write_run(run))

        return await once(self._engine, request, pb.StopReratingRunResponse, handle)

    async def ResumeReratingRun(
        self, request: pb.ResumeReratingRunRequest, context: object
    ) -> pb.ResumeReratingRunResponse:
        run_id = _read_run_id(request.rerating_run_id)

        async def handle(tx: AsyncConnection) -> pb.ResumeReratingRunResponse:
            run = await rerating.resume(tx, run_id)
            return pb.ResumeReratingRunResponse(run=queries.write_run(run))

        reply = await once(self._engine, request, pb.ResumeReratingRunResponse, handle)
        self._context.wake(RERATE)
        return reply


async def _visible(tx: AsyncConnection, run_id: ReratingRunId) -> ReratingRun:
    run = await repository.get(tx, run_id)
    require_entity(run.scope.legal_entity_id)
    return run


def _read_run_id(value: str) -> ReratingRunId:
    return ReratingRunId(read_uuid("rerating_run_id", value))


def _read_month(value: str) -> date | None:
    return read_date("month", f"{value}-01") if value else None


def _read_scope(scope: pb.ReratingScope) -> Scope:
    customer_id = read_optional_uuid("scope.customer_id", scope.customer_id)
    return Scope(
        legal_entity_id=LegalEntityId(read_uuid("scope.legal_entity_id", scope.legal_entity_id)),
        contract_ids=tuple(
            ContractId(read_uuid("scope.contract_ids", each)) for each in scope.contract_ids
        ),
        contract_line_ids=tuple(
            ContractLineId(read_uuid("scope.contract_line_ids", each))
            for each in scope.contract_line_ids
        ),
        person_ids=tuple(read_uuid("scope.person_ids", each) for each in scope.person_ids),
        customer_id=None if customer_id is None else CustomerId(customer_id),
        rate_card_id=read_optional_uuid("scope.rate_card_id", scope.rate_card_id),
        service_from=read_optional_date("scope.service_from", scope.service_from),
        service_through=read_optional_date("scope.service_through", scope.service_through),
    )
