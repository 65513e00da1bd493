"""BaselineService."""

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.commands import baseline as commands
from project_provisioning.domain.baseline import compare
from project_provisioning.grpc_api.caller import sight_of_caller, subject_of_caller
from project_provisioning.queries import plan as queries
from project_provisioning.queries.provisioning import get_project
from project_provisioning.wire import baseline as wire
from throughline.project_provisioning.v1 import baseline_service_pb2 as pb
from throughline.project_provisioning.v1.baseline_service_pb2_grpc import BaselineServiceServicer
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import read_uuid
from throughline_runtime.once import once
from throughline_runtime.page import read_page


class BaselineServicer(BaselineServiceServicer):
    """Dated snapshots of plans."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine
        self._clock = context.clock

    async def TakeBaseline(
        self, request: pb.TakeBaselineRequest, context: object
    ) -> pb.TakeBaselineResponse:
        project_id = read_uuid("project_id", request.project_id)

        async def handle(tx: AsyncConnection) -> pb.TakeBaselineResponse:
            baseline = await commands.take(
                tx,
                project_id,
                label=request.label,
                reason=request.reason,
                by=subject_of_caller(),
                at=self._clock.now(),
            )
            return pb.TakeBaselineResponse(baseline=wire.write_baseline(baseline))

        return await once(self._engine, request, pb.TakeBaselineResponse, handle)

    async def ListBaselines(
        self, request: pb.ListBaselinesRequest, context: object
    ) -> pb.ListBaselinesResponse:
        page = read_page(request)
        project_id = read_uuid("project_id", request.project_id)
        async with read(self._engine) as tx:
            baselines, token = await queries.list_baselines(
                tx, project_id, sight=sight_of_caller(), page=page
            )
        return pb.ListBaselinesResponse(
            baselines=map(wire.write_baseline, baselines), next_page_token=token
        )

    async def GetBaseline(
        self, request: pb.GetBaselineRequest, context: object
    ) -> pb.GetBaselineResponse:
        project_id = read_uuid("project_id", request.project_id)
        async with read(self._engine) as tx:
            baseline = await queries.get_baseline(tx, project_id, request.number, sight_of_caller())
        return pb.GetBaselineResponse(baseline=wire.write_baseline(baseline))

    async def CompareBaselines(
        self, request: pb.CompareBaselinesRequest, context: object
    ) -> pb.CompareBaselinesResponse:
        project_id = read_uuid("project_id", request.project_id)
        sight = sight_of_caller()
        async with read(self._engine) as tx:
            project = await get_project(tx, project_id, sight)
            before = await queries.get_baseline(tx, project_id, request.from_number, sight)
            if request.HasField("to_number"):
                later = await queries.get_baseline(tx, project_id, request.to_number, sight)
                after = later.items
            else:
                after = await commands.snapshot(tx, project)
        return pb.CompareBaselinesResponse(
            differences=wire.write_differences(compare(before.items, after))
        )
