"""ExpenseService."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.commands import expense as commands
from project_provisioning.commands.expense import Decider
from project_provisioning.domain.document import read_document
from project_provisioning.grpc_api.caller import sight_of_caller, subject_of_caller
from project_provisioning.queries import expense as queries
from project_provisioning.wire import document as document_wire
from project_provisioning.wire import expense as wire
from throughline.project_provisioning.v1 import expense_service_pb2 as pb
from throughline.project_provisioning.v1.expense_service_pb2_grpc import ExpenseServiceServicer
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import read_optional_enum, read_optional_uuid, read_uuid
from throughline_runtime.identity import ROLE_ADMIN, current_caller
from throughline_runtime.once import once
from throughline_runtime.page import read_page

_PAGE_SIZE_MAX: Final = 100
_DECIDING_ROLES: Final = frozenset({ROLE_ADMIN, "ROLE_PMO", "ROLE_FINANCE"})


class ExpenseServicer(ExpenseServiceServicer):
    """Expense reports and receipts."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._engine = context.engine

    async def CreateExpenseReport(
        self, request: pb.CreateExpenseReportRequest, context: object
    ) -> pb.CreateExpenseReportResponse:
        person_id = read_uuid("person_id", request.person_id)
        claims = wire.read_claims(request.lines)

        async def handle(tx: AsyncConnection) -> pb.CreateExpenseReportResponse:
            report = await commands.create_report(
                tx,
                person_id,
                request.title,
                claims,
                sight=sight_of_caller(),
                today=self._context.clock.today("UTC"),
            )
            return pb.CreateExpenseReportResponse(expense_report=wire.write_report(report))

        return await once(self._engine, request, pb.CreateExpenseReportResponse, handle)

    async def GetExpenseReport(
        self, request: pb.GetExpenseReportRequest, context: object
    ) -> pb.GetExpenseReportResponse:
        report_id = read_uuid("expense_report_id", request.expense_report_id)
        async with read(self._engine) as tx:
            report = await queries.get_expense_report(tx, report_id, sight_of_caller())
        return pb.GetExpenseReportResponse(expense_report=wire.write_report(report))

    async def ListExpenseReports(
        self, request: pb.ListExpenseReportsRequest, context: object
    ) -> pb.ListExpenseReportsResponse:
        page = read_page(request, max=_PAGE_SIZE_MAX)
        person_id = read_optional_uuid("person_id", request.person_id)
        project_id = read_optional_uuid("project_id", request.project_id)
        status = read_optional_enum("status", request.status, wire.STATUSES)
        async with read(self._engine) as tx:
            reports, token = await queries.expense_reports(
                tx,
                person_id=person_id,
                project_id=project_id,
                status=status,
                sight=sight_of_caller(),
                page=page,
            )
        return pb.ListExpenseReportsResponse(
            expense_reports=map(wire.write_report, reports), next_page_token=token
        )

    async def SubmitExpenseReport(
        self, request: pb.SubmitExpenseReportRequest, context: object
    ) -> pb.SubmitExpenseReportResponse:
        report_id = read_uuid("expense_report_id", request.expense_report_id)

        async def handle(tx: AsyncConnection) -> pb.SubmitExpenseReportResponse:
            report = await commands.submit_report(
                tx,
                report_id,
                sight=sight_of_caller(),
                by=subject_of_caller(),
                at=self._context.clock.now(),
                today=self._context.clock.today("UTC"),
            )
            return pb.SubmitExpenseReportResponse(expense_report=wire.write_report(report))

        return await once(self._engine, request, pb.SubmitExpenseReportResponse, handle)

    async def ApproveExpenseReport(
        self, request: pb.ApproveExpenseReportRequest, context: object
    ) -> pb.ApproveExpenseReportResponse:
        report_id = read_uuid("expense_report_id", request.expense_report_id)

        async def handle(tx: AsyncConnection) -> pb.ApproveExpenseReportResponse:
            report = await commands.approve_report(tx, report_id, self._decider())
            return pb.ApproveExpenseReportResponse(expense_report=wire.write_report(report))

        return await once(self._engine, request, pb.ApproveExpenseReportResponse, handle)

    async def RejectExpenseReport(
        self, request: pb.RejectExpenseReportRequest, context: object
    ) -> pb.RejectExpenseReportResponse:
        report_id = read_uuid("expense_report_id", request.expense_report_id)

        async def handle(tx: AsyncConnection) -> pb.RejectExpenseReportResponse:
            report = await commands.reject_report(
                tx, report_id, self._decider(), reason=request.reason
            )
            return pb.RejectExpenseReportResponse(expense_report=wire.write_report(report))

        return await once(self._engine, request, pb.RejectExpenseReportResponse, handle)

    async def ReturnExpenseReport(
        self, request: pb.ReturnExpenseReportRequest, context: object
    ) -> pb.ReturnExpenseReportResponse:
        report_id = read_uuid("expense_report_id", request.expense_report_id)

        async def handle(tx: AsyncConnection) -> pb.ReturnExpenseReportResponse:
            report = await commands.return_report(
                tx, report_id, self._decider(), reason=request.reason
            )
            return pb.ReturnExpenseReportResponse(expense_report=wire.write_report(report))

        return await once(self._engine, request, pb.ReturnExpenseReportResponse, handle)

    async def AddExpenseLine(
        self, request: pb.AddExpenseLineRequest, context: object
    ) -> pb.AddExpenseLineResponse:
        report_id = read_uuid("expense_report_id", request.expense_report_id)
        claim = wire.read_claim("line", request.line)

        async def handle(tx: AsyncConnection) -> pb.AddExpenseLineResponse:
            report = await commands.add_line(
                tx,
                report_id,
                claim,
                sight=sight_of_caller(),
                today=self._context.clock.today("UTC"),
            )
            return pb.AddExpenseLineResponse(expense_report=wire.write_report(report))

        return await once(self._engine, request, pb.AddExpenseLineResponse, handle)

    async def ChangeExpenseLine(
        self, request: pb.ChangeExpenseLineRequest, context: object
    ) -> pb.ChangeExpenseLineResponse:
        line_id = read_uuid("expense_line_id", request.expense_line_id)
        claim = wire.read_claim("line", request.line)

        async def handle(tx: AsyncConnection) -> pb.ChangeExpenseLineResponse:
            report = await commands.change_line(
                tx,
                line_id,
                claim,
                sight=sight_of_caller(),
                today=self._context.clock.today("UTC"),
            )
            return pb.ChangeExpenseLineResponse(expense_report=wire.write_report(report))

        return await once(self._engine, request, pb.ChangeExpenseLineResponse, handle)

    async def RemoveExpenseLine(
        self, request: pb.RemoveExpenseLineRequest, context: object
    ) -> pb.RemoveExpenseLineResponse:
        line_id = read_uuid("expense_line_id", request.expense_line_id)

        async def handle(tx: AsyncConnection) -> pb.RemoveExpenseLineResponse:
            report = await commands.remove_line(tx, line_id, sight=sight_of_caller())
            return pb.RemoveExpenseLineResponse(expense_report=wire.write_report(report))

        return await once(self._engine, request, pb.RemoveExpenseLineResponse, handle)

    async def ExceptExpenseLines(
        self, request: pb.ExceptExpenseLinesRequest, context: object
    ) -> pb.ExceptExpenseLinesResponse:
        report_id = read_uuid("expense_report_id", request.expense_report_id)
        line_ids = {
            read_uuid(f"expense_line_ids[{index}]", line_id)
            for index, line_id in enumerate(request.expense_line_ids)
        }

        async def handle(tx: AsyncConnection) -> pb.ExceptExpenseLinesResponse:
            report = await commands.except_lines(
                tx,
                report_id,
                line_ids,
                by=subject_of_caller(),
                at=self._context.clock.now(),
                reason=request.reason,
            )
            return pb.ExceptExpenseLinesResponse(expense_report=wire.write_report(report))

        return await once(self._engine, request, pb.ExceptExpenseLinesResponse, handle)

    async def ReverseExpenseLine(
        self, request: pb.ReverseExpenseLineRequest, context: object
    ) -> pb.ReverseExpenseLineResponse:
        line_id = read_uuid("expense_line_id", request.expense_line_id)
        replacement = None
        if request.HasField("replacement"):
            replacement = wire.read_claim("replacement", request.replacement)

        async def handle(tx: AsyncConnection) -> pb.ReverseExpenseLineResponse:
            report = await commands.reverse_line(
                tx,
                line_id,
                replacement,
                by=subject_of_caller(),
                at=self._context.clock.now(),
                today=self._context.clock.today("UTC"),
                reason=request.reason,
            )
            return pb.ReverseExpenseLineResponse(expense_report=wire.write_report(report))

        return await once(self._engine, request, pb.ReverseExpenseLineResponse, handle)

    async def UploadReceipt(
        self, request: pb.UploadReceiptRequest, context: object
    ) -> pb.UploadReceiptResponse:
        receipt = read_document(
            request.receipt.content_type, request.receipt.content, field="receipt.content"
        )

        async def handle(tx: AsyncConnection) -> pb.UploadReceiptResponse:
            await commands.keep_document(tx, receipt, by=subject_of_caller())
            return pb.UploadReceiptResponse(
                receipt_sha256=receipt.sha256, size_bytes=len(receipt.content)
            )

        return await once(self._engine, request, pb.UploadReceiptResponse, handle)

    async def GetReceipt(
        self, request: pb.GetReceiptRequest, context: object
    ) -> pb.GetReceiptResponse:
        async with read(self._engine) as tx:
            receipt = await queries.receipt(
                tx, request.receipt_sha256, sight_of_caller(), subject=subject_of_caller()
            )
        return pb.GetReceiptResponse(receipt=document_wire.write_document(receipt))

    def _decider(self) -> Decider:
        return Decider(
            subject=subject_of_caller(),
            is_entitled=not current_caller().roles.isdisjoint(_DECIDING_ROLES),
            at=self._context.clock.now(),
            today=self._context.clock.today("UTC"),
        )
