"""Small rows pass by policy, large ones by a second person."""

from dataclasses import replace
from decimal import Decimal

import pytest
from billing_event_builders import ENTITY, NOW, a_judge, an_item, eur

from billing_event.domain.position import EventStatus, Row
from billing_event.domain.release import (
    NegativeThreshold,
    NotEligible,
    ReleasePolicy,
    SecondPersonRequired,
    passes,
    replaced,
    require_releasable,
)
from throughline_core.money import Money

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
    assert passes(policy, amount) is is_free


def test_a_new_threshold_is_the_next_version_of_the_policy() -> None:
    changed = replaced(POLICY, ENTITY, eur("2000"), by="user:cfo", at=NOW)
    assert changed == ReleasePolicy(ENTITY, 4, eur("2000.00"), "user:cfo", NOW)
    assert replaced(None, ENTITY, eur(0), by="user:cfo", at=NOW).version == 1


def test_a_threshold_is_not_negative() -> None:
    with pytest.raises(NegativeThreshold):
        replaced(None, ENTITY, eur("-0.01"), by="user:cfo", at=NOW)


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
