"""Timesheets: one person's time of one week, as far as one decision covers it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from project_provisioning.domain.delegation import Judge, Work, right_over
from throughline_core.errors import FailedPrecondition, InvalidArgument, NotFound, PermissionDenied
from throughline_core.transition import move


class TimesheetStatus(StrEnum):
    """Where a timesheet stands."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    REJECTED = "rejected"


TRANSITIONS: Final[Mapping[TimesheetStatus, frozenset[TimesheetStatus]]] = {
    TimesheetStatus.DRAFT: frozenset({TimesheetStatus.SUBMITTED}),
    TimesheetStatus.SUBMITTED: frozenset(
        {TimesheetStatus.APPROVED, TimesheetStatus.REJECTED, TimesheetStatus.DRAFT}
    ),
    TimesheetStatus.REJECTED: frozenset({TimesheetStatus.SUBMITTED}),
    TimesheetStatus.APPROVED: frozenset(),
}

OPEN: Final = (TimesheetStatus.DRAFT, TimesheetStatus.REJECTED)
"""Statuses in which entries may be taken off; they are added to the draft of the week only."""


class TimesheetNotFound(NotFound):
    """There is no such timesheet, or none the caller may see."""

    code = "timesheet.not_found"


class TimesheetEmpty(FailedPrecondition):
    """There is nothing on the sheet to judge."""

    code = "timesheet.empty"


class TimesheetNotOpen(FailedPrecondition):
    """The sheet is submitted or approved; what is on it stands."""

    code = "timesheet.not_open"


class OwnTime(PermissionDenied):
    """Time is judged by a second person: neither whose it is nor who submitted it."""

    code = "timesheet.own_time"


class NotApprover(PermissionDenied):
    """Somebody else approves this sheet, by the policy of its legal entity."""

    code = "timesheet.not_approver"


class NotSubmitter(PermissionDenied):
    """A sheet is taken back by whose time it is, or by who submitted it."""

    code = "timesheet.not_submitter"


class NothingLeft(FailedPrecondition):
    """Every entry would be sent back; the sheet as a whole is to be rejected."""

    code = "timesheet.nothing_left"


class RuleBroken(FailedPrecondition):
    """The week breaks a working-time rule that stops it."""

    code = "timesheet.rule_broken"


class NothingToFill(FailedPrecondition):
    """There is nothing to make suggestions from."""

    code = "timesheet.nothing_to_fill"


class TimeApprover(StrEnum):
    """Who approves time, as set for a legal entity."""

    PMO = "pmo"
    PROJECT_MANAGER = "project_manager"
    LINE_MANAGER = "line_manager"


class TimesheetBasis(StrEnum):
    """What suggestions for a week are made from."""

    WEEK = "week"
    ASSIGNMENTS = "assignments"


REMINDER_DAYS_DEFAULT: Final = 5


@dataclass(frozen=True, slots=True)
class ApprovalPolicy:
    """Who approves the time of a legal entity's people; version 0 stands for the defaults."""

    legal_entity_id: UUID
    version: int = 0
    approver: TimeApprover = TimeApprover.PMO
    reminder_days: int = REMINDER_DAYS_DEFAULT


class SelectionUnclear(InvalidArgument):
    """Timesheets are chosen by id, or by project and period."""

    code = "timesheet.selection_unclear"


