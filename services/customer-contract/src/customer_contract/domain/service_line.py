"""Service lines: what is sold, under which billing model and on which terms."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final

from customer_contract.domain.values import LegalEntityId, PersonId, QuoteLineId, SourceRef
from throughline_core.money import Money

WHOLE_PERCENT: Final = Decimal(100)


class BillingModel(StrEnum):
    """How a line earns its money."""

    TIME_AND_MATERIALS = "time_and_materials"
    FIXED_FEE = "fixed_fee"
    RECURRING = "recurring"
    PASS_THROUGH = "pass_through"
    RETAINER = "retainer"
    USAGE = "usage"


LIMITED_MODELS: Final = frozenset(
    {
        BillingModel.TIME_AND_MATERIALS,
        BillingModel.PASS_THROUGH,
        BillingModel.RETAINER,
        BillingModel.USAGE,
    }
)
"""Models whose amount is open until the work is done, so that a not-to-exceed means something."""


class RevenueMethod(StrEnum):
    """When a line's revenue is recognised."""

    AS_DELIVERED = "as_delivered"
    PERCENT_COMPLETE = "percent_complete"
    ON_ACCEPTANCE = "on_acceptance"
    RATABLE = "ratable"


class FixedFeeBilling(StrEnum):
    """How a fixed fee becomes billable."""

    MILESTONES = "milestones"
    PERCENT_COMPLETE = "percent_complete"


class Proration(StrEnum):
    """How a part of a period is charged."""

    ACTUAL_DAYS = "actual_days"
    THIRTY_DAYS = "thirty_days"
    NONE = "none"


class RetainerRollOver(StrEnum):
    """What happens to the unused part of a retainer when its period ends."""

    NONE = "none"
    CARRY = "carry"


class RetainerOverage(StrEnum):
    """What happens to work beyond a retainer's balance."""

    BILL = "bill"
    HOLD = "hold"


class UsageAggregation(StrEnum):
    """How the readings of a period become one billed quantity."""

    SUM = "sum"
    MAX = "max"
    LAST = "last"


@dataclass(frozen=True, slots=True)
class Milestone:
    """A part of a fixed fee, agreed as a share or as an amount.

    `share_percent` is None where an amount was agreed; `amount` is None on a plan that has no
    total yet.
    """

    key: str
    name: str
    share_percent: Decimal | None
    due_on: date | None
    amount: Money | None = None


@dataclass(frozen=True, slots=True)
class LineRate:
    """The agreed price of a role's hour; `planned_hours` is nought when open.

    With a person it is that person's rate, which goes before the role's.
    """

    role: str
    hourly_rate: Money
    planned_hours: Decimal
    person_id: PersonId | None = None


@dataclass(frozen=True, slots=True)
class RetainerTerms:
    """A block for each period: of `hours`, or without them of the line's unit price.

    `roll_over_limit_percent` is of a period's block, None = all of it; what is carried on expires
    after so many periods, 0 = at the end of the contract. Without an overage rate the agreed
    rates price what exceeds the balance.
    """

    period_months: int
    hours: Decimal | None
    roll_over: RetainerRollOver
    roll_over_limit_percent: Decimal | None
    expires_after_periods: int
    overage: RetainerOverage
    overage_rate: Money | None


@dataclass(frozen=True, slots=True)
class UsageTier:
    """The price of the units up to `up_to`, counted from the first; None on the last tier."""

    up_to: Decimal | None
    unit_price: Money


@dataclass(frozen=True, slots=True)
class UsageTerms:
    """Metered units, billed after each period of so many months beyond what is included."""

    meter: str
    period_months: int
    aggregation: UsageAggregation
    included_quantity: Decimal
    tiers: tuple[UsageTier, ...]


@dataclass(frozen=True, slots=True)
class ExpenseRule:
    """The rule for one category: a cap for a person and day, a markup of its own."""

    category: str
    daily_cap: Money | None
    markup_percent: Decimal | None


@dataclass(frozen=True, slots=True)
class ExpensePolicy:
    """Which expenses are taken; no rules = all of them. Without `receipt_from` all need one."""

    rules: tuple[ExpenseRule, ...]
    receipt_from: Money | None


@dataclass(frozen=True, slots=True)
class ActivityMultiplier:
    """What an hour of a special activity costs in terms of the ordinary rate."""

    activity: str
    factor: Decimal


@dataclass(frozen=True, slots=True)
class Dimensions:
    """Where an amount belongs in the books; empty = nowhere in particular."""

    department: str = ""
    practice: str = ""


