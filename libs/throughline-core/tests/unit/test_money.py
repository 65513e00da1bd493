"""The rules of money, as tables of given and expected."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughline_core.money import MixedCurrencies, Money, UnknownCurrency, exponent


def eur(amount: str) -> Money:
    return Money(Decimal(amount), "EUR")


@pytest.mark.parametrize(
    ("currency", "digits"), [("EUR", 2), ("USD", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4)]
)
def test_amounts_have_their_currencys_decimals(currency: str, digits: int) -> None:
    assert exponent(currency) == digits


@pytest.mark.parametrize("currency", ["EURO", "eur", "ZZZ", "", "XXX"])
def test_an_unknown_currency_is_refused(currency: str) -> None:
    with pytest.raises(UnknownCurrency):
        Money(Decimal(1), currency)


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-Infinity"])
def test_money_is_always_finite(amount: str) -> None:
    with pytest.raises(ValueError, match="no amount"):
        eur(amount)


@pytest.mark.parametrize(
    ("exact", "rounded"),
    [("2.675", "2.68"), ("-2.675", "-2.68"), ("0.005", "0.01"), ("-0.004", "0.00"), ("1", "1.00")],
)
def test_ties_round_away_from_zero(exact: str, rounded: str) -> None:
    assert eur(exact).rounded() == eur(rounded)


def test_a_yen_has_no_decimals() -> None:
    assert Money(Decimal("1234.5"), "JPY").rounded() == Money(Decimal("1235"), "JPY")


def test_currencies_do_not_mix() -> None:
    with pytest.raises(MixedCurrencies):
        eur("1") + Money(Decimal(1), "USD")


def test_a_third_each_gives_the_cent_left_over_to_the_rounding_party() -> None:
    assert eur("100.00").split([1, 1, 1]) == [eur("33.34"), eur("33.33"), eur("33.33")]
    assert eur("100.00").split([1, 1, 1], rounding_index=2)[2] == eur("33.34")


def test_a_negative_amount_splits_as_its_mirror_image() -> None:
    positive = eur("100.01").split([3, 2, 2], rounding_index=1)
    assert eur("-100.01").split([3, 2, 2], rounding_index=1) == [-part for part in positive]


def test_a_party_without_weight_gets_nothing() -> None:
    assert eur("0.05").split([0, 1, 1]) == [eur("0.00"), eur("0.03"), eur("0.02")]


@pytest.mark.parametrize("weights", [[], [0, 0], [1, -1]])
def test_weights_must_make_sense(weights: list[int]) -> None:
    with pytest.raises(ValueError, match="weights"):
        eur("1").split(weights)


@given(
    cents=st.integers(-(10**12), 10**12),
    weights=st.lists(st.integers(0, 10**6), min_size=1, max_size=12).filter(any),
    data=st.data(),
)
def test_parts_always_sum_to_the_whole_and_none_is_off_by_a_cent(
    cents: int, weights: list[int], data: st.DataObject
) -> None:
    whole = Money(Decimal(cents).scaleb(-2), "EUR")
    index = data.draw(st.integers(0, len(weights) - 1))

    parts = whole.split(weights, rounding_index=index)

    assert Money.total(parts, "EUR") == whole
    for part, weight in zip(parts, weights, strict=True):
        fair = whole.amount * weight / sum(weights)
        assert abs(part.amount - fair) < Decimal("0.01")


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        ("1185.800000", "EUR", "1185.80 EUR"),
        ("20000", "EUR", "20000.00 EUR"),
        ("34.345000", "EUR", "34.345 EUR"),
        ("-5000.00", "JPY", "-5000 JPY"),
        ("0.000000", "EUR", "0.00 EUR"),
        ("1200.5", "KWD", "1200.500 KWD"),
    ],
)
def test_money_is_shown_as_people_read_it(amount: str, currency: str, shown: str) -> None:
    assert str(Money(Decimal(amount), currency)) == shown
