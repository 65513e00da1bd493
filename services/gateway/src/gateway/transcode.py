"""JSON to messages and back, compiled once from the descriptors.

Requests are checked by Pydantic shapes made from the messages: types are strict (an amount sent as
a number is refused), unknown fields are refused, enums are lower-case words without their prefix.
What comes out is what a message's constructor takes.
"""

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Final, Literal, NotRequired, Required, cast

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    GetPydanticSchema,
    TypeAdapter,
    WithJsonSchema,
)
from typing_extensions import TypedDict

from gateway import rules
from gateway.contract import comments

_TIMESTAMP: Final = "google.protobuf.Timestamp"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_INSTANT: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_BASE64: Final = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
_WORD_BOUNDARY: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

Encoder = Callable[[Message], dict[str, Any]]
Shape = TypeAdapter[dict[str, Any]]
"""Checks the fields of one message, and describes them."""


def enum_words(enum: EnumDescriptor) -> dict[str, int]:
    """Return the words of an enum with their numbers, without the unspecified zero."""
    prefix = _WORD_BOUNDARY.sub("_", enum.name).upper()
    return {
        value.name.removeprefix(f"{prefix}_").lower(): value.number
        for value in enum.values
        if value.number
    }


@cache
def shape_of(descriptor: Descriptor, without: tuple[str, ...] = ()) -> Shape:
    """Return the shape of a request, less the fields named in `without`."""
    return TypeAdapter(_request_type(descriptor, without))


@cache
def items_shape_of(field: FieldDescriptor) -> TypeAdapter[list[dict[str, Any]]]:
    """Return the shape of a list that a request holds."""
    bounded: Any = Annotated[_list_type(field), Field(**rules.list_bounds(field))]
    return TypeAdapter(bounded)


@cache
def reply_type_of(descriptor: Descriptor) -> Any:
    """Return the type that describes a reply: every field is there, absent ones are null."""
    return make_reply_type(name_of(descriptor), comments().of(descriptor), reply_fields(descriptor))


def make_request_type(name: str, doc: str, fields: Mapping[str, Any]) -> Any:
    """Return a type that checks a request: strictly, and with no other fields than these."""
    made = make_reply_type(name, doc, fields)
    made.__pydantic_config__ = ConfigDict(extra="forbid", strict=True)
    return made


def make_reply_type(name: str, doc: str, fields: Mapping[str, Any]) -> Any:
    """Return a type that describes a reply of these fields."""
    made = cast(Any, TypedDict)(name, dict(fields))
    made.__doc__ = doc
    return made


def name_of(descriptor: Descriptor) -> str:
    """Return the name documentation gives a message: its own, led by that of its parents."""
    return descriptor.full_name.removeprefix(f"{descriptor.file.package}.").replace(".", "")


def message_of(field: FieldDescriptor) -> Descriptor:
    """Return the type of the messages a field holds."""
    assert field.message_type is not None, f"{field.full_name} holds no message"
    return field.message_type


def enum_of(field: FieldDescriptor) -> EnumDescriptor:
    """Return the type of the enum a field holds."""
    assert field.enum_type is not None, f"{field.full_name} holds no enum"
    return field.enum_type


def is_instant(field: FieldDescriptor) -> bool:
    """Whether the field holds a point in time."""
    return field.message_type is not None and field.message_type.full_name == _TIMESTAMP


@cache
def is_recursive(field: FieldDescriptor) -> bool:
    """Whether the messages a field holds may hold the message the field belongs to."""
    seen: set[Descriptor] = set()
    waiting = [] if field.message_type is None else [field.message_type]
    while waiting:
        message = waiting.pop()
        if message not in seen:
            seen.add(message)
            waiting += [each.message_type for each in message.fields if each.message_type]
    return field.containing_type in seen


def _made(field: FieldDescriptor, make: Callable[[], Any]) -> Any:
    """Return the type of the messages a field holds; of a recursive one when it is needed."""
    if not is_recursive(field):
        return make()
    return Annotated[
        dict[str, Any],
        GetPydanticSchema(lambda _source, handler: handler.generate_schema(make())),
    ]


