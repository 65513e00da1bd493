"""Calendars: the days on which a legal entity works, with the public holidays of its country."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Final

import holidays

from throughline_core.errors import InvalidArgument

MONDAY_TO_FRIDAY: Final = (1, 2, 3, 4, 5)
DAYS_MAX: Final = 400


class CalendarUnknown(InvalidArgument):
    """No public holidays are known for the country or the subdivision."""

    code = "legal_entity.calendar_unknown"


class PeriodInvalid(InvalidArgument):
    """The period of a calendar ends before it begins, or is too long."""

    code = "legal_entity.period_invalid"


@dataclass(frozen=True, slots=True)
class CalendarDay:
    """One day; `holiday` is the public holiday's name in the country's language, or empty."""

    on: date
    working: bool
    holiday: str


def require_calendar(country: str, subdivision: str) -> None:
    """Refuse a country or a subdivision whose public holidays are not known.

    Raises:
        CalendarUnknown: they are not.
    """
    subdivisions = _supported().get(country)
    if subdivisions is None:
        raise CalendarUnknown(
            f"the public holidays of {country} are not known",
            field="details.holiday_country",
            advice="name the country whose holidays the entity keeps",
        )
    if subdivision and subdivision not in subdivisions:
        known = ", ".join(subdivisions) or "none"
        raise CalendarUnknown(
            f"the public holidays of {country} know no subdivision {subdivision}",
            field="details.holiday_subdivision",
            advice=f"name one of: {known}",
        )


def days(
    country: str,
    subdivision: str,
    working_days: Collection[int],
    *,
    from_on: date,
    to_on: date,
) -> tuple[CalendarDay, ...]:
    """Return the days of `[from_on, to_on)`; `working_days` are ISO weekdays, 1 = Monday.

    Raises:
        PeriodInvalid: there are none, or more than 400.
    """
    if not from_on < to_on <= from_on + timedelta(days=DAYS_MAX):
        raise PeriodInvalid(
            f"the period {from_on} to {to_on} is not of 1 to {DAYS_MAX} days",
            field="to_on",
            advice="name the first day after the period",
        )
    known: dict[date, str] = {}
    if country in _supported():
        # Left to itself the library speaks the language of the machine it runs on.
        language = holidays.country_holidays(country).default_language
        years = range(from_on.year, to_on.year + 1)
        known = dict(
            holidays.country_holidays(
                country, subdiv=subdivision or None, years=years, language=language
            )
        )
    return tuple(
        CalendarDay(day, day not in known and day.isoweekday() in working_days, known.get(day, ""))
        for day in (from_on + timedelta(days=offset) for offset in range((to_on - from_on).days))
    )


@cache
def _supported() -> dict[str, list[str]]:
    return holidays.list_supported_countries(include_aliases=False)
