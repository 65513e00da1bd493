"""Events as data: what is published, under which subject, and which message a subject carries."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import walk_packages
from types import ModuleType
from typing import Any, Final
from uuid import UUID

from google.protobuf.message import Message

import throughline
from throughline.options.v1 import options_pb2
from throughline_core.errors import InvalidArgument

_EVENT_MODULES: Final = ".events."


class MalformedEventId(InvalidArgument):
    """An event names a correlation or an engagement by something that is no UUID."""

    code = "event.malformed_id"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An event to publish: the message, and the version of the aggregate it tells of.

    `written` are fields of the message that are in wire format already, such as rows which stand
    in two events; they end its payload.
    """

    message: Message
    aggregate_id: UUID
    aggregate_version: int
    written: bytes = b""

    @property
    def payload(self) -> bytes:
        """The whole message in wire format."""
        return self.message.SerializeToString() + self.written

    @property
    def subject(self) -> str:
        """The subject the message's own option names."""
        return subject_of(type(self.message))

    @property
    def correlation_id(self) -> UUID | None:
        """The message's field of this name, None where it has none or it is empty."""
        return _id_field(self.message, "correlation_id")

    @property
    def engagement_id(self) -> UUID | None:
        """The message's field of this name, None where it has none or it is empty."""
        return _id_field(self.message, "engagement_id")


def _id_field(message: Message, name: str) -> UUID | None:
    value = getattr(message, name, "")
    if not value:
        return None
    try:
        return UUID(value)
    except ValueError as error:
        raise MalformedEventId(f"{name} is not a UUID", field=name) from error


def subject_of(message_type: type[Message]) -> str:
    """Return the subject an event is published under, as its `event` option says.

    Raises:
        TypeError: the message is not an event.
    """
    subject = _declared_subject(message_type)
    if not subject:
        raise TypeError(f"{message_type.DESCRIPTOR.full_name} declares no event subject")
    return subject


def publisher_of(subject: str) -> str:
    """Return the first token of a subject: the package name of the service that publishes it."""
    return subject.partition(".")[0]


@cache
def event_types() -> Mapping[str, type[Message]]:
    """Return every event of the contract by its subject, in order of subject.

    Raises:
        ValueError: two events claim one subject.
    """
    found: dict[str, type[Message]] = {}
    for module in _event_modules():
        for name in module.DESCRIPTOR.message_types_by_name:
            message_type = getattr(module, name)
            subject = _declared_subject(message_type)
            if subject and found.setdefault(subject, message_type) is not message_type:
                raise ValueError(f"two events claim the subject {subject}")
    return dict(sorted(found.items()))


def _declared_subject(message_type: type[Message]) -> str:
    declared: Any = message_type.DESCRIPTOR.GetOptions().Extensions[options_pb2.event]
    return str(declared.subject)


def _event_modules() -> list[ModuleType]:
    names = (module.name for module in walk_packages(throughline.__path__, "throughline."))
    return [
        import_module(name) for name in names if _EVENT_MODULES in name and name.endswith("_pb2")
    ]
