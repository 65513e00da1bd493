"""Expense reports as messages."""

from collections.abc import Sequence
from typing import Final

from project_provisioning.domain.expense import (
    ExpenseReport,
    ExpenseReportApproved,
    ExpenseReportStatus,
)
from project_provisioning.domain.expense_line import Claim, ExpenseLine, LineFinding, Tax
from project_provisioning.domain.time_entry import Source
from project_provisioning.wire.rule_set import SEVERITIES
from throughline.common.v1 import source_pb2
from throughline.project_provisioning.events.v1 import project_provisioning_events_pb2 as events_pb
from throughline.project_provisioning.v1 import expense_service_pb2 as pb
from throughline.project_provisioning.v1 import work_pb2
from throughline_runtime.events import Outgoing
from throughline_runtime.fields import (
    EnumMap,
    read_date,
    read_decimal,
    read_money,
    read_optional_uuid,
    read_uuid,
    write_date,
    write_decimal,
    write_id,
    write_instant,
    write_money,
)

STATUSES: Final = EnumMap(pb.ExpenseReportStatus, ExpenseReportStatus)
_PERCENT_PLACES: Final = 4


def read_claims(lines: Sequence[pb.NewExpenseLine]) -> list[Claim]:
    """Return the costs as they were sent."""
    return [read_claim(f"lines[{index}]", line) for index, line in enumerate(lines)]


def read_claim(field: str, line: pb.NewExpenseLine) -> Claim:
    """Return a cost as it was sent."""
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
        source=read_source(line.source) if line.HasField("source") else None,
        taxes=read_taxes(f"{field}.taxes", line.taxes),
        justification=line.justification,
    )


def read_taxes(field: str, taxes: Sequence[pb.ExpenseTax]) -> tuple[Tax, ...]:
    """Return taxes by rate as they were sent."""
    return tuple(
        Tax(
            read_decimal(
                f"{field}[{index}].rate_percent", tax.rate_percent, places=_PERCENT_PLACES
            ),
            read_money(f"{field}[{index}].net_amount", tax.net_amount),
            read_money(f"{field}[{index}].tax_amount", tax.tax_amount),
        )
        for index, tax in enumerate(taxes)
    )


def write_report(report: ExpenseReport) -> pb.ExpenseReport:
    """Return a report with its lines."""
    return pb.ExpenseReport(
        expense_report_id=write_id(report.expense_report_id),
        version=report.version,
        person_id=write_id(report.person.person_id),
        person_name=report.person.name,
        legal_entity_id=write_id(report.legal_entity_id),
        title=report.title,
        status=STATUSES.write(report.status),
        lines=[_write_line(report, line) for line in report.lines],
        submitted_by=report.submitted_by,
        submitted_at=write_instant(report.submitted_at),
        decided_by=report.decided_by,
        decided_for=report.decided_for,
        decided_at=write_instant(report.decided_at),
        rejection_reason=report.rejection_reason,
        line_details=map(_write_detail, report.lines),
    )


def write_event(event: ExpenseReportApproved) -> Outgoing:
    """Return the event to publish; a report has at most 200 lines, far below an event's limits."""
    report = event.report
    message = events_pb.ExpenseReportApproved(
        expense_report_id=write_id(report.expense_report_id),
        version=report.version,
        lines=[_write_line(report, line) for line in event.lines],
        approved_by=event.approved_by,
        approved_at=write_instant(event.approved_at),
    )
    return Outgoing(message, report.expense_report_id, report.version)


def _write_line(report: ExpenseReport, line: ExpenseLine) -> work_pb2.ExpenseLine:
    billed, exchange = line.contract_line_id is not None, line.exchange
    conversion = exchange.conversion if exchange else None
    reverses = line.reverses_expense_line_id
    return work_pb2.ExpenseLine(
        expense_line_id=write_id(line.expense_line_id),
        expense_report_id=write_id(report.expense_report_id),
        person_id=write_id(report.person.person_id),
        person_name=report.person.name,
        legal_entity_id=write_id(report.legal_entity_id),
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
        receipt_net_amount=write_money(exchange.net_amount) if exchange else None,
        exchange_rate=write_decimal(conversion.rate) if conversion else "",
        exchange_rate_source=conversion.source if conversion else "",
        exchange_rate_on=write_date(conversion.rate_on) if conversion else None,
        reverses_expense_line_id=None if reverses is None else write_id(reverses),
    )


def _write_detail(line: ExpenseLine) -> pb.ExpenseLineDetail:
    paid = line.reimbursement_id
    return pb.ExpenseLineDetail(
        expense_line_id=write_id(line.expense_line_id),
        taxes=map(write_tax, line.taxes),
        justification=line.justification,
        findings=map(_write_finding, line.findings),
        reversal_reason=line.reversal_reason,
        reimbursement_id=None if paid is None else write_id(paid),
    )


def _write_finding(finding: LineFinding) -> pb.ExpenseFinding:
    return pb.ExpenseFinding(
        rule=finding.rule,
        severity=SEVERITIES.write(finding.severity),
        explanation=finding.explanation,
        excepted_by=finding.excepted_by,
        exception_reason=finding.exception_reason,
    )


def write_tax(tax: Tax) -> pb.ExpenseTax:
    """Return tax of one rate."""
    return pb.ExpenseTax(
        rate_percent=write_decimal(tax.rate_percent),
        net_amount=write_money(tax.net_amount),
        tax_amount=write_money(tax.tax_amount),
    )


def read_source(source: source_pb2.SourceRef) -> Source:
    """Return where a cost came from."""
    return Source(source.system, source.object_type, source.object_id)
