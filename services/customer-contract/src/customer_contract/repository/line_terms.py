"""Terms of service lines as JSON: exact decimals as strings, in the currency of their document."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from customer_contract.domain.service_line import (
    ActivityMultiplier,
    Delivery,
    Dimensions,
    ExpensePolicy,
    ExpenseRule,
    FixedFeeBilling,
    LineRate,
    Milestone,
    ModelTerms,
    Proration,
    RetainerOverage,
    RetainerRollOver,
    RetainerTerms,
    RevenueMethod,
    UsageAggregation,
    UsageTerms,
    UsageTier,
)
from customer_contract.domain.values import LegalEntityId, PersonId
from throughline_core.money import Money
from throughline_runtime.fields import write_date, write_id

Json = dict[str, Any]


def write_milestones(milestones: Sequence[Milestone]) -> list[Json]:
    return [
        {
            "key": milestone.key,
            "name": milestone.name,
            "share_percent": _text(milestone.share_percent),
            "due_on": write_date(milestone.due_on) or None,
            "amount": amount_text(milestone.amount),
        }
        for milestone in milestones
    ]


def milestones_from(
    items: Sequence[Mapping[str, Any]], currency: str | None
) -> tuple[Milestone, ...]:
    """Return the milestones; without a currency they are a plan that has no amounts."""
    return tuple(
        Milestone(
            key=item["key"],
            name=item["name"],
            share_percent=_decimal(item["share_percent"]),
            due_on=None if item["due_on"] is None else date.fromisoformat(item["due_on"]),
            amount=None if currency is None else Money(Decimal(item["amount"]), currency),
        )
        for item in items
    )


def write_rates(rates: Sequence[LineRate]) -> list[Json]:
    return [
        {
            "role": rate.role,
            "hourly_rate": amount_text(rate.hourly_rate),
            "planned_hours": _text(rate.planned_hours),
            **({"person_id": str(rate.person_id)} if rate.person_id else {}),
        }
        for rate in rates
    ]


def rates_from(items: Sequence[Mapping[str, Any]], currency: str) -> tuple[LineRate, ...]:
    return tuple(
        LineRate(
            item["role"],
            Money(Decimal(item["hourly_rate"]), currency),
            Decimal(item["planned_hours"]),
            PersonId(UUID(item["person_id"])) if "person_id" in item else None,
        )
        for item in items
    )


def write_terms(terms: ModelTerms) -> Json:
    """Return the terms that have no column of their own; what says nothing is left out."""
    said = {
        "fixed_fee_billing": terms.fixed_fee_billing,
        "period_months": terms.period_months,
        "proration": terms.proration,
        "retainer": terms.retainer and _write_retainer(terms.retainer),
        "usage": terms.usage and _write_usage(terms.usage),
        "expense_policy": terms.expense_policy and _write_policy(terms.expense_policy),
        "multipliers": [[one.activity, _text(one.factor)] for one in terms.multipliers],
    }
    return {name: value for name, value in said.items() if value}


def terms_from(item: Mapping[str, Any], currency: str) -> Json:
    """Return what `write_terms` wrote, by the names of `ModelTerms`."""
    billing, proration = item.get("fixed_fee_billing"), item.get("proration")
    return {
        "fixed_fee_billing": billing and FixedFeeBilling(billing),
        "period_months": item.get("period_months", 0),
        "proration": proration and Proration(proration),
        "retainer": _retainer_from(item["retainer"], currency) if "retainer" in item else None,
        "usage": _usage_from(item["usage"], currency) if "usage" in item else None,
        "expense_policy": (
            _policy_from(item["expense_policy"], currency) if "expense_policy" in item else None
        ),
        "multipliers": tuple(
            ActivityMultiplier(activity, Decimal(factor))
            for activity, factor in item.get("multipliers", ())
        ),
    }


def write_delivery(delivery: Delivery) -> Json:
    said = {
        "legal_entity_id": write_id(delivery.legal_entity_id),
        "region": delivery.region,
        "revenue_method": delivery.revenue_method,
        "department": delivery.dimensions.department,
        "practice": delivery.dimensions.practice,
        "cost_budget": amount_text(delivery.cost_budget),
    }
    return {name: value for name, value in said.items() if value}


def delivery_from(item: Mapping[str, Any], currency: str) -> Delivery:
    entity = item.get("legal_entity_id")
    return Delivery(
        legal_entity_id=None if entity is None else LegalEntityId(UUID(entity)),
        region=item.get("region", ""),
        revenue_method=RevenueMethod(item["revenue_method"]),
        dimensions=Dimensions(item.get("department", ""), item.get("practice", "")),
        cost_budget=money_from(item.get("cost_budget"), currency),
    )


def _write_retainer(retainer: RetainerTerms) -> Json:
    return {
        "period_months": retainer.period_months,
        "hours": _text(retainer.hours),
        "roll_over": retainer.roll_over,
        "roll_over_limit_percent": _text(retainer.roll_over_limit_percent),
        "expires_after_periods": retainer.expires_after_periods,
        "overage": retainer.overage,
        "overage_rate": amount_text(retainer.overage_rate),
    }


def _retainer_from(item: Mapping[str, Any], currency: str) -> RetainerTerms:
    return RetainerTerms(
        period_months=item["period_months"],
        hours=_decimal(item["hours"]),
        roll_over=RetainerRollOver(item["roll_over"]),
        roll_over_limit_percent=_decimal(item["roll_over_limit_percent"]),
        expires_after_periods=item["expires_after_periods"],
        overage=RetainerOverage(item["overage"]),
        overage_rate=money_from(item["overage_rate"], currency),
    )


def _write_usage(usage: UsageTerms) -> Json:
    return {
        "meter": usage.meter,
        "period_months": usage.period_months,
        "aggregation": usage.aggregation,
        "included_quantity": _text(usage.included_quantity),
        "tiers": [[_text(tier.up_to), amount_text(tier.unit_price)] for tier in usage.tiers],
    }


def _usage_from(item: Mapping[str, Any], currency: str) -> UsageTerms:
    return UsageTerms(
        meter=item["meter"],
        period_months=item["period_months"],
        aggregation=UsageAggregation(item["aggregation"]),
        included_quantity=Decimal(item["included_quantity"]),
        tiers=tuple(
            UsageTier(_decimal(up_to), Money(Decimal(unit_price), currency))
            for up_to, unit_price in item["tiers"]
        ),
    )


def _write_policy(policy: ExpensePolicy) -> Json:
    return {
        "rules": [
            [rule.category, amount_text(rule.daily_cap), _text(rule.markup_percent)]
            for rule in policy.rules
        ],
        "receipt_from": amount_text(policy.receipt_from),
    }


def _policy_from(item: Mapping[str, Any], currency: str) -> ExpensePolicy:
    return ExpensePolicy(
        rules=tuple(
            ExpenseRule(category, money_from(cap, currency), _decimal(markup))
            for category, cap, markup in item["rules"]
        ),
        receipt_from=money_from(item["receipt_from"], currency),
    )


def _text(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")


def _decimal(value: str | None) -> Decimal | None:
    return None if value is None else Decimal(value)


def amount_text(money: Money | None) -> str | None:
    return None if money is None else format(money.amount, "f")


def money_from(amount: str | None, currency: str) -> Money | None:
    return None if amount is None else Money(Decimal(amount), currency)
