"""ProvisioningService."""

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.commands import provisioning as commands
from project_provisioning.grpc_api.caller import sight_of_caller
from project_provisioning.queries import provisioning as queries
from project_provisioning.schedules import ADVANCE_RUNS
from project_provisioning.wire import run as wire
from throughline.project_provisioning.v1 import provisioning_service_pb2 as pb
from throughline.project_provisioning.v1.provisioning_service_pb2_grpc import (
    ProvisioningServiceServicer,
)
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import read_optional_enum, read_optional_uuid, read_uuid
from throughline_runtime.once import once
from throughline_runtime.page import read_page


class ProvisioningServicer(ProvisioningServiceServicer):
    """Provisioning runs."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._engine = context.engine

    async def GetProvisioningRun(
        self, request: pb.GetProvisioningRunRequest, context: object
    ) -> pb.GetProvisioningRunResponse:
        run_id = read_uuid("run_id", request.run_id)
        async with read(self._engine) as tx:
            run = await queries.get_run(tx, run_id, sight_of_caller())
        return pb.GetProvisioningRunResponse(run=wire.write_run(run))

    async def ListProvisioningRuns(
        self, request: pb.ListProvisioningRunsRequest, context: object
    ) -> pb.ListProvisioningRunsResponse:
        page = read_page(request)
        state = read_optional_enum("state", request.state, wire.STATES)
        contract_id = read_optional_uuid("contract_id", request.contract_id)
        async with read(self._engine) as tx:
            runs, token = await queries.runs(
                tx,
                state=state,
                reason=request.reason,
                owner=request.owner,
                contract_id=contract_id,
                sight=sight_of_caller(),
                page=page,
            )
        return pb.ListProvisioningRunsResponse(
            runs=map(wire.write_run, runs), next_page_token=token
        )

    async def ResumeRun(
        self, request: pb.ResumeRunRequest, context: object
    ) -> pb.ResumeRunResponse:
        run_id = read_uuid("run_id", request.run_id)

        async def handle(tx: AsyncConnection) -> pb.ResumeRunResponse:
            run = await commands.resume_run(tx, run_id, at=self._context.clock.now())
            return pb.ResumeRunResponse(run=wire.write_run(run))

        response = await once(self._engine, request, pb.ResumeRunResponse, handle)
        self._context.wake(ADVANCE_RUNS)
        return response

    async def CancelRun(
        self, request: pb.CancelRunRequest, context: object
    ) -> pb.CancelRunResponse:
        run_id = read_uuid("run_id", request.run_id)

        async def handle(tx: AsyncConnection) -> pb.CancelRunResponse:
            at = self._context.clock.now()
            run = await commands.cancel_run(tx, run_id, reason=request.reason, at=at)
            return pb.CancelRunResponse(run=wire.write_run(run))

        return await once(self._engine, request, pb.CancelRunResponse, handle)
