"""The price policy: what may be offered without asking, and who has to be asked otherwise."""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from customer_contract.domain.proposal import Act
from customer_contract.domain.service_line import ServiceLine
from customer_contract.domain.values import (
    LegalEntityId,
    PricePolicyId,
    QuoteLineId,
    require_known,
)
from throughline_core.errors import FailedPrecondition, InvalidArgument
from throughline_core.money import Money


class FloorRepeated(InvalidArgument):
    """A service and role has two floor prices in one currency."""

    code = "price_policy.floor_repeated"


class PolicyAmountNotPositive(InvalidArgument):
    """A floor price or a threshold of nought or less."""

    code = "price_policy.amount_not_positive"


class PolicyRoleRepeated(InvalidArgument):
    """A role has two maximum discounts."""

    code = "price_policy.role_repeated"


class CurrencyRepeated(InvalidArgument):
    """A step of the ladder has two thresholds in one currency."""

    code = "price_policy.currency_repeated"


class PolicyUnchanged(FailedPrecondition):
    """The policy in force says the same."""

    code = "price_policy.unchanged"


class PolicyBreached(FailedPrecondition):
    """The offer breaks the price policy, and nobody may let it pass or has done so."""

    code = "price_policy.breached"


class ApproverRole(StrEnum):
    """Who can be asked to approve an offer."""

    SALES_OPERATIONS = "sales_operations"
    FINANCE = "finance"
    ADMIN = "admin"


class PriceRule(StrEnum):
    """Which rule of the policy a line breaks."""

    BELOW_FLOOR = "below_floor"
    DISCOUNT_ABOVE_MAXIMUM = "discount_above_maximum"


@dataclass(frozen=True, slots=True)
class FloorPrice:
    """The least price of a unit of a service, or of an hour agreed on its line for a role."""

    service_code: str
    unit_price: Money
    role: str = ""


@dataclass(frozen=True, slots=True)
class MaximumDiscount:
    """The greatest discount of a line, in percent, that a role may approve."""

    role: ApproverRole
    percent: Decimal


@dataclass(frozen=True, slots=True)
class LadderStep:
    """A rung of the ladder, climbed when one of its conditions is met, or when it has none."""

    role: ApproverRole
    name: str
    above_discount_percent: Decimal | None
    above_amounts: tuple[Money, ...]


@dataclass(frozen=True, slots=True)
class PolicyRules:
    """What a version of a policy says.

    No maximum discounts = any may be approved. Without an exception role nobody lets a breach pass.
    """

    floor_prices: tuple[FloorPrice, ...] = ()
    maximum_discounts: tuple[MaximumDiscount, ...] = ()
    steps: tuple[LadderStep, ...] = ()
    exception_role: ApproverRole | None = None
    enforce_on_import: bool = False


@dataclass(frozen=True, slots=True)
class PricePolicy:
    """A version in force, of one legal entity, or of every entity that has none of its own."""

    price_policy_id: PricePolicyId
    version: int
    legal_entity_id: LegalEntityId | None
    rules: PolicyRules
    proposed_by: str
    published_by: str
    published_at: datetime | None


@dataclass(frozen=True, slots=True)
class Breach:
    """A rule a line breaks: what it says, and what was asked for at least or at most, as text."""

    quote_line_id: QuoteLineId
    position: int
    service_code: str
    rule: PriceRule
    actual: str
    limit: str
    role: str = ""


@dataclass(frozen=True, slots=True)
class ReviewStep:
    """An approval an offer needs, and who gave it; no role = any that may approve offers."""

    step: int
    role: ApproverRole | None
    name: str
    reason: str
    taken: Act | None = None


ANY_STEP: Final = ReviewStep(1, None, "Approval", "")
"""The one approval of an offer that no policy says more about."""


def check_rules(rules: PolicyRules) -> None:
    """Refuse rules that contradict themselves.

    Raises:
        FloorRepeated, PolicyAmountNotPositive, PolicyRoleRepeated, CurrencyRepeated.
        UnknownCurrency: a currency is no ISO 4217 code.
    """
    floors = [(one.service_code, one.role, one.unit_price.currency) for one in rules.floor_prices]
    if (index := _first_repeated(floors)) is not None:
        raise FloorRepeated(
            f"{floors[index][0]} has two floor prices in {floors[index][2]}",
            field=f"floor_prices[{index}]",
            advice="send one for each service, role and currency",
        )
    for index, floor in enumerate(rules.floor_prices):
        _require_positive(floor.unit_price, f"floor_prices[{index}].unit_price")
    roles = [one.role for one in rules.maximum_discounts]
    if (index := _first_repeated(roles)) is not None:
        raise PolicyRoleRepeated(
            f"{roles[index]} has two maximum discounts", field=f"maximum_discounts[{index}].role"
        )
    for place, step in enumerate(rules.steps):
        currencies = [amount.currency for amount in step.above_amounts]
        if (index := _first_repeated(currencies)) is not None:
            raise CurrencyRepeated(
                f"the step has two amounts in {currencies[index]}",
                field=f"steps[{place}].above_amounts[{index}]",
            )
        for index, amount in enumerate(step.above_amounts):
            _require_positive(amount, f"steps[{place}].above_amounts[{index}]")


