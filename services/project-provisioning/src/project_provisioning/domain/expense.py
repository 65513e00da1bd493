"""Expense reports: one person's costs, line by line, approved together."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from project_provisioning.domain import expense_findings
from project_provisioning.domain.delegation import Judge, Work, right_over
from project_provisioning.domain.expense_line import (
    EntityDiffers,
    ExpenseLine,
    LineNotFound,
    negated,
)
from project_provisioning.domain.person import Person, is_own_work
from throughline_core.change import Change
from throughline_core.errors import (
    AlreadyExists,
    FailedPrecondition,
    NotFound,
    PermissionDenied,
)
from throughline_core.transition import move

LINES_MAX: Final = 200


class ExpenseReportStatus(StrEnum):
    """Where an expense report stands."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    REJECTED = "rejected"
    RETURNED = "returned"


TRANSITIONS: Final[Mapping[ExpenseReportStatus, frozenset[ExpenseReportStatus]]] = {
    ExpenseReportStatus.DRAFT: frozenset({ExpenseReportStatus.SUBMITTED}),
    ExpenseReportStatus.SUBMITTED: frozenset(
        {
            ExpenseReportStatus.APPROVED,
            ExpenseReportStatus.REJECTED,
            ExpenseReportStatus.RETURNED,
        }
    ),
    ExpenseReportStatus.RETURNED: frozenset({ExpenseReportStatus.SUBMITTED}),
    ExpenseReportStatus.APPROVED: frozenset(),
    ExpenseReportStatus.REJECTED: frozenset(),
}

OPEN: Final = (ExpenseReportStatus.DRAFT, ExpenseReportStatus.RETURNED)
"""Statuses in which lines may be added, changed and taken off."""


class ExpenseReportNotFound(NotFound):
    """There is no such report, or none the caller may see."""

    code = "expense_report.not_found"


class NotOwnExpenses(PermissionDenied):
    """The caller reports and sees own expenses only."""

    code = "expense_report.not_own"


class OwnExpenses(PermissionDenied):
    """Expenses are judged by a second person: neither whose they are nor who submitted them."""

    code = "expense_report.own_expenses"


class NotApprover(PermissionDenied):
    """The caller decides about expenses neither by own right nor in anybody's place."""

    code = "expense_report.not_approver"


class ReportNotOpen(FailedPrecondition):
    """The report is handed in or decided; its lines stand."""

    code = "expense_report.not_open"


class ReportFull(FailedPrecondition):
    """The report has as many lines as one decision covers."""

    code = "expense_report.full"


class ReportEmpty(FailedPrecondition):
    """There is nothing on the report to judge."""

    code = "expense_report.empty"


class LineNotApproved(FailedPrecondition):
    """Only an approved line is taken back; until then it is changed."""

    code = "expense_line.not_approved"


class LineReversed(AlreadyExists):
    """The line was taken back before."""

    code = "expense_line.reversed"


class LineIsReversal(FailedPrecondition):
    """What takes a line back is not taken back itself."""

    code = "expense_line.is_reversal"


@dataclass(frozen=True, slots=True)
class ExpenseReport:
    """A report with its lines, which one company bears."""

    expense_report_id: UUID
    version: int
    person: Person
    legal_entity_id: UUID
    title: str
    status: ExpenseReportStatus
    lines: tuple[ExpenseLine, ...]
    submitted_by: str = ""
    submitted_at: datetime | None = None
    decided_by: str = ""
    decided_for: str = ""
    decided_at: datetime | None = None
    rejection_reason: str = ""


@dataclass(frozen=True, slots=True)
class ExpenseReportApproved:
    """Lines of the report count from now on: all of them, or reversals and what replaces them."""

    report: ExpenseReport
    lines: tuple[ExpenseLine, ...]
    approved_by: str
    approved_at: datetime


ExpenseEvent = ExpenseReportApproved
ExpenseChange = Change[ExpenseReport, ExpenseEvent]


def new_report(
    report_id: UUID, person: Person, title: str, legal_entity_id: UUID, lines: Sequence[ExpenseLine]
) -> ExpenseReport:
    """Return a draft with these lines, of which there is at least one."""
    return ExpenseReport(
        expense_report_id=report_id,
        version=1,
        person=person,
        legal_entity_id=legal_entity_id,
        title=title,
        status=ExpenseReportStatus.DRAFT,
        lines=tuple(lines),
    )


def require_same_entity(legal_entity_id: UUID, other: UUID, *, field: str) -> None:
    """Refuse a line that another company bears than the rest of the report.

    Raises:
        EntityDiffers: see above.
    """
    if legal_entity_id != other:
        raise EntityDiffers(
            "another company employed the person on that day",
            field=f"{field}incurred_on",
            advice="make one report for each employer",
        )


def with_lines(report: ExpenseReport, lines: Sequence[ExpenseLine]) -> ExpenseReport:
    """Return an open report with other lines.

    Raises:
        ReportNotOpen: it is handed in or decided.
        ReportFull: there are too many.
    """
    if report.status not in OPEN:
        raise ReportNotOpen(
            f"the report is {report.status}",
            advice="have it returned first; what is approved is reversed",
        )
    if len(lines) > LINES_MAX:
        raise ReportFull(f"a report has at most {LINES_MAX} lines", advice="begin another report")
    return replace(report, version=report.version + 1, lines=tuple(lines))


def except_lines(
    report: ExpenseReport, line_ids: Collection[UUID], *, by: str, at: datetime, reason: str
) -> ExpenseReport:
    """Let lines of an open report pass although a policy stops them.

    Raises:
        ReportNotOpen, LineNotFound, NothingToExcept.
        OwnExpenses: `by` had them.
    """
    if by == report.person.subject:
        raise _own()
    lines = expense_findings.except_lines(report.lines, line_ids, by=by, at=at, reason=reason)
    return with_lines(report, lines)


