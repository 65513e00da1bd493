"""Field values: how they are read from JSON, kept, and written into replies."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Final, TypeAlias

from throughline_simulators.salesforce import ids
from throughline_simulators.salesforce.errors import ApiError
from throughline_simulators.salesforce.schema import NUMERIC, Field, FieldType
from throughline_simulators.salesforce.switches import SalesforceSwitches

# Numbers are decimals, dates and datetimes text in one sortable form, ids have 18 characters.
Value: TypeAlias = bool | str | Decimal | None
Record: TypeAlias = Mapping[str, Value]

_STORED_DATETIME: Final = "%Y-%m-%dT%H:%M:%S.000+0000"


def write_instant(instant: datetime) -> str:
    """Return the stored form: UTC, whole seconds, as the vendor keeps its stamps."""
    return instant.astimezone(UTC).strftime(_STORED_DATETIME)


def read_instant(text: str) -> str | None:
    """Return the stored form of an ISO 8601 datetime with an offset, None if it is none."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if instant.tzinfo is None or "T" not in text else write_instant(instant)


def read_day(text: str) -> str | None:
    """Return the calendar date `text` if it is one written as YYYY-MM-DD, else None."""
    try:
        return text if date.fromisoformat(text).isoformat() == text else None
    except ValueError:
        return None


def read_value(field: Field, raw: object) -> Value:
    """Return what the org keeps for a value written through the API.

    Raises:
        ApiError: the value does not fit the field's type, length or restricted picklist.
    """
    if raw is None or raw == "":
        return False if field.type is FieldType.BOOLEAN else None
    if field.type is FieldType.BOOLEAN:
        return _read_boolean(field, raw)
    if field.type in NUMERIC:
        return _read_number(field, raw)
    if not isinstance(raw, str):
        raise _unreadable(field, raw)
    if field.type is FieldType.DATE:
        return _required(read_day(raw), field, raw)
    if field.type is FieldType.DATETIME:
        return _required(read_instant(raw), field, raw)
    if field.type in (FieldType.REFERENCE, FieldType.ID):
        return _read_id(field, raw)
    return _read_text(field, raw)


def write_value(field: Field, value: Value, switches: SalesforceSwitches) -> object:
    """Return the JSON value of a reply; money always shows at least one decimal place."""
    if value is None and field.type is FieldType.BOOLEAN:
        return False
    if isinstance(value, Decimal):
        with_fraction = field.scale > 0 or switches.whole_numbers_with_fraction
        if field.type is FieldType.INT or not with_fraction:
            return int(value)
        shortest = value.normalize()
        return shortest if shortest != shortest.to_integral() else shortest.quantize(Decimal("0.1"))
    if isinstance(value, str):
        if field.type is FieldType.DATETIME:
            return value.removesuffix("+0000") + switches.datetime_offset
        if field.type in (FieldType.ID, FieldType.REFERENCE):
            return value[: switches.id_length]
    return value


def _read_boolean(field: Field, raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and raw.lower() in ("true", "false"):
        return raw.lower() == "true"
    raise _unreadable(field, raw)


def _read_number(field: Field, raw: object) -> Decimal:
    if isinstance(raw, bool) or not isinstance(raw, int | Decimal | str):
        raise _unreadable(field, raw)
    try:
        number = Decimal(raw)
    except InvalidOperation:
        raise _unreadable(field, raw) from None
    if not number.is_finite():
        raise _unreadable(field, raw)
    if field.precision and number.copy_abs() >= Decimal(10) ** (field.precision - field.scale):
        raise ApiError(
            "NUMBER_OUTSIDE_VALID_RANGE",
            f"{field.label}: value outside of valid range on numeric field: {raw}",
            fields=[field.name],
        )
    return number.quantize(Decimal(1).scaleb(-field.scale), rounding=ROUND_HALF_UP)


def _read_id(field: Field, raw: str) -> str:
    wide = ids.normalised(raw)
    if wide is None:
        raise ApiError(
            "MALFORMED_ID",
            f"{field.label}: id value of incorrect type: {raw}",
            fields=[field.name],
        )
    return wide


def _read_text(field: Field, raw: str) -> str:
    if field.length and len(raw) > field.length:
        raise ApiError(
            "STRING_TOO_LONG",
            f"{field.label}: data value too large: {raw[:80]} (max length={field.length})",
            fields=[field.name],
        )
    if field.restricted and raw not in field.options:
        raise ApiError(
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            f"{field.label}: bad value for restricted picklist field: {raw}",
            fields=[field.name],
        )
    return raw


def _required(value: str | None, field: Field, raw: str) -> str:
    if value is None:
        raise _unreadable(field, raw)
    return value


def _unreadable(field: Field, raw: object) -> ApiError:
    return ApiError(
        "JSON_PARSER_ERROR",
        f"Cannot deserialize instance of {field.type} from value {raw!r} for field {field.name}",
        fields=[field.name],
    )
