"""The vendors' wall clock, which a sandbox may run ahead of the real one."""

from datetime import UTC, datetime, timedelta
from typing import TypedDict

from throughline_simulators.store import Collection, Store


class _Offset(TypedDict):
    seconds: int


class Clock:
    """Real time plus an offset; signatures of webhooks keep to real time."""

    def __init__(self, store: Store) -> None:
        self._offsets: Collection[_Offset] = Collection(store, "clock")

    @property
    def offset_seconds(self) -> int:
        offset = self._offsets.get("offset")
        return 0 if offset is None else offset["seconds"]

    def move(self, *, offset_seconds: int) -> None:
        """Make the vendors live `offset_seconds` ahead of real time, behind if negative."""
        self._offsets.put("offset", {"seconds": offset_seconds})

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.offset_seconds)
