"""The field rules of the contract (`buf.validate`), compiled once and checked on each request."""

from collections.abc import Iterable
from typing import Any, Final

from google.protobuf.message import Message
from protovalidate import Validator
from protovalidate import Violation as RawViolation

from throughline_runtime.rpc.errors import InvalidRequest, Violation

_validator: Final = Validator()


def violations_of(message: Message) -> tuple[Violation, ...]:
    """Return every rule the message breaks, with the path of the field (`entries[3].minutes`)."""
    return tuple(map(_read, _validator.collect_violations(message)))


def require_valid(message: Message) -> None:
    """Refuse a message that breaks a rule of its contract.

    Raises:
        InvalidRequest: the first violation is its message, all of them are in `violations`.
    """
    violations = _validator.collect_violations(message)
    if violations:
        raise InvalidRequest(tuple(map(_read, violations)))


def compile_rules(message: type[Message]) -> None:
    """Compile the rules of a message now rather than at its first request.

    Raises:
        CompilationError: the proto states a rule that cannot be checked.
    """
    _validator.collect_violations(message())


def _read(violation: RawViolation) -> Violation:
    raw = violation.proto
    elements = () if raw.field is None else raw.field.elements
    return Violation(_path(elements), raw.rule_id, raw.message)


def _path(elements: Iterable[Any]) -> str:
    path = ""
    for element in elements:
        path += f".{element.field_name}" if path else element.field_name
        if element.subscript is not None:
            key = element.subscript.value
            path += f'["{key}"]' if isinstance(key, str) else f"[{key}]"
    return path
