"""Rates of exchange: which day's rate converts a price, by the policy of the legal entity.

A rate is the published one, its inverse, or two of one source by way of a third currency. Nothing
is ever converted at 1 for want of a rate.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from billing_event.domain.position import Conversion
from billing_event.domain.rate import Rate
from billing_event.domain.source import LegalEntityId, SourceItem
from billing_event.domain.terms import ContractTerms
from throughline_core.errors import InvalidArgument
from throughline_core.money import Money
from throughline_core.rounding import exact_product, round_half_away

EXCHANGE_PLACES: Final = 10
"""Decimals of a rate that was inverted or crossed; the converted price follows from these."""

RATE_PLACES: Final = 4
"""Decimals of a converted price of an hour: hours of two decimals times it are exact."""

DAYS_MAX_DEFAULT: Final = 7
DAYS_MAX_LIMIT: Final = 31
BY_POLICY: Final = "policy"

_DAY: Final = timedelta(days=1)


class DateRule(StrEnum):
    """Which day's rate converts a price; a fixed one is agreed and holds for every day."""

    WORK_DATE = "work_date"
    PREVIOUS_MONTH_END = "previous_month_end"
    FIXED = "fixed"


@dataclass(frozen=True, slots=True)
class Quotation:
    """Units of `quote` for one of `base`, as `source` published it for a day."""

    base: str
    quote: str
    rate_on: date
    source: str
    rate: Decimal


@dataclass(frozen=True, slots=True)
class ExchangePolicy:
    """How a legal entity converts prices into the currencies of its contracts.

    A rate may be at most `days_max` days older than the day the rule names. An empty `source`
    takes any, by name. `fixed_rates` are units of the second currency for one of the first.
    """

    legal_entity_id: LegalEntityId
    version: int = 0
    rule: DateRule = DateRule.WORK_DATE
    days_max: int = DAYS_MAX_DEFAULT
    source: str = ""
    fixed_rates: Mapping[tuple[str, str], Decimal] = field(default_factory=dict)
    set_by: str = ""
    set_at: datetime | None = None

    def day_for(self, service_on: date) -> date:
        """Return the day whose rate converts a price of `service_on`."""
        if self.rule is DateRule.PREVIOUS_MONTH_END:
            return service_on.replace(day=1) - _DAY
        return service_on


class PolicyInconsistent(InvalidArgument):
    """Fixed rates go with the fixed rule, once for each pair, above zero, and with no other."""

    code = "exchange_policy.inconsistent"


@dataclass(frozen=True, slots=True)
class Converted:
    """A price in another currency, exact, with the rate that made it and why that one in words."""

    price: Money
    conversion: Conversion
    words: str


class Exchange:
    """The rates and policies one batch is converted by; each question is answered once."""

    def __init__(
        self,
        policies: Mapping[LegalEntityId, ExchangePolicy] | None = None,
        quotations: Iterable[Quotation] = (),
    ) -> None:
        self._policies = policies or {}
        # (day, source) → base → quote → rate
        self._by_day: dict[tuple[date, str], dict[str, dict[str, Decimal]]] = {}
        self._sources: dict[date, set[str]] = {}
        for each in quotations:
            published = self._by_day.setdefault((each.rate_on, each.source), {})
            published.setdefault(each.base, {})[each.quote] = each.rate
            self._sources.setdefault(each.rate_on, set()).add(each.source)
        self._found: dict[tuple[object, ...], _Rate | None] = {}

    def convert(
        self, price: Money, currency: str, *, service_on: date, legal_entity_id: LegalEntityId
    ) -> Converted | None:
        """Return the price in `currency` by the entity's policy; None while there is no rate."""
        policy = self._policy(legal_entity_id)
        key = (price.currency, currency, policy.day_for(service_on), legal_entity_id)
        if key not in self._found:
            self._found[key] = self._find(policy, price.currency, currency, service_on)
        found = self._found[key]
        if found is None:
            return None
        conversion = Conversion(price, found.rate, found.rate_on, found.source)
        exact = Money(exact_product(price.amount, found.rate), currency)
        one = f"{found.rate.normalize():f} {currency} for 1 {price.currency}"
        return Converted(exact, conversion, f"at {one}, {found.words}")

    def missing(
        self, price: Money, currency: str, *, service_on: date, legal_entity_id: LegalEntityId
    ) -> str:
        """Say which rate is looked for: pair, day and how old it may be."""
        policy = self._policy(legal_entity_id)
        pair = f"{price.currency} to {currency}"
        if policy.rule is DateRule.FIXED:
            return f"no fixed rate of exchange from {pair} in the policy of the legal entity"
        whose = f" by {policy.source}" if policy.source else ""
        return (
            f"no rate of exchange from {pair}{whose} for {policy.day_for(service_on)}, nor for the"
            f" {policy.days_max} days before"
        )

    def _policy(self, legal_entity_id: LegalEntityId) -> ExchangePolicy:
        return self._policies.get(legal_entity_id) or ExchangePolicy(legal_entity_id)

    def _find(
        self, policy: ExchangePolicy, from_: str, to: str, service_on: date
    ) -> "_Rate | None":
        if policy.rule is DateRule.FIXED:
            return _fixed(policy, from_, to, service_on)
        day = policy.day_for(service_on)
        for age in range(policy.days_max + 1):
            rate_on = day - timedelta(days=age)
            for source in sorted(self._sources.get(rate_on, ())):
                if policy.source not in ("", source):
                    continue
                rate = _between(self._by_day[rate_on, source], from_, to)
                if rate is not None:
                    return _Rate(rate, rate_on, source, _words(policy, source, rate_on, age))
        return None


