"""Examples of messages as JSON, made from the contract's comments and rules."""

import json
import re
from collections.abc import Collection
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway import rules, transcode
from gateway.contract import comments
from throughline.options.v1 import options_pb2

_UUID: Final = "01980000-0000-7000-8000-0000000000c1"
_DATE: Final = "2026-09-30"
_WHOLE: Final = {
    "throughline.common.v1.Money": {"amount": "1250.00", "currency": "EUR"},
    "google.protobuf.Timestamp": "2026-09-30T12:00:00.000Z",
}
_SAMPLE: Final = re.compile(r"`([^`]+)`")
# What fits patterns whose comment holds no sample.
_COMMON: Final = (_DATE, "EUR", "DE", "10", "0f" * 32, "example", "EXAMPLE", "DE01", "*")


def example_of(message: Descriptor, *, without: Collection[str] = ()) -> dict[str, Any]:
    """Return an example of a message: every field that is not optional, and what it declares."""
    declared = _declared(message)
    return {
        field.name: declared[field.name] if field.name in declared else example_of_field(field)
        for field in message.fields
        if field.name not in without
        and (field.name in declared or rules.is_required(field) or not field.has_presence)
    }


def example_of_reply(message: Descriptor) -> dict[str, Any]:
    """Return an example of a reply, in which every field is present and what is absent is null."""
    return _with_nulls(message, example_of(message))


def _with_nulls(message: Descriptor, example: dict[str, Any]) -> dict[str, Any]:
    return {
        field.name: _nulls_in(field, example[field.name]) if field.name in example else None
        for field in message.fields
    }


def _nulls_in(field: FieldDescriptor, value: Any) -> Any:
    if field.message_type is None or field.message_type.GetOptions().map_entry:
        return value
    if isinstance(value, list):
        return [_nulls_in(field, each) for each in value]
    return _with_nulls(field.message_type, value) if isinstance(value, dict) else value


def _declared(message: Descriptor) -> dict[str, Any]:
    example = message.GetOptions().Extensions[options_pb2.example]
    found: dict[str, Any] = json.loads(example) if example else {}
    return found


def example_of_field(field: FieldDescriptor) -> Any:
    """Return an example of a field's value."""
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
        return {_single(key): _single(value)}
    if transcode.is_recursive(field):
        return []
    if field.is_repeated:
        return [_single(field)] * max(rules.list_bounds(field).get("min_length", 1), 1)
    return _single(field)


def _single(field: FieldDescriptor) -> Any:
    if field.message_type is not None:
        whole = _WHOLE.get(field.message_type.full_name)
        return example_of(field.message_type) if whole is None else whole
    match field.type:
        case FieldDescriptor.TYPE_ENUM:
            return next(iter(transcode.enum_words(transcode.enum_of(field))))
        case FieldDescriptor.TYPE_BOOL:
            return False
        case FieldDescriptor.TYPE_BYTES:
            return "JVBERi0="
        case FieldDescriptor.TYPE_STRING:
            return _text(field)
    return max(rules.integer_bounds(field)["ge"], 1)


def _text(field: FieldDescriptor) -> str:
    """Return the first sample of the comment that fits the field's rules, else what does."""
    if field.name in {"page_token", "next_page_token"}:
        return ""
    choices = rules.text_choices(field)
    if choices:
        return choices[0]
    bounds = rules.text_bounds(field)
    pattern = bounds.get("pattern", "")
    names_an_id = not pattern and field.name.endswith("_id") and _fits(_UUID, bounds)
    if rules.UUID_PATTERN in pattern or names_an_id:
        return _UUID
    if not pattern and field.name.endswith(("_on", "_from", "_to", "_date")):
        return _DATE
    if field.name.endswith("email"):
        return "billing@example.com"
    samples: list[str] = [
        *_SAMPLE.findall(comments().of(field)),
        field.name.replace("_", " "),
        *_COMMON,
    ]
    # A test sees to it that there is one.
    return next((text for text in samples if _fits(text, bounds)), "")


def _fits(text: str, bounds: rules.Bounds) -> bool:
    length = bounds.get("min_length", 0) <= len(text) <= bounds.get("max_length", len(text))
    return length and re.search(bounds.get("pattern", ""), text) is not None
