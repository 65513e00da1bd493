"""Recorded minutes and the hours that are billed for them."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from throughline_core.rounding import round_half_away

HOUR_MINUTES: Final = 60
HOURS_PLACES: Final = 2


class RoundingMode(StrEnum):
    """Where minutes between two increments go."""

    NEAREST = "nearest"
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class TimeRounding:
    """A contract's rule for billed time; the recorded minutes are kept beside it, unchanged.

    `increment_minutes` is 1 to 480; NEAREST sends the middle up.
    """

    increment_minutes: int
    mode: RoundingMode

    def __post_init__(self) -> None:
        if not 1 <= self.increment_minutes <= 480:
            raise ValueError(f"increment of {self.increment_minutes} minutes is outside 1..480")


EXACT_MINUTES: Final = TimeRounding(1, RoundingMode.NEAREST)


def billed_minutes(minutes: int, rounding: TimeRounding) -> int:
    """Apply the contract's increment to the minutes of one entry; a reversal mirrors its sign."""
    magnitude, increment = abs(minutes), rounding.increment_minutes
    whole, rest = divmod(magnitude, increment)
    goes_up = (rounding.mode is RoundingMode.UP and rest > 0) or (
        rounding.mode is RoundingMode.NEAREST and 2 * rest >= increment
    )
    rounded = (whole + goes_up) * increment
    return rounded if minutes >= 0 else -rounded


def billed_hours(minutes: int, rounding: TimeRounding = EXACT_MINUTES) -> Decimal:
    """Return the hours a document prints for one entry, to two decimals: 25 minutes → 0.42.

    The printed quantity is the quantity that is multiplied, so paper and amount always agree.
    """
    return round_half_away(Decimal(billed_minutes(minutes, rounding)) / HOUR_MINUTES, HOURS_PLACES)
