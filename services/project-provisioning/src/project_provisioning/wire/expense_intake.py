"""Costs of other systems as messages."""

from typing import Final

from project_provisioning.domain.unassigned_expense import (
    ImportedCost,
    UnassignedExpense,
    UnassignedExpenseStatus,
)
from project_provisioning.wire.expense import read_source, read_taxes, write_tax
from throughline.common.v1 import source_pb2
from throughline.project_provisioning.v1 import expense_intake_service_pb2 as pb
from throughline_runtime.fields import (
    EnumMap,
    read_date,
    read_money,
    read_optional_uuid,
    read_uuid,
    write_date,
    write_id,
    write_money,
    write_optional_money,
)

STATUSES: Final = EnumMap(pb.UnassignedExpenseStatus, UnassignedExpenseStatus)


def read_imported(field: str, row: pb.ExpenseRow) -> ImportedCost:
    """Return a cost as another system has it."""
    tax = row.tax_amount if row.HasField("tax_amount") else None
    return ImportedCost(
        person_id=read_uuid(f"{field}.person_id", row.person_id),
        title=row.title,
        project_id=read_optional_uuid(f"{field}.project_id", row.project_id),
        contract_line_id=read_optional_uuid(f"{field}.contract_line_id", row.contract_line_id),
        incurred_on=read_date(f"{field}.incurred_on", row.incurred_on),
        category=row.category,
        description=row.description,
        net_amount=read_money(f"{field}.net_amount", row.net_amount),
        tax_amount=None if tax is None else read_money(f"{field}.tax_amount", tax),
        taxes=read_taxes(f"{field}.taxes", row.taxes),
        billable=row.billable if row.HasField("billable") else None,
        reimbursable=row.reimbursable if row.HasField("reimbursable") else True,
        receipt_sha256=row.receipt_sha256,
        justification=row.justification,
        source=read_source(row.source),
    )


def write_unassigned(expense: UnassignedExpense) -> pb.UnassignedExpense:
    """Return a cost that lacks its project or tax."""
    cost, report_id = expense.cost, expense.expense_report_id
    return pb.UnassignedExpense(
        expense_id=write_id(expense.expense_id),
        version=expense.version,
        status=STATUSES.write(expense.status),
        row=pb.ExpenseRow(
            person_id=write_id(cost.person_id),
            title=cost.title,
            project_id=None if cost.project_id is None else write_id(cost.project_id),
            contract_line_id=(
                None if cost.contract_line_id is None else write_id(cost.contract_line_id)
            ),
            incurred_on=write_date(cost.incurred_on),
            category=cost.category,
            description=cost.description,
            net_amount=write_money(cost.net_amount),
            tax_amount=write_optional_money(cost.tax_amount),
            taxes=map(write_tax, cost.taxes),
            billable=cost.billable,
            reimbursable=cost.reimbursable,
            receipt_sha256=cost.receipt_sha256,
            justification=cost.justification,
            source=source_pb2.SourceRef(**cost.source._asdict()),
        ),
        legal_entity_id=write_id(expense.legal_entity_id),
        reason=expense.reason,
        expense_report_id=None if report_id is None else write_id(report_id),
        decided_by=expense.decided_by,
    )
