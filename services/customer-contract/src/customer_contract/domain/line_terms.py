"""The rules of a line's terms: what each billing model needs, takes and refuses."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Final

from customer_contract.domain.service_line import (
    WHOLE_PERCENT,
    BillingModel,
    ExpensePolicy,
    FixedFeeBilling,
    Milestone,
    ModelTerms,
    RetainerOverage,
    RetainerRollOver,
    RetainerTerms,
    RevenueMethod,
    UsageTerms,
)
from customer_contract.domain.values import require_currency
from throughline_core.errors import InvalidArgument
from throughline_core.money import Money

_PERIODIC: Final = frozenset({"anchor_day", "in_advance", "proration"})
_TERMS_OF: Final[Mapping[BillingModel, frozenset[str]]] = {
    BillingModel.TIME_AND_MATERIALS: frozenset({"rates", "not_to_exceed", "multipliers"}),
    BillingModel.FIXED_FEE: frozenset({"milestones", "fixed_fee_billing"}),
    BillingModel.RECURRING: _PERIODIC | {"period_months"},
    BillingModel.PASS_THROUGH: frozenset({"markup_percent", "not_to_exceed", "expense_policy"}),
    BillingModel.RETAINER: _PERIODIC | {"retainer", "rates", "multipliers", "not_to_exceed"},
    BillingModel.USAGE: frozenset({"usage", "anchor_day", "not_to_exceed"}),
}
_NEEDED_TERM_OF: Final[Mapping[BillingModel, str]] = {
    BillingModel.FIXED_FEE: "milestones",
    BillingModel.RECURRING: "anchor_day",
    BillingModel.PASS_THROUGH: "markup_percent",
    BillingModel.RETAINER: "retainer",
    BillingModel.USAGE: "usage",
}
# What the catalogue may leave to each line: their amounts belong to a deal.
_OPEN_DEFAULTS: Final = frozenset({"milestones", "retainer", "usage"})

_METHODS_OF: Final[Mapping[BillingModel, frozenset[RevenueMethod]]] = {
    BillingModel.TIME_AND_MATERIALS: frozenset({RevenueMethod.AS_DELIVERED}),
    BillingModel.FIXED_FEE: frozenset(RevenueMethod),
    BillingModel.RECURRING: frozenset({RevenueMethod.AS_DELIVERED, RevenueMethod.RATABLE}),
    BillingModel.PASS_THROUGH: frozenset({RevenueMethod.AS_DELIVERED}),
    BillingModel.RETAINER: frozenset({RevenueMethod.AS_DELIVERED, RevenueMethod.RATABLE}),
    BillingModel.USAGE: frozenset({RevenueMethod.AS_DELIVERED}),
}


class TermOfAnotherModel(InvalidArgument):
    """The line carries a term its billing model has no use for."""

    code = "service_line.term_of_another_model"


class TermsMissing(InvalidArgument):
    """The billing model cannot be billed without this term."""

    code = "service_line.terms_missing"


class MilestoneShares(InvalidArgument):
    """The shares of a line's milestones do not sum to 100 percent."""

    code = "service_line.milestone_shares"


class MilestoneAmounts(InvalidArgument):
    """The amounts of a line's milestones do not sum to its net total."""

    code = "service_line.milestone_amounts"


class MilestonesMixed(InvalidArgument):
    """Some milestones of a line are agreed as shares and some as amounts, or one as both."""

    code = "service_line.milestones_mixed"


class MilestoneKeyRepeated(InvalidArgument):
    """Two milestones of a line have one key."""

    code = "service_line.milestone_key_repeated"


class RoleRepeated(InvalidArgument):
    """A line names two rates for one role, or for one person in a role."""

    code = "service_line.role_repeated"


class ActivityRepeated(InvalidArgument):
    """A line names two factors for one activity."""

    code = "service_line.activity_repeated"


class CategoryRepeated(InvalidArgument):
    """An expense policy names a category twice."""

    code = "service_line.category_repeated"


class RetainerInconsistent(InvalidArgument):
    """The retainer says what happens to a rest, or an excess, that it does not have."""

    code = "service_line.retainer_inconsistent"


class TiersUnordered(InvalidArgument):
    """The tiers of a usage price do not rise to one last, open tier."""

    code = "service_line.tiers_unordered"


