"""Expense reports: one person's costs, line by line, approved together."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from project_provisioning.domain.person import Person, is_own_work
from project_provisioning.domain.project import Project, ProjectLine
from project_provisioning.domain.template import BillingModel
from project_provisioning.domain.time_entry import Source
from throughline_core.change import Change
from throughline_core.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
)
from throughline_core.money import Money
from throughline_core.transition import move


class ExpenseReportStatus(StrEnum):
    """Where an expense report stands."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    REJECTED = "rejected"


TRANSITIONS: Final[Mapping[ExpenseReportStatus, frozenset[ExpenseReportStatus]]] = {
    ExpenseReportStatus.DRAFT: frozenset({ExpenseReportStatus.SUBMITTED}),
    ExpenseReportStatus.SUBMITTED: frozenset(
        {ExpenseReportStatus.APPROVED, ExpenseReportStatus.REJECTED}
    ),
    ExpenseReportStatus.APPROVED: frozenset(),
    ExpenseReportStatus.REJECTED: frozenset(),
}


class ExpenseReportNotFound(NotFound):
    """There is no such report, or none the caller may see."""

    code = "expense_report.not_found"


class NotOwnExpenses(PermissionDenied):
    """The caller reports and sees own expenses only."""

    code = "expense_report.not_own"


class OwnExpenses(PermissionDenied):
    """Expenses are judged by a second person: neither whose they are nor who submitted them."""

    code = "expense_report.own_expenses"


class AmountInvalid(InvalidArgument):
    """The cost is not above zero, the tax is below it, or they are in two currencies."""

    code = "expense_line.amount_invalid"


class LineNotBillable(FailedPrecondition):
    """The contract has no line to pass expenses through."""

    code = "expense_line.not_billable"


class ContractLineUnknown(InvalidArgument):
    """The project's contract has no such pass-through line."""

    code = "expense_line.contract_line_unknown"


class ContractLineUnclear(InvalidArgument):
    """The contract has several pass-through lines, and none was named."""

    code = "expense_line.contract_line_unclear"


class ReceiptMissing(FailedPrecondition):
    """No receipt of this hash was uploaded."""

    code = "expense_line.receipt_missing"


class SourceExists(AlreadyExists):
    """The cost came in before, from the same record of the other system."""

    code = "expense_line.source_exists"


@dataclass(frozen=True, slots=True)
class Claim:
    """A cost as it was sent; None where the project or the usual case decides."""

    project_id: UUID
    contract_line_id: UUID | None
    incurred_on: date
    category: str
    description: str
    net_amount: Money
    tax_amount: Money
    billable: bool | None
    reimbursable: bool
    receipt_sha256: str
    source: Source | None


@dataclass(frozen=True, slots=True)
class ExpenseLine:
    """One receipt's worth of cost; billed under `contract_line_id` when billable."""

    expense_line_id: UUID
    project_id: UUID
    contract_id: UUID
    contract_line_id: UUID | None
    engagement_id: UUID
    incurred_on: date
    category: str
    description: str
    net_amount: Money
    tax_amount: Money
    billable: bool
    reimbursable: bool
    receipt_sha256: str
    source: Source | None


@dataclass(frozen=True, slots=True)
class ExpenseReport:
    """A report with its lines."""

    expense_report_id: UUID
    version: int
    person: Person
    title: str
    status: ExpenseReportStatus
    lines: tuple[ExpenseLine, ...]
    submitted_by: str = ""
    submitted_at: datetime | None = None
    decided_by: str = ""
    decided_at: datetime | None = None
    rejection_reason: str = ""


@dataclass(frozen=True, slots=True)
class ExpenseReportApproved:
    """The report was approved for good."""

    report: ExpenseReport


ExpenseEvent = ExpenseReportApproved
ExpenseChange = Change[ExpenseReport, ExpenseEvent]


