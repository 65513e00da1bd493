"""Versioned rules as messages, and as the JSON they are stored in."""

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.json_format import MessageToDict, ParseDict

from project_provisioning.domain.exchange_rate import DAYS_MAX_DEFAULT
from project_provisioning.domain.expense_policy import Cap, ExpensePolicy, ReceiptRule
from project_provisioning.domain.rule_set import RuleSet, RuleSetStatus, Severity
from project_provisioning.domain.time_rules import Break, Limit, RulesMalformed, TimeRules
from throughline.project_provisioning.v1 import expense_policy_service_pb2 as policy_pb
from throughline.project_provisioning.v1 import time_rule_service_pb2 as time_pb
from throughline_runtime.fields import (
    EnumMap,
    read_enum,
    read_money,
    read_optional_enum,
    write_date,
    write_id,
    write_instant,
    write_money,
)

SEVERITIES: Final = EnumMap(time_pb.RuleSeverity, Severity)
STATUSES: Final = EnumMap(time_pb.RuleSetStatus, RuleSetStatus)


def read_time_rules(field: str, rules: time_pb.TimeRules) -> TimeRules:
    """Return working-time rules as they were sent."""

    present = {descriptor.name for descriptor, _ in rules.ListFields()}

    def limit(name: str) -> Limit | None:
        return _read_limit(f"{field}.{name}", getattr(rules, name)) if name in present else None

    increment = limit("increment_minutes")
    if increment is not None and increment.value == 0:
        raise RulesMalformed(
            "no duration is a multiple of nothing",
            field=f"{field}.increment_minutes.value",
            advice="send 1 or more, or leave the rule out",
        )
    return TimeRules(
        day_minutes_max=limit("day_minutes_max"),
        week_minutes_max=limit("week_minutes_max"),
        rest_minutes_min=limit("rest_minutes_min"),
        breaks=tuple(Break(each.after_minutes, each.minutes) for each in rules.breaks),
        holiday_work=_read_severity(f"{field}.holiday_work", rules.holiday_work),
        sunday_work=_read_severity(f"{field}.sunday_work", rules.sunday_work),
        leave_work=_read_severity(f"{field}.leave_work", rules.leave_work),
        days_back_max=limit("days_back_max"),
        days_ahead_max=limit("days_ahead_max"),
        increment_minutes=increment,
    )


def write_time_rules(rules: TimeRules) -> time_pb.TimeRules:
    """Return working-time rules."""
    return time_pb.TimeRules(
        day_minutes_max=_write_limit(rules.day_minutes_max),
        week_minutes_max=_write_limit(rules.week_minutes_max),
        rest_minutes_min=_write_limit(rules.rest_minutes_min),
        breaks=[
            time_pb.WorkBreak(after_minutes=each.after_minutes, minutes=each.minutes)
            for each in rules.breaks
        ],
        holiday_work=_write_severity(rules.holiday_work),
        sunday_work=_write_severity(rules.sunday_work),
        leave_work=_write_severity(rules.leave_work),
        days_back_max=_write_limit(rules.days_back_max),
        days_ahead_max=_write_limit(rules.days_ahead_max),
        increment_minutes=_write_limit(rules.increment_minutes),
    )


def read_expense_policy(field: str, rules: policy_pb.ExpenseRules) -> ExpensePolicy:
    """Return an expense policy as it was sent."""
    receipt = None
    if rules.HasField("receipt"):
        receipt = ReceiptRule(
            read_money(f"{field}.receipt.from_amount", rules.receipt.from_amount),
            read_enum(f"{field}.receipt.severity", rules.receipt.severity, SEVERITIES),
        )
    age = rules.age_days_max if rules.HasField("age_days_max") else None
    severity = _read_severity(f"{field}.category_severity", rules.category_severity)
    return ExpensePolicy(
        caps=tuple(
            Cap(
                category=cap.category,
                per_day=cap.per_day,
                amount=read_money(f"{field}.caps[{index}].amount", cap.amount),
                severity=read_enum(f"{field}.caps[{index}].severity", cap.severity, SEVERITIES),
            )
            for index, cap in enumerate(rules.caps)
        ),
        receipt=receipt,
        categories=tuple(rules.categories),
        category_severity=severity or Severity.STOP,
        weekend=_read_severity(f"{field}.weekend", rules.weekend),
        age_days_max=None if age is None else _read_limit(f"{field}.age_days_max", age),
        exchange_rate_source=rules.exchange_rate_source,
        exchange_rate_days_max=rules.exchange_rate_days_max or DAYS_MAX_DEFAULT,
    )


