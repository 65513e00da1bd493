"""Every malformed field is refused by name, with the rule and what to send instead."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from throughline.common.v1 import money_pb2
from throughline.operations.v1 import operations_service_pb2 as pb
from throughline_core.money import RATE_PLACES, Money, UnknownCurrency
from throughline_runtime.fields import (
    EnumMap,
    MalformedField,
    read_date,
    read_decimal,
    read_enum,
    read_instant,
    read_money,
    read_optional_date,
    read_optional_decimal,
    read_optional_enum,
    read_optional_instant,
    read_optional_money,
    read_optional_uuid,
    read_uuid,
    write_date,
    write_decimal,
    write_id,
    write_instant,
    write_money,
    write_optional_money,
)


class Parking(StrEnum):
    PARKED = "parked"
    REPLAYED = "replayed"
    DISCARDED = "discarded"


ARABIC = "2026-03-01".translate({ord("0") + digit: 0x0660 + digit for digit in range(10)})
PARKING = EnumMap(pb.ParkedStatus, Parking)


def a_money(amount: str, currency: str = "EUR") -> money_pb2.Money:
    return money_pb2.Money(amount=amount, currency=currency)


@pytest.mark.parametrize("value", ["", "7", "g" * 32, "0190 5dac", "é"])
def test_what_is_no_uuid_is_refused(value: str) -> None:
    with pytest.raises(MalformedField) as refused:
        read_uuid("contract_id", value)
    assert refused.value.field == "contract_id"
    assert refused.value.advice


@pytest.mark.parametrize(
    "value",
    ["", "2026-02-29", "20260301", "2026-W01-1", "2026-3-1", "2026-03-01T00:00", ARABIC],
)
def test_what_is_no_calendar_date_is_refused(value: str) -> None:
    with pytest.raises(MalformedField, match="due_on"):
        read_date("due_on", value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "NaN",
        "Infinity",
        "-Infinity",
        "1e3",
        "1,000",
        " 1",
        "+1",
        ".5",
        "1.",
        "0x1",
        "00",
        "1_0",
        ARABIC,
    ],
)
def test_what_is_no_plain_decimal_is_refused(value: str) -> None:
    with pytest.raises(MalformedField, match="hours"):
        read_decimal("hours", value, places=2)


def test_a_decimal_has_no_more_places_than_its_field() -> None:
    assert read_decimal("hours", "-7.25", places=2) == Decimal("-7.25")
    with pytest.raises(MalformedField, match="3 decimals"):
        read_decimal("hours", "7.250", places=2)


def test_a_decimal_fits_its_column() -> None:
    assert read_decimal("hours", "9" * 12, places=0) == Decimal(10) ** 12 - 1
    with pytest.raises(MalformedField, match="12 digits"):
        read_decimal("hours", "1" + "0" * 12, places=0)


@pytest.mark.parametrize(("amount", "currency"), [("10.005", "EUR"), ("10.5", "JPY"), ("", "EUR")])
def test_an_amount_has_no_more_decimals_than_its_currency(amount: str, currency: str) -> None:
    with pytest.raises(MalformedField) as refused:
        read_money("ceiling", a_money(amount, currency))
    assert refused.value.field == "ceiling.amount"


def test_a_rate_may_have_six_decimals() -> None:
    rate = read_money("rate", a_money("0.123456"), places=RATE_PLACES)
    assert rate == Money(Decimal("0.123456"), "EUR")


@pytest.mark.parametrize(
    ("currency", "refusal"),
    [("", MalformedField), ("EURO", UnknownCurrency), ("XXX", UnknownCurrency)],
)
def test_an_amount_has_a_known_currency(currency: str, refusal: type[Exception]) -> None:
    with pytest.raises(refusal) as refused:
        read_money("ceiling", a_money("1.00", currency))
    assert getattr(refused.value, "field", None) == "ceiling.currency"


def test_an_instant_that_is_absent_is_refused() -> None:
    with pytest.raises(MalformedField, match="at"):
        read_instant("at", Timestamp())
    with pytest.raises(MalformedField, match="at"):
        read_instant("at", Timestamp(seconds=1 << 60))


def test_an_enum_is_refused_when_it_is_unspecified_or_unknown() -> None:
    assert read_enum("status", pb.PARKED_STATUS_REPLAYED, PARKING) is Parking.REPLAYED
    assert PARKING.write(Parking.DISCARDED) == pb.PARKED_STATUS_DISCARDED
    for number in (0, 99):
        with pytest.raises(MalformedField) as refused:
            read_enum("status", number, PARKING)
        assert refused.value.advice == "send one of parked, replayed, discarded"


def test_two_enums_that_name_different_things_do_not_map() -> None:
    class Narrower(StrEnum):
        PARKED = "parked"

    with pytest.raises(ValueError, match="discarded, replayed"):
        EnumMap(pb.ParkedStatus, Narrower)


def test_an_absent_optional_field_is_none() -> None:
    assert read_optional_uuid("id", "") is None
    assert read_optional_date("on", "") is None
    assert read_optional_decimal("hours", "", places=2) is None
    assert read_optional_money("ceiling", money_pb2.Money()) is None
    assert read_optional_instant("at", Timestamp()) is None
    assert read_optional_enum("status", 0, PARKING) is None
    assert (write_id(None), write_date(None)) == ("", "")
    assert (write_instant(None), write_optional_money(None)) == (None, None)


@pytest.mark.parametrize(
    "read",
    [
        lambda: read_optional_uuid("id", "7"),
        lambda: read_optional_date("on", "7"),
        lambda: read_optional_decimal("hours", "x", places=2),
        lambda: read_optional_money("ceiling", a_money("1.00", "")),
        lambda: read_optional_money("ceiling", a_money("", "EUR")),
        lambda: read_optional_instant("at", Timestamp(seconds=1 << 60)),
        lambda: read_optional_enum("status", 99, PARKING),
    ],
)
def test_an_optional_field_that_is_present_keeps_every_rule(read: Callable[[], object]) -> None:
    with pytest.raises(MalformedField):
        read()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("10.500000", "10.5"),
        ("1E+2", "100"),
        ("0E-6", "0"),
        ("-0", "0"),
        ("-0.00", "0"),
        ("100", "100"),
        ("-2.675", "-2.675"),
    ],
)
def test_a_number_is_written_one_way_whatever_its_column(value: str, text: str) -> None:
    assert write_decimal(Decimal(value)) == text


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("10.5", "EUR", "10.50"),
        ("10.500000", "EUR", "10.50"),
        ("0", "EUR", "0.00"),
        ("45455.000000", "JPY", "45455"),
        ("0.1234560", "EUR", "0.123456"),
        ("-1.5", "KWD", "-1.500"),
    ],
)
def test_an_amount_is_written_with_the_decimals_of_its_currency(
    amount: str, currency: str, text: str
) -> None:
    assert write_money(Money(Decimal(amount), currency)) == a_money(text, currency)


def test_an_amount_nobody_rounded_is_not_written() -> None:
    with pytest.raises(ValueError, match="rounded first"):
        write_money(Money(Decimal("0.1234567"), "EUR"))


@given(st.decimals(min_value=-(10**12) + 1, max_value=10**12 - 1, places=6))
def test_what_was_written_reads_as_it_was(amount: Decimal) -> None:
    money = Money(amount, "EUR")
    assert read_money("amount", write_money(money), places=RATE_PLACES) == money


@given(st.datetimes(min_value=datetime(1971, 1, 1), timezones=st.just(UTC)), st.dates(), st.uuids())
def test_instants_dates_and_ids_read_as_they_were_written(
    at: datetime, on: date, identity: UUID
) -> None:
    written = write_instant(at)
    assert written is not None
    assert read_instant("at", written) == at
    assert read_date("on", write_date(on)) == on
    assert read_uuid("id", write_id(identity)) == identity