class RevenueMethodUnfit(InvalidArgument):
    """The billing model gives nothing to recognise revenue by this method."""

    code = "service_line.revenue_method_unfit"


class AmountNotPositive(InvalidArgument):
    """A price below nought, or a rate or limit that is not above it."""

    code = "service_line.amount_not_positive"


def check_terms(
    billing_model: BillingModel, terms: ModelTerms, *, field: str, is_default: bool = False
) -> None:
    """Refuse terms that do not make sense under the billing model.

    The catalogue's defaults may leave milestones, retainer and usage to its lines. `field` is the
    path of the line in the request, for refusals.

    Raises:
        TermOfAnotherModel, TermsMissing, MilestoneShares, MilestonesMixed, MilestoneKeyRepeated,
        RoleRepeated, ActivityRepeated, CategoryRepeated, RetainerInconsistent, TiersUnordered.
    """
    by_progress = terms.fixed_fee_billing is FixedFeeBilling.PERCENT_COMPLETE
    foreign = terms.given - _TERMS_OF[billing_model] | (
        terms.given & {"milestones"} if by_progress else set()
    )
    if foreign:
        name = min(foreign)
        raise TermOfAnotherModel(
            f"{name} means nothing on a line billed as {billing_model}"
            + (" by percent complete" if by_progress and name == "milestones" else ""),
            field=_path(field, name),
            advice="leave it out, or choose the billing model it belongs to",
        )
    needed = None if by_progress else _NEEDED_TERM_OF.get(billing_model)
    left_open = _OPEN_DEFAULTS if is_default else frozenset()
    if needed is not None and needed not in terms.given | left_open:
        raise TermsMissing(
            f"a line billed as {billing_model} needs {needed}",
            field=_path(field, needed),
            advice="send it, or put a default into the catalogue",
        )
    _check_milestones(terms.milestones, _path(field, "milestones"), is_default=is_default)
    _check_once(terms, field)
    if terms.retainer is not None:
        _check_retainer(terms.retainer, _path(field, "retainer"))
    if terms.usage is not None:
        _check_tiers(terms.usage, _path(field, "usage.tiers"))


def check_amounts(terms: ModelTerms, net_total: Money, *, field: str) -> None:
    """Refuse amounts of the terms that are in another currency, too small, or do not add up.

    Raises:
        AmountNotPositive, MixedCurrencies, MilestoneAmounts.
    """
    for name, amount in _amounts_above_nought(terms):
        _require_positive(amount, net_total.currency, field=_path(field, name))
    prices = [] if terms.usage is None else [tier.unit_price for tier in terms.usage.tiers]
    for index, unit_price in enumerate(prices):
        name = _path(field, f"usage.tiers[{index}].unit_price")
        require_currency(unit_price, net_total.currency, field=name)
    _check_milestone_amounts(terms.milestones, net_total, _path(field, "milestones"))


def check_revenue_method(
    billing_model: BillingModel, terms: ModelTerms, method: RevenueMethod, *, field: str
) -> None:
    """Refuse a way to recognise revenue that the line gives no measure for.

    Raises:
        RevenueMethodUnfit.
    """
    by_progress = terms.fixed_fee_billing is FixedFeeBilling.PERCENT_COMPLETE
    without_acceptance = by_progress and method is RevenueMethod.ON_ACCEPTANCE
    if method not in _METHODS_OF[billing_model] or without_acceptance:
        raise RevenueMethodUnfit(
            f"a line billed as {billing_model} is not recognised {method}",
            field=_path(field, "revenue_method"),
            advice="leave it out to recognise as is usual for the billing model",
        )


def _check_milestones(milestones: Sequence[Milestone], field: str, *, is_default: bool) -> None:
    if _repeated(milestone.key for milestone in milestones):
        raise MilestoneKeyRepeated("each milestone of a line has a key of its own", field=field)
    shares = [one.share_percent for one in milestones if one.share_percent is not None]
    if (shares or is_default) and len(shares) != len(milestones):
        raise MilestonesMixed(
            "the milestones of a line are agreed as shares or as amounts, not both",
            field=field,
            advice="send share_percent on all of them, or amount on all of them",
        )
    if shares and sum(shares) != WHOLE_PERCENT:
        raise MilestoneShares(
            f"the milestones' shares sum to {sum(shares):f} percent",
            field=field,
            advice="let the shares of a line sum to 100",
        )


