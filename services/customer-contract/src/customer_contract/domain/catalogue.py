"""The service catalogue: what the firm sells, the defaults of its lines, its floor prices."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from customer_contract.domain.line_terms import check_terms
from customer_contract.domain.service_line import LineDefaults, ModelTerms
from customer_contract.domain.values import require_currency, require_known
from throughline_core.errors import FailedPrecondition, InvalidArgument
from throughline_core.money import Money


class FloorPriceRepeated(InvalidArgument):
    """A service has two floor prices in one currency."""

    code = "catalogue.floor_repeated"


class FloorPriceNotPositive(InvalidArgument):
    """A floor price of nought or less."""

    code = "catalogue.floor_not_positive"


class SecondPersonNeeded(FailedPrecondition):
    """A price of a service on sale is not one person's to change."""

    code = "catalogue.second_person_needed"


class ServiceUnchanged(FailedPrecondition):
    """The catalogue says the same already."""

    code = "catalogue.unchanged"


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A version of a service; its code never changes.

    `floor_prices` are the least prices of a unit, one for each currency. `proposed_by` is empty
    for a version that changed no prices, `published_at` None for one that is not in force yet or
    comes from before versions were kept.
    """

    code: str
    version: int
    defaults: LineDefaults
    retired: bool
    floor_prices: tuple[Money, ...] = ()
    proposed_by: str = ""
    published_by: str = ""
    published_at: datetime | None = None


def put(
    current: CatalogueEntry | None,
    *,
    code: str,
    defaults: LineDefaults,
    retired: bool,
    by: str,
    at: datetime,
) -> CatalogueEntry:
    """Return the entry brought to this content; without a difference it is `current` itself.

    A fixed fee may leave its milestones to the quote line, other models state what they need.

    Raises:
        SecondPersonNeeded: a price of a service on sale would change.
        TermOfAnotherModel, TermsMissing, MilestoneShares, MilestoneKeyRepeated: see
            `line_terms.check_terms`.
    """
    _check_defaults(defaults)
    if current is None:
        return CatalogueEntry(code, 1, defaults, retired, published_by=by, published_at=at)
    if (current.defaults, current.retired) == (defaults, retired):
        return current
    if _priced(current.defaults) != _priced(defaults):
        raise SecondPersonNeeded(
            f"{code} is on sale: what concerns its price is proposed and published by two persons",
            advice="propose it, and let somebody else publish the proposal",
        )
    return replace(
        current,
        version=current.version + 1,
        defaults=defaults,
        retired=retired,
        proposed_by="",
        published_by=by,
        published_at=at,
    )


def draft(
    current: CatalogueEntry | None,
    *,
    code: str,
    defaults: LineDefaults,
    retired: bool,
    floor_prices: Iterable[Money],
) -> CatalogueEntry:
    """Return the version that would follow `current`, or the first one, not in force yet.

    Raises:
        FloorPriceRepeated, FloorPriceNotPositive, UnknownCurrency: the floor prices.
        ServiceUnchanged: it says what `current` says.
        InvalidArgument: see `put`.
    """
    _check_defaults(defaults)
    floors = tuple(floor_prices)
    for index, floor in enumerate(floors):
        field = f"service.floor_prices[{index}]"
        require_known(floor.currency, field=f"{field}.currency")
        if floor <= Money.zero(floor.currency):
            raise FloorPriceNotPositive("a floor price is above nought", field=field)
        if any(floor.currency == other.currency for other in floors[:index]):
            raise FloorPriceRepeated(f"there are two floor prices in {floor.currency}", field=field)
    said = (defaults, retired, floors)
    if current is not None and said == (current.defaults, current.retired, current.floor_prices):
        raise ServiceUnchanged(f"version {current.version} of {code} says the same already")
    version = 1 if current is None else current.version + 1
    return CatalogueEntry(code, version, defaults, retired, floors)


def publish(
    entry: CatalogueEntry, *, proposed_by: str, published_by: str, at: datetime
) -> CatalogueEntry:
    """Put a drafted version into force."""
    return replace(entry, proposed_by=proposed_by, published_by=published_by, published_at=at)


def amounts_of(terms: ModelTerms) -> tuple[Money, ...]:
    """Return the amounts that defaults of this model hold; all are in one currency."""
    retainer, usage, policy = terms.retainer, terms.usage, terms.expense_policy
    found = [
        None if retainer is None else retainer.overage_rate,
        *(() if usage is None else (tier.unit_price for tier in usage.tiers)),
        *(() if policy is None else (rule.daily_cap for rule in policy.rules)),
        None if policy is None else policy.receipt_from,
    ]
    return tuple(amount for amount in found if amount is not None)


def _check_defaults(defaults: LineDefaults) -> None:
    check_terms(defaults.billing_model, defaults.terms, field="", is_default=True)
    amounts = amounts_of(defaults.terms)
    for amount in amounts:
        require_known(amount.currency, field="currency")
        require_currency(amount, amounts[0].currency, field="terms")


def _priced(defaults: LineDefaults) -> LineDefaults:
    """Return what concerns the price of a service, with everything else left blank."""
    terms = replace(defaults.terms, milestones=(), anchor_day=0, in_advance=False)
    return replace(defaults, name="", template_code="", terms=terms)
