"""The time a call has left: given by the caller, passed on to every further call."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ends_at: ContextVar[float | None] = ContextVar("throughline_deadline", default=None)


def remaining_seconds() -> float | None:
    """Return the seconds left of the call this task answers; None outside a call."""
    ends_at = _ends_at.get()
    return None if ends_at is None else max(0.0, ends_at - time.monotonic())


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Let the block's calls end within `seconds` from now."""
    token = _ends_at.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _ends_at.reset(token)
