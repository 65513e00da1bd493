"""Handing projects over from one manager to another, at once or on a day to come."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from project_provisioning.domain.employment import Employments, NotEmployed, employment_on
from throughline_core.errors import FailedPrecondition, InvalidArgument, NotFound
from throughline_core.transition import move


class HandoverStatus(StrEnum):
    """How far a hand-over has come."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


TRANSITIONS: Final[Mapping[HandoverStatus, frozenset[HandoverStatus]]] = {
    HandoverStatus.WAITING: frozenset(
        {HandoverStatus.RUNNING, HandoverStatus.DONE, HandoverStatus.CANCELLED}
    ),
    HandoverStatus.RUNNING: frozenset(
        {HandoverStatus.RUNNING, HandoverStatus.DONE, HandoverStatus.CANCELLED}
    ),
    HandoverStatus.DONE: frozenset(),
    HandoverStatus.CANCELLED: frozenset(),
}


class HandoverNotFound(NotFound):
    """There is no such hand-over, or none the caller may see."""

    code = "handover.not_found"


class SamePerson(InvalidArgument):
    """The projects are to go to the one who leads them."""

    code = "handover.same_person"


class NothingToHandOver(FailedPrecondition):
    """The person leads no open project of those that were asked for."""

    code = "handover.nothing_to_hand_over"


class HandoverFinished(FailedPrecondition):
    """The hand-over is through, or was given up before."""

    code = "handover.finished"


@dataclass(frozen=True, slots=True)
class Pending:
    """What awaits a decision on projects; `own_timesheets` are those of the new manager."""

    timesheets: int = 0
    own_timesheets: int = 0
    expense_reports: int = 0
    milestones: int = 0


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to go from whom to whom, from a day on in UTC; None and empty do not limit.

    `entities` are the legal entities the one who asks is limited to, None for all.
    """

    from_person_id: UUID
    to_person_id: UUID
    effective_on: date
    legal_entity_id: UUID | None = None
    customer_id: UUID | None = None
    project_ids: tuple[UUID, ...] = ()
    entities: frozenset[UUID] | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Handover:
    """A hand-over on its way; the id is None in a dry run."""

    handover_id: UUID | None
    version: int
    status: HandoverStatus
    wish: Wish
    requested_by: str
    requested_at: datetime
    pending: Pending = field(default_factory=Pending)
    moved_projects: int = 0
    finished_at: datetime | None = None


def ask(
    wish: Wish,
    *,
    handover_id: UUID | None,
    employments: Employments,
    open_projects: int,
    pending: Pending,
    by: str,
    at: datetime,
) -> Handover:
    """Return a hand-over that may begin; `employments` are those of the new manager.

    Raises:
        SamePerson, NotEmployed, NothingToHandOver.
    """
    if wish.from_person_id == wish.to_person_id:
        raise SamePerson(
            "the projects are to go to the one who leads them",
            field="to_person_id",
            advice="name somebody else",
        )
    if employment_on(employments, wish.effective_on) is None:
        raise NotEmployed(
            f"nobody employs the new manager on {wish.effective_on}",
            field="to_person_id",
            advice="name somebody who is employed on that day, or another day",
        )
    if not open_projects:
        raise NothingToHandOver(
            "the person leads no open project of these",
            field="from_person_id",
            advice="look at the list of projects by manager_person_id",
        )
    return Handover(
        handover_id=handover_id,
        version=1,
        status=HandoverStatus.WAITING,
        wish=wish,
        requested_by=by,
        requested_at=at,
        pending=pending,
    )


def advance(handover: Handover, *, moved: int, is_last: bool, at: datetime) -> Handover:
    """Return the hand-over after more projects have followed."""
    target = HandoverStatus.DONE if is_last else HandoverStatus.RUNNING
    return replace(
        handover,
        version=handover.version + 1,
        status=move("the hand-over", handover.status, target, TRANSITIONS),
        moved_projects=handover.moved_projects + moved,
        finished_at=at if is_last else None,
    )


def cancel(handover: Handover, *, at: datetime) -> Handover:
    """Give a hand-over up; projects that followed stay where they are.

    Raises:
        HandoverFinished: it is through, or was given up before.
    """
    if not TRANSITIONS[handover.status]:
        raise HandoverFinished(
            f"the hand-over is {handover.status}",
            field="handover_id",
            advice="hand the projects back by another one",
        )
    return replace(
        handover,
        version=handover.version + 1,
        status=HandoverStatus.CANCELLED,
        finished_at=at,
    )