def rate_in(exchange: Exchange, rate: Rate, terms: ContractTerms, day: date) -> Rate | None:
    """Return the price of an hour in the contract's currency; None while there is no rate."""
    found = exchange.convert(
        rate.unit, terms.currency, service_on=day, legal_entity_id=terms.legal_entity_id
    )
    if found is None:
        return None
    unit = Money(round_half_away(found.price.amount, RATE_PLACES), terms.currency)
    explanation = f"{rate.explanation}, {found.words}: {unit}"
    return replace(rate, unit=unit, explanation=explanation, conversion=found.conversion)


def cost_in(exchange: Exchange, item: SourceItem, terms: ContractTerms) -> Converted | None:
    """Return a cost in the contract's currency, rounded to it; None while there is no rate.

    The receipt is converted, so that a cost goes through one rate; else what the employer booked.
    """
    for cost in (item.receipt_price, item.price):
        if cost is None:
            continue
        found = exchange.convert(
            cost,
            terms.currency,
            service_on=item.service_from,
            legal_entity_id=terms.legal_entity_id,
        )
        if found is not None:
            return replace(found, price=found.price.rounded())
    return None


@dataclass(frozen=True, slots=True)
class _Rate:
    rate: Decimal
    rate_on: date
    source: str
    words: str


def check_policy(policy: ExchangePolicy) -> None:
    """Check that a policy can be followed.

    Raises:
        PolicyInconsistent: fixed rates without the rule or the rule without rates, or a pair of one
            currency, or a rate that is not above zero.
        UnknownCurrency: a code is no currency.
    """
    is_fixed = policy.rule is DateRule.FIXED
    if is_fixed != bool(policy.fixed_rates):
        raise PolicyInconsistent(
            "fixed rates and the rule `fixed` go together",
            field="fixed_rates",
            advice="send the agreed rates with the rule `fixed`, none with any other",
        )
    if is_fixed and policy.source:
        raise PolicyInconsistent("a fixed rate has no publisher", field="source")
    for (base, quote), rate in policy.fixed_rates.items():
        Money.zero(base)
        Money.zero(quote)
        if base == quote or rate <= 0:
            raise PolicyInconsistent(
                f"{rate} {quote} for 1 {base} is no rate",
                field="fixed_rates",
                advice="a rate is above zero and between two currencies",
            )


def _fixed(policy: ExchangePolicy, from_: str, to: str, day: date) -> _Rate | None:
    words = f"the rate fixed by the policy of the legal entity, version {policy.version}"
    rate = policy.fixed_rates.get((from_, to))
    if rate is None:
        inverse = policy.fixed_rates.get((to, from_))
        if inverse is None:
            return None
        rate = round_half_away(1 / inverse, EXCHANGE_PLACES)
    return _Rate(rate, day, BY_POLICY, words)


def _between(published: Mapping[str, Mapping[str, Decimal]], from_: str, to: str) -> Decimal | None:
    """Return the rate by one base that knows both currencies: direct, inverse, then by a third."""
    for base in (from_, to, *sorted(published.keys() - {from_, to})):
        known = published.get(base, {})
        one = Decimal(1) if base == from_ else known.get(from_)
        other = Decimal(1) if base == to else known.get(to)
        if one is not None and other is not None:
            rate = round_half_away(other / one, EXCHANGE_PLACES)
            # A pair so far apart that ten decimals leave nothing has no usable rate.
            return rate if rate > 0 else None
    return None


def _words(policy: ExchangePolicy, source: str, rate_on: date, age: int) -> str:
    rule = "work date" if policy.rule is DateRule.WORK_DATE else "end of the month before"
    aged = "" if age == 0 else f", {age} {'day' if age == 1 else 'days'} before"
    return f"{source} of {rate_on}{aged} ({rule})"
