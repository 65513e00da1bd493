"""Reads message fields into values and writes values back; nothing malformed gets past here.

Each reader refuses with the field's name, the rule it breaks and what to send instead. Decimals
are written canonically, without exponent or superfluous noughts, whatever scale a column gave them.
"""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Generic, TypeVar
from uuid import UUID

from asyncpg.pgproto import pgproto
from google.protobuf.timestamp_pb2 import Timestamp

from throughline.common.v1 import money_pb2
from throughline_core.errors import InvalidArgument
from throughline_core.money import RATE_PLACES, Money, exponent

if TYPE_CHECKING:  # The class exists in the stubs only.
    from google.protobuf.internal.enum_type_wrapper import _EnumTypeWrapper

WHOLE_DIGITS_MAX: Final = 12

_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DECIMAL: Final = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?", re.ASCII)
_WORD_BOUNDARY: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

E = TypeVar("E", bound=StrEnum)
V = TypeVar("V", bound=int)


class MalformedField(InvalidArgument):
    """A field does not hold what its name promises."""

    code = "request.malformed_field"


def read_uuid(field: str, value: str) -> UUID:
    """Return the id, of the driver's kind: equal to any other, and read and written far faster.

    Raises:
        MalformedField: it is absent or no UUID.
    """
    try:
        found: UUID = pgproto.UUID(_required(field, value))
    except ValueError as error:
        raise MalformedField(
            f"{field} is not a UUID",
            field=field,
            advice="send 36 characters such as 01890a5d-ac96-774b-bcce-b302099a8057",
        ) from error
    return found


def read_optional_uuid(field: str, value: str) -> UUID | None:
    """Return the id, None where the field is empty; see `read_uuid`."""
    return read_uuid(field, value) if value else None


def read_date(field: str, value: str) -> date:
    """Return the calendar date written `YYYY-MM-DD`.

    Raises:
        MalformedField: it is absent, written otherwise, or on no calendar.
    """
    try:
        if not _DATE.fullmatch(_required(field, value)):
            raise ValueError("another notation")
        return date.fromisoformat(value)
    except ValueError as error:
        raise MalformedField(
            f"{field} is not a calendar date",
            field=field,
            advice="send an ISO 8601 date such as 2026-03-31",
        ) from error


def read_optional_date(field: str, value: str) -> date | None:
    """Return the date, None where the field is empty; see `read_date`."""
    return read_date(field, value) if value else None


def read_instant(field: str, value: Timestamp) -> datetime:
    """Return the instant, aware and in UTC, to the microsecond.

    Raises:
        MalformedField: it is absent, which reads as the epoch, or out of range.
    """
    try:
        if value == Timestamp():
            raise ValueError("absent")
        return value.ToDatetime(UTC)
    except (ValueError, OverflowError) as error:
        raise MalformedField(
            f"{field} is required and must be an instant",
            field=field,
            advice="send an RFC 3339 time such as 2026-03-31T09:30:00Z",
        ) from error


def read_optional_instant(field: str, value: Timestamp) -> datetime | None:
    """Return the instant, None where the field is absent; see `read_instant`."""
    return None if value == Timestamp() else read_instant(field, value)


def read_decimal(field: str, value: str, *, places: int) -> Decimal:
    """Return the exact number, which has at most `places` decimals and twelve digits before them.

    Raises:
        MalformedField: it is absent, too long, or written with an exponent, sign or separator.
    """
    if not _DECIMAL.fullmatch(_required(field, value)):
        raise MalformedField(
            f"{field} is not a decimal number",
            field=field,
            advice="send digits with a point, such as 12.50, without exponent or separators",
        )
    whole, _, decimals = value.removeprefix("-").partition(".")
    if len(decimals) > places:
        raise MalformedField(
            f"{field} has {len(decimals)} decimals, {places} are possible",
            field=field,
            advice="round it to what was agreed, then send it again",
        )
    if len(whole) > WHOLE_DIGITS_MAX:
        raise MalformedField(
            f"{field} has more than {WHOLE_DIGITS_MAX} digits before the point",
            field=field,
            advice="check the unit of the number",
        )
    return Decimal(value)


def read_optional_decimal(field: str, value: str, *, places: int) -> Decimal | None:
    """Return the number, None where the field is empty; see `read_decimal`."""
    return read_decimal(field, value, places=places) if value else None


