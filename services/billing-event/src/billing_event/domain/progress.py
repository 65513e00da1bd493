"""Fixed fees by progress: reports of how far a line is, and what each of them bills."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final, NewType
from uuid import UUID

from billing_event.domain.agreement import Agreement
from billing_event.domain.proposal import (
    NotOpen,
    ProposalStatus,
    SecondPersonRequired,
    require_movable,
)
from billing_event.domain.source import (
    ContractId,
    ContractLineId,
    ItemType,
    LegalEntityId,
    SourceItem,
    SourceItemId,
)
from billing_event.domain.terms import BillingModel, LineTerms
from throughline_core.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from throughline_core.money import Money

ProgressReportId = NewType("ProgressReportId", UUID)

PERCENT_PLACES: Final = 4
_HUNDRED: Final = Decimal(100)
_DAY: Final = timedelta(days=1)


class ReportNotFound(NotFound):
    """No such report."""

    code = "progress_report.not_found"


class LineNotFound(NotFound):
    """The terms of that day have no such line."""

    code = "progress_report.line_not_found"


class NotByProgress(FailedPrecondition):
    """The line is no fixed fee that is billed by progress."""

    code = "progress_report.not_by_progress"


class TermsMissing(FailedPrecondition):
    """A version of the terms that may hold for that day has not arrived."""

    code = "progress_report.terms_missing"


class AnotherIsOpen(AlreadyExists):
    """A report of the line waits for its decision."""

    code = "progress_report.another_is_open"


class BeforeTheLast(FailedPrecondition):
    """A later day was approved before."""

    code = "progress_report.before_the_last"


class DayInFuture(InvalidArgument):
    """Progress is reported of days that have come."""

    code = "progress_report.day_in_future"


class NothingToSuggest(FailedPrecondition):
    """No hours were approved for the line, and none are planned."""

    code = "progress_report.nothing_to_suggest"


class ReportNotOpen(NotOpen):
    """The report was decided or taken back before."""

    code = "progress_report.not_open"


class ReportedByCaller(SecondPersonRequired):
    """Who reported progress may not decide about it."""

    code = "progress_report.second_person_required"


@dataclass(frozen=True, slots=True)
class Billed:
    """What the approved reports of a line come to, and what the last of them said."""

    amount: Money
    as_of: date | None = None
    percent: Decimal | None = None
    net_total: Money | None = None


@dataclass(frozen=True, slots=True)
class Earned:
    """What an approval fixed: the net total of that day, what is earned, and the difference."""

    net_total: Money
    earned: Money
    amount: Money


@dataclass(frozen=True, slots=True)
class ProgressReport:
    """How far a line was on a day, as a percentage of its whole. `earned` is None until approved.

    `reported_by` and `decided_by` are token subjects, the latter empty while it waits.
    """

    progress_report_id: ProgressReportId
    version: int
    contract_id: ContractId
    contract_line_id: ContractLineId
    legal_entity_id: LegalEntityId
    engagement_id: UUID
    status: ProposalStatus
    percent: Decimal
    as_of: date
    note: str
    evidence: str
    evidence_sha256: str
    reported_by: str
    reported_at: datetime
    currency: str
    decided_by: str = ""
    decided_at: datetime | None = None
    decision_reason: str = ""
    earned: Earned | None = None


def line_by_progress(
    agreement: Agreement, contract_line_id: ContractLineId, day: date
) -> LineTerms:
    """Return the line as it holds for a day.

    Raises:
        TermsMissing, LineNotFound, NotByProgress: see there.
    """
    if agreement.on(day) is None:
        raise TermsMissing(f"not all terms of {day} have arrived", advice="try again shortly")
    found = agreement.line_on(contract_line_id, day)
    if found is None:
        raise LineNotFound(
            f"contract {agreement.newest.contract_id} has no line {contract_line_id}",
            field="contract_line_id",
        )
    line = found[1]
    is_fee = line.billing_model is BillingModel.FIXED_FEE and line.by_percent_complete
    if not is_fee or line.net_total is None:
        raise NotByProgress(
            f"line {contract_line_id} is not a fixed fee billed by progress",
            field="contract_line_id",
            advice="milestones are billed on acceptance, hours as they are approved",
        )
    return line


def check_day(as_of: date, billed: Billed, *, today: date) -> None:
    """Check that progress may be reported as of a day.

    Raises:
        DayInFuture, BeforeTheLast: see there.
    """
    if as_of > today:
        raise DayInFuture(
            f"{as_of} has not come", field="as_of", advice="report how far the work is today"
        )
    if billed.as_of is not None and as_of < billed.as_of:
        raise BeforeTheLast(
            f"progress as of {billed.as_of} is approved",
            field="as_of",
            advice="report as of that day or later; less than before gives the difference back",
        )


def earned_by(line: LineTerms, percent: Decimal, billed: Billed) -> Earned:
    """Return what a percentage of a line's net total bills, less what was billed before.

    At most all of it; negative where the work turned out to be less far.
    """
    assert line.net_total is not None, "a fixed fee has a net total"
    share = min(percent, _HUNDRED) / _HUNDRED
    earned = (line.net_total * share).rounded()
    return Earned(line.net_total, earned, earned - billed.amount)


def approve(
    report: ProgressReport, line: LineTerms, billed: Billed, *, by: str, at: datetime
) -> ProgressReport:
    """Return the report as approved, with what it bills.

    Raises:
        ReportNotOpen, ReportedByCaller: see there.
    """
    approved = decide(report, ProposalStatus.APPROVED, by=by, at=at)
    return replace(approved, earned=earned_by(line, report.percent, billed))


def decide(
    report: ProgressReport, status: ProposalStatus, *, by: str, at: datetime, reason: str = ""
) -> ProgressReport:
    """Return the report as it is once decided, or taken back.

    Raises:
        ReportNotOpen, ReportedByCaller: see there.
    """
    require_movable(
        "progress report",
        report.progress_report_id,
        report.status,
        status,
        proposed_by=report.reported_by,
        by=by,
        not_open=ReportNotOpen,
        same_person=ReportedByCaller,
    )
    return replace(
        report,
        status=status,
        version=report.version + 1,
        decided_by=by,
        decided_at=at,
        decision_reason=reason,
    )


def source_item_of(report: ProgressReport, line: LineTerms, billed: Billed) -> SourceItem:
    """Return the thing that an approved report bills."""
    assert report.earned is not None, "only an approved report bills"
    return SourceItem(
        source_item_id=SourceItemId(report.progress_report_id),
        type=ItemType.PROGRESS,
        contract_id=report.contract_id,
        contract_line_id=report.contract_line_id,
        engagement_id=report.engagement_id,
        delivering_entity_id=report.legal_entity_id,
        description=f"{line.description}, {_plain(report.percent)} % as of {report.as_of}",
        service_from=report.as_of,
        service_to=report.as_of + _DAY,
        price=report.earned.amount,
        price_basis=explain(report.percent, report.earned, billed),
        approved_by=report.decided_by,
    )


def explain(percent: Decimal, earned: Earned, billed: Billed) -> str:
    """Say how a difference came about, in words a person can check."""
    words = f"{_plain(percent)} % of {earned.net_total}: {earned.earned} earned"
    if billed.net_total is not None and billed.net_total != earned.net_total:
        words += f" (the net total was {billed.net_total})"
    if billed.percent is None:
        return words
    return f"{words}, less {billed.amount} billed up to {_plain(billed.percent)} %"


def _plain(percent: Decimal) -> str:
    return f"{percent.normalize():f}"
