"""Differences between two versions of a contract's terms, by the names of the API."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from customer_contract.domain.contract_terms import (
    BillingProfile,
    Contract,
    PayerShare,
    PurchaseOrder,
)
from customer_contract.domain.service_line import (
    ModelTerms,
    RetainerTerms,
    ServiceLine,
    UsageTerms,
)
from customer_contract.domain.values import ContractLineId
from throughline_core.money import Money, exponent

Value = Money | Decimal | date | UUID | str | bool | int | None
Terms = Mapping[str, str]


class TermChangeKind(StrEnum):
    """How a term differs from the version before."""

    ADDED = "added"
    ALTERED = "altered"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class TermChange:
    """One difference; no line = the contract as a whole, no term = a whole line.

    Values are as the API writes them, amounts without their currency, which is the contract's;
    empty where there is none. An added line shows its net total, an ended one its last day's next.
    """

    kind: TermChangeKind
    contract_line_id: ContractLineId | None
    term: str
    old_value: str
    new_value: str

    @property
    def place(self) -> tuple[ContractLineId | None, str]:
        """The term it is about: two changes of one place contradict each other."""
        return (self.contract_line_id, self.term)


def differences(before: Contract, after: Contract) -> tuple[TermChange, ...]:
    """Return how the terms `after` differ from those `before`, the contract's first."""
    changes = list(_altered(None, contract_terms(before), contract_terms(after)))
    for line in after.lines:
        line_id, former = line.contract_line_id, before.line(line.contract_line_id)
        if former is None:
            total = _written(line.terms.net_total)
            changes.append(TermChange(TermChangeKind.ADDED, line_id, "", "", total))
            continue
        changes += _altered(line_id, line_terms(former.terms), line_terms(line.terms))
        if former.ended_on != line.ended_on:
            ended = (_written(former.ended_on), _written(line.ended_on))
            changes.append(TermChange(TermChangeKind.ENDED, line_id, "", *ended))
    return tuple(changes)


def contract_terms(contract: Contract) -> Terms:
    """Return what the contract says as a whole, by the names of the API's `Contract`."""
    return _spelled({"end_on": contract.end_on, **dict(_profile(contract.billing))})


def line_terms(line: ServiceLine) -> Terms:
    """Return what a line says, by the names of the API's `ServiceLine`."""
    delivery = line.delivery
    return _spelled(
        {
            "description": line.description,
            "quantity": line.quantity,
            "unit_price": line.unit_price,
            "net_total": line.net_total,
            "discount_percent": line.discount_percent,
            "tax_category": line.tax_category,
            "start_on": line.start_on,
            "end_on": line.end_on,
            **dict(_model_terms(line.terms)),
            "cost_budget": delivery.cost_budget,
        }
    )


def _profile(billing: BillingProfile) -> Iterator[tuple[str, Value]]:
    yield "bill_to_customer_id", billing.bill_to_customer_id
    yield "payment_terms_days", billing.payment_terms_days
    yield "purchase_order_number", billing.purchase_order_number
    yield "not_to_exceed", billing.not_to_exceed
    yield "rerating_policy", billing.rerating_policy
    for order in billing.purchase_orders:
        yield from _order(order)
    for payer in billing.payers:
        yield from _payer(payer)
    if billing.holdback is not None:
        yield "holdback.percent", billing.holdback.percent
        yield "holdback.due_on", billing.holdback.due_on


def _order(order: PurchaseOrder) -> Iterator[tuple[str, Value]]:
    path = f"purchase_orders[{order.number}]"
    yield f"{path}.valid_from", order.valid_from
    yield f"{path}.valid_to", order.valid_to
    yield f"{path}.amount", order.amount
    yield f"{path}.contract_line_ids", " ".join(sorted(map(str, order.contract_line_ids)))


def _payer(payer: PayerShare) -> Iterator[tuple[str, Value]]:
    path = f"payers[{payer.customer_id}]"
    yield f"{path}.share_percent", payer.share_percent
    yield f"{path}.rounding_payer", payer.is_rounding_payer
    yield f"{path}.not_to_exceed", payer.not_to_exceed
    yield f"{path}.amount", payer.amount
    yield f"{path}.purchase_order_number", payer.purchase_order_number


def _model_terms(terms: ModelTerms) -> Iterator[tuple[str, Value]]:
    for milestone in terms.milestones:
        path = f"milestones[{milestone.key}]"
        yield f"{path}.name", milestone.name
        yield f"{path}.due_on", milestone.due_on
        yield f"{path}.amount", milestone.amount
    for rate in terms.rates:
        whose = rate.role if rate.person_id is None else f"{rate.role}/{rate.person_id}"
        yield f"rates[{whose}].hourly_rate", rate.hourly_rate
        yield f"rates[{whose}].planned_hours", rate.planned_hours
    yield "not_to_exceed", terms.not_to_exceed
    yield "markup_percent", terms.markup_percent
    for multiplier in terms.multipliers:
        yield f"multipliers[{multiplier.activity}].factor", multiplier.factor
    if terms.retainer is not None:
        yield from _retainer(terms.retainer)
    if terms.usage is not None:
        yield from _usage(terms.usage)
    if terms.expense_policy is not None:
        yield "expense_policy.receipt_from", terms.expense_policy.receipt_from
        for rule in terms.expense_policy.rules:
            path = f"expense_policy.rules[{rule.category}]"
            yield f"{path}.category", rule.category
            yield f"{path}.daily_cap", rule.daily_cap
            yield f"{path}.markup_percent", rule.markup_percent


def _retainer(retainer: RetainerTerms) -> Iterator[tuple[str, Value]]:
    yield "retainer.period_months", retainer.period_months
    yield "retainer.hours", retainer.hours
    yield "retainer.roll_over", retainer.roll_over
    yield "retainer.roll_over_limit_percent", retainer.roll_over_limit_percent
    yield "retainer.expires_after_periods", retainer.expires_after_periods
    yield "retainer.overage", retainer.overage
    yield "retainer.overage_rate", retainer.overage_rate


def _usage(usage: UsageTerms) -> Iterator[tuple[str, Value]]:
    yield "usage.meter", usage.meter
    yield "usage.period_months", usage.period_months
    yield "usage.aggregation", usage.aggregation
    yield "usage.included_quantity", usage.included_quantity
    for index, tier in enumerate(usage.tiers):
        yield f"usage.tiers[{index}].up_to", tier.up_to
        yield f"usage.tiers[{index}].unit_price", tier.unit_price


def _altered(line_id: ContractLineId | None, before: Terms, after: Terms) -> Iterable[TermChange]:
    for term in dict.fromkeys((*before, *after)):
        old, new = before.get(term, ""), after.get(term, "")
        if old != new:
            kind = TermChangeKind.ALTERED
            if not old or not new:
                kind = TermChangeKind.ENDED if old else TermChangeKind.ADDED
            yield TermChange(kind, line_id, term, old, new)


def _spelled(values: Mapping[str, Value]) -> Terms:
    spelled = ((name, _written(value)) for name, value in values.items())
    return {name: value for name, value in spelled if value}


def _written(value: Value) -> str:
    match value:
        case None:
            return ""
        case Money():
            return _plain(value.amount, exponent(value.currency))
        case Decimal():
            return _plain(value, 0)
        case bool():
            return "true" if value else "false"
        case _:
            return str(value)


def _plain(value: Decimal, places: int) -> str:
    whole, _, decimals = format(value, "f").partition(".")
    padded = decimals.rstrip("0").ljust(places, "0")
    return f"{whole}.{padded}" if padded else whole
