"""Work calendars, and what a person can work on each day: work less holidays less leave."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final
from uuid import UUID

from project_provisioning.domain.employment import Employment, Employments, employment_on
from project_provisioning.domain.leave import Leave
from project_provisioning.domain.legal_entity import LegalEntity
from project_provisioning.domain.public_holiday import holiday_on
from throughline_core.errors import InvalidArgument, NotFound

_DAY_MINUTES_DEFAULT: Final = 8 * 60
_WEEK: Final = range(1, 8)


class CalendarNotFound(NotFound):
    """There is no such work calendar."""

    code = "work_calendar.not_found"


class CalendarUnknown(InvalidArgument):
    """An employment names a work calendar that there is not."""

    code = "work_calendar.unknown"


class PeriodTooLong(InvalidArgument):
    """The period has no days, or more than a list of days should have."""

    code = "work_calendar.period_invalid"


@dataclass(frozen=True, slots=True)
class WorkCalendar:
    """Minutes of work from Monday to Sunday, public holidays of a place, and further days off.

    `code` is empty for the calendar a company has without anybody configuring one; an empty
    `country` knows no public holidays.
    """

    code: str
    version: int
    name: str
    country: str
    subdivision: str
    weekday_minutes: tuple[int, ...]
    days_off: frozenset[date] = frozenset()

    def holiday(self, day: date) -> str | None:
        """Return why nobody works on a day, None when it is no holiday."""
        if day in self.days_off:
            return "day off"
        return holiday_on(self.country, self.subdivision, day) if self.country else None


PLAIN_WEEK: Final = WorkCalendar(
    "", 1, "Monday to Friday", "", "", (_DAY_MINUTES_DEFAULT,) * 5 + (0, 0)
)
"""What counts while nothing is known of a company."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """All that says when one person works: employments, calendars by code and company, leave.

    `leaves` are the approved ones.
    """

    employments: Employments
    calendars: Mapping[str, WorkCalendar] = field(default_factory=dict)
    company_calendars: Mapping[UUID, WorkCalendar] = field(default_factory=dict)
    leaves: Sequence[Leave] = ()

    def calendar_of(self, stretch: Employment) -> WorkCalendar:
        """Return the calendar that a stretch of employment follows."""
        if stretch.work_calendar is not None and stretch.work_calendar in self.calendars:
            return self.calendars[stretch.work_calendar]
        return self.company_calendars.get(stretch.legal_entity_id, PLAIN_WEEK)


@dataclass(frozen=True, slots=True)
class Day:
    """A day of a person, in minutes: contracted, lost to a holiday, to leave, and left to work."""

    day: date
    legal_entity_id: UUID | None
    contracted_minutes: int
    holiday: str
    holiday_minutes: int
    leave_minutes: int

    @property
    def capacity_minutes(self) -> int:
        return self.contracted_minutes - self.holiday_minutes - self.leave_minutes


def company_calendar(entity: LegalEntity) -> WorkCalendar:
    """Return the calendar of a company's master data: eight hours on each working day."""
    return WorkCalendar(
        code="",
        version=entity.version,
        name=f"{entity.code} {entity.holiday_country}",
        country=entity.holiday_country,
        subdivision=entity.holiday_subdivision,
        weekday_minutes=tuple(
            _DAY_MINUTES_DEFAULT if day in entity.working_days else 0 for day in _WEEK
        ),
    )


def day_of(schedule: Schedule, day: date) -> Day:
    """Return what one day of a person holds; without employment it is empty."""
    stretch = employment_on(schedule.employments, day)
    if stretch is None:
        return Day(day, None, 0, "", 0, 0)
    calendar = schedule.calendar_of(stretch)
    contracted = (stretch.weekday_minutes or calendar.weekday_minutes)[day.weekday()]
    holiday = calendar.holiday(day)
    lost = contracted if holiday else 0
    return Day(
        day=day,
        legal_entity_id=stretch.legal_entity_id,
        contracted_minutes=contracted,
        holiday=holiday or "",
        holiday_minutes=lost,
        leave_minutes=_leave_minutes(schedule.leaves, day, contracted - lost),
    )


def days_of(schedule: Schedule, first: date, before: date) -> Iterator[Day]:
    """Yield each day from `first` up to, and not including, `before`."""
    for offset in range((before - first).days):
        yield day_of(schedule, first + timedelta(days=offset))


def capacity_minutes(schedule: Schedule, first: date, before: date) -> int:
    """Return the minutes a person can work in `[first, before)`: work − holidays − leave."""
    return sum(day.capacity_minutes for day in days_of(schedule, first, before))


def check_days(first: date, before: date, *, days_max: int, field: str) -> None:
    """Refuse a period without days, or with more than `days_max`.

    Raises:
        PeriodTooLong: see above.
    """
    if not 0 < (before - first).days <= days_max:
        raise PeriodTooLong(
            f"the period has no days, or more than {days_max}",
            field=field,
            advice="send the first day of the period and the first day after it",
        )


def _leave_minutes(leaves: Sequence[Leave], day: date, workable: int) -> int:
    leave = next((each for each in leaves if day in each), None)
    if leave is None:
        return 0
    return (workable + 1) // 2 if leave.half_days else workable
