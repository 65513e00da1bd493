"""Leave: days a person does not work, asked for by one and approved by another."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from project_provisioning.domain.person import is_own_work
from project_provisioning.domain.time_entry import Source
from throughline_core.errors import AlreadyExists, InvalidArgument, NotFound, PermissionDenied
from throughline_core.transition import move


class LeaveKind(StrEnum):
    """Why a person is away."""

    VACATION = "vacation"
    SICKNESS = "sickness"
    PARENTAL = "parental"
    TRAINING = "training"
    UNPAID = "unpaid"
    OTHER = "other"


class LeaveStatus(StrEnum):
    """Where a leave stands; only an approved one takes capacity."""

    REQUESTED = "requested"
    APPROVED = "approved"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


TRANSITIONS: Final[Mapping[LeaveStatus, frozenset[LeaveStatus]]] = {
    LeaveStatus.REQUESTED: frozenset(
        {LeaveStatus.APPROVED, LeaveStatus.REJECTED, LeaveStatus.CANCELLED}
    ),
    LeaveStatus.APPROVED: frozenset({LeaveStatus.CANCELLED}),
    LeaveStatus.REJECTED: frozenset(),
    LeaveStatus.CANCELLED: frozenset(),
}


class LeaveNotFound(NotFound):
    """There is no such leave, or none the caller may see."""

    code = "leave.not_found"


class LeavePeriodInvalid(InvalidArgument):
    """The leave has no days, or too many."""

    code = "leave.period_invalid"


class LeaveOverlap(AlreadyExists):
    """The person is away on some of these days already."""

    code = "leave.overlap"


class LeaveSourceDiffers(AlreadyExists):
    """The record came in before, and says something else now."""

    code = "leave.source_differs"


class NotOwnLeave(PermissionDenied):
    """The caller asks for and sees own leave only."""

    code = "leave.not_own"


class OwnLeave(PermissionDenied):
    """Leave is approved by a second person: neither whose it is nor who asked for it."""

    code = "leave.own_leave"


_DAYS_MAX: Final = 1100


@dataclass(frozen=True, slots=True)
class Leave:
    """Days off, `[starts_on, ends_on)`; with `half_days` each of them takes half of the work."""

    leave_id: UUID
    version: int
    person_id: UUID
    person_subject: str
    legal_entity_id: UUID
    kind: LeaveKind
    starts_on: date
    ends_on: date
    half_days: bool
    status: LeaveStatus
    requested_by: str
    requested_at: datetime
    decided_by: str = ""
    decided_at: datetime | None = None
    decision_reason: str = ""
    source: Source | None = None

    def __contains__(self, day: date) -> bool:
        return self.starts_on <= day < self.ends_on

    def says(self, other: "Leave") -> bool:
        """Whether another record of the same source says the same about the same person."""
        mine = (self.person_id, self.kind, self.starts_on, self.ends_on, self.half_days)
        return mine == (
            other.person_id,
            other.kind,
            other.starts_on,
            other.ends_on,
            other.half_days,
        )


def check_period(starts_on: date, ends_on: date, *, field: str) -> None:
    """Refuse a leave without days, or longer than three years.

    Raises:
        LeavePeriodInvalid: see above.
    """
    if not 0 < (ends_on - starts_on).days <= _DAYS_MAX:
        raise LeavePeriodInvalid(
            "the first day after the leave does not follow within three years of its first day",
            field=field,
            advice="send the first day of the leave and the first day after it",
        )


def decide(leave: Leave, target: LeaveStatus, *, by: str, at: datetime, reason: str) -> Leave:
    """Approve or reject a leave that was asked for.

    Raises:
        IllegalTransition: it is not waiting for that.
        OwnLeave: `by` is whose leave it is, or who asked for it.
    """
    decided = _step(leave, target, by, at, reason)
    if is_own_work(by, person_subject=leave.person_subject, submitted_by=leave.requested_by):
        raise OwnLeave(
            "it is the caller's own leave, or was asked for by the caller",
            advice="ask somebody else to approve or reject it",
        )
    return decided


def cancel(leave: Leave, *, by: str, at: datetime, reason: str) -> Leave:
    """Take a leave back: the days are worked after all.

    Raises:
        IllegalTransition: it is neither requested nor approved.
    """
    return _step(leave, LeaveStatus.CANCELLED, by, at, reason)


def _step(leave: Leave, target: LeaveStatus, by: str, at: datetime, reason: str) -> Leave:
    status = move(f"leave {leave.leave_id}", leave.status, target, TRANSITIONS)
    return replace(
        leave,
        version=leave.version + 1,
        status=status,
        decided_by=by,
        decided_at=at,
        decision_reason=reason,
    )
