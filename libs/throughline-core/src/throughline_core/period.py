"""Half-open periods of civil dates, months that keep their anchor day, and proration."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Period:
    """The days from `start` up to, and not including, `end`."""

    start: date
    end: date

    def __post_init__(self) -> None:
        if self.start >= self.end:
            raise ValueError(f"period {self.start}..{self.end} has no days")

    @property
    def days(self) -> int:
        return (self.end - self.start).days

    def __contains__(self, day: date) -> bool:
        return self.start <= day < self.end

    def intersection(self, other: Period) -> Period | None:
        """Return the days both have, or None."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Period(start, end) if start < end else None


def add_months(day: date, months: int, *, anchor_day: int) -> date:
    """Move `months` on and land on `anchor_day`, or on the last day of a shorter month.

    Keeping the anchor apart from the date is what lets 31 January → 28 February → 31 March.
    """
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    return date(year, month + 1, min(anchor_day, monthrange(year, month + 1)[1]))


def months_of(term: Period, *, anchor_day: int) -> Iterator[tuple[Period, Period]]:
    """Yield, for each billing month that touches `term`, its part inside the term and its whole.

    Billing months start on `anchor_day`; the first and the last may be partial.
    """
    start = add_months(term.start, 0, anchor_day=anchor_day)
    if start > term.start:
        start = add_months(start, -1, anchor_day=anchor_day)
    while start < term.end:
        end = add_months(start, 1, anchor_day=anchor_day)
        part = Period(start, end).intersection(term)
        if part is not None:
            yield part, Period(start, end)
        start = end


def prorate(part: Period, whole: Period) -> Decimal:
    """Return the share of `whole` that `part` covers: its days ÷ the days of the full period.

    An unrounded ratio of days; the amount it scales is rounded once, by its currency.
    """
    return Decimal(part.days) / Decimal(whole.days)
