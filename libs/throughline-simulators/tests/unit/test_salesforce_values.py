from decimal import Decimal

import pytest

from throughline_simulators.salesforce.errors import ApiError
from throughline_simulators.salesforce.objects import calculated, day, flag, number, picklist, price
from throughline_simulators.salesforce.schema import Field
from throughline_simulators.salesforce.switches import SalesforceSwitches
from throughline_simulators.salesforce.values import (
    Value,
    read_instant,
    read_value,
    write_value,
)

SWITCHES = SalesforceSwitches()


@pytest.mark.parametrize(
    ("field", "raw", "kept"),
    [
        (price("Amount"), 12, Decimal("12.00")),
        (price("Amount"), Decimal("0.125"), Decimal("0.13")),
        (price("Amount"), Decimal("-0.125"), Decimal("-0.13")),
        (price("Amount"), "7.5", Decimal("7.50")),
        (price("Amount"), None, None),
        (flag("Done"), "TRUE", True),
        (flag("Done"), None, False),
        (day("On"), "2026-02-28", "2026-02-28"),
    ],
)
def test_a_value_is_kept_in_its_fields_form(field: Field, raw: object, kept: Value) -> None:
    assert read_value(field, raw) == kept


@pytest.mark.parametrize(
    ("field", "raw", "code"),
    [
        (price("Amount"), "much", "JSON_PARSER_ERROR"),
        (price("Amount"), True, "JSON_PARSER_ERROR"),
        (price("Amount"), "NaN", "JSON_PARSER_ERROR"),
        (price("Amount"), 10**16, "NUMBER_OUTSIDE_VALID_RANGE"),
        (flag("Done"), 1, "JSON_PARSER_ERROR"),
        (day("On"), "2026-02-30", "JSON_PARSER_ERROR"),
        (day("On"), "20260228", "JSON_PARSER_ERROR"),
        (picklist("Status", ("Draft",), restricted=True), "Drafty",
         "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_refused(field: Field, raw: object, code: str) -> None:
    with pytest.raises(ApiError) as refused:
        read_value(field, raw)

    assert refused.value.code == code
    assert refused.value.fields == (field.name,)


def test_money_is_written_as_a_number_with_a_fraction() -> None:
    assert str(write_value(calculated("Net"), Decimal("92000.00"), SWITCHES)) == "92000.0"
    assert str(write_value(calculated("Net"), Decimal("0.10"), SWITCHES)) == "0.1"
    assert str(write_value(calculated("Net"), Decimal("1360.25"), SWITCHES)) == "1360.25"


def test_whole_numbers_are_written_as_the_switch_says() -> None:
    with_fraction = SalesforceSwitches(whole_numbers_with_fraction=True)

    assert write_value(number("Term"), Decimal(6), SWITCHES) == 6
    assert str(write_value(number("Term"), Decimal(6), with_fraction)) == "6.0"


@pytest.mark.parametrize(
    "written",
    ["2026-07-31T11:14:03+02:00", "2026-07-31T09:14:03Z", "2026-07-31T09:14:03.999+0000"],
)
def test_instants_are_kept_in_utc_to_the_second(written: str) -> None:
    assert read_instant(written) == "2026-07-31T09:14:03.000+0000"


@pytest.mark.parametrize("written", ["2026-07-31", "2026-07-31T09:14:03", "now"])
def test_an_instant_needs_its_offset(written: str) -> None:
    assert read_instant(written) is None