def describe(field: FieldDescriptor) -> str:
    """Return the comment of a field, else of its type, else its name in words."""
    text = comments().of(field)
    if field.enum_type is not None:
        words = {number: word for word, number in enum_words(field.enum_type).items()}
        values = [
            f"`{words[value.number]}`: {comment}"
            for value in field.enum_type.values
            if value.number and (comment := comments().of_value(value))
        ]
        return "\n".join([text or comments().of(field.enum_type) or _in_words(field), *values])
    if not text and field.message_type is not None:
        text = comments().of(field.message_type)
    return text or _in_words(field)


def _in_words(field: FieldDescriptor) -> str:
    if field.name in {"page_token", "next_page_token"}:
        return "Where the list goes on; opaque, empty at the end."
    words = field.name.replace("_", " ").capitalize()
    if field.name.endswith(("_id", "_ids")):
        return f"{words}, UUID."
    return f"{words}, ISO 8601 date." if field.name.endswith("_on") else f"{words}."


@cache
def _request_type(
    descriptor: Descriptor, without: tuple[str, ...] = (), *, has_rules: bool = True
) -> Any:
    name = name_of(descriptor) + ("" if has_rules else "Unchecked")
    fields = request_fields(descriptor, without, has_rules=has_rules)
    return make_request_type(name, comments().of(descriptor), fields)


def request_fields(
    descriptor: Descriptor, without: tuple[str, ...] = (), *, has_rules: bool = True
) -> dict[str, Any]:
    """Return the fields of a request, each as its type with bounds and description."""
    return {
        field.name: _request_field(field, has_rules=has_rules)
        for field in descriptor.fields
        if field.name not in without
    }


def _request_field(field: FieldDescriptor, *, has_rules: bool) -> Any:
    is_required = has_rules and rules.is_required(field)
    if _is_map(field):
        value = message_of(field).fields_by_name["value"]
        found: Any = dict.__class_getitem__((str, _single_type(value, has_rules=has_rules)))
    elif field.is_repeated:
        bounds = rules.list_bounds(field) if has_rules else {}
        found = Annotated[_list_type(field, has_rules=has_rules), Field(**bounds)]
    else:
        found = _single_type(field, has_rules=has_rules)
        # Replies hold null for these, and what was read may be sent back.
        if not is_required and (field.has_presence or field.enum_type is not None):
            found = found | None
    described = Annotated[found, Field(description=describe(field))]
    return Required[described] if is_required else NotRequired[described]


def _list_type(field: FieldDescriptor, *, has_rules: bool = True) -> Any:
    has_rules = has_rules and not rules.is_ignored(field)
    return list.__class_getitem__(_single_type(field, has_rules=has_rules))


def _single_type(field: FieldDescriptor, *, has_rules: bool) -> Any:
    if is_instant(field):
        return Annotated[str, Field(json_schema_extra={"format": "date-time"}), _READ_INSTANT]
    match field.type:
        case FieldDescriptor.TYPE_MESSAGE:
            message = message_of(field)
            return _made(field, lambda: _request_type(message, has_rules=has_rules))
        case FieldDescriptor.TYPE_ENUM:
            words = enum_words(enum_of(field))
            return Annotated[Literal[tuple(words)], AfterValidator(words.__getitem__)]
        case FieldDescriptor.TYPE_STRING:
            choices = rules.text_choices(field) if has_rules else []
            if choices:
                return Literal[tuple(choices)]
            return Annotated[str, Field(**rules.text_bounds(field))] if has_rules else str
        case FieldDescriptor.TYPE_BOOL:
            return bool
        case FieldDescriptor.TYPE_BYTES:
            return _bytes_type(rules.bytes_max(field) if has_rules else None)
        case kind if kind in rules.INTEGER_RANGES:
            least, greatest = rules.INTEGER_RANGES[field.type]
            bounds = rules.integer_bounds(field) if has_rules else {"ge": least, "le": greatest}
            return Annotated[int, Field(**bounds)]
    # The contract has no floating-point fields: amounts are strings.
    raise TypeError(f"{field.full_name} has a type that REST does not carry")


def reply_fields(descriptor: Descriptor) -> dict[str, Any]:
    """Return the fields of a reply, each as its type with its description."""
    return {field.name: _reply_field(field) for field in descriptor.fields}


def _reply_field(field: FieldDescriptor) -> Any:
    if _is_map(field):
        value = message_of(field).fields_by_name["value"]
        found: Any = dict.__class_getitem__((str, _reply_single(value)))
    elif field.is_repeated:
        found = list.__class_getitem__(_reply_single(field))
    else:
        found = _reply_single(field)
        if field.has_presence or field.enum_type is not None:
            found = found | None
    return Annotated[found, Field(description=describe(field))]


