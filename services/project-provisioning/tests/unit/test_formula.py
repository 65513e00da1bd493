"""Formulas of templates compute exactly, or say where and why they do not."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from project_provisioning.domain.formula import (
    LENGTH_MAX,
    FormulaFailed,
    FormulaMalformed,
    read_formula,
)

VALUES = {
    "quantity": Decimal(400),
    "net_total": Decimal("58400.00"),
    "planned_hours": Decimal(0),
    "term_days": Decimal(365),
}


def value(text: str) -> Decimal:
    return read_formula(text, field="formula").value(VALUES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2 + 3 * 4", "14"),
        ("(2 + 3) * 4", "20"),
        ("20 - 3 - 2", "15"),
        ("100 / 8 / 5", "2.5"),
        ("5 - -3", "8"),
        ("-2 + 3", "1"),
        ("  net_total*0.7 ", "40880"),
        ("max(planned_hours, quantity * 0.1)", "40"),
        ("min(quantity, 8, 12)", "8"),
        ("round(10 / 3)", "3"),
        ("round(10 / 3, 2)", "3.33"),
        ("round(2.675, 2)", "2.68"),
        ("round(net_total / max(term_days, 1) * 30, 2)", "4800"),
    ],
)
def test_arithmetic_is_exact(text: str, expected: str) -> None:
    assert value(text) == Decimal(expected)


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("", 1, "a number or a name expected"),
        ("2 +", 4, "a number or a name expected"),
        ("2 3", 3, "unexpected '3'"),
        ("price * 2", 1, "unknown name 'price'"),
        ("(2 + 3", 7, "')' expected"),
        ("min(2, )", 8, "a number or a name expected"),
        ("round(2, 7)", 10, "a whole number from 0 to 6"),
        ("round(2, quantity)", 10, "a whole number from 0 to 6"),
        ("2 ** 3", 4, "a number or a name expected"),
        ("quantity.__class__", 9, "unexpected '.'"),
        ("2 ; 3", 3, "unexpected ';'"),
        ("1.2.3", 1, "unexpected '1'"),
        ("9" * 13, 1, "unexpected '9'"),
        ("1" + " + 1" * LENGTH_MAX, LENGTH_MAX + 1, "more than 200 characters"),
        ("(" * 21 + "1" + ")" * 21, 21, "nested more than 20 deep"),
        ("--1", 2, "a number or a name expected"),
    ],
)
def test_what_cannot_be_read_names_the_position(text: str, position: int, reason: str) -> None:
    with pytest.raises(FormulaMalformed) as refused:
        value(text)

    assert f"at position {position} " in refused.value.message
    assert reason in refused.value.message
    assert refused.value.field == "formula"


@pytest.mark.parametrize("text", ["quantity / planned_hours", "0 / 0", "1 - 2", "99999999999"])
def test_what_has_no_usable_value_says_so(text: str) -> None:
    with pytest.raises(FormulaFailed):
        value(text)


@given(st.text(alphabet="0123456789.+-*/(), minaxroudquty_lhsep", max_size=60))
def test_no_text_does_more_than_compute_or_be_refused(text: str) -> None:
    try:
        result = value(text)
    except (FormulaMalformed, FormulaFailed):
        return
    assert 0 <= result < 10**10
