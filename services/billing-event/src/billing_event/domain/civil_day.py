"""The days that people may name: far enough from the calendar's ends to compute around them."""

from datetime import date
from typing import Final

from throughline_core.period import Period

BILLABLE_DAYS: Final = Period(date(1900, 1, 1), date(3000, 1, 1))
"""What is billed was done on one of these."""

YEARS_AFTER_END: Final = 10
"""So long after its end a contract line is settled by hand: as long as books are kept."""


def is_settled_by_hand(day: date, first_day: date, last_day: date) -> bool:
    """Whether an amount agreed by hand may be for a day, of a line in force between two others."""
    is_late = (day.year - YEARS_AFTER_END, day.month, day.day) > (
        last_day.year,
        last_day.month,
        last_day.day,
    )
    return day in BILLABLE_DAYS and first_day <= day and not is_late
