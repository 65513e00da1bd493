"""Calendars and days as messages."""

from collections.abc import Sequence

from project_provisioning.domain.calendar import Day, WorkCalendar
from project_provisioning.domain.person import Person
from throughline.project_provisioning.v1 import calendar_service_pb2 as pb
from throughline_runtime.fields import read_date, write_date, write_id


def read_calendar(request: pb.PutWorkCalendarRequest) -> WorkCalendar:
    """Return the calendar to record."""
    return WorkCalendar(
        code=request.code,
        version=1,
        name=request.name,
        country=request.country,
        subdivision=request.subdivision,
        weekday_minutes=tuple(request.weekday_minutes),
        days_off=frozenset(
            read_date(f"days_off[{index}]", day) for index, day in enumerate(request.days_off)
        ),
    )


def write_calendar(calendar: WorkCalendar) -> pb.WorkCalendar:
    """Return a calendar."""
    return pb.WorkCalendar(
        code=calendar.code,
        version=calendar.version,
        name=calendar.name,
        country=calendar.country,
        subdivision=calendar.subdivision,
        weekday_minutes=calendar.weekday_minutes,
        days_off=map(write_date, sorted(calendar.days_off)),
    )


def write_day(day: Day) -> pb.WorkingDay:
    """Return a day of a person."""
    return pb.WorkingDay(
        day=write_date(day.day),
        legal_entity_id=write_id(day.legal_entity_id),
        contracted_minutes=day.contracted_minutes,
        holiday=day.holiday,
        holiday_minutes=day.holiday_minutes,
        leave_minutes=day.leave_minutes,
        capacity_minutes=day.capacity_minutes,
    )


def write_capacity(person: Person, days: Sequence[Day]) -> pb.Capacity:
    """Return what a person can work on these days together."""
    return pb.Capacity(
        person_id=write_id(person.person_id),
        person_name=person.name,
        contracted_minutes=sum(day.contracted_minutes for day in days),
        holiday_minutes=sum(day.holiday_minutes for day in days),
        leave_minutes=sum(day.leave_minutes for day in days),
        capacity_minutes=sum(day.capacity_minutes for day in days),
    )
