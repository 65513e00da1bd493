"""Public holidays of a country, or of a part of it, as the `holidays` library knows them."""

from collections.abc import Mapping
from datetime import date
from functools import lru_cache

import holidays

from throughline_core.errors import InvalidArgument

_YEARS_REMEMBERED = 256


class HolidaysUnknown(InvalidArgument):
    """No public holidays are known for the country or its part."""

    code = "work_calendar.holidays_unknown"


def require_known(country: str, subdivision: str) -> None:
    """Refuse a country or subdivision nobody knows the holidays of.

    Raises:
        HolidaysUnknown: see above.
    """
    try:
        holidays.country_holidays(country, subdiv=subdivision or None)
    except NotImplementedError as error:
        raise HolidaysUnknown(
            f"no public holidays are known for {country} {subdivision}".rstrip(),
            field="subdivision" if subdivision else "country",
            advice="send an ISO 3166-1 alpha-2 country and, where holidays differ, its ISO 3166-2"
            " subdivision without the country: DE and BY",
        ) from error


def holiday_on(country: str, subdivision: str, day: date) -> str | None:
    """Return the name of the public holiday, None on other days and where none are known."""
    return _of_year(country, subdivision, day.year).get(day)


@lru_cache(_YEARS_REMEMBERED)
def _of_year(country: str, subdivision: str, year: int) -> Mapping[date, str]:
    try:
        known = holidays.country_holidays(country, subdiv=subdivision or None, years=year)
    except NotImplementedError:
        # What a company's master data says is not refused here, where it is only read.
        return {}
    return dict(known)
