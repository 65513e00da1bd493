"""Effort: hours spread over weeks, and shared without losing any of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from project_provisioning.domain.calendar import Day
from project_provisioning.domain.capacity import monday_of
from throughline_core.errors import InvalidArgument

_HUNDREDTHS: Final = 100
_WEEK_HOURS_MAX: Final = 168
_DAYS_OF_WEEK: Final = 7


class NoWorkingDays(InvalidArgument):
    """The person works on no day of the assignment."""

    code = "assignment.no_working_days"


class WeeksDiffer(InvalidArgument):
    """The weeks given are no weeks of the assignment, or do not sum to its hours."""

    code = "assignment.weeks_differ"


Weeks = tuple[tuple[date, Decimal], ...]
"""Hours by the Monday of their week, in order; weeks without hours are left out."""


@dataclass(frozen=True, slots=True)
class Effort:
    """Hours in all, spread over working days, or the hours of each week; both have to agree."""

    hours: Decimal | None
    weeks: Weeks


def plan_weeks(starts_on: date, ends_on: date, effort: Effort, days: Iterable[Day]) -> Weeks:
    """Return the weeks of `[starts_on, ends_on)` as given, or hours spread over working days.

    Raises:
        WeeksDiffer: the weeks are none of the period, or there are no hours, or too many of them.
        NoWorkingDays: hours are to be spread and the person works on none of the days.
    """
    if effort.weeks:
        return _given_weeks(starts_on, ends_on, effort)
    counts: dict[date, int] = {}
    for day in days:
        if starts_on <= day.day < ends_on and day.capacity_minutes > 0:
            monday = monday_of(day.day)
            counts[monday] = counts.get(monday, 0) + 1
    if not effort.hours:
        raise WeeksDiffer(
            "an assignment needs hours",
            field="planned_hours",
            advice="send planned_hours, or the hours of each week",
        )
    if not counts:
        raise NoWorkingDays(
            "the person works on no day of the assignment",
            field="starts_on",
            advice="choose other days; leave and holidays count as none",
        )
    parts = share(effort.hours, list(counts.values()))
    if max(parts) > _WEEK_HOURS_MAX:
        raise WeeksDiffer(
            f"no week has {max(parts)} hours",
            field="planned_hours",
            advice="plan fewer hours or more days",
        )
    return tuple(week for week in zip(counts, parts, strict=True) if week[1])


def _given_weeks(starts_on: date, ends_on: date, effort: Effort) -> Weeks:
    mondays = [monday for monday, _ in effort.weeks]
    first = monday_of(starts_on)
    for index, (monday, hours) in enumerate(effort.weeks):
        if monday.weekday() or not first <= monday < ends_on or not 0 < hours <= _WEEK_HOURS_MAX:
            raise WeeksDiffer(
                f"{monday} is no week of the assignment, or has no hours, or too many",
                field=f"weeks[{index}]",
                advice="send Mondays of weeks between the first day and the last, with hours",
            )
    total = sum((hours for _, hours in effort.weeks), Decimal(0))
    if len(set(mondays)) < len(mondays) or effort.hours not in (None, total):
        raise WeeksDiffer(
            f"the weeks repeat, or sum to {total} hours",
            field="weeks",
            advice="send each week once, and planned_hours only as their sum",
        )
    return tuple(sorted(effort.weeks))


def cut(
    starts_on: date, ends_on: date, weeks: Weeks, on: date, working_days: Iterable[date]
) -> tuple[Weeks, Weeks]:
    """Return the weeks before a day and from it on; they sum to what there was.

    The week that holds the day is shared by its working days on either side.
    """
    days = {day for day in working_days if starts_on <= day < ends_on}
    monday = monday_of(on)
    before = [week for week in weeks if week[0] < monday]
    after = [week for week in weeks if week[0] > monday]
    hours = dict(weeks).get(monday)
    if hours is not None:
        of_week = {day for day in days if monday_of(day) == monday} or _days(
            starts_on, ends_on, monday
        )
        counts = [sum(day < on for day in of_week), sum(day >= on for day in of_week)]
        parts = share(hours, counts)
        before += [(monday, parts[0])] if parts[0] else []
        after = ([(monday, parts[1])] if parts[1] else []) + after
    return tuple(before), tuple(after)


def share(hours: Decimal, weights: Sequence[int]) -> list[Decimal]:
    """Share hours of two decimals out by weights, not all of them zero; the parts sum to them.

    Largest remainder: what is left over of whole hundredths goes to those that lost most, the
    first one among equals.
    """
    units, total = int(hours * _HUNDREDTHS), sum(weights)
    parts, remainders = zip(*(divmod(units * weight, total) for weight in weights), strict=True)
    by_loss = sorted(range(len(weights)), key=lambda index: (-remainders[index], index))
    favoured = set(by_loss[: units - sum(parts)])
    return [Decimal(part + (index in favoured)) / _HUNDREDTHS for index, part in enumerate(parts)]


def _days(starts_on: date, ends_on: date, monday: date) -> set[date]:
    week = (monday + timedelta(days=offset) for offset in range(_DAYS_OF_WEEK))
    return {day for day in week if starts_on <= day < ends_on}