@dataclass(frozen=True, slots=True)
class ModelTerms:
    """The terms that only some billing models have; `anchor_day`, `period_months` 0 for none."""

    milestones: tuple[Milestone, ...] = ()
    rates: tuple[LineRate, ...] = ()
    not_to_exceed: Money | None = None
    anchor_day: int = 0
    in_advance: bool = False
    markup_percent: Decimal | None = None
    fixed_fee_billing: FixedFeeBilling | None = None
    period_months: int = 0
    proration: Proration | None = None
    retainer: RetainerTerms | None = None
    usage: UsageTerms | None = None
    expense_policy: ExpensePolicy | None = None
    multipliers: tuple[ActivityMultiplier, ...] = ()

    @property
    def given(self) -> frozenset[str]:
        """The names of the terms that say something."""
        is_given = {
            "milestones": bool(self.milestones),
            "rates": bool(self.rates),
            "not_to_exceed": self.not_to_exceed is not None,
            "anchor_day": self.anchor_day != 0,
            "in_advance": self.in_advance,
            "markup_percent": self.markup_percent is not None,
            "fixed_fee_billing": self.fixed_fee_billing is not None,
            "period_months": self.period_months != 0,
            "proration": self.proration is not None,
            "retainer": self.retainer is not None,
            "usage": self.usage is not None,
            "expense_policy": self.expense_policy is not None,
            "multipliers": bool(self.multipliers),
        }
        return frozenset(name for name, given in is_given.items() if given)


@dataclass(frozen=True, slots=True)
class Delivery:
    """Who delivers a line and how the firm accounts for it, whatever its billing model.

    No legal entity = the one that sells; an empty region makes no difference.
    """

    legal_entity_id: LegalEntityId | None = None
    region: str = ""
    revenue_method: RevenueMethod = RevenueMethod.AS_DELIVERED
    dimensions: Dimensions = Dimensions()
    cost_budget: Money | None = None


@dataclass(frozen=True, slots=True)
class ServiceLine:
    """What is sold. `end_on` is the first day after; None takes the document's term."""

    quote_line_id: QuoteLineId
    position: int
    service_code: str
    description: str
    billing_model: BillingModel
    quantity: Decimal
    unit_price: Money
    net_total: Money
    discount_percent: Decimal
    tax_category: str
    template_code: str
    start_on: date | None
    end_on: date | None
    terms: ModelTerms
    source: SourceRef | None
    delivery: Delivery = Delivery()


@dataclass(frozen=True, slots=True)
class LineDefaults:
    """What the catalogue says of a service code: a line takes over what it leaves out.

    Without a revenue method the one usual for the billing model is taken.
    """

    name: str
    billing_model: BillingModel
    tax_category: str
    template_code: str
    terms: ModelTerms
    revenue_method: RevenueMethod | None = None
    dimensions: Dimensions = Dimensions()


_USUAL_METHOD: Final = {
    BillingModel.TIME_AND_MATERIALS: RevenueMethod.AS_DELIVERED,
    BillingModel.RECURRING: RevenueMethod.RATABLE,
    BillingModel.PASS_THROUGH: RevenueMethod.AS_DELIVERED,
    BillingModel.RETAINER: RevenueMethod.AS_DELIVERED,
    BillingModel.USAGE: RevenueMethod.AS_DELIVERED,
}


def usual_terms(billing_model: BillingModel, terms: ModelTerms) -> ModelTerms:
    """Return the terms with what is usual under the model where they leave it open."""
    match billing_model:
        case BillingModel.FIXED_FEE:
            billing = terms.fixed_fee_billing or FixedFeeBilling.MILESTONES
            return replace(terms, fixed_fee_billing=billing)
        case BillingModel.RECURRING:
            return replace(
                terms,
                period_months=terms.period_months or 1,
                proration=terms.proration or Proration.ACTUAL_DAYS,
            )
        case BillingModel.RETAINER:
            return replace(terms, proration=terms.proration or Proration.ACTUAL_DAYS)
        case _:
            return terms


def usual_revenue_method(billing_model: BillingModel, terms: ModelTerms) -> RevenueMethod:
    """Return when revenue is usually recognised under the model."""
    if billing_model is not BillingModel.FIXED_FEE:
        return _USUAL_METHOD[billing_model]
    if terms.fixed_fee_billing is FixedFeeBilling.PERCENT_COMPLETE:
        return RevenueMethod.PERCENT_COMPLETE
    return RevenueMethod.ON_ACCEPTANCE


def price(milestones: Sequence[Milestone], net_total: Money) -> tuple[Milestone, ...]:
    """Return the milestones with their amounts, which sum to `net_total`.

    Those agreed as amounts keep them; `line_terms.check_terms` has seen that a plan is one or the
    other.
    """
    shares = [one.share_percent for one in milestones if one.share_percent is not None]
    if not shares:
        return tuple(milestones)
    return tuple(
        replace(milestone, amount=amount)
        for milestone, amount in zip(milestones, net_total.split(shares), strict=True)
    )
