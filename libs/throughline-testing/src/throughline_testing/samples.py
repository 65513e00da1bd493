"""Contract tests: the agreed sample of each event, which publisher and consumers both read."""

import difflib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Final, TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message

from throughline_cli.stack.failure import StackFailure
from throughline_cli.stack.services import SERVICES, ServiceSpec
from throughline_cli.stack.topology import declared
from throughline_runtime.events import Outgoing, publisher_of, subject_of
from throughline_runtime.streams import Durable

M = TypeVar("M", bound=Message)

_REPOSITORY: Final = next(
    (parent for parent in Path(__file__).resolve().parents if (parent / "proto").is_dir()), None
)

subjects_read: Final[list[str]] = []
"""The events whose samples the running test has read, for the report of its failure."""


class ContractBroken(AssertionError):
    """A publisher and its consumers no longer agree; the message says who has to talk."""


def sample_file(message_type: type[Message]) -> Path:
    """Return the file of an event's sample: `proto/samples/<subject>.json`."""
    assert _REPOSITORY is not None, "samples are read in the repository only"
    return _REPOSITORY / "proto" / "samples" / f"{subject_of(message_type)}.json"


def sample(message_type: type[M]) -> M:
    """Return the agreed sample of an event.

    Raises:
        ContractBroken: there is none, or it is not a message of this type.
    """
    subject, file = subject_of(message_type), sample_file(message_type)
    subjects_read.append(subject)
    try:
        return json_format.Parse(file.read_text(encoding="utf-8"), message_type())
    except FileNotFoundError as error:
        raise ContractBroken(f"{subject} has no sample {file}\n{parties(subject)}") from error
    except json_format.ParseError as error:
        name = message_type.DESCRIPTOR.full_name
        raise ContractBroken(f"{file.name} is no {name}: {error}\n{parties(subject)}") from error


def assert_matches_sample(outgoing: Outgoing, message_type: type[Message]) -> None:
    """Check that a publisher produces exactly the agreed sample.

    Raises:
        ContractBroken: it does not; the message holds the difference and names the consumers.
    """
    subject = subject_of(message_type)
    if outgoing.subject != subject:
        raise ContractBroken(f"published under {outgoing.subject} instead of {subject}")
    agreed = sample(message_type)
    published = type(outgoing.message).FromString(outgoing.payload)
    if published != agreed:
        difference = difflib.unified_diff(
            _lines(agreed), _lines(published), "agreed sample", "published", lineterm=""
        )
        raise ContractBroken("\n".join([*difference, parties(subject)]))


def parties(subject: str) -> str:
    """Return who publishes an event, who consumes it, and what they have to do about a change."""
    publisher = publisher_of(subject).replace("_", "-")
    with ThreadPoolExecutor() as pool:
        readings = list(pool.map(lambda service: _readings(service, subject), SERVICES))
    consumers = ", ".join(chain.from_iterable(readings)) or "nobody yet"
    return (
        f"{subject} is published by {publisher} and consumed by {consumers}.\n"
        f"They agree on proto/samples/{subject}.json: the owners of {publisher} and of its"
        " consumers have to talk, and change it together or not at all."
    )


def _readings(service: ServiceSpec, subject: str) -> list[str]:
    """Return the service with each of its durables that reads the subject."""
    durables = _durables(service)
    if durables is None:
        return [f"perhaps {service.name} (its subscriptions cannot be imported)"]
    return [
        f"{service.name} ({durable.name})" for durable in durables if durable.subject == subject
    ]


@cache
def _durables(service: ServiceSpec) -> Sequence[Durable] | None:
    """Return what a service reads, asked of a process of its own once; None if it cannot say."""
    try:
        return declared([service])[service.name]
    except StackFailure:
        return None


def _lines(message: Message) -> list[str]:
    return json_format.MessageToJson(message, preserving_proto_field_name=True).splitlines()
