"""A message as a consumer gets it, from the broker or from the parked ones, and how it is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from uuid import UUID

from google.protobuf.message import DecodeError, Message
from nats.aio.msg import Msg
from sqlalchemy import Row

from throughline_core.errors import InvalidArgument
from throughline_core.ids import derived_id

M = TypeVar("M", bound=Message)

_NO_HEADERS: Final[Mapping[str, str]] = {}


class Undecodable(InvalidArgument):
    """The message is not what its subject promises; no retry can heal it."""

    code = "event.undecodable"


@dataclass(frozen=True, slots=True, eq=False)
class Delivery:
    """One delivery of an event to a durable. `attempt` counts them from 1."""

    event_id: UUID
    subject: str
    headers: Mapping[str, str]
    payload: bytes
    stream: str
    stream_sequence: int
    attempt: int
    is_identified: bool = True

    @property
    def aggregate_id(self) -> str:
        """The aggregate the event tells of, empty when the message does not say."""
        return self.headers.get("aggregate-id", "")

    @property
    def engagement_id(self) -> UUID | None:
        """The engagement the event belongs to, None when the message does not say."""
        return _read_id(self.headers, "engagement-id")

    @classmethod
    def from_broker(cls, message: Msg) -> "Delivery":
        """Return what the broker delivered; without a proper id it gets one from its place."""
        metadata = message.metadata
        headers = message.headers or _NO_HEADERS
        sequence = metadata.sequence.stream
        event_id = _read_id(headers, "ce-id")
        return cls(
            event_id=event_id or derived_id("unidentified-event", metadata.stream, sequence),
            subject=message.subject,
            headers=headers,
            payload=message.data,
            stream=metadata.stream,
            stream_sequence=sequence,
            attempt=metadata.num_delivered,
            is_identified=event_id is not None,
        )

    @classmethod
    def from_parked(cls, row: Row[Any]) -> "Delivery":
        """Return the delivery of a parked message that was handed over again."""
        return cls(
            event_id=row.event_id,
            subject=row.subject,
            headers=row.headers,
            payload=row.payload,
            stream=row.stream,
            stream_sequence=row.stream_sequence,
            attempt=row.attempts + 1,
            is_identified=_read_id(row.headers, "ce-id") is not None,
        )

    def decode(self, message_type: type[M]) -> M:
        """Return the event.

        Raises:
            Undecodable: it has no id, is of another type, or is no such message at all.
        """
        if not self.is_identified:
            raise Undecodable("the message has no event id", field="ce-id")
        expected = message_type.DESCRIPTOR.full_name
        if (schema := self.headers.get("schema", expected)) != expected:
            raise Undecodable(f"the message is a {schema}, not a {expected}", field="schema")
        try:
            return message_type.FromString(self.payload)
        except DecodeError as error:
            raise Undecodable(f"the payload is no {expected}") from error


def _read_id(headers: Mapping[str, str], name: str) -> UUID | None:
    try:
        return UUID(headers[name])
    except (KeyError, ValueError):
        return None
