"""Expense policies: what the firm pays and what a contract takes, held against costs."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final, NamedTuple

from project_provisioning.domain.exchange_rate import DAYS_MAX_DEFAULT
from project_provisioning.domain.rule_set import Severity
from project_provisioning.domain.time_rules import Limit
from throughline_core.errors import InvalidArgument
from throughline_core.money import Money

_SATURDAY: Final = 5


class PolicyMalformed(InvalidArgument):
    """The policy contradicts itself, or is empty."""

    code = "expense_policy.malformed"


@dataclass(frozen=True, slots=True)
class Cap:
    """Most that is paid before tax: for a line, or for a person and day; all categories if ''."""

    category: str
    per_day: bool
    amount: Money
    severity: Severity


@dataclass(frozen=True, slots=True)
class ReceiptRule:
    """A receipt is needed from this amount on, before tax."""

    from_amount: Money
    severity: Severity


@dataclass(frozen=True, slots=True)
class ExpensePolicy:
    """What a company pays; what is None or empty is no rule.

    Amounts in another currency than the cost's are not compared. `exchange_rate_source` is empty
    where any will do.
    """

    caps: tuple[Cap, ...] = ()
    receipt: ReceiptRule | None = None
    categories: tuple[str, ...] = ()
    category_severity: Severity = Severity.STOP
    weekend: Severity | None = None
    age_days_max: Limit | None = None
    exchange_rate_source: str = ""
    exchange_rate_days_max: int = DAYS_MAX_DEFAULT


NO_POLICY: Final = ExpensePolicy()


@dataclass(frozen=True, slots=True)
class ContractRule:
    """What a contract line takes of one category; `daily_cap` is for one person and day."""

    category: str
    daily_cap: Money | None


@dataclass(frozen=True, slots=True)
class ContractPolicy:
    """Which expenses a contract line takes; no `rules` = all of them.

    `receipt_from` None needs a receipt for each of them.
    """

    rules: tuple[ContractRule, ...] = ()
    receipt_from: Money | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """A line as policies look at it; `amounts` in the employer's and the receipt's currency.

    `contract` is what the contract line says that it is billed under, None when it is not billed
    or the contract says nothing.
    """

    category: str
    incurred_on: date
    amounts: tuple[Money, ...]
    has_receipt: bool
    policy: ExpensePolicy
    contract: ContractPolicy | None = None


class Finding(NamedTuple):
    """A rule a line breaks."""

    rule: str
    severity: Severity
    explanation: str


def judge(costs: Sequence[Cost], before: Sequence[Cost], *, on: date) -> list[tuple[Finding, ...]]:
    """Return what each of one person's costs breaks, in their order.

    `before` are costs of the same person recorded earlier, which count towards daily caps; `on`
    is the day of the judgement. A line bears a daily cap's finding when the day passes the cap
    with it.
    """
    seen: list[Cost] = list(before)
    judged: list[tuple[Finding, ...]] = []
    for cost in costs:
        seen.append(cost)
        # A rule stands once on a line, at its worst.
        worst: dict[str, Finding] = {}
        for finding in (*_of_firm(cost, seen, on), *_of_contract(cost, seen)):
            known = worst.get(finding.rule)
            if known is None or finding.severity is Severity.STOP:
                worst[finding.rule] = finding
        judged.append(tuple(worst.values()))
    return judged


def check_policy(policy: ExpensePolicy) -> None:
    """Refuse a policy that says nothing, or twice something else.

    Raises:
        PolicyMalformed: see above.
    """
    if policy == NO_POLICY:
        raise PolicyMalformed(
            "there is no rule in it", field="rules", advice="send at least one rule"
        )
    places: defaultdict[tuple[str, bool, Severity, str], int] = defaultdict(int)
    for index, cap in enumerate(policy.caps):
        field = f"rules.caps[{index}]"
        if cap.amount.amount < 0:
            raise PolicyMalformed(
                "a cap is not negative", field=f"{field}.amount", advice="send zero or more"
            )
        key = (cap.category, cap.per_day, cap.severity, cap.amount.currency)
        places[key] += 1
        if places[key] > 1:
            raise PolicyMalformed(
                "there are two caps of one kind", field=field, advice="send one of them"
            )


def _of_firm(cost: Cost, seen: Sequence[Cost], on: date) -> Iterator[Finding]:
    policy = cost.policy
    for cap in policy.caps:
        if cap.category in ("", cost.category):
            yield from _over(cap, cost, seen)
    if policy.receipt is not None and not cost.has_receipt:
        spent = _amount_in(cost, policy.receipt.from_amount.currency)
        if spent is not None and spent >= policy.receipt.from_amount.amount:
            text = f"a receipt is needed from {policy.receipt.from_amount} on"
            yield Finding("expense_policy.receipt", policy.receipt.severity, text)
    if policy.categories and cost.category not in policy.categories:
        text = f"{cost.category} is not paid"
        yield Finding("expense_policy.category", policy.category_severity, text)
    if policy.weekend is not None and cost.incurred_on.weekday() >= _SATURDAY:
        yield Finding("expense_policy.weekend", policy.weekend, "it is a cost of a weekend")
    age = policy.age_days_max
    if age is not None and (on - cost.incurred_on).days > age.value:
        text = f"the receipt is more than {age.value} days old"
        yield Finding("expense_policy.age", age.severity, text)


def _over(cap: Cap, cost: Cost, seen: Sequence[Cost]) -> Iterator[Finding]:
    own = _amount_in(cost, cap.amount.currency)
    if own is None:
        return
    if not cap.per_day:
        if own > cap.amount.amount:
            text = f"at most {cap.amount} are paid for a line"
            yield Finding("expense_policy.line_cap", cap.severity, text)
        return
    if _of_day(cost, seen, cap.category, cap.amount.currency) > cap.amount.amount:
        text = f"at most {cap.amount} are paid for {cap.category or 'all costs'} of a day"
        yield Finding("expense_policy.day_cap", cap.severity, text)


def _of_contract(cost: Cost, seen: Sequence[Cost]) -> Iterator[Finding]:
    """What the client does not take is the firm's loss: a warning, for billing caps it anyway."""
    contract = cost.contract
    if contract is None:
        return
    rule = next((each for each in contract.rules if each.category == cost.category), None)
    if contract.rules and rule is None:
        text = f"the contract takes no {cost.category}"
        yield Finding("contract.category", Severity.STOP, text)
    if rule is not None and rule.daily_cap is not None:
        currency = rule.daily_cap.currency
        spent = _amount_in(cost, currency)
        if (
            spent is not None
            and _of_day(cost, seen, cost.category, currency) > rule.daily_cap.amount
        ):
            text = f"the contract takes at most {rule.daily_cap} of a day"
            yield Finding("contract.daily_cap", Severity.WARN, text)
    if not cost.has_receipt:
        least = contract.receipt_from
        spent = None if least is None else _amount_in(cost, least.currency)
        if least is None or (spent is not None and spent >= least.amount):
            text = "the contract needs a receipt" + (f" from {least} on" if least else "")
            yield Finding("contract.receipt", Severity.WARN, text)


def _of_day(cost: Cost, seen: Sequence[Cost], category: str, currency: str) -> Decimal:
    amounts = (
        _amount_in(each, currency)
        for each in seen
        if each.incurred_on == cost.incurred_on and category in ("", each.category)
    )
    return sum((amount for amount in amounts if amount is not None), Decimal(0))


def _amount_in(cost: Cost, currency: str) -> Decimal | None:
    return next((each.amount for each in cost.amounts if each.currency == currency), None)