def next_version(
    latest: PricePolicy | None,
    rules: PolicyRules,
    *,
    price_policy_id: PricePolicyId,
    legal_entity_id: LegalEntityId | None,
    proposed_by: str,
) -> PricePolicy:
    """Return the version that would follow `latest`, not in force yet.

    Raises:
        InvalidArgument: see `check_rules`.
        PolicyUnchanged: it says what `latest` says.
    """
    check_rules(rules)
    if latest is not None and latest.rules == rules:
        raise PolicyUnchanged(f"version {latest.version} says the same already")
    version = 1 if latest is None else latest.version + 1
    return PricePolicy(price_policy_id, version, legal_entity_id, rules, proposed_by, "", None)


def breaches(
    lines: Iterable[ServiceLine],
    rules: PolicyRules,
    catalogue_floors: Mapping[str, Sequence[Money]],
) -> tuple[Breach, ...]:
    """Return what of the policy the lines break, in their order.

    `catalogue_floors` are the floor prices of the catalogue by service code, one for each
    currency; the policy's own go before them. A floor in another currency than the line's says
    nothing about it.
    """
    floors = {
        (code, "", floor.currency): floor
        for code, amounts in catalogue_floors.items()
        for floor in amounts
    }
    floors |= {
        (one.service_code, one.role, one.unit_price.currency): one.unit_price
        for one in rules.floor_prices
    }
    maximum = max((one.percent for one in rules.maximum_discounts), default=None)
    return tuple(
        breach
        for line in lines
        for breach in (*_below_floor(line, floors), *_above_maximum(line, maximum))
    )


def ladder(
    lines: Sequence[ServiceLine],
    total: Money,
    rules: PolicyRules,
    broken: Sequence[Breach],
) -> tuple[ReviewStep, ...]:
    """Return the approvals the offer needs, in order; there is always one.

    The rungs whose condition it meets; then, where none of these may approve its discount, the
    role that may with the least to spare; then the exception, where it breaks the policy.
    """
    discount = max((line.discount_percent for line in lines), default=Decimal(0))
    climbed = [
        (step.role, step.name, reason)
        for step in rules.steps
        if (reason := _reason(step, discount, total)) is not None
    ]
    granting = _granting_role(rules, discount, {role for role, _, _ in climbed})
    if granting is not None:
        reason = f"discount of {discount.normalize():f} percent needs a role that may approve it"
        climbed.append((granting, "", reason))
    exception = rules.exception_role
    if broken and exception is not None and exception not in {role for role, _, _ in climbed}:
        climbed.append((exception, "Exception", "the offer breaks the price policy"))
    if not climbed:
        return (ANY_STEP,)
    return tuple(
        ReviewStep(number, role, name or role.replace("_", " ").capitalize(), reason)
        for number, (role, name, reason) in enumerate(climbed, start=1)
    )


def _reason(step: LadderStep, discount: Decimal, total: Money) -> str | None:
    """Return why the step is needed, empty where it always is, None where it is not."""
    if step.above_discount_percent is None and not step.above_amounts:
        return ""
    above = step.above_discount_percent
    if above is not None and discount > above:
        return f"discount of {discount.normalize():f} percent is above {above.normalize():f}"
    for amount in step.above_amounts:
        if amount.currency == total.currency and total > amount:
            return f"total of {_plain(total)} is above {_plain(amount)}"
    return None


def _granting_role(
    rules: PolicyRules, discount: Decimal, asked: set[ApproverRole]
) -> ApproverRole | None:
    """Return who else has to be asked for the discount; None where somebody asked may grant it.

    Above every maximum nobody may: that is a breach.
    """
    may = [one for one in rules.maximum_discounts if one.percent >= discount]
    if not discount or not may or asked & {one.role for one in may}:
        return None
    return min(may, key=lambda one: one.percent).role


def _below_floor(
    line: ServiceLine, floors: Mapping[tuple[str, str, str], Money]
) -> Iterable[Breach]:
    priced = [("", line.unit_price), *((one.role, one.hourly_rate) for one in line.terms.rates)]
    for role, price in priced:
        floor = floors.get((line.service_code, role, price.currency))
        if floor is not None and price < floor:
            yield _breach(line, PriceRule.BELOW_FLOOR, _plain(price), _plain(floor), role=role)


def _above_maximum(line: ServiceLine, maximum: Decimal | None) -> Iterable[Breach]:
    if maximum is not None and line.discount_percent > maximum:
        yield _breach(
            line,
            PriceRule.DISCOUNT_ABOVE_MAXIMUM,
            f"{line.discount_percent.normalize():f}",
            f"{maximum.normalize():f}",
        )


def _breach(line: ServiceLine, rule: PriceRule, actual: str, limit: str, role: str = "") -> Breach:
    return Breach(line.quote_line_id, line.position, line.service_code, rule, actual, limit, role)


def _plain(money: Money) -> str:
    """Return the amount with its currency's decimals at least: `120.00 EUR`."""
    rounded = money.rounded()
    return str(rounded if rounded == money else money)


def _require_positive(amount: Money, field: str) -> None:
    require_known(amount.currency, field=f"{field}.currency")
    if amount <= Money.zero(amount.currency):
        raise PolicyAmountNotPositive(f"{field} has to be above nought", field=field)


def _first_repeated(keys: Sequence[Hashable]) -> int | None:
    """Return the place of the last of two equal keys, None where all differ."""
    counted = Counter(keys)
    return next((index for index in reversed(range(len(keys))) if counted[keys[index]] > 1), None)
