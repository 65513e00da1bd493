"""Tax rules: which one holds, and which cannot be."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from invoice_payment_builders import REVERSE_CHARGE, STANDARD, a_rule

from invoice_payment.domain.amounts import TaxTreatment
from invoice_payment.domain.tax import (
    BuyerRegistration,
    ExemptionTextMissing,
    PeriodEmpty,
    RateNotZero,
    RateZero,
    TaxCase,
    TaxRule,
    check_rule,
    replace_rule,
    treatment_of,
)
from throughline_core.errors import InvalidArgument

REDUCED = TaxTreatment("S", Decimal("7.00"))
OUTSIDE = TaxTreatment("O", Decimal(0), "Not subject to VAT")

RULES = (
    a_rule(treatment=STANDARD),
    a_rule(treatment=REDUCED, tax_category="training"),
    a_rule(
        treatment=REVERSE_CHARGE,
        buyer_country="EU",
        buyer_registration=BuyerRegistration.VALID,
    ),
    a_rule(treatment=STANDARD, buyer_country="EU", buyer_registration=BuyerRegistration.NONE),
    a_rule(treatment=OUTSIDE, buyer_country="*"),
)


def a_case(**values: Any) -> TaxCase:
    case: dict[str, Any] = {
        "seller_country": "DE",
        "buyer_country": "DE",
        "buyer_is_registered": True,
        "tax_category": "professional_services",
        "on": date(2026, 9, 11),
    }
    return TaxCase(**case | values)


@pytest.mark.parametrize(
    ("case", "treatment"),
    [
        pytest.param(a_case(), STANDARD, id="at home"),
        pytest.param(a_case(tax_category="training"), REDUCED, id="named category first"),
        pytest.param(a_case(buyer_country="FR"), REVERSE_CHARGE, id="registered in the Union"),
        pytest.param(
            a_case(buyer_country="FR", buyer_is_registered=False), STANDARD, id="not registered"
        ),
        pytest.param(a_case(buyer_country="US"), OUTSIDE, id="anywhere else"),
        pytest.param(a_case(seller_country="US"), None, id="another seller"),
        pytest.param(a_case(on=date(2020, 12, 31)), None, id="before the first day"),
    ],
)
def test_the_most_specific_rule_holds(case: TaxCase, treatment: TaxTreatment | None) -> None:
    assert treatment_of(case, RULES) == treatment
    assert treatment_of(case, reversed(RULES)) == treatment


def test_of_equal_rules_the_one_that_began_last_holds() -> None:
    later = a_rule(treatment=REDUCED, valid_from=date(2026, 7, 1))

    assert treatment_of(a_case(on=date(2026, 6, 30)), [*RULES, later]) == STANDARD
    assert treatment_of(a_case(on=date(2026, 7, 1)), [*RULES, later]) == REDUCED


def test_a_rule_ends_before_its_last_day_named() -> None:
    ended = a_rule(valid_to=date(2026, 9, 11))

    assert treatment_of(a_case(on=date(2026, 9, 10)), [ended]) == STANDARD
    assert treatment_of(a_case(on=date(2026, 9, 11)), [ended]) is None


@pytest.mark.parametrize(
    ("rule", "refusal"),
    [
        (a_rule(treatment=TaxTreatment("S", Decimal(0))), RateZero),
        (a_rule(treatment=TaxTreatment("AE", Decimal(19), "Reverse charge")), RateNotZero),
        (a_rule(treatment=TaxTreatment("AE", Decimal(0))), ExemptionTextMissing),
        (a_rule(valid_to=date(2021, 1, 1)), PeriodEmpty),
    ],
)
def test_a_rule_that_could_not_be_printed_is_refused(
    rule: TaxRule, refusal: type[InvalidArgument]
) -> None:
    with pytest.raises(refusal):
        check_rule(rule)


def test_a_zero_rate_needs_no_text() -> None:
    assert check_rule(a_rule(treatment=TaxTreatment("Z", Decimal(0))))


def test_a_replacement_keeps_the_rule_s_identity() -> None:
    stored = a_rule(version=4)

    replaced = replace_rule(stored, a_rule(treatment=REDUCED))

    assert (replaced.tax_rule_id, replaced.version) == (stored.tax_rule_id, 5)
    assert replaced.treatment == REDUCED
