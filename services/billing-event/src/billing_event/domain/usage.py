"""Periods of usage lines, and what the units of a period cost, tier by tier."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final, NewType
from uuid import UUID
from zoneinfo import ZoneInfo

from billing_event.domain.agreement import Agreement
from billing_event.domain.reading import UsageRecord
from billing_event.domain.recurring import chain, charged_term, is_over
from billing_event.domain.source import (
    ContractId,
    ContractLineId,
    ItemType,
    LegalEntityId,
    SourceItem,
    SourceItemId,
)
from billing_event.domain.terms import Aggregation, BillingModel, LineTerms, UsageTerms
from throughline_core.errors import FailedPrecondition, NotFound
from throughline_core.ids import derived_id
from throughline_core.money import Money
from throughline_core.period import Period
from throughline_core.rounding import exact_product

UsagePeriodId = NewType("UsagePeriodId", UUID)

_NOTHING: Final = Decimal(0)


class PeriodNotFound(NotFound):
    """No such period of a usage line."""

    code = "usage_period.not_found"


class TermsMissing(FailedPrecondition):
    """A version of the terms that may decide the price has not arrived."""

    code = "usage_period.terms_missing"


@dataclass(frozen=True, slots=True)
class UsagePeriod:
    """One period of a usage line, or the part of it inside the line's term."""

    usage_period_id: UsagePeriodId
    contract_id: ContractId
    contract_line_id: ContractLineId
    engagement_id: UUID
    legal_entity_id: LegalEntityId
    time_zone: str
    meter: str
    description: str
    service: Period
    currency: str

    def is_over(self, at: datetime) -> bool:
        """Whether its last day has passed in its zone."""
        return at.astimezone(ZoneInfo(self.time_zone)).date() >= self.service.end


@dataclass(frozen=True, slots=True)
class Metered:
    """What the readings of a period come to, each way they may be counted."""

    total: Decimal
    greatest: Decimal
    last: Decimal
    readings: int

    def by(self, aggregation: Aggregation) -> Decimal:
        """Return the quantity the terms ask for."""
        return {
            Aggregation.SUM: self.total,
            Aggregation.MAX: self.greatest,
            Aggregation.LAST: self.last,
        }[aggregation]


NOTHING_METERED: Final = Metered(_NOTHING, _NOTHING, _NOTHING, 0)


@dataclass(frozen=True, slots=True)
class TierCharge:
    """The units that fall into one tier, above one bound up to the next, at its own price."""

    above: Decimal
    up_to: Decimal | None
    quantity: Decimal
    unit_price: Money
    amount: Money


@dataclass(frozen=True, slots=True)
class Charge:
    """What a quantity costs: exact tier by tier, the sum rounded once to the currency.

    `contract_version` is that of the terms it is priced by.
    """

    quantity: Decimal
    included: Decimal
    tiers: tuple[TierCharge, ...]
    amount: Money
    explanation: str
    contract_version: int


def plan_usage(agreement: Agreement) -> list[UsagePeriod]:
    """Return the periods of all usage lines, in order of service for each line."""
    return [
        _period(agreement, line, line.usage, part, whole)
        for line in agreement.newest.lines.values()
        if line.usage is not None and line.billing_model is BillingModel.USAGE
        for term in charged_term(agreement, line)
        for part, whole in chain(term, _rhythm(agreement, line, line.usage))
        if not is_over(agreement, part.start)
    ]


def charge(usage: UsageTerms, metered: Metered, *, contract_version: int) -> Charge:
    """Return what the readings of a period cost by the usage terms of a version.

    The included units come off first; the tiers count the units that are left, from the first of
    them, each at its own tier's price.
    """
    quantity = metered.by(usage.aggregation)
    charged = max(quantity - usage.included, _NOTHING)
    tiers, above = [], _NOTHING
    for tier in usage.tiers:
        bound = charged if tier.up_to is None else min(tier.up_to, charged)
        if bound > above:
            units = bound - above
            amount = Money(exact_product(units, tier.unit_price.amount), tier.unit_price.currency)
            tiers.append(TierCharge(above, tier.up_to, units, tier.unit_price, amount))
            above = bound
    currency = usage.tiers[0].unit_price.currency
    amount = Money.total((tier.amount for tier in tiers), currency).rounded()
    words = _words(usage, metered, quantity, tiers, amount)
    included = min(usage.included, quantity)
    return Charge(quantity, included, tuple(tiers), amount, words, contract_version)


