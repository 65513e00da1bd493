"""Service lines: what is sold, under which billing model, complete and consistent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final

from customer_contract.domain.values import QuoteLineId, SourceRef
from throughline_core.errors import InvalidArgument
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


LIMITED_MODELS: Final = frozenset({BillingModel.TIME_AND_MATERIALS, BillingModel.PASS_THROUGH})
"""Models whose amount is open until the work is done, so that a not-to-exceed means something."""

_TERMS_OF: Final[Mapping[BillingModel, frozenset[str]]] = {
    BillingModel.TIME_AND_MATERIALS: frozenset({"rates", "not_to_exceed"}),
    BillingModel.FIXED_FEE: frozenset({"milestones"}),
    BillingModel.RECURRING: frozenset({"anchor_day", "in_advance"}),
    BillingModel.PASS_THROUGH: frozenset({"markup_percent", "not_to_exceed"}),
    BillingModel.RETAINER: frozenset(),
    BillingModel.USAGE: frozenset(),
}
_NEEDED_TERM_OF: Final[Mapping[BillingModel, str]] = {
    BillingModel.FIXED_FEE: "milestones",
    BillingModel.RECURRING: "anchor_day",
    BillingModel.PASS_THROUGH: "markup_percent",
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


class MilestoneKeyRepeated(InvalidArgument):
    """Two milestones of a line have one key."""

    code = "service_line.milestone_key_repeated"


class RoleRepeated(InvalidArgument):
    """A line names two rates for one role."""

    code = "service_line.role_repeated"


@dataclass(frozen=True, slots=True)
class Milestone:
    """A part of a fixed fee; `amount` is None on a plan that has no total yet."""

    key: str
    name: str
    share_percent: Decimal
    due_on: date | None
    amount: Money | None = None


@dataclass(frozen=True, slots=True)
class LineRate:
    """The agreed price of a role's hour; `planned_hours` is nought when open."""

    role: str
    hourly_rate: Money
    planned_hours: Decimal


@dataclass(frozen=True, slots=True)
class ModelTerms:
    """The terms that only some billing models have; `anchor_day` is 0 for none."""

    milestones: tuple[Milestone, ...] = ()
    rates: tuple[LineRate, ...] = ()
    not_to_exceed: Money | None = None
    anchor_day: int = 0
    in_advance: bool = False
    markup_percent: Decimal | None = None

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
        }
        return frozenset(name for name, given in is_given.items() if given)


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


@dataclass(frozen=True, slots=True)
class LineDefaults:
    """What the catalogue says of a service code: a line takes over what it leaves out."""

    name: str
    billing_model: BillingModel
    tax_category: str
    template_code: str
    terms: ModelTerms


def check_terms(
    billing_model: BillingModel, terms: ModelTerms, *, field: str, is_default: bool = False
) -> None:
    """Refuse terms that do not make sense under the billing model.

    The catalogue's defaults may leave the milestones of a fixed fee to its lines.

    Raises:
        TermOfAnotherModel, TermsMissing, MilestoneShares, MilestoneKeyRepeated, RoleRepeated.
    """
    foreign = terms.given - _TERMS_OF[billing_model]
    if foreign:
        name = min(foreign)
        raise TermOfAnotherModel(
            f"{name} means nothing on a line billed as {billing_model}",
            field=_path(field, name),
            advice="leave it out, or choose the billing model it belongs to",
        )
    needed = _NEEDED_TERM_OF.get(billing_model)
    left_open = {"milestones"} if is_default else set()
    if needed is not None and needed not in terms.given | left_open:
        raise TermsMissing(
            f"a line billed as {billing_model} needs {needed}",
            field=_path(field, needed),
            advice="send it, or put a default into the catalogue",
        )
    _check_milestones(terms.milestones, _path(field, "milestones"))
    roles = [rate.role for rate in terms.rates]
    if len(set(roles)) != len(roles):
        raise RoleRepeated(
            "a role has one rate on a line",
            field=_path(field, "rates"),
            advice="use a rate card where levels or regions have rates of their own",
        )


def price(milestones: Sequence[Milestone], net_total: Money) -> tuple[Milestone, ...]:
    """Return the milestones with their amounts, which sum to `net_total`."""
    if not milestones:
        return ()
    amounts = net_total.split([milestone.share_percent for milestone in milestones])
    return tuple(
        replace(milestone, amount=amount)
        for milestone, amount in zip(milestones, amounts, strict=True)
    )


def _check_milestones(milestones: Sequence[Milestone], field: str) -> None:
    keys = [milestone.key for milestone in milestones]
    if len(set(keys)) != len(keys):
        raise MilestoneKeyRepeated("each milestone of a line has a key of its own", field=field)
    shares = sum((milestone.share_percent for milestone in milestones), Decimal(0))
    if milestones and shares != WHOLE_PERCENT:
        raise MilestoneShares(
            f"the milestones' shares sum to {shares:f} percent",
            field=field,
            advice="let the shares of a line sum to 100",
        )


def _path(field: str, name: str) -> str:
    return f"{field}.{name}" if field else name
