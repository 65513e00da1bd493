"""How often a caller may ask: a sliding window for each token subject, in each process."""

import math
from typing import Final

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from gateway.problems import Throttled

_WINDOW_SECONDS: Final = 60
# The library reckons with floats; who comes back on the second must not be a hair too early.
_SLACK_SECONDS: Final = 0.001


class Throttle:
    """Counts requests by subject. With n processes a caller may reach n times the figure."""

    def __init__(self, requests_per_minute: int) -> None:
        self._item = RateLimitItemPerMinute(requests_per_minute)
        self._storage = MemoryStorage()
        self._window = SlidingWindowCounterRateLimiter(self._storage)

    async def admit(self, subject: str) -> None:
        """Count one request.

        Raises:
            Throttled: the subject used its window up; says in how many seconds to come back.
        """
        if not await self._window.hit(self._item, subject):
            raise Throttled(math.ceil(await self._seconds_to_wait(subject) + _SLACK_SECONDS))

    async def _seconds_to_wait(self, subject: str) -> float:
        """Return when the count falls below the limit.

        A request of the window before counts by the share of that window still in sight:
        `before x in_sight / 60 + now`. The library's own figure does not take that into account.
        """
        before, in_sight, now, ends_in = await self._storage.get_sliding_window(
            self._item.key_for(subject), _WINDOW_SECONDS
        )
        if before and now < self._item.amount:
            return in_sight - (self._item.amount - now) * _WINDOW_SECONDS / before
        # Nothing leaves before this window is the one before; the storage keeps each for two.
        share = self._item.amount / max(now, 1)
        return ends_in - _WINDOW_SECONDS + (1 - share) * _WINDOW_SECONDS
