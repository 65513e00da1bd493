"""Assignments: who works on what, for how many hours a week, and how firmly that is booked."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

from project_provisioning.domain.calendar import Day
from project_provisioning.domain.capacity import Week, monday_of
from project_provisioning.domain.closing import require_active
from project_provisioning.domain.effort import Effort, Weeks, cut, plan_weeks
from project_provisioning.domain.employment import Employment, employment_on
from project_provisioning.domain.project import Project
from throughline_core.change import Change
from throughline_core.errors import FailedPrecondition, InvalidArgument, NotFound

WEEKS_MAX: Final = 106
TRANSFERRED: Final = "the person moved to another legal entity"
_WEEKS_NAMED_MAX: Final = 10


class AssignmentNotFound(NotFound):
    """There is no such assignment, or none the caller may see."""

    code = "assignment.not_found"


class AssignmentEnded(FailedPrecondition):
    """The assignment was ended before its time."""

    code = "assignment.ended"


class AssignmentConfirmed(FailedPrecondition):
    """The booking is hard already."""

    code = "assignment.confirmed"


class AssignmentDatesReversed(InvalidArgument):
    """The assignment has no days."""

    code = "assignment.dates_reversed"


class AssignmentTooLong(InvalidArgument):
    """The assignment touches more weeks than one may have."""

    code = "assignment.period_too_long"


class OutsideProject(InvalidArgument):
    """The assignment does not lie within the project's term."""

    code = "assignment.outside_project"


class OutsideEmployment(InvalidArgument):
    """One legal entity does not employ the person on all days of the assignment."""

    code = "assignment.outside_employment"


class OverCapacity(FailedPrecondition):
    """More would be booked hard than the person can work."""

    code = "assignment.over_capacity"


class ReasonMissing(InvalidArgument):
    """Nobody books over capacity without saying why."""

    code = "assignment.reason_missing"


class EndTooLate(InvalidArgument):
    """The assignment ends before that day by itself."""

    code = "assignment.end_too_late"


class Booking(StrEnum):
    """How firmly a person is booked."""

    SOFT = "soft"
    HARD = "hard"


class TransferRule(StrEnum):
    """What becomes of an assignment when the person moves to another legal entity."""

    FOLLOW = "follow"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Assignment:
    """A person's work on a project, or on one of its tasks, in `[starts_on, ends_on)`.

    `legal_entity_id` employs the person on these days. `ended` says that it was ended before its
    time, `reason` why, or why it was booked over capacity.
    """

    assignment_id: UUID
    version: int
    project_id: UUID
    task_id: UUID | None
    person_id: UUID
    legal_entity_id: UUID
    engagement_id: UUID
    correlation_id: UUID
    role: str
    booking: Booking
    starts_on: date
    ends_on: date
    weeks: Weeks
    transfer_rule: TransferRule = TransferRule.FOLLOW
    ended: bool = False
    staffing_request_id: UUID | None = None
    continues_assignment_id: UUID | None = None
    reason: str = ""

    @property
    def planned_hours(self) -> Decimal:
        """Hours of all weeks."""
        return sum((hours for _, hours in self.weeks), Decimal(0))


@dataclass(frozen=True, slots=True)
class AssignmentChanged:
    """A person was assigned, or the assignment changed or ended."""

    assignment: Assignment


AssignmentChange = Change[Assignment, AssignmentChanged]


@dataclass(frozen=True, slots=True)
class Overbooking:
    """Whether a hard booking may pass the person's capacity, and why."""

    allowed: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Availability:
    """What is known of the person: employments, the days of whole weeks around the assignment, and
    those weeks with what else is booked in them."""

    employments: Sequence[Employment]
    days: Sequence[Day]
    weeks: Mapping[date, Week]


def assign(
    draft: Assignment,
    effort: Effort,
    project: Project,
    availability: Availability,
    overbooking: Overbooking,
) -> AssignmentChange:
    """Return the assignment with its weeks and the entity that employs the person.

    Raises:
        ProjectClosed, AssignmentDatesReversed, AssignmentTooLong, OutsideProject,
        OutsideEmployment, NoWorkingDays, WeeksDiffer, OverCapacity, ReasonMissing.
    """
    _refuse_dates(draft, project)
    employer = _employer(draft, availability.employments)
    weeks = plan_weeks(draft.starts_on, draft.ends_on, effort, availability.days)
    planned = replace(draft, legal_entity_id=employer, weeks=weeks)
    return _booked(planned, availability, overbooking)


def change(
    assignment: Assignment,
    effort: Effort,
    project: Project,
    availability: Availability,
    overbooking: Overbooking,
) -> AssignmentChange:
    """Return the assignment, already with its new days, task and rule, with its new weeks.

    Raises:
        AssignmentEnded: what ended is history.
        Besides, as `assign`.
    """
    _refuse_ended(assignment)
    return assign(_next(assignment), effort, project, availability, overbooking)


def confirm(
    assignment: Assignment, project: Project, availability: Availability, overbooking: Overbooking
) -> AssignmentChange:
    """Make a soft booking a hard one.

    Raises:
        AssignmentEnded, AssignmentConfirmed, ProjectClosed, OverCapacity, ReasonMissing.
    """
    _refuse_ended(assignment)
    require_active(project)
    if assignment.booking is Booking.HARD:
        raise AssignmentConfirmed("the booking is hard already", field="assignment_id")
    firm = replace(_next(assignment), booking=Booking.HARD)
    return _booked(firm, availability, overbooking)


