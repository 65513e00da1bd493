"""Records as Salesforce answers them, and when they last changed there."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

_STAMP: Final = "%Y-%m-%dT%H:%M:%S.%f%z"

Record = Mapping[str, Any]


def write_stamp(instant: datetime) -> str:
    return (
        instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.")
        + f"{instant.microsecond:06}"[:3]
        + "Z"
    )


def read_stamp(record: Record) -> datetime:
    """Return when a record last changed there."""
    text = str(record["SystemModstamp"])
    return datetime.strptime(text.replace("Z", "+0000"), _STAMP)
