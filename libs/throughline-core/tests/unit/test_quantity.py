"""Minutes become printed hours, and printed hours times printed rate is the printed amount."""

from decimal import Decimal

import pytest

from throughline_core.money import Money
from throughline_core.quantity import RoundingMode, TimeRounding, billed_hours


@pytest.mark.parametrize(
    ("minutes", "hours"), [(25, "0.42"), (15, "0.25"), (60, "1.00"), (1, "0.02"), (-25, "-0.42")]
)
def test_minutes_print_as_hundredths_of_an_hour(minutes: int, hours: str) -> None:
    assert billed_hours(minutes) == Decimal(hours)


def test_the_amount_on_paper_is_printed_hours_times_rate() -> None:
    line = Money(Decimal("34.34"), "EUR") * billed_hours(25)
    assert line.rounded() == Money(Decimal("14.42"), "EUR")


@pytest.mark.parametrize(
    ("mode", "minutes", "hours"),
    [
        (RoundingMode.UP, 1, "0.25"),
        (RoundingMode.UP, 15, "0.25"),
        (RoundingMode.DOWN, 14, "0.00"),
        (RoundingMode.NEAREST, 7, "0.00"),
        (RoundingMode.NEAREST, 8, "0.25"),
        (RoundingMode.UP, -1, "-0.25"),
    ],
)
def test_a_contract_may_bill_in_quarters(mode: RoundingMode, minutes: int, hours: str) -> None:
    assert billed_hours(minutes, TimeRounding(15, mode)) == Decimal(hours)


@pytest.mark.parametrize("increment", [0, -15, 481])
def test_an_increment_is_one_minute_to_a_day(increment: int) -> None:
    with pytest.raises(ValueError, match="increment"):
        TimeRounding(increment, RoundingMode.NEAREST)
