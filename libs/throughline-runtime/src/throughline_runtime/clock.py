"""The business clock: real time, moved on a sandbox by the offset in a file."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo


class Clock:
    """Tells business time. Deadlines, retries and retention run on the machine's clock instead.

    The offset file holds whole seconds as a decimal number (`2592000` is thirty days ahead); while
    it is absent the offset is nought. It has to be replaced in one step, never edited in place.
    """

    def __init__(self, offset_file: Path | None = None) -> None:
        self._offset_file = offset_file
        self._stamp: tuple[int, int] | None = None
        self._offset = timedelta()

    def now(self) -> datetime:
        """Return the business instant, aware and in UTC."""
        return datetime.now(UTC) + self._read_offset()

    def today(self, zone: str) -> date:
        """Return the business date in `zone`, an IANA name such as `Europe/Berlin`."""
        return self.now().astimezone(ZoneInfo(zone)).date()

    def _read_offset(self) -> timedelta:
        if self._offset_file is None:
            return self._offset
        try:
            status = self._offset_file.stat()
        except FileNotFoundError:
            self._stamp, self._offset = None, timedelta()
            return self._offset
        stamp = (status.st_mtime_ns, status.st_ino)
        if stamp != self._stamp:
            text = self._offset_file.read_text(encoding="ascii")
            self._stamp, self._offset = stamp, timedelta(seconds=int(text))
        return self._offset
