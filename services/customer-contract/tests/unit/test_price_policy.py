"""The price policy: what breaks it, and who has to be asked."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pytest
from customer_contract_builders import a_line, an_id, eur
from hypothesis import given
from hypothesis import strategies as st

from customer_contract.domain import price_policy as domain
from customer_contract.domain.price_policy import (
    ANY_STEP,
    ApproverRole,
    FloorPrice,
    LadderStep,
    MaximumDiscount,
    PolicyRules,
    PriceRule,
    breaches,
    check_rules,
    ladder,
)
from customer_contract.domain.values import PricePolicyId
from throughline_core.errors import InvalidArgument
from throughline_core.money import Money

SALES, FINANCE, ADMIN = ApproverRole
ADVISORY = a_line(2, discount_percent=Decimal("12.5"))
TOTAL = eur("58400")
MAXIMA = (MaximumDiscount(SALES, Decimal(5)), MaximumDiscount(FINANCE, Decimal(15)))


def a_step(role: ApproverRole, discount: str = "", *amounts: str) -> LadderStep:
    above = Decimal(discount) if discount else None
    return LadderStep(role, "", above, tuple(map(eur, amounts)))


def asked(rules: PolicyRules, *, discount: str = "0", total: Money = TOTAL) -> list[ApproverRole]:
    """Return the roles of the ladder, none for the step that anybody may take."""
    line = replace(ADVISORY, discount_percent=Decimal(discount))
    broken = breaches([line], rules, {})
    return [step.role for step in ladder([line], total, rules, broken) if step.role is not None]


def test_without_rules_anybody_who_approves_offers_does() -> None:
    assert ladder([ADVISORY], TOTAL, PolicyRules(), ()) == (ANY_STEP,)
    assert breaches([ADVISORY], PolicyRules(), {}) == ()


def test_a_rung_is_climbed_when_one_of_its_conditions_is_met() -> None:
    rules = PolicyRules(steps=(a_step(SALES), a_step(FINANCE, "10", "50000")))

    assert asked(rules, discount="10", total=eur("50000")) == [SALES]
    assert asked(rules, discount="10.01", total=eur("1")) == [SALES, FINANCE]
    assert asked(rules, discount="0", total=eur("50000.01")) == [SALES, FINANCE]
    assert asked(rules, total=Money(Decimal(10**9), "JPY")) == [SALES]


def test_a_step_says_why_it_is_needed_and_what_it_is_called() -> None:
    rules = PolicyRules(steps=(a_step(SALES), a_step(FINANCE, "10")))
    steps = ladder([ADVISORY], TOTAL, rules, ())
    assert [(step.step, step.name, step.reason) for step in steps] == [
        (1, "Sales operations", ""),
        (2, "Finance", "discount of 12.5 percent is above 10"),
    ]


def test_when_no_rung_is_climbed_anybody_approves() -> None:
    assert asked(PolicyRules(steps=(a_step(FINANCE, "10"),))) == []


def test_a_discount_asks_the_role_that_may_approve_it() -> None:
    rules = PolicyRules(maximum_discounts=MAXIMA, steps=(a_step(SALES),))

    assert asked(rules, discount="0") == [SALES]
    assert asked(rules, discount="5") == [SALES]
    assert asked(rules, discount="5.5") == [SALES, FINANCE]
    with_finance = replace(rules, steps=(a_step(SALES), a_step(FINANCE)))
    assert asked(with_finance, discount="15") == [SALES, FINANCE]


def test_a_discount_above_every_maximum_breaks_the_policy() -> None:
    rules = PolicyRules(maximum_discounts=MAXIMA)
    over = replace(ADVISORY, discount_percent=Decimal("15.5"))
    [breach] = breaches([over, ADVISORY], rules, {})
    assert (breach.rule, breach.actual, breach.limit) == (
        PriceRule.DISCOUNT_ABOVE_MAXIMUM,
        "15.5",
        "15",
    )


def test_what_breaks_the_policy_asks_the_exception_role_once() -> None:
    rules = PolicyRules(
        maximum_discounts=MAXIMA, steps=(a_step(SALES), a_step(ADMIN, "20")), exception_role=ADMIN
    )
    assert asked(rules, discount="16") == [SALES, ADMIN]
    assert asked(rules, discount="21") == [SALES, ADMIN]
    assert asked(replace(rules, exception_role=None), discount="16") == [SALES]


def test_floors_hold_for_the_unit_and_for_each_roles_agreed_hour() -> None:
    rules = PolicyRules(
        floor_prices=(
            FloorPrice("ADVISORY-TM", eur("146")),
            FloorPrice("ADVISORY-TM", eur("140.01"), "consultant"),
            FloorPrice("ADVISORY-TM", eur("110"), "analyst"),
            FloorPrice("ADVISORY-TM", Money(Decimal(999), "USD")),
            FloorPrice("SUPPORT-MS", eur("9999")),
        )
    )
    [breach] = breaches([ADVISORY], rules, {})
    assert (breach.rule, breach.role, breach.actual, breach.limit) == (
        PriceRule.BELOW_FLOOR,
        "consultant",
        "140.00 EUR",
        "140.01 EUR",
    )


def test_the_policys_floor_goes_before_the_catalogues() -> None:
    catalogue = {"ADVISORY-TM": (eur("150"), Money(Decimal(170), "USD"))}
    assert [one.limit for one in breaches([ADVISORY], PolicyRules(), catalogue)] == ["150.00 EUR"]
    lower = PolicyRules(floor_prices=(FloorPrice("ADVISORY-TM", eur("140")),))
    assert breaches([ADVISORY], lower, catalogue) == ()


@pytest.mark.parametrize(
    ("rules", "refusal", "field"),
    [
        (
            PolicyRules(floor_prices=(FloorPrice("A", eur("1")), FloorPrice("A", eur("2")))),
            domain.FloorRepeated,
            "floor_prices[1]",
        ),
        (
            PolicyRules(floor_prices=(FloorPrice("A", eur("0")),)),
            domain.PolicyAmountNotPositive,
            "floor_prices[0].unit_price",
        ),
        (
            PolicyRules(maximum_discounts=(*MAXIMA, MAXIMA[0])),
            domain.PolicyRoleRepeated,
            "maximum_discounts[2].role",
        ),
        (
            PolicyRules(steps=(a_step(SALES, "", "1", "2"),)),
            domain.CurrencyRepeated,
            "steps[0].above_amounts[1]",
        ),
        (
            PolicyRules(steps=(a_step(SALES, "", "0"),)),
            domain.PolicyAmountNotPositive,
            "steps[0].above_amounts[0]",
        ),
    ],
)
def test_rules_that_contradict_themselves_are_refused(
    rules: PolicyRules, refusal: type[InvalidArgument], field: str
) -> None:
    with pytest.raises(refusal) as refused:
        check_rules(rules)
    assert refused.value.field == field


def test_a_version_says_something_else_than_the_one_before() -> None:
    policy_id = PricePolicyId(an_id("d5"))
    first = domain.next_version(
        None, PolicyRules(), price_policy_id=policy_id, legal_entity_id=None, proposed_by="olga"
    )
    assert first.version == 1
    with pytest.raises(domain.PolicyUnchanged):
        domain.next_version(
            first,
            PolicyRules(),
            price_policy_id=policy_id,
            legal_entity_id=None,
            proposed_by="olga",
        )


PERCENTS = st.decimals(0, 100, places=1, allow_nan=False)
STEPS = st.builds(
    LadderStep,
    st.sampled_from(ApproverRole),
    st.just(""),
    st.none() | PERCENTS,
    st.lists(st.integers(1, 100_000).map(lambda n: eur(str(n))), max_size=1).map(tuple),
)


@given(
    steps=st.lists(STEPS, max_size=5).map(tuple),
    lower=PERCENTS,
    higher=PERCENTS,
    total=st.integers(0, 100_000),
)
def test_a_greater_discount_asks_no_fewer_and_always_one_who_may_approve_it(
    steps: tuple[LadderStep, ...], lower: Decimal, higher: Decimal, total: int
) -> None:
    lower, higher = sorted((lower, higher))
    amount = eur(str(total))
    rungs = PolicyRules(steps=steps)
    few, many = (asked(rungs, discount=str(one), total=amount) for one in (lower, higher))
    assert not Counter(few) - Counter(many)

    roles = asked(replace(rungs, maximum_discounts=MAXIMA), discount=str(higher), total=amount)
    may = {one.role for one in MAXIMA if one.percent >= higher}
    if higher and may:
        assert may & set(roles)
