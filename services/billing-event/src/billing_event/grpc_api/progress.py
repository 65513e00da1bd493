"""ProgressService."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.commands import progress as commands
from billing_event.domain.progress import PERCENT_PLACES, NothingToSuggest, ProgressReportId
from billing_event.domain.proposal import ProposalStatus
from billing_event.domain.source import ContractId, ContractLineId
from billing_event.grpc_api.fields import read_contract_id, read_entities, read_line_id
from billing_event.queries import progress as queries
from billing_event.repository import progress as repository
from throughline.billing_event.v1 import progress_service_pb2 as pb
from throughline.billing_event.v1.progress_service_pb2_grpc import ProgressServiceServicer
from throughline.project_provisioning.v1 import plan_service_pb2 as plan_pb
from throughline.project_provisioning.v1.plan_service_pb2_grpc import PlanServiceStub
from throughline_core.rounding import round_half_away
from throughline_runtime import database
from throughline_runtime.context import Context
from throughline_runtime.fields import (
    read_date,
    read_decimal,
    read_optional_enum,
    read_uuid,
    write_decimal,
    write_money,
)
from throughline_runtime.identity import current_caller, require_entity
from throughline_runtime.once import once
from throughline_runtime.page import read_page

_LIST_MAX: Final = 500
_HOURS_PLACES: Final = 2
_HUNDRED: Final = Decimal(100)


class ProgressServicer(ProgressServiceServicer):
    """How far fixed fees by progress are."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._engine = context.engine
        self._clock = context.clock

    async def ReportProgress(
        self, request: pb.ReportProgressRequest, context: object
    ) -> pb.ReportProgressResponse:
        said = commands.Said(
            contract_id=ContractId(read_uuid("contract_id", request.contract_id)),
            contract_line_id=_read_line(request.contract_line_id),
            percent=read_decimal("percent", request.percent, places=PERCENT_PLACES),
            as_of=read_date("as_of", request.as_of),
            note=request.note,
            evidence=request.evidence,
            evidence_sha256=request.evidence_sha256,
        )
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> pb.ReportProgressResponse:
            made = await commands.report(tx, said, by=by, at=at, today=self._clock.today)
            return pb.ReportProgressResponse(progress_report=queries.write_report(made))

        return await once(self._engine, request, pb.ReportProgressResponse, handle)

    async def ApproveProgressReport(
        self, request: pb.ApproveProgressReportRequest, context: object
    ) -> pb.ApproveProgressReportResponse:
        report_id = _read_id(request.progress_report_id)
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> pb.ApproveProgressReportResponse:
            approved = await commands.approve(tx, report_id, by=by, at=at)
            return pb.ApproveProgressReportResponse(progress_report=queries.write_report(approved))

        return await once(self._engine, request, pb.ApproveProgressReportResponse, handle)

    async def RejectProgressReport(
        self, request: pb.RejectProgressReportRequest, context: object
    ) -> pb.RejectProgressReportResponse:
        report_id = _read_id(request.progress_report_id)
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> pb.RejectProgressReportResponse:
            decided = await commands.decide(
                tx, report_id, ProposalStatus.REJECTED, by=by, at=at, reason=request.reason
            )
            return pb.RejectProgressReportResponse(progress_report=queries.write_report(decided))

        return await once(self._engine, request, pb.RejectProgressReportResponse, handle)

    async def WithdrawProgressReport(
        self, request: pb.WithdrawProgressReportRequest, context: object
    ) -> pb.WithdrawProgressReportResponse:
        report_id = _read_id(request.progress_report_id)
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> pb.WithdrawProgressReportResponse:
            decided = await commands.decide(tx, report_id, ProposalStatus.WITHDRAWN, by=by, at=at)
            return pb.WithdrawProgressReportResponse(progress_report=queries.write_report(decided))

        return await once(self._engine, request, pb.WithdrawProgressReportResponse, handle)

    async def GetProgressReport(
        self, request: pb.GetProgressReportRequest, context: object
    ) -> pb.GetProgressReportResponse:
        report_id = _read_id(request.progress_report_id)
        async with database.read(self._engine) as tx:
            found = await repository.get(tx, report_id)
        require_entity(found.legal_entity_id)
        return pb.GetProgressReportResponse(progress_report=queries.write_report(found))

    async def ListProgressReports(
        self, request: pb.ListProgressReportsRequest, context: object
    ) -> pb.ListProgressReportsResponse:
        wanted = queries.ReportFilter(
            legal_entity_ids=read_entities(request.legal_entity_id),
            contract_id=read_contract_id(request.contract_id),
            contract_line_id=read_line_id(request.contract_line_id),
            status=read_optional_enum("status", request.status, queries.STATUSES),
        )
        page = read_page(request, keys=2, max=_LIST_MAX)
        async with database.read(self._engine) as tx:
            return await queries.reports(tx, wanted, page)

    async def SuggestProgress(
        self, request: pb.SuggestProgressRequest, context: object
    ) -> pb.SuggestProgressResponse:
        contract_id = ContractId(read_uuid("contract_id", request.contract_id))
        line_id = _read_line(request.contract_line_id)
        today = self._clock.today
        async with database.read(self._engine) as tx:
            # Whether the line may be asked for comes before a peer is.
            await commands.preview(tx, contract_id, line_id, _HUNDRED, today=today)
            projects = await queries.projects_of(tx, line_id)
        approved, at_completion = await self._hours(projects, line_id)
        if at_completion <= 0:
            raise NothingToSuggest(
                f"no hours are approved or planned for line {line_id}",
                advice="enter what remains on its tasks, or report what the work shows",
            )
        percent = min(round_half_away(approved / at_completion * _HUNDRED, _HOURS_PLACES), _HUNDRED)
        async with database.read(self._engine) as tx:
            earned = await commands.preview(tx, contract_id, line_id, percent, today=today)
        return pb.SuggestProgressResponse(
            percent=write_decimal(percent),
            approved_hours=write_decimal(approved),
            at_completion_hours=write_decimal(at_completion),
            amount=write_money(earned.amount),
        )

    async def _hours(
        self, projects: Sequence[UUID], line_id: ContractLineId
    ) -> tuple[Decimal, Decimal]:
        """Return approved hours and hours at completion of a line over projects."""
        plans = self._context.stub(PlanServiceStub, "project-provisioning")
        approved, at_completion = Decimal(0), Decimal(0)
        for project_id in projects:
            request = plan_pb.GetEstimateAtCompletionRequest(project_id=str(project_id))
            for line in (await plans.GetEstimateAtCompletion(request)).lines:
                if line.contract_line_id != str(line_id):
                    continue
                hours = line.progress
                approved += read_decimal(
                    "approved_hours", hours.approved_hours, places=_HOURS_PLACES
                )
                at_completion += read_decimal(
                    "at_completion_hours", hours.at_completion_hours, places=_HOURS_PLACES
                )
        return approved, at_completion


def _read_id(value: str) -> ProgressReportId:
    return ProgressReportId(read_uuid("progress_report_id", value))


def _read_line(value: str) -> ContractLineId:
    return ContractLineId(read_uuid("contract_line_id", value))
