"""Periods are half-open, anchors survive short months, shares are days over days."""

from datetime import date
from decimal import Decimal

import pytest

from throughline_core.period import Period, add_months, months_of, prorate


def test_the_anchor_day_survives_a_short_month() -> None:
    day = date(2026, 1, 31)
    assert add_months(day, 1, anchor_day=31) == date(2026, 2, 28)
    assert add_months(day, 2, anchor_day=31) == date(2026, 3, 31)
    assert add_months(date(2024, 1, 31), 1, anchor_day=31) == date(2024, 2, 29)


def test_a_term_of_a_year_has_twelve_whole_months() -> None:
    months = list(months_of(Period(date(2026, 9, 1), date(2027, 9, 1)), anchor_day=1))
    assert len(months) == 12
    assert all(part == whole for part, whole in months)


def test_a_term_that_starts_mid_month_starts_with_a_part() -> None:
    [first, *_, last] = months_of(Period(date(2026, 4, 16), date(2026, 7, 11)), anchor_day=1)
    assert first == (
        Period(date(2026, 4, 16), date(2026, 5, 1)),
        Period(date(2026, 4, 1), date(2026, 5, 1)),
    )
    assert prorate(*first) == Decimal("0.5")
    assert last[0] == Period(date(2026, 7, 1), date(2026, 7, 11))


def test_an_anchor_after_the_start_opens_with_the_month_before() -> None:
    [first, *_] = months_of(Period(date(2026, 4, 3), date(2026, 6, 3)), anchor_day=15)
    assert first[0] == Period(date(2026, 4, 3), date(2026, 4, 15))
    assert first[1] == Period(date(2026, 3, 15), date(2026, 4, 15))


def test_a_period_has_days() -> None:
    with pytest.raises(ValueError, match="no days"):
        Period(date(2026, 1, 1), date(2026, 1, 1))
