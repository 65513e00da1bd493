"""How often a caller may ask, and when it may come back."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from gateway.problems import Throttled
from gateway.throttle import Throttle

NOON = datetime(2026, 9, 30, 12, tzinfo=UTC)


async def refused_after(throttle: Throttle, requests: int) -> int:
    """Return the seconds to wait after so many requests were admitted."""
    for _ in range(requests):
        await throttle.admit("ada")
    with pytest.raises(Throttled) as caught:
        await throttle.admit("ada")
    return caught.value.retry_after_seconds


@pytest.mark.parametrize("per_minute", [1, 2, 60, 600])
@pytest.mark.parametrize("second", [0.0, 0.5, 31.25, 59.999])
async def test_who_waits_as_long_as_told_is_admitted_again(per_minute: int, second: float) -> None:
    with time_machine.travel(NOON + timedelta(seconds=second), tick=False) as clock:
        throttle = Throttle(per_minute)
        seconds = await refused_after(throttle, per_minute)
        assert 1 <= seconds <= 61

        # Also when the window before still counts.
        for _ in range(5):
            clock.shift(timedelta(seconds=seconds))
            await throttle.admit("ada")
            seconds = await refused_after_all(throttle)


async def refused_after_all(throttle: Throttle) -> int:
    """Return the seconds to wait after asking until it is refused."""
    while True:
        try:
            await throttle.admit("ada")
        except Throttled as refusal:
            return refusal.retry_after_seconds


async def test_one_caller_does_not_use_up_anothers_share() -> None:
    throttle = Throttle(1)
    await throttle.admit("ada")

    await throttle.admit("grace")
