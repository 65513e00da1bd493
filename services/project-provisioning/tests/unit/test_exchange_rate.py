"""Rates of days, what an hour costs over time, and lock dates."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from project_provisioning_builders import ADA, DE01, US01, eur

from project_provisioning.domain.cost import CostNegative, PersonCost, set_cost
from project_provisioning.domain.exchange_rate import (
    ExchangeRate,
    RateMalformed,
    RateTable,
    check_rate,
)
from project_provisioning.domain.lock import (
    LockNotAhead,
    LockNotBack,
    PeriodLocked,
    close_before,
    reopen_from,
    require_open,
)
from throughline_core.money import Money, UnknownCurrency

DAY, AT = date(2026, 9, 8), datetime(2026, 9, 8, tzinfo=UTC)


def a_rate(base: str, quote: str, rate: str, day: date = DAY, source: str = "ecb") -> ExchangeRate:
    return ExchangeRate(base, quote, day, source, Decimal(rate))


ECB = RateTable([a_rate("EUR", "USD", "1.25"), a_rate("EUR", "GBP", "0.8")])


@pytest.mark.parametrize(
    ("from_", "to", "rate"),
    [
        ("EUR", "USD", "1.25"),
        ("USD", "EUR", "0.8"),
        ("USD", "GBP", "0.64"),
        ("GBP", "USD", "1.5625"),
    ],
)
def test_a_rate_is_found_directly_inversely_or_by_a_third_currency(
    from_: str, to: str, rate: str
) -> None:
    found = ECB.find(from_, to, DAY)

    assert found is not None
    assert found.rate == Decimal(rate)


def test_the_latest_day_before_will_do_for_some_days_and_a_later_one_never() -> None:
    found = ECB.find("EUR", "USD", date(2026, 9, 10), days_max=2)

    assert found is not None
    assert found.rate_on == DAY
    assert ECB.find("EUR", "USD", date(2026, 9, 11), days_max=2) is None
    assert ECB.find("EUR", "USD", date(2026, 9, 7)) is None
    assert ECB.find("EUR", "CHF", DAY) is None


def test_sources_are_not_mixed() -> None:
    table = RateTable([a_rate("EUR", "USD", "1.25"), a_rate("EUR", "GBP", "0.8", source="bank")])

    assert table.find("USD", "GBP", DAY) is None
    assert table.find("EUR", "USD", DAY, source="bank") is None


def test_a_converted_amount_is_rounded_to_its_currency() -> None:
    found = ECB.find("USD", "EUR", DAY)

    assert found is not None
    assert found.convert(Money(Decimal("10.01"), "USD"), "EUR") == eur("8.01")


@pytest.mark.parametrize("rate", [a_rate("EUR", "EUR", "1"), a_rate("EUR", "USD", "0")])
def test_what_is_no_rate_is_refused(rate: ExchangeRate) -> None:
    with pytest.raises(RateMalformed):
        check_rate(rate, field="rates[0]")
    with pytest.raises(UnknownCurrency):
        check_rate(a_rate("EUR", "ZZZ", "1"), field="rates[0]")


def a_cost(valid_from: date, amount: str, valid_to: date | None = None) -> PersonCost:
    return PersonCost(ADA, valid_from, valid_to, DE01, eur(amount), "user:fina.finance", AT)


def test_a_new_cost_ends_the_one_before_and_ends_with_the_next() -> None:
    known = [a_cost(date(2026, 1, 1), "60", date(2026, 7, 1)), a_cost(date(2026, 7, 1), "66")]

    costs = set_cost(known, a_cost(date(2026, 4, 1), "63"))

    assert [(each.valid_from, each.valid_to) for each in costs] == [
        (date(2026, 1, 1), date(2026, 4, 1)),
        (date(2026, 4, 1), date(2026, 7, 1)),
        (date(2026, 7, 1), None),
    ]
    with pytest.raises(CostNegative):
        set_cost(known, a_cost(DAY, "-0.01"))


def test_a_cost_from_the_same_day_on_takes_the_others_place() -> None:
    [cost] = set_cost([a_cost(DAY, "60")], a_cost(DAY, "65"))

    assert cost.hourly_cost == eur("65")


def test_a_lock_goes_forward_by_locking_and_back_by_reopening_only() -> None:
    first = close_before(None, DE01, open_from=DAY, reason="", by="f", at=AT).state

    with pytest.raises(LockNotAhead):
        close_before(first, DE01, open_from=DAY, reason="", by="f", at=AT)
    with pytest.raises(LockNotBack):
        reopen_from(first, open_from=DAY, reason="late receipt", by="f", at=AT)
    change = reopen_from(first, open_from=date(2026, 9, 1), reason="late receipt", by="f", at=AT)
    assert (change.state.version, change.events[0].reopened) == (2, True)


def test_only_what_is_dated_before_the_first_open_day_is_locked() -> None:
    require_open({DE01: DAY}, [(DE01, DAY), (US01, date(2020, 1, 1))], field="work_date")
    with pytest.raises(PeriodLocked):
        require_open({DE01: DAY}, [(DE01, date(2026, 9, 7))], field="work_date")