def _check_milestone_amounts(milestones: Sequence[Milestone], net_total: Money, field: str) -> None:
    agreed = [one.amount for one in milestones if one.share_percent is None]
    for index, amount in enumerate(agreed):
        if amount is None:
            raise MilestonesMixed(
                "a milestone has neither a share nor an amount",
                field=f"{field}[{index}].amount",
                advice="send share_percent on all of them, or amount on all of them",
            )
        _require_positive(amount, net_total.currency, field=f"{field}[{index}].amount")
    total = Money.total((one for one in agreed if one is not None), net_total.currency)
    if agreed and total != net_total:
        raise MilestoneAmounts(
            f"the milestones sum to {total}, the line to {net_total}",
            field=field,
            advice="let the amounts of a line sum to its net total",
        )


def _check_once(terms: ModelTerms, field: str) -> None:
    if _repeated((rate.role, rate.person_id) for rate in terms.rates):
        raise RoleRepeated(
            "a role, and a person in it, has one rate on a line",
            field=_path(field, "rates"),
            advice="use a rate card where levels or regions have rates of their own",
        )
    if _repeated(one.activity for one in terms.multipliers):
        raise ActivityRepeated(
            "an activity has one factor on a line", field=_path(field, "multipliers")
        )
    policy = terms.expense_policy or ExpensePolicy((), None)
    if _repeated(rule.category for rule in policy.rules):
        raise CategoryRepeated(
            "a category of expenses has one rule on a line",
            field=_path(field, "expense_policy.rules"),
        )


def _check_retainer(retainer: RetainerTerms, field: str) -> None:
    lapses = retainer.roll_over is RetainerRollOver.NONE
    if lapses and retainer.roll_over_limit_percent is not None:
        raise _unused(f"{field}.roll_over_limit_percent", "nothing is carried on")
    if lapses and retainer.expires_after_periods:
        raise _unused(f"{field}.expires_after_periods", "nothing is carried on")
    if retainer.overage is RetainerOverage.HOLD and retainer.overage_rate is not None:
        raise _unused(f"{field}.overage_rate", "what exceeds the balance is held")
    if retainer.hours is not None and retainer.hours <= 0:
        raise AmountNotPositive(
            "a block of hours is above nought",
            field=f"{field}.hours",
            advice="leave hours out where the retainer is an amount of money",
        )


def _unused(field: str, because: str) -> RetainerInconsistent:
    return RetainerInconsistent(f"{field} means nothing: {because}", field=field)


def _check_tiers(usage: UsageTerms, field: str) -> None:
    *bounded, last = [tier.up_to for tier in usage.tiers]
    bounds = [Decimal(0), *(bound for bound in bounded if bound is not None)]
    is_rising = all(low < high for low, high in pairwise(bounds))
    if last is not None or len(bounds) != len(usage.tiers) or not is_rising:
        raise TiersUnordered(
            "each tier ends above the one before it, and the last is open",
            field=field,
            advice="order the tiers by up_to and leave it empty on the last",
        )


def _amounts_above_nought(terms: ModelTerms) -> Iterable[tuple[str, Money]]:
    for index, rate in enumerate(terms.rates):
        yield f"rates[{index}].hourly_rate", rate.hourly_rate
    if terms.not_to_exceed is not None:
        yield "not_to_exceed", terms.not_to_exceed
    if terms.retainer is not None and terms.retainer.overage_rate is not None:
        yield "retainer.overage_rate", terms.retainer.overage_rate
    policy = terms.expense_policy or ExpensePolicy((), None)
    for index, rule in enumerate(policy.rules):
        if rule.daily_cap is not None:
            yield f"expense_policy.rules[{index}].daily_cap", rule.daily_cap
    if policy.receipt_from is not None:
        yield "expense_policy.receipt_from", policy.receipt_from


def _require_positive(amount: Money, currency: str, *, field: str) -> None:
    require_currency(amount, currency, field=field)
    if amount <= Money.zero(currency):
        raise AmountNotPositive(f"{field} has to be above nought", field=field)


def _repeated(keys: Iterable[object]) -> bool:
    listed = list(keys)
    return len(set(listed)) != len(listed)


def _path(field: str, name: str) -> str:
    return f"{field}.{name}" if field else name
