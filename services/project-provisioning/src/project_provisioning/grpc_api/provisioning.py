"""ProvisioningService."""

from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.commands import provisioning as commands
from project_provisioning.domain.run import Run, RunState
from project_provisioning.grpc_api.caller import sight_of_caller
from project_provisioning.queries import provisioning as queries
from project_provisioning.repository.check import check_from
from project_provisioning.schedules import ADVANCE_RUNS
from project_provisioning.settings import ProvisioningSettings
from project_provisioning.wire import run as wire
from throughline.project_provisioning.v1 import provisioning_service_pb2 as pb
from throughline.project_provisioning.v1.provisioning_service_pb2_grpc import (
    ProvisioningServiceServicer,
)
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import (
    read_optional_enum,
    read_optional_uuid,
    read_uuid,
    write_instant,
)
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
        return pb.GetProvisioningRunResponse(run=_write_run(run))

    async def ListProvisioningRuns(
        self, request: pb.ListProvisioningRunsRequest, context: object
    ) -> pb.ListProvisioningRunsResponse:
        page = read_page(request)
        equal = {
            "state": read_optional_enum("state", request.state, wire.STATES),
            "kind": read_optional_enum("kind", request.kind, wire.KINDS),
            "reason": request.reason,
            "owner": request.owner,
            "contract_id": read_optional_uuid("contract_id", request.contract_id),
            "legal_entity_id": read_optional_uuid("legal_entity_id", request.legal_entity_id),
            "engagement_id": read_optional_uuid("engagement_id", request.engagement_id),
        }
        async with read(self._engine) as tx:
            runs, token = await queries.runs(tx, equal=equal, sight=sight_of_caller(), page=page)
        return pb.ListProvisioningRunsResponse(runs=map(_write_run, runs), next_page_token=token)

    async def ListProvisioningRunSteps(
        self, request: pb.ListProvisioningRunStepsRequest, context: object
    ) -> pb.ListProvisioningRunStepsResponse:
        run_id = read_uuid("run_id", request.run_id)
        page = read_page(request)
        async with read(self._engine) as tx:
            await queries.get_run(tx, run_id, sight_of_caller())
            steps, token = await queries.run_steps(tx, run_id, page)
        return pb.ListProvisioningRunStepsResponse(
            steps=map(_write_step, steps), next_page_token=token
        )

    async def ResumeRun(
        self, request: pb.ResumeRunRequest, context: object
    ) -> pb.ResumeRunResponse:
        run_id = read_uuid("run_id", request.run_id)

        async def handle(tx: AsyncConnection) -> pb.ResumeRunResponse:
            run = await commands.resume_run(tx, run_id, at=self._context.clock.now())
            return pb.ResumeRunResponse(run=_write_run(run))

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
            return pb.CancelRunResponse(run=_write_run(run))

        return await once(self._engine, request, pb.CancelRunResponse, handle)


def _write_run(run: Run) -> pb.ProvisioningRun:
    message = wire.write_run(run)
    if not ProvisioningSettings().recheck_minutes:
        message.ClearField("next_check_at")
    return message


def _write_step(row: Row[Any]) -> pb.ProvisioningStep:
    from_state = row.from_state
    return pb.ProvisioningStep(
        version=row.version,
        from_state=(
            wire.STATES.write(RunState(from_state))
            if from_state
            else pb.PROVISIONING_STATE_UNSPECIFIED
        ),
        to_state=wire.STATES.write(RunState(row.to_state)),
        taken_at=write_instant(row.taken_at),
        taken_by=row.taken_by,
        reason=row.reason,
        checks=wire.write_checks(map(check_from, row.checks)),
    )
