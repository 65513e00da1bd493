"""Expense reports as messages."""

from collections.abc import Sequence
from typing import Final

from project_provisioning.domain.expense import (
    Claim,
    ExpenseLine,
    ExpenseReport,
    ExpenseReportApproved,
    ExpenseReportStatus,
)
from project_provisioning.domain.time_entry import Source
from throughline.common.v1 import source_pb2
from throughline.project_provisioning.events.v1 import project_provisioning_events_pb2 as events_pb
from throughline.project_provisioning.v1 import expense_service_pb2 as pb
from throughline.project_provisioning.v1 import work_pb2
from throughline_runtime.events import Outgoing
from throughline_runtime.fields import (
    EnumMap,
    read_date,
    read_money,
    read_optional_uuid,
    read_uuid,
    write_date,
    write_id,
    write_instant,
    write_money,
)

STATUSES: Final = EnumMap(pb.ExpenseReportStatus, ExpenseReportStatus)


def read_claims(lines: Sequence[pb.NewExpenseLine]) -> list[Claim]:
    """Return the costs as they were sent."""
    return [_read_claim(f"lines[{index}]", line) for index, line in enumerate(lines)]


def _read_claim(field: str, line: pb.NewExpenseLine) -> Claim:
    source = line.source
    return Claim(
        project_id=read_uuid(f"{field}.project_id", line.project_id),
        contract_line_id=read_optional_uuid(f"{field}.contract_line_id", line.contract_line_id),
        incurred_on=read_date(f"{field}.incurred_on", line.incurred_on),
        category=line.category,
        description=line.description,
        net_amount=read_money(f"{field}.net_amount", line.net_amount),
        tax_amount=read_money(f"{field}.tax_amount", line.tax_amount),
        billable=line.billable if line.HasField("billable") else None,
        reimbursable=line.reimbursable if line.HasField("reimbursable") else True,
        receipt_sha256=line.receipt_sha256,
        source=(
            Source(source.system, source.object_type, source.object_id)
            if line.HasField("source")
            else None
        ),
    )


def write_report(report: ExpenseReport) -> pb.ExpenseReport:
    """Return a report with its lines."""
    return pb.ExpenseReport(
        expense_report_id=write_id(report.expense_report_id),
        version=report.version,
        person_id=write_id(report.person.person_id),
        person_name=report.person.name,
        legal_entity_id=write_id(report.person.legal_entity_id),
        title=report.title,
        status=STATUSES.write(report.status),
        lines=_write_lines(report),
        submitted_by=report.submitted_by,
        submitted_at=write_instant(report.submitted_at),
        decided_by=report.decided_by,
        decided_at=write_instant(report.decided_at),
        rejection_reason=report.rejection_reason,
    )


def _write_lines(report: ExpenseReport) -> list[work_pb2.ExpenseLine]:
    return [_write_line(report, line) for line in report.lines]


def _write_line(report: ExpenseReport, line: ExpenseLine) -> work_pb2.ExpenseLine:
    billed = line.contract_line_id is not None
    return work_pb2.ExpenseLine(
        expense_line_id=write_id(line.expense_line_id),
        expense_report_id=write_id(report.expense_report_id),
        person_id=write_id(report.person.person_id),
        person_name=report.person.name,
        legal_entity_id=write_id(report.person.legal_entity_id),
        project_id=write_id(line.project_id),
        contract_id=write_id(line.contract_id) if billed else None,
        contract_line_id=write_id(line.contract_line_id) if billed else None,
        engagement_id=write_id(line.engagement_id),
        incurred_on=write_date(line.incurred_on),
        category=line.category,
        description=line.description,
        net_amount=write_money(line.net_amount),
        tax_amount=write_money(line.tax_amount),
        billable=line.billable,
        reimbursable=line.reimbursable,
        receipt_sha256=line.receipt_sha256,
        source=source_pb2.SourceRef(**line.source._asdict()) if line.source else None,
    )


def write_event(event: ExpenseReportApproved) -> Outgoing:
    """Return the event to publish; a report has at most 200 lines, far below an event's limits."""
    report = event.report
    message = events_pb.ExpenseReportApproved(
        expense_report_id=write_id(report.expense_report_id),
        version=report.version,
        lines=_write_lines(report),
        approved_by=report.decided_by,
        approved_at=write_instant(report.decided_at),
    )
    return Outgoing(message, report.expense_report_id, report.version)
