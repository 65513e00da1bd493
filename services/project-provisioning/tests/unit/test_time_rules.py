"""Working-time rules: what a week may hold, which rules hold, and who lets them hold."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from project_provisioning_builders import DE01, US01, an_id

from project_provisioning.domain.calendar import Schedule, company_calendar
from project_provisioning.domain.employment import Employment
from project_provisioning.domain.legal_entity import LegalEntity
from project_provisioning.domain.rule_set import (
    OwnProposal,
    RuleBook,
    RuleSet,
    RuleSetKind,
    RuleSetStatus,
    Scope,
    ScopeUnclear,
    Severity,
    activate,
    scope_of,
    withdraw,
)
from project_provisioning.domain.time_rules import (
    Break,
    Limit,
    RulesMalformed,
    TimeRules,
    Worked,
    check_rules,
    judge,
)
from throughline_core.errors import IllegalTransition

MONDAY, TODAY = date(2026, 9, 7), date(2026, 9, 14)
GERMAN = LegalEntity(DE01, 1, "DE01", "EUR", "Europe/Berlin", "DE", "DE", "BE", (1, 2, 3, 4, 5))
SCHEDULE = Schedule(
    (Employment(DE01, date(2024, 1, 1), None, "consultant", "", "DE"),),
    company_calendars={DE01: company_calendar(GERMAN)},
)


def stop(value: int) -> Limit:
    return Limit(value, Severity.STOP)


def worked(day: date, minutes: int, *, is_new: bool = True) -> Worked:
    return Worked(str(an_id("151")), day, minutes, is_new)


def found(rules: TimeRules, *entries: Worked) -> list[str]:
    return [each.rule for each in judge(entries, lambda _: rules, SCHEDULE, today=TODAY)]


def test_what_the_day_holds_already_counts() -> None:
    rules = TimeRules(day_minutes_max=stop(600))
    recorded = worked(MONDAY, 480, is_new=False)

    assert found(rules, recorded, worked(MONDAY, 120)) == []
    assert found(rules, recorded, worked(MONDAY, 121)) == ["time_rule.day_maximum"]


def test_the_week_is_summed_over_its_days() -> None:
    rules = TimeRules(week_minutes_max=stop(2880))
    week = [worked(date(2026, 9, day), 576) for day in range(7, 12)]

    assert found(rules, *week) == []
    assert found(rules, *week, worked(date(2026, 9, 12), 1)) == ["time_rule.week_maximum"]


def test_work_breaks_and_rest_fit_into_a_day() -> None:
    rules = TimeRules(rest_minutes_min=stop(660), breaks=(Break(360, 30), Break(540, 45)))

    assert found(rules, worked(MONDAY, 735)) == []
    assert found(rules, worked(MONDAY, 736)) == ["time_rule.rest"]


def test_a_reversal_that_empties_a_day_breaks_nothing() -> None:
    rules = TimeRules(sunday_work=Severity.STOP)
    sunday = date(2026, 9, 13)

    assert found(rules, worked(sunday, 60)) == ["time_rule.sunday"]
    assert found(rules, worked(sunday, 60, is_new=False), worked(sunday, -60)) == []


def test_a_holiday_of_the_persons_calendar_is_named() -> None:
    rules = TimeRules(holiday_work=Severity.WARN)
    [finding] = judge(
        [worked(date(2025, 10, 3), 60)], lambda _: rules, SCHEDULE, today=date(2025, 10, 6)
    )

    assert (finding.severity, finding.rule) == (Severity.WARN, "time_rule.holiday")
    assert "German Unity Day" in finding.text


@pytest.mark.parametrize(
    ("rules", "entry", "rule"),
    [
        (TimeRules(days_back_max=stop(6)), worked(MONDAY, 60), "time_rule.too_old"),
        (TimeRules(days_ahead_max=stop(0)), worked(date(2026, 9, 15), 60), "time_rule.too_early"),
        (TimeRules(increment_minutes=stop(15)), worked(MONDAY, 50), "time_rule.increment"),
    ],
)
def test_rules_for_single_entries_are_held_against_new_ones_only(
    rules: TimeRules, entry: Worked, rule: str
) -> None:
    assert found(rules, entry) == [rule]
    assert found(rules, entry._replace(is_new=False)) == []


@pytest.mark.parametrize(
    "rules",
    [
        TimeRules(),
        TimeRules(day_minutes_max=stop(600), breaks=(Break(360, 30),)),
        TimeRules(rest_minutes_min=stop(660), breaks=(Break(540, 45), Break(360, 30))),
    ],
)
def test_rules_that_cannot_be_kept_are_refused(rules: TimeRules) -> None:
    with pytest.raises(RulesMalformed):
        check_rules(rules)


def a_rule_set(**values: Any) -> RuleSet[TimeRules]:
    rule_set: dict[str, Any] = {
        "rule_set_id": an_id("601"),
        "kind": RuleSetKind.TIME,
        "scope": Scope(),
        "version": 1,
        "effective_from": date(2026, 1, 1),
        "status": RuleSetStatus.ACTIVE,
        "rules": TimeRules(day_minutes_max=stop(600)),
        "proposed_by": "user:peter.pmo",
        "proposed_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return RuleSet(**rule_set | values)


def test_a_company_goes_before_its_country_and_that_before_the_firm() -> None:
    firm, german, own = (
        a_rule_set(),
        a_rule_set(scope=Scope(country="DE")),
        a_rule_set(scope=Scope(DE01), effective_from=date(2026, 10, 1)),
    )
    book = RuleBook((firm, german, own), {DE01: "DE", US01: "US"})

    assert book.in_force(DE01, date(2026, 10, 1)) == own
    assert book.in_force(DE01, date(2026, 9, 30)) == german
    assert book.in_force(US01, date(2026, 10, 1)) == firm
    assert book.in_force(US01, date(2025, 12, 31)) is None


def test_of_several_versions_the_one_that_came_into_effect_last_holds() -> None:
    first, second = a_rule_set(), a_rule_set(version=2)
    later = a_rule_set(version=3, effective_from=date(2026, 6, 1))
    book = RuleBook((second, later, first), {})

    assert book.in_force(DE01, date(2026, 5, 31)) == second
    assert book.in_force(DE01, date(2026, 6, 1)) == later


def test_rules_take_two_persons_and_are_decided_once() -> None:
    draft = a_rule_set(status=RuleSetStatus.DRAFT)
    at = datetime(2026, 1, 2, tzinfo=UTC)

    active = activate(draft, by="user:paula.pmo", at=at)

    assert active == replace(
        draft, status=RuleSetStatus.ACTIVE, decided_by="user:paula.pmo", decided_at=at
    )
    with pytest.raises(OwnProposal):
        activate(draft, by="user:peter.pmo", at=at)
    with pytest.raises(IllegalTransition):
        withdraw(active, by="user:paula.pmo", at=at)


def test_rules_belong_to_a_company_or_to_a_country() -> None:
    with pytest.raises(ScopeUnclear):
        scope_of(DE01, "DE")
