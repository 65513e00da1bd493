"""How long-running loops wait: until told to stop, woken or due, and longer after each failure."""

import asyncio
import random
import time
from collections.abc import Iterable
from typing import Final

_FIRST_SECONDS: Final = 0.1
_LONGEST_SECONDS: Final = 5.0


class Backoff:
    """A rest that doubles with each failure up to five seconds, with jitter."""

    def __init__(self) -> None:
        self._failures = 0
        self._over_at = 0.0

    @property
    def is_over(self) -> bool:
        """Whether the last rest has passed."""
        return time.monotonic() >= self._over_at

    def grow(self) -> float:
        """Begin the next rest and return its length in seconds."""
        longest = min(_FIRST_SECONDS * float(2**self._failures), _LONGEST_SECONDS)
        self._failures = min(self._failures + 1, 16)
        seconds = longest * random.uniform(0.5, 1)
        self._over_at = time.monotonic() + seconds
        return seconds

    def reset(self) -> None:
        """Forget the failures so far."""
        self._failures, self._over_at = 0, 0.0

    async def wait(self, stop: asyncio.Event) -> None:
        """Sit out the next rest, or until `stop` is set."""
        await wait_for_any([stop], timeout_seconds=self.grow())


async def wait_for_any(events: Iterable[asyncio.Event], *, timeout_seconds: float) -> None:
    """Return when one of the events is set or the time is over."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for future in waiting:
            future.cancel()