def charge_of(
    agreement: Agreement, period: UsagePeriod, metered: Metered, *, closed_by: int | None
) -> Charge | None:
    """Return what a period costs; None while a version may be missing that holds for its first day.

    A closed one keeps the terms of the version it was `closed_by`: a price that changed since is
    for a re-rating to decide. Without one the terms of its first day hold.
    """
    found = agreement.line_on(period.contract_line_id, period.service.start)
    if found is None:
        return None
    terms, usage = found[0], found[1].usage
    frozen = _usage_by(agreement, period.contract_line_id, closed_by)
    if closed_by is not None and frozen is not None and frozen != usage:
        kept = charge(frozen, metered, contract_version=closed_by)
        words = f"{kept.explanation}, by version {closed_by} as when it was closed"
        return replace(kept, explanation=words)
    if usage is None:
        return None
    return charge(usage, metered, contract_version=terms.contract_version)


def _usage_by(
    agreement: Agreement, contract_line_id: ContractLineId, contract_version: int | None
) -> UsageTerms | None:
    """Return how a version of the terms counts a line, None where it does not."""
    for terms in agreement.versions:
        if terms.contract_version == contract_version and contract_line_id in terms.lines:
            return terms.lines[contract_line_id].usage
    return None


def source_item_of(period: UsagePeriod, charge: Charge) -> SourceItem:
    """Return the thing that is billed for a period; the readings stand for an approval."""
    return SourceItem(
        source_item_id=SourceItemId(period.usage_period_id),
        type=ItemType.USAGE,
        contract_id=period.contract_id,
        contract_line_id=period.contract_line_id,
        engagement_id=period.engagement_id,
        delivering_entity_id=period.legal_entity_id,
        description=period.description,
        service_from=period.service.start,
        service_to=period.service.end,
        price=charge.amount,
        price_basis=charge.explanation,
    )


def periods_touched(
    agreements: Mapping[ContractId, Agreement], records: Iterable[UsageRecord]
) -> list[UsagePeriod]:
    """Return the periods that records count for, each once."""
    by_line: dict[ContractLineId, list[UsagePeriod]] = {}
    wanted: dict[ContractLineId, set[date]] = {}
    for record in records:
        wanted.setdefault(record.contract_line_id, set()).add(record.measured_on)
        if record.contract_line_id not in by_line and record.contract_id in agreements:
            for period in plan_usage(agreements[record.contract_id]):
                by_line.setdefault(period.contract_line_id, []).append(period)
    found = {
        period.usage_period_id: period
        for line_id, days in wanted.items()
        for period in by_line.get(line_id, ())
        if any(day in period.service for day in days)
    }
    return list(found.values())


def _period(
    agreement: Agreement, line: LineTerms, usage: UsageTerms, part: Period, whole: Period
) -> UsagePeriod:
    terms = agreement.newest
    last_day = part.end - timedelta(days=1)
    return UsagePeriod(
        # Named by the whole period, so that a term that grows or shrinks charges it only once.
        UsagePeriodId(
            derived_id("usage_period", terms.contract_id, line.contract_line_id, whole.start)
        ),
        terms.contract_id,
        line.contract_line_id,
        terms.engagement_id,
        terms.legal_entity_id,
        terms.time_zone,
        usage.meter,
        f"{line.description}, {part.start} to {last_day}",
        part,
        terms.currency,
    )


def _rhythm(
    agreement: Agreement, newest: LineTerms, usage: UsageTerms
) -> Callable[[date], tuple[int, int]]:
    """Return what gives months and anchor day of a usage line by the terms of a day."""

    def on(day: date) -> tuple[int, int]:
        found = agreement.line_on(newest.contract_line_id, day)
        line = newest if found is None or found[1].usage is None else found[1]
        return (line.usage or usage).period_months, line.anchor_day

    return on


def _words(
    usage: UsageTerms,
    metered: Metered,
    quantity: Decimal,
    tiers: Iterable[TierCharge],
    amount: Money,
) -> str:
    how = {"sum": "sum", "max": "greatest", "last": "last"}[usage.aggregation]
    readings = "1 reading" if metered.readings == 1 else f"{metered.readings} readings"
    words = f"{how} of {readings} of {usage.meter}: {_plain(quantity)}"
    if usage.included:
        words += f", {_plain(usage.included)} included"
    priced = " + ".join(f"{_plain(tier.quantity)} x {tier.unit_price}" for tier in tiers)
    return f"{words}; {priced} = {amount}" if priced else f"{words}; nothing to charge"


def _plain(quantity: Decimal) -> str:
    return f"{quantity.normalize():f}"
