"""Rating by other rules beside the live ones."""

from typing import Final

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.commands import shadow
from billing_event.domain.job import RunStatus
from billing_event.domain.shadow import ShadowRunId, ShadowScope
from billing_event.grpc_api.fields import (
    read_contract_id,
    read_entities,
    read_entity_id,
    read_line_id,
)
from billing_event.queries.scope import is_over
from billing_event.repository import shadow as repository
from billing_event.wire.shadow import RUN_STATUSES, write_difference, write_run
from throughline.billing_event.v1 import shadow_service_pb2 as pb
from throughline.billing_event.v1.shadow_service_pb2_grpc import ShadowServiceServicer
from throughline_runtime import database
from throughline_runtime.context import Context
from throughline_runtime.fields import (
    read_date,
    read_optional_date,
    read_optional_enum,
    read_optional_uuid,
    read_uuid,
)
from throughline_runtime.identity import current_caller, visible_entities
from throughline_runtime.once import once
from throughline_runtime.page import next_token, read_page

RUNS: Final = "billing-event.compare-rules"
_LIST_MAX: Final = 500


class ShadowServicer(ShadowServiceServicer):
    """Comparisons of rules."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._engine = context.engine
        self._clock = context.clock

    async def StartShadowRun(
        self, request: pb.StartShadowRunRequest, context: object
    ) -> pb.StartShadowRunResponse:
        scope = _read_scope(request.scope)
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> pb.StartShadowRunResponse:
            run = await shadow.start(
                tx, request.name, request.rules, scope, is_live=request.live, by=by, at=at
            )
            return pb.StartShadowRunResponse(shadow_run=write_run(run))

        response = await once(self._engine, request, pb.StartShadowRunResponse, handle)
        self._context.wake(RUNS)
        return response

    async def GetShadowRun(
        self, request: pb.GetShadowRunRequest, context: object
    ) -> pb.GetShadowRunResponse:
        run_id = ShadowRunId(read_uuid("shadow_run_id", request.shadow_run_id))
        async with database.read(self._engine) as tx:
            run = await repository.get(tx, run_id)
        shadow.require_visible(run)
        return pb.GetShadowRunResponse(shadow_run=write_run(run))

    async def ListShadowRuns(
        self, request: pb.ListShadowRunsRequest, context: object
    ) -> pb.ListShadowRunsResponse:
        status = read_optional_enum("status", request.status, RUN_STATUSES)
        entity_id = read_entity_id(request.legal_entity_id)
        page = read_page(request)
        table, visible = tables.shadow_run, visible_entities()
        query = select(table)
        if status is not None:
            query = query.where(table.c.status == status)
        if entity_id is not None:
            query = query.where(is_over(table, entity_id))
        if visible is not None:
            query = query.where(table.c.legal_entity_ids.contained_by(list(visible)))
        if page.after is not None:
            query = query.where(table.c.shadow_run_id < read_uuid("page_token", page.after[0]))
        ordered = query.order_by(table.c.shadow_run_id.desc()).limit(page.size + 1)
        async with database.read(self._engine) as tx:
            rows = (await tx.execute(ordered)).all()
        shown = rows[: page.size]
        response = pb.ListShadowRunsResponse(
            shadow_runs=[write_run(repository.run_from(row)) for row in shown]
        )
        if len(rows) > page.size:
            response.next_page_token = next_token(shown[-1].shadow_run_id)
        return response

    async def ListShadowDifferences(
        self, request: pb.ListShadowDifferencesRequest, context: object
    ) -> pb.ListShadowDifferencesResponse:
        run_id = ShadowRunId(read_uuid("shadow_run_id", request.shadow_run_id))
        contract_id = read_contract_id(request.contract_id)
        line_id = read_line_id(request.contract_line_id)
        page = read_page(request, keys=2, max=_LIST_MAX)
        table = tables.shadow_difference
        query = select(table).where(table.c.shadow_run_id == run_id)
        if contract_id is not None:
            query = query.where(table.c.contract_id == contract_id)
        if line_id is not None:
            query = query.where(table.c.contract_line_id == line_id)
        if page.after is not None:
            day, item_id = page.after
            after = read_date("page_token", day), read_uuid("page_token", item_id)
            query = query.where(tuple_(table.c.service_from, table.c.source_item_id) > after)
        ordered = query.order_by(table.c.service_from, table.c.source_item_id)
        async with database.read(self._engine) as tx:
            shadow.require_visible(await repository.get(tx, run_id))
            rows = (await tx.execute(ordered.limit(page.size + 1))).all()
        shown = rows[: page.size]
        response = pb.ListShadowDifferencesResponse(differences=map(write_difference, shown))
        if len(rows) > page.size:
            last = shown[-1]
            response.next_page_token = next_token(last.service_from, last.source_item_id)
        return response

    async def StopShadowRun(
        self, request: pb.StopShadowRunRequest, context: object
    ) -> pb.StopShadowRunResponse:
        run_id = ShadowRunId(read_uuid("shadow_run_id", request.shadow_run_id))
        at = self._clock.now()

        async def handle(tx: AsyncConnection) -> pb.StopShadowRunResponse:
            run = await shadow.steer(tx, run_id, RunStatus.STOPPED, at=at)
            return pb.StopShadowRunResponse(shadow_run=write_run(run))

        return await once(self._engine, request, pb.StopShadowRunResponse, handle)

    async def ResumeShadowRun(
        self, request: pb.ResumeShadowRunRequest, context: object
    ) -> pb.ResumeShadowRunResponse:
        run_id = ShadowRunId(read_uuid("shadow_run_id", request.shadow_run_id))
        at = self._clock.now()

        async def handle(tx: AsyncConnection) -> pb.ResumeShadowRunResponse:
            run = await shadow.steer(tx, run_id, RunStatus.RUNNING, at=at)
            return pb.ResumeShadowRunResponse(shadow_run=write_run(run))

        response = await once(self._engine, request, pb.ResumeShadowRunResponse, handle)
        self._context.wake(RUNS)
        return response


def _read_scope(message: pb.ShadowScope) -> ShadowScope:
    entities = read_entities(message.legal_entity_id)
    return ShadowScope(
        contract_id=read_contract_id(message.contract_id),
        legal_entity_id=read_optional_uuid("scope.legal_entity_id", message.legal_entity_id),
        legal_entity_ids=None if entities is None else tuple(entities),
        service_from=read_optional_date("scope.service_from", message.service_from),
        service_through=read_optional_date("scope.service_through", message.service_through),
    )
