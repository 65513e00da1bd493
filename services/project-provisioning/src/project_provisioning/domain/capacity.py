"""Capacity: what people can work in a week, and what of it is booked."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from project_provisioning.domain.calendar import Day
from throughline_core.errors import InvalidArgument
from throughline_core.rounding import round_half_away

WEEKS_MAX: Final = 53
HOURS_PLACES: Final = 2
_MINUTES_OF_HOUR: Final = 60
_DAYS_OF_WEEK: Final = 7


class CapacityDatesReversed(InvalidArgument):
    """The period has no days."""

    code = "capacity.dates_reversed"


class CapacityPeriodTooLong(InvalidArgument):
    """The period has more weeks than one answer holds."""

    code = "capacity.period_too_long"


@dataclass(frozen=True, slots=True)
class Booked:
    """Hours booked in a week."""

    hard: Decimal = Decimal(0)
    soft: Decimal = Decimal(0)


NOTHING: Final = Booked()


@dataclass(frozen=True, slots=True)
class Week:
    """Hours of a week that starts on a Monday: of work, lost to holidays and leave, and booked."""

    week_start: date
    work: Decimal
    holiday: Decimal
    leave: Decimal
    booked: Booked = NOTHING

    @property
    def capacity(self) -> Decimal:
        """Work less holidays and leave."""
        return self.work - self.holiday - self.leave

    @property
    def free(self) -> Decimal:
        """Capacity less hard bookings; negative when overbooked."""
        return self.capacity - self.booked.hard

    def __add__(self, other: "Week") -> "Week":
        return Week(
            self.week_start,
            self.work + other.work,
            self.holiday + other.holiday,
            self.leave + other.leave,
            Booked(self.booked.hard + other.booked.hard, self.booked.soft + other.booked.soft),
        )


def monday_of(day: date) -> date:
    """Return the Monday of the day's week."""
    return day - timedelta(days=day.weekday())


def whole_weeks(starts_on: date, ends_on: date, *, weeks_max: int = WEEKS_MAX) -> tuple[date, date]:
    """Return the first day and the first day after the whole weeks that touch the period.

    Raises:
        CapacityDatesReversed: the period has no days.
        CapacityPeriodTooLong: it touches more than `weeks_max` weeks.
    """
    if starts_on >= ends_on:
        raise CapacityDatesReversed(
            "the period has no days",
            field="ends_on",
            advice="send the first day, and the first day after",
        )
    first = monday_of(starts_on)
    before = monday_of(ends_on - timedelta(days=1)) + timedelta(days=_DAYS_OF_WEEK)
    if (before - first).days > weeks_max * _DAYS_OF_WEEK:
        raise CapacityPeriodTooLong(
            f"the period touches more than {weeks_max} weeks",
            field="ends_on",
            advice="ask for a shorter one, several times",
        )
    return first, before


def weeks_of(days: Iterable[Day], booked: Mapping[date, Booked]) -> dict[date, Week]:
    """Return the weeks of a person's days by their Mondays, with what is booked in them."""
    weeks: dict[date, Week] = {}
    for day in days:
        monday = monday_of(day.day)
        week = Week(
            monday,
            hours_of(day.contracted_minutes),
            hours_of(day.holiday_minutes),
            hours_of(day.leave_minutes),
        )
        weeks[monday] = (
            weeks[monday] + week
            if monday in weeks
            else Week(monday, week.work, week.holiday, week.leave, booked.get(monday, NOTHING))
        )
    return weeks


def weeks_by_entity(
    days: Sequence[Day], booked: Mapping[date, Booked]
) -> Iterator[tuple[UUID, Week]]:
    """Yield a person's weeks by the legal entity that employs them.

    What is booked in a week of two entities counts for the later one.
    """
    entities = {day.legal_entity_id for day in days if day.legal_entity_id is not None}
    last = {monday_of(day.day): day.legal_entity_id for day in days if day.legal_entity_id}
    for entity in sorted(entities):
        own_days = (day for day in days if day.legal_entity_id == entity)
        own_bookings = {
            monday: each for monday, each in booked.items() if last.get(monday) == entity
        }
        for week in weeks_of(own_days, own_bookings).values():
            yield entity, week


def part_of_weeks(
    days: Sequence[Day], booked: Mapping[date, Booked], starts_on: date, ends_on: date
) -> Week:
    """Return the sum of the days in `[starts_on, ends_on)`; `days` are those of whole weeks.

    Of a week's bookings as much counts as those days have of its capacity.
    """
    whole = weeks_of(days, booked)
    parts = weeks_of((day for day in days if starts_on <= day.day < ends_on), {})
    summed = Week(monday_of(starts_on), Decimal(0), Decimal(0), Decimal(0))
    for monday, part in parts.items():
        week = whole[monday]
        share = part.capacity / week.capacity if week.capacity else Decimal(0)
        load = Booked(week.booked.hard * share, week.booked.soft * share)
        summed = summed + replace(part, booked=load)
    return summed


def hours_of(minutes: int) -> Decimal:
    """Return minutes as hours of two decimals."""
    return round_half_away(Decimal(minutes) / _MINUTES_OF_HOUR, HOURS_PLACES)


def percent_of(part: Decimal, whole: Decimal) -> Decimal | None:
    """Return a part in percent of a whole, two decimals; None where there is no whole."""
    return round_half_away(part * 100 / whole, HOURS_PLACES) if whole > 0 else None
