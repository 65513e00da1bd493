"""Events of many rows: as many together as one may carry, each row written once.

A row often stands in two events, as rated and as released, so it is put into wire format by itself
and only joined to them: the wire format of a message is that of its fields, one after the other.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final
from uuid import UUID

from google.protobuf.message import Message

from throughline_runtime.events import Outgoing

ROWS_MAX: Final = 500
# Below the 256 KiB an event may have, by more than batch id and instants take.
BYTES_MAX: Final = 250_000

# What goes before each row: the key of its field, and its length in at most three bytes.
_FRAME_BYTES: Final = 4
_LENGTH_DELIMITED: Final = 2


def chunks(rows: Iterable[bytes]) -> Iterator[Sequence[bytes]]:
    """Yield rows in order, as many together as one event may carry."""
    chunk: list[bytes] = []
    size = 0
    for row in rows:
        row_size = len(row) + _FRAME_BYTES
        if chunk and (len(chunk) == ROWS_MAX or size + row_size > BYTES_MAX):
            yield chunk
            chunk, size = [], 0
        chunk.append(row)
        size += row_size
    if chunk:
        yield chunk


def outgoing(message: Message, batch_id: UUID, field: str, rows: Iterable[bytes]) -> Outgoing:
    """Return the event of a batch with these rows in its repeated field."""
    number = message.DESCRIPTOR.fields_by_name[field].number
    key = _varint(number << 3 | _LENGTH_DELIMITED)
    parts = (part for row in rows for part in (key, _varint(len(row)), row))
    return Outgoing(message, batch_id, 1, written=b"".join(parts))


def _varint(value: int) -> bytes:
    """Return a count as the wire format writes it: seven bits a byte, the lowest first."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