def end(
    assignment: Assignment, on: date, reason: str, working_days: Iterable[date]
) -> AssignmentChange:
    """End the assignment; `on` is the first day it no longer holds, its first day = never began.

    Raises:
        AssignmentEnded: it was ended before.
        EndTooLate: it does not reach that day.
    """
    _refuse_ended(assignment)
    if on >= assignment.ends_on:
        raise EndTooLate(
            f"the assignment ends on {assignment.ends_on} by itself",
            field="ends_on",
            advice="send an earlier day, or change its period",
        )
    kept, _ = cut(assignment.starts_on, assignment.ends_on, assignment.weeks, on, working_days)
    ended = replace(
        _next(assignment),
        ends_on=max(on, assignment.starts_on),
        weeks=kept,
        ended=True,
        reason=reason,
    )
    return Change(ended, (AssignmentChanged(ended),))


def transfer(
    assignment: Assignment,
    on: date,
    legal_entity_id: UUID,
    continuation_id: UUID,
    working_days: Iterable[date],
) -> list[AssignmentChange]:
    """Return what becomes of an assignment whose person moves to another entity on a day.

    By its rule it stops on that day, or goes on under the new entity: as a whole when it begins
    later, else in two, whose hours sum to what there was.
    """
    if assignment.ended or on >= assignment.ends_on:
        return []
    if assignment.transfer_rule is TransferRule.STOP:
        return [end(assignment, on, TRANSFERRED, working_days)]
    if on <= assignment.starts_on:
        moved = replace(_next(assignment), legal_entity_id=legal_entity_id)
        return [Change(moved, (AssignmentChanged(moved),))]
    kept, rest = cut(assignment.starts_on, assignment.ends_on, assignment.weeks, on, working_days)
    first = replace(_next(assignment), ends_on=on, weeks=kept)
    second = replace(
        assignment,
        assignment_id=continuation_id,
        version=1,
        legal_entity_id=legal_entity_id,
        starts_on=on,
        weeks=rest,
        continues_assignment_id=assignment.assignment_id,
    )
    return [Change(each, (AssignmentChanged(each),)) for each in (first, second)]


def overbooked(assignment: Assignment, weeks: Mapping[date, Week]) -> list[Week]:
    """Return the weeks in which the person has more bookings than capacity, all of them counted.

    `weeks` hold what else is booked.
    """
    loaded = [
        _loaded(weeks[monday], hours, assignment.booking) for monday, hours in assignment.weeks
    ]
    return [week for week in loaded if week.booked.hard + week.booked.soft > week.capacity]


def _booked(
    assignment: Assignment, availability: Availability, overbooking: Overbooking
) -> AssignmentChange:
    """Return the assignment as booked, hard ones within capacity or for a reason."""
    if assignment.booking is Booking.HARD:
        over = [
            monday for monday, hours in assignment.weeks if availability.weeks[monday].free < hours
        ]
        if over and not overbooking.allowed:
            raise _over_capacity(over)
        if over and not overbooking.reason:
            raise ReasonMissing(
                "booking over capacity needs a reason", field="reason", advice="say why"
            )
        assignment = replace(assignment, reason=overbooking.reason if over else "")
    return Change(assignment, (AssignmentChanged(assignment),))


def _loaded(week: Week, hours: Decimal, booking: Booking) -> Week:
    booked = week.booked
    if booking is Booking.HARD:
        return replace(week, booked=replace(booked, hard=booked.hard + hours))
    return replace(week, booked=replace(booked, soft=booked.soft + hours))


def _refuse_dates(draft: Assignment, project: Project) -> None:
    require_active(project)
    if draft.starts_on >= draft.ends_on:
        raise AssignmentDatesReversed(
            "the assignment has no days",
            field="ends_on",
            advice="send the first day, and the first day after",
        )
    if (draft.ends_on - monday_of(draft.starts_on)).days > WEEKS_MAX * 7:
        raise AssignmentTooLong(
            f"the assignment touches more than {WEEKS_MAX} weeks",
            field="ends_on",
            advice="assign the person several times",
        )
    if draft.starts_on < project.starts_on or draft.ends_on > project.ends_on:
        raise OutsideProject(
            f"the project runs from {project.starts_on} to {project.ends_on}",
            field="starts_on" if draft.starts_on < project.starts_on else "ends_on",
            advice="plan within it, or agree a change order that moves its term",
        )


def _employer(draft: Assignment, employments: Sequence[Employment]) -> UUID:
    """Return the one entity that employs the person on each day of the assignment."""
    day, employer = draft.starts_on, None
    while day < draft.ends_on:
        stretch = employment_on(employments, day)
        if stretch is None or employer not in (None, stretch.legal_entity_id):
            raise OutsideEmployment(
                f"the person is not employed on {day}, or by another legal entity",
                field="starts_on" if employer is None else "ends_on",
                advice="end the assignment before that day, and assign the person anew from it",
            )
        employer = stretch.legal_entity_id
        day = draft.ends_on if stretch.valid_to is None else stretch.valid_to
    assert employer is not None
    return employer


def _refuse_ended(assignment: Assignment) -> None:
    if assignment.ended:
        raise AssignmentEnded(
            f"the assignment was ended on {assignment.ends_on}",
            field="assignment_id",
            advice="assign the person anew",
        )


def _next(assignment: Assignment) -> Assignment:
    return replace(assignment, version=assignment.version + 1)


def _over_capacity(over: Sequence[date]) -> OverCapacity:
    named = ", ".join(map(str, over[:_WEEKS_NAMED_MAX]))
    more = f" and {len(over) - _WEEKS_NAMED_MAX} more" if len(over) > _WEEKS_NAMED_MAX else ""
    return OverCapacity(
        f"more is booked hard than the person can work in the weeks of {named}{more}",
        field="planned_hours",
        advice="book fewer hours or softly, or allow overbooking and say why",
    )
