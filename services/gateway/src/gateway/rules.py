"""What the proto's own field rules mean for JSON: constraints, and whether a field must be sent."""

import re
from typing import Any, Final

from buf.validate import validate_pb2
from google.protobuf.descriptor import FieldDescriptor

UUID_PATTERN: Final = (
    "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
)
# The range of a field's type, where its own rules are wider or absent.
INTEGER_RANGES: Final = {
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_SINT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_SINT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
}

Bounds = dict[str, Any]
"""Arguments of Pydantic's `Field`; what they cannot state is left to the owner of the method."""


def is_ignored(field: FieldDescriptor) -> bool:
    """Whether the contract leaves a list's items to their owner, rules and all."""
    return _rules_of(field).repeated.items.ignore == validate_pb2.IGNORE_ALWAYS


def is_required(field: FieldDescriptor) -> bool:
    """Whether leaving the field out breaks its rules.

    A field without presence reads as its zero value, so it is required when its rules refuse
    that value.
    """
    rules = _rules_of(field)
    if rules.required:
        return True
    if rules.ignore != validate_pb2.IGNORE_UNSPECIFIED or field.has_presence:
        return False
    if field.is_repeated:
        return rules.repeated.min_items > 0
    match rules.WhichOneof("type"):
        case "string":
            return _refuses_empty(rules.string)
        case "bytes":
            return rules.bytes.min_len > 0
        case "enum":
            return 0 in rules.enum.not_in
        case _:
            return field.type in INTEGER_RANGES and integer_bounds(field)["ge"] > 0


def list_bounds(field: FieldDescriptor) -> Bounds:
    """Return how many items a list may have; that they differ is described, not checked."""
    rules = _rules_of(field).repeated
    bounds: Bounds = {"json_schema_extra": {"uniqueItems": True}} if rules.unique else {}
    if rules.HasField("min_items"):
        bounds["min_length"] = rules.min_items
    if rules.HasField("max_items"):
        bounds["max_length"] = rules.max_items
    return bounds


def integer_bounds(field: FieldDescriptor) -> Bounds:
    """Return the least and the greatest value of a number: by its rules, and by its type."""
    least, greatest = INTEGER_RANGES[field.type]
    rules = _value_rules_of(field)
    kind = rules.WhichOneof("type")
    if kind is not None:
        numbers = getattr(rules, kind)
        if numbers.HasField("gte") or numbers.HasField("gt"):
            least = numbers.gte if numbers.HasField("gte") else numbers.gt + 1
        if numbers.HasField("lte") or numbers.HasField("lt"):
            greatest = numbers.lte if numbers.HasField("lte") else numbers.lt - 1
    return {"ge": least, "le": greatest}


def text_choices(field: FieldDescriptor) -> list[str]:
    """Return the only texts a field may hold, empty where it is free."""
    return list(getattr(_value_rules_of(field).string, "in"))


def text_bounds(field: FieldDescriptor) -> Bounds:
    """Return the length and the pattern of a text.

    An empty text that may be left out may also be sent.
    """
    rules = _value_rules_of(field).string
    may_be_empty = not (field.has_presence or field.is_repeated or is_required(field))
    bounds: Bounds = {}
    # JSON Schema and Rust read `\\d` as any script's digits, the contract as ASCII.
    pattern = UUID_PATTERN if rules.uuid else rules.pattern.replace(r"\d", "[0-9]")
    if pattern:
        needs_choice = may_be_empty and re.search(pattern, "") is None
        bounds["pattern"] = f"^$|{pattern}" if needs_choice else pattern
    if rules.min_len and not may_be_empty:
        bounds["min_length"] = rules.min_len
    if rules.HasField("max_len"):
        bounds["max_length"] = rules.max_len
    if rules.email and not may_be_empty:
        bounds["json_schema_extra"] = {"format": "email"}
    return bounds


def bytes_max(field: FieldDescriptor) -> int | None:
    """Return how many bytes a field may hold, None where nothing is said."""
    rules = _value_rules_of(field).bytes
    return rules.max_len if rules.HasField("max_len") else None


def _rules_of(field: FieldDescriptor) -> validate_pb2.FieldRules:
    return field.GetOptions().Extensions[validate_pb2.field]


def _value_rules_of(field: FieldDescriptor) -> validate_pb2.FieldRules:
    """Return the rules of a single value: of the field, or of each item of a list."""
    rules = _rules_of(field)
    return rules.repeated.items if field.is_repeated else rules


def _refuses_empty(rules: validate_pb2.StringRules) -> bool:
    choices = getattr(rules, "in")
    return (
        rules.WhichOneof("well_known") is not None
        or rules.min_len > 0
        or (bool(rules.pattern) and re.search(rules.pattern, "") is None)
        or (bool(choices) and "" not in choices)
    )
