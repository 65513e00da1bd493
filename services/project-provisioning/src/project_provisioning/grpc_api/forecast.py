"""PlanService: what a project is expected to take, to cost and to earn."""

from datetime import date
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.commands import plan as commands
from project_provisioning.domain.progress import Estimate
from project_provisioning.domain.revenue import total
from project_provisioning.grpc_api.caller import (
    require_named_scope,
    sight_of_caller,
    subject_of_caller,
)
from project_provisioning.queries import plan as queries
from project_provisioning.wire import plan as wire
from throughline.project_provisioning.v1 import plan_service_pb2 as pb
from throughline.project_provisioning.v1.plan_service_pb2_grpc import PlanServiceServicer
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import (
    read_decimal,
    read_optional_date,
    read_uuid,
    write_date,
    write_id,
    write_money,
)
from throughline_runtime.ids import new_id
from throughline_runtime.once import once
from throughline_runtime.page import read_page

_COSTS_READ: Final = "costs.read"
_HOURS_PLACES: Final = 2


class ForecastMethods(PlanServiceServicer):
    """Estimates, progress, costs, budgets and planned revenue."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine
        self._clock = context.clock

    async def EnterEstimate(
        self, request: pb.EnterEstimateRequest, context: object
    ) -> pb.EnterEstimateResponse:
        as_of = read_optional_date("as_of", request.as_of)
        at = self._clock.now()
        estimate = Estimate(
            estimate_id=new_id(),
            task_id=read_uuid("task_id", request.task_id),
            remaining_hours=read_decimal(
                "remaining_hours", request.remaining_hours, places=_HOURS_PLACES
            ),
            as_of=as_of or date.min,
            note=request.note,
            entered_by=subject_of_caller(),
            entered_at=at,
        )

        async def handle(tx: AsyncConnection) -> pb.EnterEstimateResponse:
            entered = await commands.enter_estimate(tx, estimate, as_of=as_of, at=at)
            return pb.EnterEstimateResponse(estimate=wire.write_estimate(entered))

        return await once(self._engine, request, pb.EnterEstimateResponse, handle)

    async def ListEstimates(
        self, request: pb.ListEstimatesRequest, context: object
    ) -> pb.ListEstimatesResponse:
        page = read_page(request)
        task_id = read_uuid("task_id", request.task_id)
        async with read(self._engine) as tx:
            estimates, token = await queries.estimates(
                tx, task_id, sight=sight_of_caller(), page=page
            )
        return pb.ListEstimatesResponse(
            estimates=map(wire.write_estimate, estimates), next_page_token=token
        )

    async def GetEstimateAtCompletion(
        self, request: pb.GetEstimateAtCompletionRequest, context: object
    ) -> pb.GetEstimateAtCompletionResponse:
        project_id = read_uuid("project_id", request.project_id)
        async with read(self._engine) as tx:
            tasks, lines, whole = await queries.progress(tx, project_id, sight_of_caller())
        return pb.GetEstimateAtCompletionResponse(
            project_id=write_id(project_id),
            progress=wire.write_progress(whole),
            lines=[
                pb.LineProgress(contract_line_id=write_id(line), progress=wire.write_progress(each))
                for line, each in lines.items()
            ],
            tasks=map(wire.write_task_progress, tasks),
        )

    async def GetCostAtCompletion(
        self, request: pb.GetCostAtCompletionRequest, context: object
    ) -> pb.GetCostAtCompletionResponse:
        require_named_scope(_COSTS_READ)
        project_id = read_uuid("project_id", request.project_id)
        async with read(self._engine) as tx:
            costs, lines = await queries.costs(tx, project_id, sight_of_caller())
        return pb.GetCostAtCompletionResponse(
            project_id=write_id(project_id),
            costs=map(wire.write_cost, costs),
            lines=[
                pb.LineCost(contract_line_id=write_id(line), cost=wire.write_cost(cost))
                for line, cost in lines
            ],
        )

    async def GetProjectBudget(
        self, request: pb.GetProjectBudgetRequest, context: object
    ) -> pb.GetProjectBudgetResponse:
        project_id = read_uuid("project_id", request.project_id)
        async with read(self._engine) as tx:
            budget, policy = await queries.budget(tx, project_id, sight_of_caller())
        return wire.write_budget(project_id, budget, policy)

    async def GetPlannedRevenue(
        self, request: pb.GetPlannedRevenueRequest, context: object
    ) -> pb.GetPlannedRevenueResponse:
        project_id = read_uuid("project_id", request.project_id)
        async with read(self._engine) as tx:
            project, rows = await queries.planned_revenue(tx, project_id, sight_of_caller())
        return pb.GetPlannedRevenueResponse(
            project_id=write_id(project_id),
            rows=wire.write_revenue(rows),
            total=write_money(total(rows, project.budget.currency)),
        )

    async def GetStaffingHandOff(
        self, request: pb.GetStaffingHandOffRequest, context: object
    ) -> pb.GetStaffingHandOffResponse:
        project_id = read_uuid("project_id", request.project_id)
        async with read(self._engine) as tx:
            found = await queries.hand_off(tx, project_id, sight_of_caller())
        return pb.GetStaffingHandOffResponse(
            project_id=write_id(project_id),
            project_version=found.project.version,
            contract_id=write_id(found.project.contract_id),
            contract_version=found.project.contract_version,
            baseline_number=found.baseline_number,
            roles=[
                pb.RoleCoverage(
                    role=each.role,
                    contract_line_id=write_id(each.contract_line_id),
                    required_hours=wire.write_hours(each.required),
                    hard_hours=wire.write_hours(each.hard),
                    soft_hours=wire.write_hours(each.soft),
                    open_hours=wire.write_hours(each.open),
                )
                for each in found.roles
            ],
            weeks=[
                pb.ResourceWeek(
                    assignment_id=write_id(each.assignment_id),
                    person_id=write_id(each.person_id),
                    role=each.role,
                    week_start=write_date(monday),
                    hours=wire.write_hours(hours),
                    booking=each.booking,
                )
                for each in found.assignments
                for monday, hours in each.weeks
            ],
            revenue=wire.write_revenue(found.revenue),
        )