def claim_line(
    claim: Claim, project: Project, *, line_id: UUID, receipts: frozenset[str], field: str
) -> ExpenseLine:
    """Return the line for a cost on `project`; `receipts` are the hashes of those uploaded.

    Raises:
        AmountInvalid, LineNotBillable, ContractLineUnknown, ContractLineUnclear, ReceiptMissing.
    """
    _check_amounts(claim, field)
    if claim.receipt_sha256 and claim.receipt_sha256 not in receipts:
        raise ReceiptMissing(
            "no receipt of this hash was uploaded",
            field=f"{field}.receipt_sha256",
            advice="upload the receipt first and send the hash it got",
        )
    passing = [line for line in project.lines if line.billing_model is BillingModel.PASS_THROUGH]
    billable = bool(passing) if claim.billable is None else claim.billable
    contract_line_id = _billed_under(claim, passing, field) if billable else None
    return ExpenseLine(
        expense_line_id=line_id,
        project_id=project.project_id,
        contract_id=project.contract_id,
        contract_line_id=contract_line_id,
        engagement_id=project.engagement_id,
        incurred_on=claim.incurred_on,
        category=claim.category,
        description=claim.description,
        net_amount=claim.net_amount,
        tax_amount=claim.tax_amount,
        billable=billable,
        reimbursable=claim.reimbursable,
        receipt_sha256=claim.receipt_sha256,
        source=claim.source,
    )


def submit(report: ExpenseReport, *, by: str, at: datetime) -> ExpenseChange:
    """Hand a report in.

    Raises:
        IllegalTransition: it is no draft.
    """
    submitted = _step(report, ExpenseReportStatus.SUBMITTED)
    return Change(replace(submitted, submitted_by=by, submitted_at=at), ())


def approve(report: ExpenseReport, *, by: str, at: datetime) -> ExpenseChange:
    """Approve a report for good.

    Raises:
        IllegalTransition: it is not submitted.
        OwnExpenses: `by` had or submitted them.
    """
    approved = _judge(report, ExpenseReportStatus.APPROVED, by, at)
    return Change(approved, (ExpenseReportApproved(approved),))


def reject(report: ExpenseReport, *, by: str, at: datetime, reason: str) -> ExpenseChange:
    """Send a report back for good.

    Raises:
        IllegalTransition: it is not submitted.
        OwnExpenses: `by` had or submitted them.
    """
    rejected = _judge(report, ExpenseReportStatus.REJECTED, by, at)
    return Change(replace(rejected, rejection_reason=reason), ())


def _judge(
    report: ExpenseReport, target: ExpenseReportStatus, by: str, at: datetime
) -> ExpenseReport:
    judged = _step(report, target)
    if is_own_work(by, person_subject=report.person.subject, submitted_by=report.submitted_by):
        raise OwnExpenses(
            "these are the caller's own expenses, or were submitted by the caller",
            advice="ask somebody else to approve or reject them",
        )
    return replace(judged, decided_by=by, decided_at=at)


def _step(report: ExpenseReport, target: ExpenseReportStatus) -> ExpenseReport:
    name = f"expense report {report.expense_report_id}"
    status = move(name, report.status, target, TRANSITIONS)
    return replace(report, status=status, version=report.version + 1)


def _check_amounts(claim: Claim, field: str) -> None:
    if claim.net_amount.currency != claim.tax_amount.currency:
        raise AmountInvalid(
            "cost and tax are in two currencies",
            field=f"{field}.tax_amount.currency",
            advice="send both in the currency of the receipt",
        )
    if claim.net_amount.amount <= 0 or claim.tax_amount.amount < 0:
        raise AmountInvalid(
            "the cost is not above zero, or the tax is below it",
            field=f"{field}.net_amount.amount",
            advice="send the amounts of the receipt",
        )


def _billed_under(claim: Claim, passing: list[ProjectLine], field: str) -> UUID:
    if not passing:
        raise LineNotBillable(
            "the contract has no line to pass expenses through",
            field=f"{field}.billable",
            advice="send the line as not billable",
        )
    ids = [line.contract_line_id for line in passing]
    if claim.contract_line_id is None and len(ids) > 1:
        raise ContractLineUnclear(
            "the contract has several pass-through lines",
            field=f"{field}.contract_line_id",
            advice="name the line the cost is billed under",
        )
    if claim.contract_line_id is not None and claim.contract_line_id not in ids:
        raise ContractLineUnknown(
            "the project's contract has no such pass-through line",
            field=f"{field}.contract_line_id",
            advice="name one of the contract's pass-through lines, or none",
        )
    return claim.contract_line_id or ids[0]
