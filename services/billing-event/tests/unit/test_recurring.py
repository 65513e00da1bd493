"""Each billing month of a recurring line is charged once, for the days it covers."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

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
from billing_event.domain.terms import BillingModel, Proration
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


@pytest.mark.parametrize("year", [2027, 2028])
def test_the_31st_is_kept_over_february_of_any_year(year: int) -> None:
    periods = months(date(year - 1, 12, 31), date(year, 5, 1), anchor_day=31)
    february = date(year, 2, 29 if year == 2028 else 28)
    assert [period.service.start for period in periods] == [
        date(year - 1, 12, 31),
        date(year, 1, 31),
        february,
        date(year, 3, 31),
        date(year, 4, 30),
    ]
    assert [period.amount for period in periods[:4]] == [eur("2500.00")] * 4


@pytest.mark.parametrize(
    ("start", "end", "amount"),
    [
        # Half of any month, however many days it has.
        (date(2026, 9, 16), date(2026, 10, 1), "1250.00"),
        (date(2026, 10, 16), date(2026, 11, 1), "1250.00"),
        (date(2027, 2, 16), date(2027, 3, 1), "1250.00"),
    ],
)
def test_thirty_day_months_charge_a_part_in_thirtieths(start: date, end: date, amount: str) -> None:
    [period] = months(start, end, proration=Proration.THIRTY_DAYS)
    assert period.amount == eur(amount)
    assert "of 30 days, each month as 30" in period.explanation


@pytest.mark.parametrize("anchor_day", [1, 15, 28, 30, 31])
def test_thirty_day_months_add_up_to_the_whole_wherever_they_are_cut(anchor_day: int) -> None:
    anchored = months(date(2027, 1, anchor_day), date(2027, 6, 1), anchor_day=anchor_day)
    for whole in (period.service for period in anchored[:4]):
        cut = whole.start + timedelta(days=11)
        for_days = {"anchor_day": anchor_day, "proration": Proration.THIRTY_DAYS}
        first, second = months(whole.start, cut, **for_days), months(cut, whole.end, **for_days)
        assert abs(first[0].amount.amount + second[0].amount.amount - 2500) <= Decimal("0.01")


def test_a_quarter_is_charged_every_three_months_and_a_part_by_its_days() -> None:
    periods = months(date(2026, 9, 15), date(2027, 3, 15), period_months=3)
    assert [(period.service, period.amount) for period in periods] == [
        (Period(date(2026, 9, 15), date(2026, 12, 1)), eur("2115.38")),  # 77 of 91 days
        (Period(date(2026, 12, 1), date(2027, 3, 1)), eur("2500.00")),
        (Period(date(2027, 3, 1), date(2027, 3, 15)), eur("380.43")),  # 14 of 92 days
    ]


def amended(on: date, **different: object) -> Sequence[RecurringPeriod]:
    """Return the periods of a monthly line that a change order altered from a day on."""
    line = a_line(
        SUPPORT,
        billing_model=BillingModel.RECURRING,
        unit_price=eur("2500.00"),
        term=Period(date(2026, 9, 1), date(2027, 9, 1)),
    )
    later = replace(line, **different)  # type: ignore[arg-type]  # any field
    second = some_terms(later, contract_version=2, effective_on=on)
    return plan(an_agreement(some_terms(line), second))


def test_a_price_changed_within_a_period_holds_from_the_next_one_on() -> None:
    periods = amended(date(2026, 10, 15), unit_price=eur("3000.00"))
    assert [period.amount for period in periods[:3]] == [
        eur("2500.00"),
        eur("2500.00"),
        eur("3000.00"),
    ]


def test_months_that_become_quarters_leave_no_day_out_and_charge_none_twice() -> None:
    periods = amended(date(2026, 12, 1), period_months=3, unit_price=eur("7000.00"))
    assert [period.service.start for period in periods] == [
        date(2026, 9, 1),
        date(2026, 10, 1),
        date(2026, 11, 1),
        date(2026, 12, 1),
        date(2027, 3, 1),
        date(2027, 6, 1),
    ]
    assert len({period.recurring_period_id for period in periods}) == 6
    spans = [period.service for period in periods]
    assert all(one.end == next_one.start for one, next_one in pairwise(spans))


def test_an_anchor_that_moves_bills_the_days_up_to_it_as_a_part() -> None:
    periods = amended(date(2026, 11, 1), anchor_day=15)
    assert [(period.service.start, period.amount) for period in periods[1:4]] == [
        (date(2026, 10, 1), eur("2500.00")),
        (date(2026, 11, 1), eur("1129.03")),  # 14 of 31 days
        (date(2026, 11, 15), eur("2500.00")),
    ]
