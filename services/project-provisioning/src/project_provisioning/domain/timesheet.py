"""Timesheets: one person's time of one week, as far as one decision covers it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from project_provisioning.domain.person import is_own_work
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
    TimesheetStatus.SUBMITTED: frozenset({TimesheetStatus.APPROVED, TimesheetStatus.REJECTED}),
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


class SelectionUnclear(InvalidArgument):
    """Timesheets are chosen by id, or by project and period."""

    code = "timesheet.selection_unclear"


@dataclass(frozen=True, slots=True)
class Timesheet:
    """A sheet with the name of the decision that ended it, if any; entries are kept apart."""

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
        decided_at=None,
        rejection_reason="",
    )


def approve(sheet: Timesheet, *, by: str, at: datetime, decision_id: UUID) -> Timesheet:
    """Approve a sheet for good.

    Raises:
        IllegalTransition: it is not submitted.
        OwnTime: `by` did or submitted the work.
    """
    approved = _step(sheet, TimesheetStatus.APPROVED)
    _require_second_person(sheet, by)
    return replace(approved, decided_by=by, decided_at=at, decision_id=decision_id)


def reject(sheet: Timesheet, *, by: str, at: datetime, reason: str) -> Timesheet:
    """Send a sheet back; it may be corrected and submitted again.

    Raises:
        IllegalTransition: it is not submitted.
        OwnTime: `by` did or submitted the work.
    """
    rejected = _step(sheet, TimesheetStatus.REJECTED)
    _require_second_person(sheet, by)
    return replace(rejected, decided_by=by, decided_at=at, rejection_reason=reason)


def may_judge(sheet: Timesheet, by: str) -> bool:
    """Whether `by` is a second person for the sheet."""
    return not is_own_work(by, person_subject=sheet.person_subject, submitted_by=sheet.submitted_by)


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


def _require_second_person(sheet: Timesheet, by: str) -> None:
    if not may_judge(sheet, by):
        raise OwnTime(
            f"timesheet {sheet.timesheet_id} is the caller's own, or was submitted by the caller",
            advice="ask somebody else to approve or reject it",
        )
