"""Each billing month of a recurring line is charged once, for the days it covers."""

from collections.abc import Sequence
from datetime import date, timedelta

import pytest
from billing_event_builders import SUPPORT, a_line, an_agreement, eur, some_terms

from billing_event.domain.recurring import (
    RecurringPeriod,
    TooFarAhead,
    plan,
    require_near,
    source_item_of,
)
from billing_event.domain.source import ItemType, SourceItemId
from billing_event.domain.terms import BillingModel
from throughline_core.period import Period


def months(start: date, end: date, **different: object) -> Sequence[RecurringPeriod]:
    line = a_line(
        SUPPORT,
        billing_model=BillingModel.RECURRING,
        unit_price=eur("2500.00"),
        term=Period(start, end),
        description="Managed support",
        **different,
    )
    return plan(an_agreement(some_terms(line, a_line())))


def test_a_year_has_twelve_equal_charges_due_on_the_last_day_of_each_month() -> None:
    periods = months(date(2026, 9, 1), date(2027, 9, 1))
    assert [period.amount for period in periods] == [eur("2500.00")] * 12
    assert (periods[0].service, periods[0].due_on) == (
        Period(date(2026, 9, 1), date(2026, 10, 1)),
        date(2026, 9, 30),
    )
    assert periods[5].due_on == date(2027, 2, 28)


def test_in_advance_a_month_is_due_on_its_first_day() -> None:
    periods = months(date(2026, 9, 1), date(2026, 11, 1), in_advance=True)
    assert [period.due_on for period in periods] == [date(2026, 9, 1), date(2026, 10, 1)]


def test_a_partial_month_is_charged_by_its_days() -> None:
    first, second, last = months(date(2026, 9, 15), date(2026, 11, 11))
    assert (first.amount, first.explanation) == (
        eur("1333.33"),
        "16 of 30 days of 2500.00 EUR a month",
    )
    assert second.amount == eur("2500.00")
    assert (last.service.days, last.amount, last.due_on) == (
        10,
        eur("833.33"),
        date(2026, 11, 10),
    )


def test_an_anchor_on_the_31st_is_kept_over_short_months() -> None:
    periods = months(date(2026, 12, 31), date(2027, 4, 30), anchor_day=31)
    assert [period.service.start for period in periods] == [
        date(2026, 12, 31),
        date(2027, 1, 31),
        date(2027, 2, 28),
        date(2027, 3, 31),
    ]


def test_a_month_keeps_its_id_when_the_term_around_it_changes() -> None:
    short = months(date(2026, 9, 15), date(2026, 11, 1))
    long = months(date(2026, 9, 1), date(2027, 1, 1))
    assert [period.recurring_period_id for period in short] == [
        period.recurring_period_id for period in long[:2]
    ]


def test_a_due_period_becomes_a_thing_to_bill_of_the_same_id() -> None:
    [period, *_] = months(date(2026, 9, 1), date(2027, 9, 1))
    item = source_item_of(period)
    assert item.source_item_id == SourceItemId(period.recurring_period_id)
    assert item.type is ItemType.RECURRING
    assert (item.price, item.is_billable, item.minutes) == (eur("2500.00"), True, 0)
    assert item.description == "Managed support, 2026-09-01 to 2026-09-30"


def test_charges_are_made_at_most_a_month_ahead() -> None:
    today = date(2026, 9, 14)
    require_near(today + timedelta(days=31), today=today)
    with pytest.raises(TooFarAhead):
        require_near(today + timedelta(days=32), today=today)
