"""Altered lines: what a change order makes of the terms of one line."""

from collections.abc import Sequence
from dataclasses import replace

from customer_contract.domain.change_order_content import AlteredLine
from customer_contract.domain.line_offer import (
    TotalMismatch,
    require_budget,
    require_price,
    require_printable,
)
from customer_contract.domain.line_terms import MilestonesMixed, check_amounts, check_terms
from customer_contract.domain.service_line import Milestone, ModelTerms, ServiceLine
from customer_contract.domain.values import require_currency
from throughline_core.errors import FailedPrecondition
from throughline_core.money import Money


class MilestoneFixed(FailedPrecondition):
    """The agreed amount of a milestone does not change: it may be accepted already."""

    code = "change_order.milestone_fixed"


def alter(line: ServiceLine, alteration: AlteredLine, *, currency: str, field: str) -> ServiceLine:
    """Return the line as the change order wants it; `field` is its path in the request.

    Raises:
        MilestoneFixed: an agreed milestone.
        TotalMismatch, AmountNotPositive, AmountTooLarge, MixedCurrencies: the amounts.
        TermOfAnotherModel, MilestoneAmounts, and what else `check_terms` and `check_amounts`
            refuse: the terms.
    """
    unit_price = alteration.unit_price or line.unit_price
    require_price(unit_price, currency, field=f"{field}.unit_price")
    quantity = line.quantity if alteration.quantity is None else alteration.quantity
    net_total = (
        line.net_total
        if alteration.unit_price is None and alteration.quantity is None
        else (unit_price * quantity).rounded()
    )
    _require_total(alteration.net_total, net_total, field)
    terms = _terms(line, alteration, net_total, field)
    check_terms(line.billing_model, terms, field=field)
    check_amounts(terms, net_total, field=field)
    require_budget(alteration.cost_budget, currency, field=f"{field}.cost_budget")
    delivery = line.delivery
    if alteration.cost_budget is not None:
        delivery = replace(delivery, cost_budget=alteration.cost_budget)
    return replace(
        line,
        description=alteration.description or line.description,
        quantity=quantity,
        unit_price=unit_price,
        net_total=net_total,
        start_on=alteration.start_on or line.start_on,
        end_on=alteration.end_on or line.end_on,
        terms=terms,
        delivery=delivery,
    )


def _require_total(said: Money | None, net_total: Money, field: str) -> None:
    require_printable(net_total, field=f"{field}.quantity")
    require_currency(said, net_total.currency, field=f"{field}.net_total")
    if said is not None and said != net_total:
        raise TotalMismatch(
            f"quantity times unit price is {net_total}, not {said}", field=f"{field}.net_total"
        )


def _terms(line: ServiceLine, alteration: AlteredLine, net_total: Money, field: str) -> ModelTerms:
    terms, limit = line.terms, alteration.limit
    milestones = (
        terms.milestones
        if not alteration.milestones and net_total == line.net_total
        else _milestones(terms.milestones, alteration.milestones, f"{field}.milestones")
    )
    return replace(
        terms,
        milestones=milestones,
        rates=terms.rates if alteration.rates is None else alteration.rates,
        not_to_exceed=terms.not_to_exceed if limit is None else limit.limit,
        retainer=alteration.retainer or terms.retainer,
        usage=alteration.usage or terms.usage,
        expense_policy=alteration.expense_policy or terms.expense_policy,
        markup_percent=(
            terms.markup_percent if alteration.markup_percent is None else alteration.markup_percent
        ),
        multipliers=(
            terms.multipliers if alteration.multipliers is None else alteration.multipliers
        ),
    )


def _milestones(
    agreed: Sequence[Milestone], wanted: Sequence[Milestone], field: str
) -> tuple[Milestone, ...]:
    """Return the milestones agreed, renamed and rescheduled, and the new ones, all by amount."""
    by_key = {milestone.key: replace(milestone, share_percent=None) for milestone in agreed}
    for index, milestone in enumerate(wanted):
        former = by_key.get(milestone.key)
        if milestone.share_percent is not None:
            raise MilestonesMixed(
                "milestones of a change order are agreed as amounts",
                field=f"{field}[{index}].share_percent",
                advice="send the amount",
            )
        if former is None:
            by_key[milestone.key] = milestone
            continue
        if milestone.amount not in {None, former.amount}:
            raise MilestoneFixed(
                f"the amount of milestone {milestone.key} is agreed and may be accepted already",
                field=f"{field}[{index}].amount",
                advice="add a milestone with a new key; to agree on less, end the line and add one",
            )
        by_key[milestone.key] = replace(
            former, name=milestone.name, due_on=milestone.due_on or former.due_on
        )
    return tuple(by_key.values())
