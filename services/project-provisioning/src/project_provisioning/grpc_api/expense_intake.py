"""ExpenseIntakeService."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.commands import expense_import as commands
from project_provisioning.commands.expense_import import Assignment
from project_provisioning.domain.unassigned_expense import UnassignedExpenseStatus
from project_provisioning.grpc_api.caller import sight_of_caller, subject_of_caller
from project_provisioning.queries import reimbursement as queries
from project_provisioning.wire import expense as expense_wire
from project_provisioning.wire import expense_intake as wire
from throughline.project_provisioning.v1 import expense_intake_service_pb2 as pb
from throughline.project_provisioning.v1.calendar_service_pb2 import RefusedRow
from throughline.project_provisioning.v1.expense_intake_service_pb2_grpc import (
    ExpenseIntakeServiceServicer,
)
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import (
    read_optional_enum,
    read_optional_money,
    read_optional_uuid,
    read_uuid,
    write_id,
)
from throughline_runtime.once import once
from throughline_runtime.page import read_page

_PAGE_SIZE_MAX: Final = 500


class ExpenseIntakeServicer(ExpenseIntakeServiceServicer):
    """Costs of other systems."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._engine = context.engine

    async def ImportExpenses(
        self, request: pb.ImportExpensesRequest, context: object
    ) -> pb.ImportExpensesResponse:
        costs = [
            wire.read_imported(f"rows[{index}]", row) for index, row in enumerate(request.rows)
        ]

        async def handle(tx: AsyncConnection) -> pb.ImportExpensesResponse:
            imported = await commands.import_expenses(
                tx,
                costs,
                is_approved=request.approved,
                is_partial=request.partial,
                by=subject_of_caller(),
                at=self._context.clock.now(),
                today=self._context.clock.today("UTC"),
            )
            return pb.ImportExpensesResponse(
                recorded=imported.recorded,
                duplicates=imported.duplicates,
                unassigned=len(imported.unassigned),
                refused=[
                    RefusedRow(row=each.row, field=each.field, rule=each.rule, message=each.text)
                    for each in sorted(imported.refused)
                ],
                expense_report_ids=[
                    write_id(report.expense_report_id) for report in imported.reports
                ],
            )

        return await once(self._engine, request, pb.ImportExpensesResponse, handle)

    async def ListUnassignedExpenses(
        self, request: pb.ListUnassignedExpensesRequest, context: object
    ) -> pb.ListUnassignedExpensesResponse:
        page = read_page(request, max=_PAGE_SIZE_MAX)
        status = read_optional_enum("status", request.status, wire.STATUSES)
        person_id = read_optional_uuid("person_id", request.person_id)
        async with read(self._engine) as tx:
            expenses, token = await queries.unassigned_expenses(
                tx,
                status=status or UnassignedExpenseStatus.UNASSIGNED,
                person_id=person_id,
                sight=sight_of_caller(),
                page=page,
            )
        return pb.ListUnassignedExpensesResponse(
            expenses=map(wire.write_unassigned, expenses), next_page_token=token
        )

    async def AssignExpense(
        self, request: pb.AssignExpenseRequest, context: object
    ) -> pb.AssignExpenseResponse:
        expense_id = read_uuid("expense_id", request.expense_id)
        assignment = Assignment(
            project_id=read_optional_uuid("project_id", request.project_id),
            contract_line_id=read_optional_uuid("contract_line_id", request.contract_line_id),
            net_amount=read_optional_money("net_amount", request.net_amount),
            tax_amount=read_optional_money("tax_amount", request.tax_amount),
            taxes=expense_wire.read_taxes("taxes", request.taxes),
            billable=request.billable if request.HasField("billable") else None,
            justification=request.justification,
        )

        async def handle(tx: AsyncConnection) -> pb.AssignExpenseResponse:
            report = await commands.assign_expense(
                tx,
                expense_id,
                assignment,
                by=subject_of_caller(),
                today=self._context.clock.today("UTC"),
            )
            return pb.AssignExpenseResponse(expense_report=expense_wire.write_report(report))

        return await once(self._engine, request, pb.AssignExpenseResponse, handle)

    async def DiscardExpense(
        self, request: pb.DiscardExpenseRequest, context: object
    ) -> pb.DiscardExpenseResponse:
        expense_id = read_uuid("expense_id", request.expense_id)

        async def handle(tx: AsyncConnection) -> pb.DiscardExpenseResponse:
            expense = await commands.discard_expense(tx, expense_id, by=subject_of_caller())
            return pb.DiscardExpenseResponse(expense=wire.write_unassigned(expense))

        return await once(self._engine, request, pb.DiscardExpenseResponse, handle)