def read_money(field: str, value: money_pb2.Money, *, places: int | None = None) -> Money:
    """Return the amount, with at most the decimals of its currency.

    Unit rates, and amounts no document has rounded yet, are read with `places=RATE_PLACES`.

    Raises:
        MalformedField: it is absent, or its amount is malformed.
        UnknownCurrency: the code is no currency.
    """
    currency = _required(f"{field}.currency", value.currency)
    try:
        own_places = exponent(currency)
    except InvalidArgument as refusal:
        refusal.field = f"{field}.currency"
        raise
    amount = read_decimal(
        f"{field}.amount", value.amount, places=own_places if places is None else places
    )
    return Money(amount, currency)


def read_optional_money(
    field: str, value: money_pb2.Money, *, places: int | None = None
) -> Money | None:
    """Return the amount, None where the field is absent; see `read_money`."""
    if not value.amount and not value.currency:
        return None
    return read_money(field, value, places=places)


class EnumMap(Generic[E, V]):
    """The correspondence of a proto enum and a domain enum: `CONTRACT_STATUS_SIGNED` is `signed`.

    Raises:
        ValueError: the two do not name the same things.
    """

    def __init__(self, wire: "_EnumTypeWrapper[V]", domain: type[E]) -> None:
        prefix = _WORD_BOUNDARY.sub("_", wire.DESCRIPTOR.name).upper()
        numbers = {name.removeprefix(f"{prefix}_").lower(): value for name, value in wire.items()}
        numbers.pop("unspecified", None)
        words = {str(member) for member in domain}
        if numbers.keys() != words:
            odd = ", ".join(sorted(numbers.keys() ^ words))
            raise ValueError(f"{wire.DESCRIPTOR.full_name} and {domain.__name__} differ in {odd}")
        self._number_of = {member: numbers[str(member)] for member in domain}
        self._member_of = {int(number): member for member, number in self._number_of.items()}

    @property
    def words(self) -> str:
        """The possible values, for a person."""
        return ", ".join(self._number_of)

    def find(self, number: int) -> E | None:
        """Return the domain's member for a proto value, None for unspecified and unknown ones."""
        return self._member_of.get(number)

    def write(self, member: E) -> V:
        """Return the proto value."""
        return self._number_of[member]


def read_enum(field: str, value: int, enum_map: EnumMap[E, V]) -> E:
    """Return the domain's member.

    Raises:
        MalformedField: the value is unspecified or unknown.
    """
    member = enum_map.find(value)
    if member is None:
        raise MalformedField(
            f"{field} is required and must be a known value",
            field=field,
            advice=f"send one of {enum_map.words}",
        )
    return member


def read_optional_enum(field: str, value: int, enum_map: EnumMap[E, V]) -> E | None:
    """Return the domain's member, None where unspecified; see `read_enum`."""
    return read_enum(field, value, enum_map) if value else None


def write_money(money: Money) -> money_pb2.Money:
    """Return the amount with at least its currency's decimals: `10.50`, and `0.123456` for a rate.

    Raises:
        ValueError: it has more than six decimals.
    """
    text = write_decimal(money.amount)
    whole, _, decimals = text.partition(".")
    if len(decimals) > RATE_PLACES:
        raise ValueError(f"an amount of {len(decimals)} decimals has to be rounded first")
    padded = decimals.ljust(exponent(money.currency), "0")
    amount = f"{whole}.{padded}" if padded else whole
    return money_pb2.Money(amount=amount, currency=money.currency)


def write_optional_money(money: Money | None) -> money_pb2.Money | None:
    """Return the amount, None (an absent field) for None; see `write_money`."""
    return None if money is None else write_money(money)


def write_decimal(value: Decimal) -> str:
    """Return the number in plain notation, without superfluous noughts."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def write_date(value: date | None) -> str:
    """Return the date as `YYYY-MM-DD`, empty for None."""
    return "" if value is None else value.isoformat()


def write_id(value: UUID | None) -> str:
    """Return the id in its 36 characters, empty for None."""
    return "" if value is None else str(value)


def write_instant(value: datetime | None) -> Timestamp | None:
    """Return the aware instant, None (an absent field) for None."""
    if value is None:
        return None
    timestamp = Timestamp()
    timestamp.FromDatetime(value)
    return timestamp


def _required(field: str, value: str) -> str:
    if not value:
        raise MalformedField(f"{field} is required", field=field, advice=f"send {field}")
    return value
