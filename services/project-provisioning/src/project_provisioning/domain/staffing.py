"""Staffing requests: somebody is asked for, until enough hours are assigned or nobody is needed."""

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from throughline_core.errors import FailedPrecondition, InvalidArgument, NotFound


class StaffingRequestNotFound(NotFound):
    """There is no such request, or none the caller may see."""

    code = "staffing_request.not_found"


class StaffingRequestCancelled(FailedPrecondition):
    """Nobody is asked for any more."""

    code = "staffing_request.cancelled"


class StaffingDatesReversed(InvalidArgument):
    """The request has no days."""

    code = "staffing_request.dates_reversed"


class StaffingStatus(StrEnum):
    """Where a request stands."""

    OPEN = "open"
    FILLED = "filled"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class StaffingRequest:
    """Hours of a role in `[starts_on, ends_on)`; empty level, region and skills do not limit.

    `assigned_hours` are those of the assignments made for it.
    """

    staffing_request_id: UUID
    version: int
    project_id: UUID
    legal_entity_id: UUID
    contract_line_id: UUID | None
    role: str
    level: str
    region: str
    skills: tuple[str, ...]
    starts_on: date
    ends_on: date
    hours: Decimal
    note: str
    requested_by: str
    cancelled_reason: str | None = None
    assigned_hours: Decimal = Decimal(0)

    @property
    def status(self) -> StaffingStatus:
        """Where it stands."""
        if self.cancelled_reason is not None:
            return StaffingStatus.CANCELLED
        filled = self.assigned_hours >= self.hours
        return StaffingStatus.FILLED if filled else StaffingStatus.OPEN


def request(draft: StaffingRequest) -> StaffingRequest:
    """Return the request, once found sound.

    Raises:
        StaffingDatesReversed: it has no days.
    """
    if draft.starts_on >= draft.ends_on:
        raise StaffingDatesReversed(
            "the request has no days",
            field="ends_on",
            advice="send the first day, and the first day after",
        )
    return draft


def cancel(found: StaffingRequest, reason: str) -> StaffingRequest:
    """Ask for nobody any more.

    Raises:
        StaffingRequestCancelled: it is cancelled.
    """
    require_open(found)
    return replace(found, version=found.version + 1, cancelled_reason=reason)


def require_open(found: StaffingRequest) -> None:
    """Refuse a request that is cancelled.

    Raises:
        StaffingRequestCancelled: it is.
    """
    if found.cancelled_reason is not None:
        raise StaffingRequestCancelled(
            f"the request was cancelled: {found.cancelled_reason}",
            field="staffing_request_id",
            advice="make another request",
        )