def _reply_single(field: FieldDescriptor) -> Any:
    if is_instant(field):
        return Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    match field.type:
        case FieldDescriptor.TYPE_MESSAGE:
            message = message_of(field)
            return _made(field, lambda: reply_type_of(message))
        case FieldDescriptor.TYPE_ENUM:
            return Literal[tuple(enum_words(enum_of(field)))]
        case FieldDescriptor.TYPE_STRING:
            return str
        case FieldDescriptor.TYPE_BYTES:
            return Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})]
        case FieldDescriptor.TYPE_BOOL:
            return bool
    return int


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _read_instant(text: str) -> dict[str, int]:
    if not _INSTANT.fullmatch(text):
        raise ValueError("send an instant with its offset, such as 2026-09-30T12:00:00Z")
    try:
        passed = datetime.fromisoformat(text.upper()) - _EPOCH
    except ValueError as error:
        raise ValueError("there is no such instant") from error
    return {
        "seconds": passed.days * 86_400 + passed.seconds,
        "nanos": passed.microseconds * 1000,
    }


_READ_INSTANT: Final = AfterValidator(_read_instant)


def _bytes_type(length_max: int | None) -> Any:
    def read(text: str) -> bytes:
        try:
            content = base64.b64decode(text, validate=True)
        except ValueError as error:
            raise ValueError("send base64, with padding and without line breaks") from error
        if length_max is not None and len(content) > length_max:
            raise ValueError(f"it holds {len(content)} bytes, {length_max} are possible")
        return content

    schema = {"type": "string", "contentEncoding": "base64", "pattern": _BASE64}
    return Annotated[str, AfterValidator(read), WithJsonSchema(schema)]


@cache
def encoder_of(descriptor: Descriptor) -> Encoder:
    """Return the function that makes a JSON object of a message.

    Every field is present: absent optional ones are null, so a client reads one shape.
    """
    writers = [(field.name, writer_of(field)) for field in descriptor.fields]

    def encode(message: Message) -> dict[str, Any]:
        return {name: write(message) for name, write in writers}

    return encode


def writer_of(field: FieldDescriptor) -> Callable[[Message], Any]:
    """Return the function that makes a JSON value of one field of a message."""
    name = field.name
    if _is_map(field):
        value = _value_writer(message_of(field).fields_by_name["value"])
        return lambda message: {key: value(item) for key, item in getattr(message, name).items()}
    value = _value_writer(field)
    if field.is_repeated:
        if value is _as_is:
            return lambda message: list(getattr(message, name))
        return lambda message: [value(item) for item in getattr(message, name)]
    if field.has_presence:
        return lambda message: value(getattr(message, name)) if message.HasField(name) else None
    if value is _as_is:
        return lambda message: getattr(message, name)
    return lambda message: value(getattr(message, name))


def _value_writer(field: FieldDescriptor) -> Callable[[Any], Any]:
    if is_instant(field):
        return _write_instant
    match field.type:
        case FieldDescriptor.TYPE_MESSAGE:
            return (
                _recursive_writer(field) if is_recursive(field) else encoder_of(message_of(field))
            )
        case FieldDescriptor.TYPE_ENUM:
            words = {number: word for word, number in enum_words(enum_of(field)).items()}
            return words.get
        case FieldDescriptor.TYPE_BYTES:
            return _write_bytes
    return _as_is


def _recursive_writer(field: FieldDescriptor) -> Encoder:
    def write(value: Message) -> dict[str, Any]:
        # Asked for here, since the encoder is still being made when its own field is.
        return encoder_of(message_of(field))(value)

    return write


def _as_is(value: Any) -> Any:
    return value


def _write_bytes(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _write_instant(value: Timestamp) -> str:
    instant = value.ToDatetime(tzinfo=UTC)
    precision = "microseconds" if instant.microsecond % 1000 else "milliseconds"
    return instant.isoformat(timespec=precision).replace("+00:00", "Z")


def query_fields(descriptor: Descriptor, taken: Iterable[str]) -> list[FieldDescriptor]:
    """Return the fields a query string may carry: everything flat that is not `taken`."""
    elsewhere = set(taken)
    return [
        field
        for field in descriptor.fields
        if field.name not in elsewhere
        and (field.type != FieldDescriptor.TYPE_MESSAGE or is_instant(field))
    ]