@dataclass(frozen=True, slots=True)
class Timesheet:
    """A sheet with the name of the decision that ended it, if any; entries are kept apart.

    `takes_entries` is the draft that takes what is recorded for the week; other drafts only lose
    entries. `rule` and `manager` say who is to approve it: the policy of its legal entity, and the
    subject of the manager that the policy means, empty where there is none.
    """

    timesheet_id: UUID
    version: int
    person_id: UUID
    person_subject: str
    legal_entity_id: UUID
    week_start: date
    status: TimesheetStatus
    submitted_by: str = ""
    submitted_at: datetime | None = None
    decided_by: str = ""
    decided_at: datetime | None = None
    decision_id: UUID | None = None
    rejection_reason: str = ""
    takes_entries: bool = False
    decided_for: str = ""
    split_from: UUID | None = None
    rule: TimeApprover = TimeApprover.PMO
    manager: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a working-time rule says of a week; `work_date` None means the week as a whole."""

    rule: str
    message: str
    work_date: date | None


@dataclass(frozen=True, slots=True)
class Selection:
    """Sheets of weeks that start in `[week_from, week_before)` and hold time on the project."""

    project_id: UUID
    week_from: date
    week_before: date


@dataclass(frozen=True, slots=True)
class Approval:
    """What one call approved, what it left to somebody else, and whether more waits."""

    timesheet_ids: tuple[UUID, ...] = ()
    entry_count: int = 0
    minutes: int = 0
    left_out: tuple[UUID, ...] = ()
    more: bool = False


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A sheet that was not handed in with the others, by the code and the words of its refusal."""

    timesheet_id: UUID
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Submission:
    """What one call handed in, what it left out, and whether more waits."""

    timesheet_ids: tuple[UUID, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    more: bool = False


def week_start_of(day: date) -> date:
    """Return the Monday of the ISO 8601 week `day` is in."""
    return day - timedelta(days=day.weekday())


def submit(sheet: Timesheet, *, by: str, at: datetime, entry_count: int) -> Timesheet:
    """Hand a sheet in.

    Raises:
        IllegalTransition: it is neither a draft nor rejected.
        TimesheetEmpty: there are no entries on it.
    """
    submitted = _step(sheet, TimesheetStatus.SUBMITTED)
    if entry_count == 0:
        raise TimesheetEmpty("there is no time on this sheet", advice="record time first")
    return replace(
        submitted,
        submitted_by=by,
        submitted_at=at,
        decided_by="",
        decided_for="",
        decided_at=None,
        rejection_reason="",
        takes_entries=False,
    )


def require_kept(sheet: Timesheet, stops: Sequence[Finding]) -> None:
    """Refuse a week that breaks working-time rules which stop it.

    Raises:
        RuleBroken: names them with their figures.
    """
    if stops:
        words = "; ".join(f"{each.rule}: {each.message}" for each in stops)
        raise RuleBroken(
            f"timesheet {sheet.timesheet_id} breaks working-time rules: {words}",
            advice="correct the entries, or have the rule changed",
        )


def recall(sheet: Timesheet, *, by: str) -> Timesheet:
    """Take a sheet back before it is decided on.

    Raises:
        NotSubmitter: `by` neither did the work nor submitted it.
        IllegalTransition: it is not submitted.
    """
    if by not in {sheet.person_subject, sheet.submitted_by}:
        raise NotSubmitter(
            f"timesheet {sheet.timesheet_id} was submitted by somebody else",
            advice="ask whose time it is, or who submitted it; or have it rejected",
        )
    return replace(_step(sheet, TimesheetStatus.DRAFT), submitted_by="", submitted_at=None)


def approve(sheet: Timesheet, *, judge: Judge, at: datetime, decision_id: UUID) -> Timesheet:
    """Approve a sheet for good.

    Raises:
        IllegalTransition: it is not submitted.
        OwnTime: the judge did or submitted the work.
        NotApprover: somebody else approves it.
    """
    approved = _step(sheet, TimesheetStatus.APPROVED)
    place = _require_right(sheet, judge)
    return replace(
        approved,
        decided_by=judge.subject,
        decided_for=place,
        decided_at=at,
        decision_id=decision_id,
    )


def reject(sheet: Timesheet, *, judge: Judge, at: datetime, reason: str) -> Timesheet:
    """Send a sheet back; it may be corrected and submitted again.

    Raises:
        IllegalTransition: it is not submitted.
        OwnTime: the judge did or submitted the work.
        NotApprover: somebody else approves it.
    """
    rejected = _step(sheet, TimesheetStatus.REJECTED)
    place = _require_right(sheet, judge)
    return replace(
        rejected,
        decided_by=judge.subject,
        decided_for=place,
        decided_at=at,
        rejection_reason=reason,
    )


def send_back(
    sheet: Timesheet, *, entry_ids: Collection[UUID], rejected_ids: Collection[UUID], draft_id: UUID
) -> Timesheet:
    """Return the draft that takes the entries sent back, while the sheet keeps the others.

    Raises:
        NothingLeft: they are all of the sheet's.
    """
    if set(entry_ids) <= set(rejected_ids):
        raise NothingLeft(
            "every entry of the sheet would be sent back",
            field="rejections",
            advice="reject the timesheet as a whole",
        )
    return Timesheet(
        timesheet_id=draft_id,
        version=1,
        person_id=sheet.person_id,
        person_subject=sheet.person_subject,
        legal_entity_id=sheet.legal_entity_id,
        week_start=sheet.week_start,
        status=TimesheetStatus.DRAFT,
        split_from=sheet.timesheet_id,
        rule=sheet.rule,
        manager=sheet.manager,
    )


def may_judge(sheet: Timesheet, judge: Judge) -> bool:
    """Whether the judge is a second person with a right over the sheet."""
    return right_over(judge, _work(sheet)) is not None


def require_open(sheet: Timesheet) -> None:
    """Refuse to change what is on a sheet that was handed in.

    Raises:
        TimesheetNotOpen: it was, and not sent back.
    """
    if sheet.status not in OPEN:
        raise TimesheetNotOpen(
            f"timesheet {sheet.timesheet_id} is {sheet.status}",
            advice="have it rejected first; what is approved is corrected by a reversal",
        )


def _step(sheet: Timesheet, target: TimesheetStatus) -> Timesheet:
    status = move(f"timesheet {sheet.timesheet_id}", sheet.status, target, TRANSITIONS)
    return replace(sheet, status=status, version=sheet.version + 1)


def _work(sheet: Timesheet) -> Work:
    """Return what is to be decided on, and by whom.

    Where the policy's manager is missing, or would decide on own time, the PMO decides.
    """
    manager = "" if sheet.rule is TimeApprover.PMO else sheet.manager
    return Work(
        person_subject=sheet.person_subject,
        submitted_by=sheet.submitted_by,
        legal_entity_id=sheet.legal_entity_id,
        approver="" if manager in {sheet.person_subject, sheet.submitted_by} else manager,
    )


def _require_right(sheet: Timesheet, judge: Judge) -> str:
    place = right_over(judge, _work(sheet))
    if place is not None:
        return place
    if judge.subject in {sheet.person_subject, sheet.submitted_by}:
        raise OwnTime(
            f"timesheet {sheet.timesheet_id} is the caller's own, or was submitted by the caller",
            advice="ask somebody else to approve or reject it",
        )
    raise NotApprover(
        f"timesheet {sheet.timesheet_id} is approved by {sheet.rule.replace('_', ' ')}",
        advice="ask who approves it, or have that person delegate it to you",
    )
