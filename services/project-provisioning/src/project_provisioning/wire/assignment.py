"""Assignments, staffing requests and capacity as messages."""

from collections.abc import Iterable, Sequence
from typing import Final

from project_provisioning.domain.assignment import (
    Assignment,
    AssignmentChanged,
    Booking,
    TransferRule,
)
from project_provisioning.domain.capacity import Week
from project_provisioning.domain.effort import Effort
from project_provisioning.domain.person import Person
from project_provisioning.domain.staffing import StaffingRequest, StaffingStatus
from project_provisioning.wire.plan import write_hours
from throughline.project_provisioning.events.v1 import project_provisioning_events_pb2 as events_pb
from throughline.project_provisioning.v1 import assignment_service_pb2 as pb
from throughline_runtime.events import Outgoing
from throughline_runtime.fields import (
    EnumMap,
    read_date,
    read_decimal,
    read_optional_decimal,
    write_date,
    write_id,
)

BOOKINGS: Final = EnumMap(pb.Booking, Booking)
RULES: Final = EnumMap(pb.TransferRule, TransferRule)
REQUEST_STATUSES: Final = EnumMap(pb.StaffingRequestStatus, StaffingStatus)

_HOURS_PLACES: Final = 2
_ENDED: Final = "ended"


def read_effort(planned_hours: str, weeks: Sequence[pb.WeekHours]) -> Effort:
    """Return hours to be spread, or hours by week."""
    return Effort(
        hours=read_optional_decimal("planned_hours", planned_hours, places=_HOURS_PLACES),
        weeks=tuple(
            (
                read_date(f"weeks[{index}].week_start", week.week_start),
                read_decimal(f"weeks[{index}].hours", week.hours, places=_HOURS_PLACES),
            )
            for index, week in enumerate(weeks)
        ),
    )


def write_assignment(assignment: Assignment, person_name: str) -> pb.Assignment:
    """Return an assignment with its weeks."""
    return pb.Assignment(
        assignment_id=write_id(assignment.assignment_id),
        version=assignment.version,
        project_id=write_id(assignment.project_id),
        task_id=write_id(assignment.task_id) or None,
        person_id=write_id(assignment.person_id),
        person_name=person_name,
        legal_entity_id=write_id(assignment.legal_entity_id),
        role=assignment.role,
        booking=BOOKINGS.write(assignment.booking),
        ended=assignment.ended,
        starts_on=write_date(assignment.starts_on),
        ends_on=write_date(assignment.ends_on),
        planned_hours=write_hours(assignment.planned_hours),
        weeks=[
            pb.WeekHours(week_start=write_date(monday), hours=write_hours(hours))
            for monday, hours in assignment.weeks
        ],
        transfer_rule=RULES.write(assignment.transfer_rule),
        staffing_request_id=write_id(assignment.staffing_request_id) or None,
        continues_assignment_id=write_id(assignment.continues_assignment_id) or None,
        reason=assignment.reason,
    )


def write_request(request: StaffingRequest) -> pb.StaffingRequest:
    """Return a staffing request."""
    return pb.StaffingRequest(
        staffing_request_id=write_id(request.staffing_request_id),
        version=request.version,
        project_id=write_id(request.project_id),
        legal_entity_id=write_id(request.legal_entity_id),
        contract_line_id=write_id(request.contract_line_id) or None,
        role=request.role,
        level=request.level,
        region=request.region,
        skills=request.skills,
        starts_on=write_date(request.starts_on),
        ends_on=write_date(request.ends_on),
        hours=write_hours(request.hours),
        assigned_hours=write_hours(request.assigned_hours),
        status=REQUEST_STATUSES.write(request.status),
        note=request.note,
        requested_by=request.requested_by,
    )


def write_candidate(person: Person, period: Week) -> pb.Candidate:
    """Return a person who could take work on, with what a period holds."""
    return pb.Candidate(
        person_id=write_id(person.person_id),
        person_name=person.name,
        legal_entity_id=write_id(person.legal_entity_id),
        role=person.role,
        level=person.level,
        region=person.region,
        capacity_hours=write_hours(period.capacity),
        hard_hours=write_hours(period.booked.hard),
        soft_hours=write_hours(period.booked.soft),
        free_hours=write_hours(period.free),
    )


def write_person_weeks(person: Person, weeks: Iterable[Week]) -> pb.PersonCapacity:
    """Return the weeks of a person."""
    return pb.PersonCapacity(
        person_id=write_id(person.person_id),
        person_name=person.name,
        legal_entity_id=write_id(person.legal_entity_id),
        role=person.role,
        weeks=map(write_week, weeks),
    )


def write_week(week: Week) -> pb.CapacityWeek:
    """Return one week of capacity and bookings."""
    return pb.CapacityWeek(
        week_start=write_date(week.week_start),
        work_hours=write_hours(week.work),
        holiday_hours=write_hours(week.holiday),
        leave_hours=write_hours(week.leave),
        capacity_hours=write_hours(week.capacity),
        hard_hours=write_hours(week.booked.hard),
        soft_hours=write_hours(week.booked.soft),
        free_hours=write_hours(week.free),
    )


def write_event(event: AssignmentChanged) -> Outgoing:
    """Return the event to publish."""
    assignment = event.assignment
    message = events_pb.AssignmentChanged(
        assignment_id=write_id(assignment.assignment_id),
        version=assignment.version,
        project_id=write_id(assignment.project_id),
        task_id=write_id(assignment.task_id) or None,
        person_id=write_id(assignment.person_id),
        legal_entity_id=write_id(assignment.legal_entity_id),
        role=assignment.role,
        starts_on=write_date(assignment.starts_on),
        ends_on=write_date(assignment.ends_on),
        planned_hours=write_hours(assignment.planned_hours),
        booking=_ENDED if assignment.ended else assignment.booking,
        engagement_id=write_id(assignment.engagement_id),
        correlation_id=write_id(assignment.correlation_id),
    )
    return Outgoing(message, assignment.assignment_id, assignment.version)
