"""Expense policies: caps, receipts, weekends and ages, each a warning or a stop."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from project_provisioning_builders import PASS_THROUGH_LINE, an_id, eur

from project_provisioning.domain.expense_findings import (
    JustificationMissing,
    NothingToExcept,
    PolicyStop,
    except_lines,
    judge_lines,
    require_passable,
)
from project_provisioning.domain.expense_line import ExpenseLine, LineFinding
from project_provisioning.domain.expense_policy import (
    NO_POLICY,
    Cap,
    ContractPolicy,
    ContractRule,
    Cost,
    ExpensePolicy,
    PolicyMalformed,
    ReceiptRule,
    check_policy,
    judge,
)
from project_provisioning.domain.rule_set import Severity
from project_provisioning.domain.time_rules import Limit
from throughline_core.money import Money

TUESDAY, SUNDAY = date(2026, 9, 8), date(2026, 9, 13)
AT = datetime(2026, 9, 14, tzinfo=UTC)


def a_cost(amount: str, policy: ExpensePolicy = NO_POLICY, **values: Any) -> Cost:
    cost: dict[str, Any] = {
        "category": "meals",
        "incurred_on": TUESDAY,
        "amounts": (eur(amount),),
        "has_receipt": True,
        "policy": policy,
    }
    return Cost(**cost | values)


def rules_of(*costs: Cost, before: tuple[Cost, ...] = ()) -> list[list[str]]:
    return [[each.rule for each in found] for found in judge(costs, before, on=AT.date())]


def capped(amount: str, *, per_day: bool, category: str = "meals") -> ExpensePolicy:
    return ExpensePolicy(caps=(Cap(category, per_day, eur(amount), Severity.STOP),))


def test_a_line_may_reach_its_cap_but_not_pass_it() -> None:
    policy = capped("40.00", per_day=False)

    assert rules_of(a_cost("40.00", policy)) == [[]]
    assert rules_of(a_cost("40.01", policy)) == [["expense_policy.line_cap"]]
    assert rules_of(a_cost("99.00", policy, category="travel")) == [[]]


def test_a_days_cap_counts_what_was_recorded_before_and_other_reports() -> None:
    policy = capped("50.00", per_day=True)

    assert rules_of(a_cost("30.00", policy), a_cost("20.01", policy)) == [
        [],
        ["expense_policy.day_cap"],
    ]
    elsewhere = (a_cost("30.00"),)
    assert rules_of(a_cost("20.01", policy), before=elsewhere) == [["expense_policy.day_cap"]]
    next_day = a_cost("20.01", policy, incurred_on=date(2026, 9, 9))
    assert rules_of(next_day, before=elsewhere) == [[]]


def test_a_cap_in_the_currency_of_the_receipt_is_compared_with_the_receipt() -> None:
    dollars = Money(Decimal("40.00"), "USD")
    policy = ExpensePolicy(caps=(Cap("", False, dollars, Severity.WARN),))
    cost = a_cost("39.00", policy)

    assert rules_of(cost) == [[]], "there is nothing to compare"
    converted = replace(cost, amounts=(eur("39.00"), Money(Decimal("42.00"), "USD")))
    assert rules_of(converted) == [["expense_policy.line_cap"]]


@pytest.mark.parametrize(
    ("policy", "values", "rule"),
    [
        (
            ExpensePolicy(receipt=ReceiptRule(eur("25.00"), Severity.STOP)),
            {"has_receipt": False},
            "expense_policy.receipt",
        ),
        (ExpensePolicy(categories=("travel",)), {}, "expense_policy.category"),
        (ExpensePolicy(weekend=Severity.WARN), {"incurred_on": SUNDAY}, "expense_policy.weekend"),
        (ExpensePolicy(age_days_max=Limit(5, Severity.WARN)), {}, "expense_policy.age"),
    ],
)
def test_each_rule_finds_what_breaks_it(
    policy: ExpensePolicy, values: dict[str, Any], rule: str
) -> None:
    assert rules_of(a_cost("25.00", policy, **values)) == [[rule]]
    assert rules_of(a_cost("25.00", **values)) == [[]]


def test_what_the_contract_does_not_take_is_stopped_and_what_it_caps_is_warned_about() -> None:
    contract = ContractPolicy((ContractRule("meals", eur("20.00")),), receipt_from=eur("10.00"))

    [meal, taxi] = judge(
        [
            a_cost("20.01", contract=contract, has_receipt=False),
            a_cost("5.00", contract=contract, category="travel"),
        ],
        (),
        on=AT.date(),
    )

    assert {each.rule: each.severity for each in meal} == {
        "contract.daily_cap": Severity.WARN,
        "contract.receipt": Severity.WARN,
    }
    assert [(each.rule, each.severity) for each in taxi] == [("contract.category", Severity.STOP)]


@pytest.mark.parametrize(
    "policy",
    [
        ExpensePolicy(),
        ExpensePolicy(caps=(Cap("", False, eur("-1.00"), Severity.WARN),)),
        ExpensePolicy(caps=(Cap("", True, eur("1.00"), Severity.WARN),) * 2),
    ],
)
def test_a_policy_says_something_and_not_twice(policy: ExpensePolicy) -> None:
    with pytest.raises(PolicyMalformed):
        check_policy(policy)


def a_line(**values: Any) -> ExpenseLine:
    line: dict[str, Any] = {
        "expense_line_id": an_id("172"),
        "project_id": an_id("111"),
        "contract_id": an_id("b1"),
        "contract_line_id": PASS_THROUGH_LINE,
        "engagement_id": an_id("f1"),
        "incurred_on": TUESDAY,
        "category": "meals",
        "description": "Lunch",
        "net_amount": eur("60.00"),
        "tax_amount": eur("4.20"),
        "billable": True,
        "reimbursable": True,
        "receipt_sha256": "",
        "source": None,
    }
    return ExpenseLine(**line | values)


def judged(line: ExpenseLine, policy: ExpensePolicy) -> ExpenseLine:
    [found] = judge_lines([line], (), lambda _: policy, lambda *_: None, on=AT.date())
    return found


def test_a_justification_lets_a_warning_pass_and_no_stop() -> None:
    warned = ExpensePolicy(caps=(Cap("", False, eur("50.00"), Severity.WARN),))
    line = judged(a_line(), warned)

    with pytest.raises(JustificationMissing):
        require_passable([line])
    require_passable([replace(line, justification="dinner with the client")])
    stopped = judged(a_line(justification="hungry"), capped("50.00", per_day=False))
    with pytest.raises(PolicyStop):
        require_passable([stopped])


def test_an_exception_of_finance_lets_a_stop_pass_and_outlives_a_second_look() -> None:
    policy = capped("50.00", per_day=False)
    line = judged(a_line(), policy)

    [excepted] = except_lines(
        [line], {line.expense_line_id}, by="user:fina.finance", at=AT, reason="agreed with client"
    )

    require_passable([judged(excepted, policy)])
    with pytest.raises(NothingToExcept):
        except_lines([excepted], {line.expense_line_id}, by="x", at=AT, reason="again")


def test_findings_are_those_of_today() -> None:
    before = a_line(findings=(LineFinding("expense_policy.age", Severity.WARN, "old"),))

    assert judged(before, ExpensePolicy()).findings == ()
