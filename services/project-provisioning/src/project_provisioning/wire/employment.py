"""People's employments as messages."""

from collections.abc import Sequence
from uuid import UUID

from project_provisioning.domain.employment import (
    WEEKDAYS,
    Employment,
    Followed,
    HoursMalformed,
    NewTerms,
    PeriodInvalid,
    PersonRecorded,
    Recorded,
)
from throughline.project_provisioning.events.v1 import project_provisioning_events_pb2 as events_pb
from throughline.project_provisioning.v1 import workforce_service_pb2 as pb
from throughline_runtime.events import Outgoing
from throughline_runtime.fields import (
    read_date,
    read_optional_date,
    read_optional_uuid,
    read_uuid,
    write_date,
    write_id,
)


def read_employment(field: str, message: pb.Employment) -> Employment:
    """Return a stretch of employment as it was sent.

    Raises:
        PeriodInvalid: it ends before it begins.
    """
    valid_from = read_date(f"{field}.valid_from", message.valid_from)
    valid_to = read_optional_date(f"{field}.valid_to", message.valid_to)
    if valid_to is not None and valid_to <= valid_from:
        raise PeriodInvalid(
            "the employment has no days",
            field=f"{field}.valid_to",
            advice="send the first day after it, or none while it goes on",
        )
    return Employment(
        legal_entity_id=read_uuid(f"{field}.legal_entity_id", message.legal_entity_id),
        valid_from=valid_from,
        valid_to=valid_to,
        role=message.role,
        level=message.level,
        region=message.region,
        manager_person_id=read_optional_uuid(
            f"{field}.manager_person_id", message.manager_person_id
        ),
        work_calendar=message.work_calendar or None,
        weekday_minutes=_read_minutes(f"{field}.weekday_minutes", message.weekday_minutes),
    )


def write_employment(stretch: Employment) -> pb.Employment:
    """Return a stretch of employment."""
    manager = stretch.manager_person_id
    return pb.Employment(
        legal_entity_id=write_id(stretch.legal_entity_id),
        valid_from=write_date(stretch.valid_from),
        valid_to=None if stretch.valid_to is None else write_date(stretch.valid_to),
        role=stretch.role,
        level=stretch.level,
        region=stretch.region,
        manager_person_id=None if manager is None else write_id(manager),
        work_calendar=stretch.work_calendar or "",
        weekday_minutes=stretch.weekday_minutes or (),
    )


def read_terms(
    field: str, terms: pb.EmploymentTerms, *, legal_entity_id: UUID | None = None
) -> NewTerms:
    """Return what a change makes of a stretch; `legal_entity_id` is where a transfer goes."""
    manager = terms.manager_person_id
    return NewTerms(
        legal_entity_id=legal_entity_id,
        role=terms.role if terms.HasField("role") else None,
        level=terms.level if terms.HasField("level") else None,
        region=terms.region if terms.HasField("region") else None,
        manager_person_id=read_optional_uuid(f"{field}.manager_person_id", manager),
        work_calendar=terms.work_calendar if terms.HasField("work_calendar") else None,
        weekday_minutes=_read_minutes(f"{field}.weekday_minutes", terms.weekday_minutes),
        clear_manager=terms.HasField("manager_person_id") and not manager,
        clear_hours=terms.calendar_minutes,
    )


def write_recorded(recorded: Recorded) -> pb.RecordedTime:
    """Return time on one project that keeps the terms it was recorded with."""
    return pb.RecordedTime(
        project_id=write_id(recorded.project_id),
        first_on=write_date(recorded.first_on),
        last_on=write_date(recorded.last_on),
        entries=recorded.entries,
        minutes=recorded.minutes,
    )


def write_followed(followed: Followed) -> pb.FollowedAssignment:
    """Return what became of a booking."""
    return pb.FollowedAssignment(
        assignment_id=write_id(followed.assignment_id),
        project_id=write_id(followed.project_id),
        outcome=followed.outcome,
    )


def write_event(event: PersonRecorded) -> Outgoing:
    """Return the event to publish; it holds no costs and no hours."""
    person = event.employee.person
    message = events_pb.PersonRecorded(
        person_id=write_id(person.person_id),
        version=person.version,
        name=person.name,
        employments=map(_write_stretch, event.employee.employments),
    )
    return Outgoing(message, person.person_id, person.version)


def _write_stretch(stretch: Employment) -> events_pb.PersonRecorded.Employment:
    manager = stretch.manager_person_id
    return events_pb.PersonRecorded.Employment(
        legal_entity_id=write_id(stretch.legal_entity_id),
        valid_from=write_date(stretch.valid_from),
        valid_to=None if stretch.valid_to is None else write_date(stretch.valid_to),
        role=stretch.role,
        level=stretch.level,
        region=stretch.region,
        manager_person_id=None if manager is None else write_id(manager),
    )


def _read_minutes(field: str, minutes: Sequence[int]) -> tuple[int, ...] | None:
    if minutes and len(minutes) != WEEKDAYS:
        raise HoursMalformed(
            "a week has seven days",
            field=field,
            advice="send the minutes of Monday to Sunday, or nothing for those of the calendar",
        )
    return tuple(minutes) or None