def submit(report: ExpenseReport, *, by: str, at: datetime) -> ExpenseChange:
    """Hand a report in.

    Raises:
        IllegalTransition: it is neither a draft nor returned.
        ReportEmpty, JustificationMissing, PolicyStop.
    """
    submitted = _step(report, ExpenseReportStatus.SUBMITTED)
    if not report.lines:
        raise ReportEmpty("there is no cost on this report", advice="add a line first")
    expense_findings.require_passable(report.lines)
    return Change(
        replace(
            submitted,
            submitted_by=by,
            submitted_at=at,
            decided_by="",
            decided_for="",
            decided_at=None,
            rejection_reason="",
        ),
        (),
    )


def approve(report: ExpenseReport, *, judge: Judge, at: datetime) -> ExpenseChange:
    """Approve a report for good.

    Raises:
        IllegalTransition: it is not submitted.
        OwnExpenses: the judge had or submitted them.
        NotApprover: the judge has no right to decide.
    """
    approved = _judge(report, ExpenseReportStatus.APPROVED, judge, at)
    lines = tuple(replace(line, approved_at=at) for line in approved.lines)
    approved = replace(approved, lines=lines)
    return Change(approved, (ExpenseReportApproved(approved, lines, judge.subject, at),))


def reject(report: ExpenseReport, *, judge: Judge, at: datetime, reason: str) -> ExpenseChange:
    """Refuse a report for good.

    Raises:
        IllegalTransition: it is not submitted.
        OwnExpenses: the judge had or submitted them.
        NotApprover: the judge has no right to decide.
    """
    rejected = _judge(report, ExpenseReportStatus.REJECTED, judge, at)
    return Change(replace(rejected, rejection_reason=reason), ())


def return_(report: ExpenseReport, *, judge: Judge, at: datetime, reason: str) -> ExpenseChange:
    """Send a report back to be corrected and handed in again.

    Raises:
        IllegalTransition: it is not submitted.
        OwnExpenses: the judge had or submitted them.
        NotApprover: the judge has no right to decide.
    """
    returned = _judge(report, ExpenseReportStatus.RETURNED, judge, at)
    return Change(replace(returned, rejection_reason=reason), ())


def reverse(
    report: ExpenseReport,
    line_id: UUID,
    *,
    reversal_id: UUID,
    replacement: ExpenseLine | None,
    reason: str,
    by: str,
    at: datetime,
) -> ExpenseChange:
    """Take an approved line back, and put another in its place if there is one.

    Raises:
        LineNotFound, LineNotApproved, LineReversed, LineIsReversal, OwnExpenses,
        JustificationMissing, PolicyStop.
    """
    line = line_of(report, line_id)
    if is_own_work(by, person_subject=report.person.subject, submitted_by=report.submitted_by):
        raise _own()
    if line.reverses_expense_line_id is not None:
        raise LineIsReversal(
            "the line takes another one back", advice="record the cost anew in a further report"
        )
    if report.status is not ExpenseReportStatus.APPROVED:
        raise LineNotApproved(
            f"the report is {report.status}", advice="change the line, or have the report returned"
        )
    if any(each.reverses_expense_line_id == line_id for each in report.lines):
        raise LineReversed("the line was taken back before", advice="look at the report's lines")
    added = [negated(line, line_id=reversal_id, reason=reason, at=at)]
    if replacement is not None:
        expense_findings.require_passable([replacement])
        added.append(replace(replacement, approved_at=at))
    changed = replace(report, version=report.version + 1, lines=(*report.lines, *added))
    return Change(changed, (ExpenseReportApproved(changed, tuple(added), by, at),))


def standing_lines(report: ExpenseReport, *, but: UUID) -> tuple[ExpenseLine, ...]:
    """Return the lines that neither take back nor were taken back, without line `but`."""
    gone = {line.reverses_expense_line_id for line in report.lines} | {but}
    return tuple(
        line
        for line in report.lines
        if line.reverses_expense_line_id is None and line.expense_line_id not in gone
    )


def line_of(report: ExpenseReport, line_id: UUID) -> ExpenseLine:
    """Return the report's line of this id.

    Raises:
        LineNotFound: it has none.
    """
    found = next((line for line in report.lines if line.expense_line_id == line_id), None)
    if found is None:
        raise LineNotFound(f"no expense line {line_id}", field="expense_line_id")
    return found


def _judge(
    report: ExpenseReport, target: ExpenseReportStatus, judge: Judge, at: datetime
) -> ExpenseReport:
    decided = _step(report, target)
    subject = report.person.subject
    if is_own_work(judge.subject, person_subject=subject, submitted_by=report.submitted_by):
        raise _own()
    place = right_over(judge, Work(subject, report.submitted_by, report.legal_entity_id, ""))
    if place is None:
        raise NotApprover(
            "the caller decides about no expenses",
            advice="ask somebody of the PMO or of finance, or have it delegated",
        )
    return replace(decided, decided_by=judge.subject, decided_for=place, decided_at=at)


def _own() -> OwnExpenses:
    return OwnExpenses(
        "these are the caller's own expenses, or were submitted by the caller",
        advice="ask somebody else to decide about them",
    )


def _step(report: ExpenseReport, target: ExpenseReportStatus) -> ExpenseReport:
    name = f"expense report {report.expense_report_id}"
    status = move(name, report.status, target, TRANSITIONS)
    return replace(report, status=status, version=report.version + 1)
