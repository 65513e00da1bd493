"""CostService."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.commands import cost as commands
from project_provisioning.grpc_api.caller import (
    require_named_scope,
    sight_of_caller,
    subject_of_caller,
)
from project_provisioning.queries import cost as queries
from project_provisioning.queries.cost import Selection
from project_provisioning.wire import cost as wire
from throughline.project_provisioning.v1 import cost_service_pb2 as pb
from throughline.project_provisioning.v1.cost_service_pb2_grpc import CostServiceServicer
from throughline_core.money import RATE_PLACES
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import (
    read_date,
    read_enum,
    read_money,
    read_optional_date,
    read_optional_uuid,
    read_uuid,
)
from throughline_runtime.once import once
from throughline_runtime.page import read_page

_PAGE_SIZE_MAX: Final = 500
_READ: Final = "costs.read"
_WRITE: Final = "costs.write"


class CostServicer(CostServiceServicer):
    """What people's time costs the firm."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._engine = context.engine

    async def SetPersonCost(
        self, request: pb.SetPersonCostRequest, context: object
    ) -> pb.SetPersonCostResponse:
        require_named_scope(_WRITE)
        person_id = read_uuid("person_id", request.person_id)
        valid_from = read_date("valid_from", request.valid_from)
        hourly_cost = read_money("hourly_cost", request.hourly_cost, places=RATE_PLACES)

        async def handle(tx: AsyncConnection) -> pb.SetPersonCostResponse:
            costs = await commands.set_person_cost(
                tx,
                person_id,
                valid_from=valid_from,
                hourly_cost=hourly_cost,
                by=subject_of_caller(),
                at=self._context.clock.now(),
            )
            return pb.SetPersonCostResponse(person_costs=map(wire.write_person_cost, costs))

        return await once(self._engine, request, pb.SetPersonCostResponse, handle)

    async def ListPersonCosts(
        self, request: pb.ListPersonCostsRequest, context: object
    ) -> pb.ListPersonCostsResponse:
        require_named_scope(_READ)
        person_id = read_uuid("person_id", request.person_id)
        page = read_page(request, max=_PAGE_SIZE_MAX)
        async with read(self._engine) as tx:
            costs, token = await queries.person_costs(
                tx, person_id, sight=sight_of_caller(), page=page
            )
        return pb.ListPersonCostsResponse(
            person_costs=map(wire.write_person_cost, costs), next_page_token=token
        )

    async def ListTimeCosts(
        self, request: pb.ListTimeCostsRequest, context: object
    ) -> pb.ListTimeCostsResponse:
        require_named_scope(_READ)
        page = read_page(request, max=_PAGE_SIZE_MAX)
        selection = _read_selection(request)
        async with read(self._engine) as tx:
            costs, token = await queries.time_costs(
                tx, selection, sight=sight_of_caller(), page=page
            )
        return pb.ListTimeCostsResponse(
            time_costs=map(wire.write_time_cost, costs), next_page_token=token
        )

    async def GetTimeCostSummary(
        self, request: pb.GetTimeCostSummaryRequest, context: object
    ) -> pb.GetTimeCostSummaryResponse:
        require_named_scope(_READ)
        grouping = read_enum("group_by", request.group_by, wire.GROUPINGS)
        selection = _read_selection(request)
        async with read(self._engine) as tx:
            sums, missing = await queries.time_cost_summary(
                tx, grouping, selection, sight=sight_of_caller()
            )
        return pb.GetTimeCostSummaryResponse(
            sums=map(wire.write_sum, sums), missing_entries=missing
        )


def _read_selection(
    request: pb.ListTimeCostsRequest | pb.GetTimeCostSummaryRequest,
) -> Selection:
    return Selection(
        project_id=read_optional_uuid("project_id", request.project_id),
        task_id=read_optional_uuid("task_id", request.task_id),
        person_id=read_optional_uuid("person_id", request.person_id),
        legal_entity_id=read_optional_uuid("legal_entity_id", request.legal_entity_id),
        worked_from=read_optional_date("worked_from", request.worked_from),
        worked_before=read_optional_date("worked_before", request.worked_before),
    )
