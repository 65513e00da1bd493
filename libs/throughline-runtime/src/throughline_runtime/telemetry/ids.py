"""The two business ids that stand on every log line, span and call: correlation and engagement."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import structlog
from google.protobuf.message import Message
from opentelemetry import trace

# Name in code and messages -> name in NATS headers and gRPC metadata.
HEADERS: Final[Mapping[str, str]] = {
    "correlation_id": "correlation-id",
    "engagement_id": "engagement-id",
}


def ids_of_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the business ids found in message headers or call metadata."""
    return {name: headers[header] for name, header in HEADERS.items() if headers.get(header)}


def ids_of_message(message: Message) -> dict[str, str]:
    """Return the business ids a message carries in fields of these names."""
    fields = message.DESCRIPTOR.fields_by_name
    found = {name: getattr(message, name) for name in HEADERS if name in fields}
    return {name: value for name, value in found.items() if isinstance(value, str) and value}


def shared_ids(many: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return the ids on which all members of a batch agree."""
    values: dict[str, set[str]] = {name: set() for name in HEADERS}
    for ids in many:
        for name, seen in values.items():
            seen.add(ids.get(name, ""))
    return {name: next(iter(seen)) for name, seen in values.items() if len(seen) == 1 and any(seen)}


def current_ids() -> dict[str, str]:
    """Return the business ids this task works under."""
    bound = structlog.contextvars.get_contextvars()
    return {name: str(bound[name]) for name in HEADERS if name in bound}


@contextmanager
def working_on(ids: Mapping[str, str]) -> Iterator[None]:
    """Put the ids on each log line and call of the block, and on the span that is open now."""
    if not ids:
        yield
        return
    span = trace.get_current_span()
    for name, value in ids.items():
        span.set_attribute(f"throughline.{name}", value)
    with structlog.contextvars.bound_contextvars(**ids):
        yield
