"""Small rows pass by policy, large ones by a second person."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from billing_event_builders import CONTRACT, ENTITY, NOW, a_judge, an_id, an_item, eur

from billing_event.domain.position import EventStatus, EventType, Row
from billing_event.domain.release import (
    NegativeThreshold,
    NotEligible,
    ReleasePolicy,
    ReleaseRule,
    SecondPersonRequired,
    checkpoint_of,
    passes,
    replaced,
    require_releasable,
)
from billing_event.domain.source import ContractId
from throughline_core.money import Money

TODAY = date(2026, 9, 14)
POLICY = ReleasePolicy(ENTITY, 3, eur("1000.00"), "user:finance", NOW)


@pytest.mark.parametrize(
    ("policy", "amount", "is_free"),
    [
        (POLICY, eur("1000.00"), True),
        (POLICY, eur("1000.000001"), False),
        (POLICY, eur("-1000.01"), False),
        (POLICY, eur("0"), True),
        (POLICY, Money(Decimal(1), "USD"), False),
        (None, eur("5000.00"), True),
        (None, eur("5000.01"), False),
        (None, Money(Decimal("4999.99"), "USD"), True),
        (replace(POLICY, threshold=eur(0)), eur("0.01"), False),
    ],
)
def test_a_row_passes_by_policy_up_to_the_threshold(
    policy: ReleasePolicy | None, amount: Money, is_free: bool
) -> None:
    assert passes(policy, an_eligible_row().rating, an_item(), amount, on=TODAY) is is_free


def test_a_row_in_another_currency_is_said_to_be_in_one() -> None:
    dollars = Money(Decimal("10.00"), "USD")
    found = checkpoint_of(POLICY, an_eligible_row().rating, an_item(), dollars, on=TODAY)
    assert found.reason_to_stop(dollars) == (
        "10.00 USD is in another currency than the 1000.00 EUR of the legal entity's threshold"
    )


def a_rule(**different: Any) -> ReleaseRule:
    rule = ReleaseRule("exception", frozenset(), None, 0, eur("10.00"))
    return replace(rule, **different)


@pytest.mark.parametrize(
    ("rule", "is_for"),
    [
        (a_rule(), True),
        (a_rule(types=frozenset({EventType.TIME, EventType.EXPENSE})), True),
        (a_rule(types=frozenset({EventType.EXPENSE})), False),
        (a_rule(contract_id=CONTRACT), True),
        (a_rule(contract_id=ContractId(an_id("b2"))), False),
        # The work was on 7 September, the row is judged on the 14th.
        (a_rule(min_age_days=7), True),
        (a_rule(min_age_days=8), False),
    ],
)
def test_a_rule_is_for_rows_that_meet_all_of_it(rule: ReleaseRule, is_for: bool) -> None:
    item = an_item(service_from=date(2026, 9, 7), service_to=date(2026, 9, 8))
    rating = an_eligible_row().rating
    assert rule.is_for(rating, item, on=TODAY) is is_for
    policy = replace(POLICY, rules=(rule,))
    assert passes(policy, rating, item, eur("100.00"), on=TODAY) is not is_for


def test_of_several_rules_the_first_that_fits_decides() -> None:
    strict, lenient = a_rule(threshold=eur(0)), a_rule(threshold=eur("9000.00"))
    row = an_eligible_row()
    for rules, is_free in (((strict, lenient), False), ((lenient, strict), True)):
        policy = replace(POLICY, rules=rules)
        assert passes(policy, row.rating, row.item, eur("100.00"), on=TODAY) is is_free


def test_a_new_threshold_is_the_next_version_of_the_policy() -> None:
    changed = replaced(POLICY, ENTITY, eur("2000"), (), by="user:cfo", at=NOW)
    assert changed == ReleasePolicy(ENTITY, 4, eur("2000.00"), "user:cfo", NOW)
    assert replaced(None, ENTITY, eur(0), (), by="user:cfo", at=NOW).version == 1


def test_a_threshold_is_not_negative() -> None:
    with pytest.raises(NegativeThreshold):
        replaced(None, ENTITY, eur("-0.01"), (), by="user:cfo", at=NOW)
    rules = (a_rule(), a_rule(threshold=eur("-1")))
    with pytest.raises(NegativeThreshold) as refused:
        replaced(None, ENTITY, eur("1"), rules, by="user:cfo", at=NOW)
    assert refused.value.field == "rules[1].threshold.amount"


def an_eligible_row() -> Row:
    judge = a_judge(threshold="0.00")
    judge.decide_new([an_item()])
    [row] = judge.decision.rated
    return row


def test_who_approved_the_work_does_not_release_it() -> None:
    require_releasable(an_eligible_row(), by="user:finance")
    with pytest.raises(SecondPersonRequired):
        require_releasable(an_eligible_row(), by="user:paula.pmo")


@pytest.mark.parametrize("status", [EventStatus.HELD, EventStatus.RELEASED])
def test_only_an_eligible_row_is_released(status: EventStatus) -> None:
    with pytest.raises(NotEligible):
        require_releasable(replace(an_eligible_row(), status=status), by="user:finance")
