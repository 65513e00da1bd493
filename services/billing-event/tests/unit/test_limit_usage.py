"""Thresholds are told once when they are reached, and once when they are left again."""

from dataclasses import replace
from decimal import Decimal

import pytest
from billing_event_builders import CONTRACT, ENTITY, NOW, an_id, eur

from billing_event.domain.customer_limit import (
    Framework,
    LimitUnchanged,
    NegativeLimit,
    require_limit,
    takes_two,
)
from billing_event.domain.limit import LimitAccountId, LimitScope
from billing_event.domain.limit_terms import Limit
from billing_event.domain.limit_usage import (
    Enforcement,
    RepeatedThreshold,
    Settings,
    Usage,
    alert_of,
    reset,
)
from billing_event.domain.source import CustomerId

LIMIT = Limit(LimitAccountId(an_id("1a01")), LimitScope.CONTRACT, ENTITY, eur(1000), CONTRACT, 1)
USAGE = Usage(
    limit=LIMIT,
    name="the contract",
    agreed=Decimal(1000),
    enforced=Decimal(1000),
    taken=Decimal(0),
    tolerance_percent=Decimal(0),
    is_hard=True,
    alert_percents=(80, 100),
    alerted_percent=0,
    alert_version=3,
)
FRAMEWORK = Framework(CustomerId(an_id("c1")), ENTITY, "EUR")


@pytest.mark.parametrize(
    ("taken", "alerted", "told"),
    [
        ("799.99", 0, []),
        ("800.00", 0, [(80, True)]),
        ("1000.00", 0, [(80, True), (100, True)]),
        ("1000.00", 80, [(100, True)]),
        ("900.00", 80, []),
        ("900.00", 100, [(100, False)]),
        ("0.00", 100, [(100, False), (80, False)]),
    ],
)
def test_what_is_told(taken: str, alerted: int, told: list[tuple[int, bool]]) -> None:
    alert = alert_of(replace(USAGE, taken=Decimal(taken), alerted_percent=alerted))
    crossings = [] if alert is None else alert.crossings
    assert [(each.threshold_percent, each.reached) for each in crossings] == told
    assert [each.version for each in crossings] == list(range(4, 4 + len(told)))


def test_a_limit_that_is_lifted_is_below_all_its_thresholds() -> None:
    alert = alert_of(replace(USAGE, agreed=None, taken=Decimal(900), alerted_percent=80))
    assert alert is not None
    assert (alert.reached_percent, [each.reached for each in alert.crossings]) == (0, [False])


@pytest.mark.parametrize(
    ("taken", "tolerance", "is_hard", "is_lowered"),
    [
        ("1000.00", 0, True, False),
        ("1000.01", 0, True, True),
        ("1050.00", 5, True, False),
        ("1050.01", 5, True, True),
        ("2000.00", 0, False, False),
    ],
)
def test_only_a_hard_limit_is_below_what_was_taken(
    taken: str, tolerance: int, is_hard: bool, is_lowered: bool
) -> None:
    usage = replace(
        USAGE, taken=Decimal(taken), tolerance_percent=Decimal(tolerance), is_hard=is_hard
    )
    assert usage.is_lowered is is_lowered


def test_settings_name_each_threshold_once() -> None:
    present = Settings(LIMIT.limit_account_id, 0, Enforcement.HARD, Decimal(0), (80, 100))
    changed = reset(
        present,
        enforcement=Enforcement.SOFT,
        tolerance_percent=Decimal(5),
        alert_percents=[100, 50],
        reason="as agreed",
        by="user:fin",
        at=NOW,
    )
    assert (changed.version, changed.alert_percents) == (1, (50, 100))
    for percents in ([80, 80], list(range(1, 12))):
        with pytest.raises(RepeatedThreshold):
            reset(
                present,
                enforcement=Enforcement.HARD,
                tolerance_percent=Decimal(0),
                alert_percents=percents,
                reason="",
                by="user:fin",
                at=NOW,
            )


@pytest.mark.parametrize(
    ("present", "wanted", "two"),
    [(None, 100, False), (100, 50, False), (100, 101, True), (100, None, True)],
)
def test_only_a_higher_limit_of_a_customer_takes_two(
    present: int | None, wanted: int | None, two: bool
) -> None:
    def money(amount: int | None) -> object:
        return None if amount is None else eur(amount)

    assert takes_two(money(present), money(wanted)) is two  # type: ignore[arg-type]  # money


def test_a_limit_of_a_customer_is_an_amount_of_its_currency() -> None:
    with pytest.raises(NegativeLimit):
        require_limit(FRAMEWORK, eur("-0.01"))
    with pytest.raises(NegativeLimit):
        require_limit(replace(FRAMEWORK, currency="USD"), eur(1))
    with pytest.raises(LimitUnchanged):
        takes_two(eur(1), eur(1))