def write_expense_policy(policy: ExpensePolicy) -> policy_pb.ExpenseRules:
    """Return an expense policy."""
    receipt = policy.receipt
    return policy_pb.ExpenseRules(
        caps=[
            policy_pb.ExpenseCap(
                category=cap.category,
                per_day=cap.per_day,
                amount=write_money(cap.amount),
                severity=SEVERITIES.write(cap.severity),
            )
            for cap in policy.caps
        ],
        receipt=None
        if receipt is None
        else policy_pb.ReceiptRule(
            from_amount=write_money(receipt.from_amount),
            severity=SEVERITIES.write(receipt.severity),
        ),
        categories=policy.categories,
        category_severity=SEVERITIES.write(policy.category_severity),
        weekend=_write_severity(policy.weekend),
        age_days_max=_write_limit(policy.age_days_max),
        exchange_rate_source=policy.exchange_rate_source,
        exchange_rate_days_max=policy.exchange_rate_days_max,
    )


def write_time_rule_set(rule_set: RuleSet[TimeRules | ExpensePolicy]) -> time_pb.TimeRuleSet:
    """Return a version of working-time rules."""
    assert isinstance(rule_set.rules, TimeRules)
    return time_pb.TimeRuleSet(
        time_rules_id=write_id(rule_set.rule_set_id),
        rules=write_time_rules(rule_set.rules),
        **_head(rule_set),
    )


def write_expense_policy_set(
    rule_set: RuleSet[TimeRules | ExpensePolicy],
) -> policy_pb.ExpensePolicySet:
    """Return a version of an expense policy."""
    assert isinstance(rule_set.rules, ExpensePolicy)
    return policy_pb.ExpensePolicySet(
        expense_policy_id=write_id(rule_set.rule_set_id),
        rules=write_expense_policy(rule_set.rules),
        **_head(rule_set),
    )


def write_stored(rules: TimeRules | ExpensePolicy) -> Mapping[str, Any]:
    """Return rules as they are stored: the contract's JSON."""
    message = (
        write_time_rules(rules) if isinstance(rules, TimeRules) else write_expense_policy(rules)
    )
    return MessageToDict(message, preserving_proto_field_name=True)


def read_stored_time_rules(stored: Mapping[str, Any]) -> TimeRules:
    """Return working-time rules as they are stored."""
    return read_time_rules("rules", ParseDict(dict(stored), time_pb.TimeRules()))


def read_stored_expense_policy(stored: Mapping[str, Any]) -> ExpensePolicy:
    """Return an expense policy as it is stored."""
    return read_expense_policy("rules", ParseDict(dict(stored), policy_pb.ExpenseRules()))


def _head(rule_set: RuleSet[Any]) -> dict[str, Any]:
    entity = rule_set.scope.legal_entity_id
    return {
        "legal_entity_id": None if entity is None else write_id(entity),
        "country": rule_set.scope.country,
        "version": rule_set.version,
        "effective_from": write_date(rule_set.effective_from),
        "status": STATUSES.write(rule_set.status),
        "proposed_by": rule_set.proposed_by,
        "proposed_at": write_instant(rule_set.proposed_at),
        "decided_by": rule_set.decided_by,
        "decided_at": write_instant(rule_set.decided_at),
    }


def _read_limit(field: str, limit: time_pb.RuleLimit) -> Limit:
    return Limit(limit.value, read_enum(f"{field}.severity", limit.severity, SEVERITIES))


def _write_limit(limit: Limit | None) -> time_pb.RuleLimit | None:
    if limit is None:
        return None
    return time_pb.RuleLimit(value=limit.value, severity=SEVERITIES.write(limit.severity))


def _read_severity(field: str, value: int) -> Severity | None:
    return read_optional_enum(field, value, SEVERITIES)


def _write_severity(severity: Severity | None) -> "time_pb.RuleSeverity.ValueType":
    return time_pb.RULE_SEVERITY_UNSPECIFIED if severity is None else SEVERITIES.write(severity)
