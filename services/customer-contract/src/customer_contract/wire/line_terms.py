"""Messages of the terms that billing models have, and of who delivers a line."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from customer_contract.domain.service_line import (
    ActivityMultiplier,
    Dimensions,
    ExpensePolicy,
    ExpenseRule,
    FixedFeeBilling,
    LineRate,
    Milestone,
    Proration,
    RetainerOverage,
    RetainerRollOver,
    RetainerTerms,
    RevenueMethod,
    UsageAggregation,
    UsageTerms,
    UsageTier,
)
from customer_contract.domain.values import PersonId
from throughline.customer_contract.v1 import quote_pb2 as pb
from throughline_core.money import RATE_PLACES
from throughline_runtime.fields import (
    EnumMap,
    read_decimal,
    read_enum,
    read_money,
    read_optional_date,
    read_optional_decimal,
    read_optional_enum,
    read_optional_money,
    read_optional_uuid,
    write_date,
    write_decimal,
    write_id,
    write_money,
    write_optional_money,
)

PERCENT_PLACES: Final = 4
REVENUE_METHOD: Final = EnumMap(pb.RevenueMethod, RevenueMethod)
FIXED_FEE_BILLING: Final = EnumMap(pb.FixedFeeBilling, FixedFeeBilling)
PRORATION: Final = EnumMap(pb.Proration, Proration)

_ROLL_OVER: Final = EnumMap(pb.RetainerRollOver, RetainerRollOver)
_OVERAGE: Final = EnumMap(pb.RetainerOverage, RetainerOverage)
_AGGREGATION: Final = EnumMap(pb.UsageAggregation, UsageAggregation)
_QUANTITY_PLACES: Final = 4
_HOURS_PLACES: Final = 2


def read_milestones(field: str, messages: Iterable[pb.MilestonePlan]) -> tuple[Milestone, ...]:
    """Return the plan as sent: with shares, or with amounts where these were agreed."""
    return tuple(
        Milestone(
            key=message.key,
            name=message.name,
            share_percent=read_optional_decimal(
                f"{field}[{index}].share_percent", message.share_percent, places=PERCENT_PLACES
            ),
            due_on=read_optional_date(f"{field}[{index}].due_on", message.due_on),
            amount=read_optional_money(f"{field}[{index}].amount", message.amount)
            if not message.share_percent
            else None,
        )
        for index, message in enumerate(messages)
    )


def read_priced_milestones(messages: Sequence[pb.MilestonePlan]) -> tuple[Milestone, ...]:
    """Return the milestones of a line written in full: those with a share have an amount too."""
    return tuple(
        replace(milestone, amount=read_money("milestones", message.amount))
        for milestone, message in zip(
            read_milestones("milestones", messages), messages, strict=True
        )
    )


def write_milestones(milestones: Iterable[Milestone]) -> list[pb.MilestonePlan]:
    return [
        pb.MilestonePlan(
            key=milestone.key,
            name=milestone.name,
            share_percent=(
                "" if milestone.share_percent is None else write_decimal(milestone.share_percent)
            ),
            due_on=write_date(milestone.due_on) or None,
            amount=write_optional_money(milestone.amount),
        )
        for milestone in milestones
    ]


def read_rates(field: str, messages: Iterable[pb.LineRate]) -> tuple[LineRate, ...]:
    rates = []
    for index, message in enumerate(messages):
        path = f"{field}[{index}]"
        person = read_optional_uuid(f"{path}.person_id", message.person_id)
        rates.append(
            LineRate(
                role=message.role,
                hourly_rate=read_money(
                    f"{path}.hourly_rate", message.hourly_rate, places=RATE_PLACES
                ),
                planned_hours=read_decimal(
                    f"{path}.planned_hours", message.planned_hours, places=_HOURS_PLACES
                ),
                person_id=None if person is None else PersonId(person),
            )
        )
    return tuple(rates)


def write_rates(rates: Iterable[LineRate]) -> list[pb.LineRate]:
    return [
        pb.LineRate(
            role=rate.role,
            hourly_rate=write_money(rate.hourly_rate),
            planned_hours=write_decimal(rate.planned_hours),
            person_id=write_id(rate.person_id) or None,
        )
        for rate in rates
    ]


def read_retainer(field: str, message: pb.RetainerTerms) -> RetainerTerms:
    return RetainerTerms(
        period_months=message.period_months,
        hours=read_optional_decimal(f"{field}.hours", message.hours, places=_HOURS_PLACES),
        roll_over=read_optional_enum(f"{field}.roll_over", message.roll_over, _ROLL_OVER)
        or RetainerRollOver.NONE,
        roll_over_limit_percent=read_optional_decimal(
            f"{field}.roll_over_limit_percent",
            message.roll_over_limit_percent,
            places=PERCENT_PLACES,
        ),
        expires_after_periods=message.expires_after_periods,
        overage=read_optional_enum(f"{field}.overage", message.overage, _OVERAGE)
        or RetainerOverage.BILL,
        overage_rate=read_optional_money(
            f"{field}.overage_rate", message.overage_rate, places=RATE_PLACES
        ),
    )


def write_retainer(retainer: RetainerTerms) -> pb.RetainerTerms:
    limit = retainer.roll_over_limit_percent
    return pb.RetainerTerms(
        period_months=retainer.period_months,
        hours=None if retainer.hours is None else write_decimal(retainer.hours),
        roll_over=_ROLL_OVER.write(retainer.roll_over),
        roll_over_limit_percent="" if limit is None else write_decimal(limit),
        expires_after_periods=retainer.expires_after_periods,
        overage=_OVERAGE.write(retainer.overage),
        overage_rate=write_optional_money(retainer.overage_rate),
    )


def read_usage(field: str, message: pb.UsageTerms) -> UsageTerms:
    return UsageTerms(
        meter=message.meter,
        period_months=message.period_months,
        aggregation=read_enum(f"{field}.aggregation", message.aggregation, _AGGREGATION),
        included_quantity=read_decimal(
            f"{field}.included_quantity", message.included_quantity or "0", places=_QUANTITY_PLACES
        ),
        tiers=tuple(
            UsageTier(
                read_optional_decimal(
                    f"{field}.tiers[{index}].up_to", tier.up_to, places=_QUANTITY_PLACES
                ),
                read_money(
                    f"{field}.tiers[{index}].unit_price", tier.unit_price, places=RATE_PLACES
                ),
            )
            for index, tier in enumerate(message.tiers)
        ),
    )


def write_usage(usage: UsageTerms) -> pb.UsageTerms:
    return pb.UsageTerms(
        meter=usage.meter,
        period_months=usage.period_months,
        aggregation=_AGGREGATION.write(usage.aggregation),
        included_quantity=write_decimal(usage.included_quantity),
        tiers=[
            pb.UsageTier(
                up_to="" if tier.up_to is None else write_decimal(tier.up_to),
                unit_price=write_money(tier.unit_price),
            )
            for tier in usage.tiers
        ],
    )


def read_expense_policy(field: str, message: pb.ExpensePolicy) -> ExpensePolicy:
    return ExpensePolicy(
        rules=tuple(
            ExpenseRule(
                category=rule.category,
                daily_cap=read_optional_money(f"{field}.rules[{index}].daily_cap", rule.daily_cap),
                markup_percent=read_optional_decimal(
                    f"{field}.rules[{index}].markup_percent",
                    rule.markup_percent,
                    places=PERCENT_PLACES,
                ),
            )
            for index, rule in enumerate(message.rules)
        ),
        receipt_from=read_optional_money(f"{field}.receipt_from", message.receipt_from),
    )


def write_expense_policy(policy: ExpensePolicy) -> pb.ExpensePolicy:
    return pb.ExpensePolicy(
        rules=[
            pb.ExpenseRule(
                category=rule.category,
                daily_cap=write_optional_money(rule.daily_cap),
                markup_percent=(
                    "" if rule.markup_percent is None else write_decimal(rule.markup_percent)
                ),
            )
            for rule in policy.rules
        ],
        receipt_from=write_optional_money(policy.receipt_from),
    )


def read_multipliers(
    field: str, messages: Iterable[pb.ActivityMultiplier]
) -> tuple[ActivityMultiplier, ...]:
    return tuple(
        ActivityMultiplier(
            message.activity,
            read_decimal(f"{field}[{index}].factor", message.factor, places=PERCENT_PLACES),
        )
        for index, message in enumerate(messages)
    )


def write_multipliers(multipliers: Iterable[ActivityMultiplier]) -> list[pb.ActivityMultiplier]:
    return [
        pb.ActivityMultiplier(activity=one.activity, factor=write_decimal(one.factor))
        for one in multipliers
    ]


def read_dimensions(message: pb.AccountingDimensions) -> Dimensions:
    return Dimensions(message.department, message.practice)


def write_dimensions(dimensions: Dimensions) -> pb.AccountingDimensions | None:
    """Return the dimensions, None (an absent field) where the amount belongs nowhere."""
    if dimensions == Dimensions():
        return None
    return pb.AccountingDimensions(department=dimensions.department, practice=dimensions.practice)
