"""Finds the price of an hour: whose rate, on which card, times what, and says how it was found."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Final
from uuid import UUID

from billing_event.domain.position import Conversion, RateRule
from billing_event.domain.source import SourceItem
from billing_event.domain.terms import CardEntry, CardStanding, ContractTerms, LineTerms, RateCard
from throughline_core.money import RATE_PLACES, Money
from throughline_core.rounding import exact_product, round_half_away

_RULES: Final[Mapping[str, RateRule]] = {
    CardStanding.CONTRACT: RateRule.CONTRACT_CARD,
    CardStanding.CUSTOMER: RateRule.CUSTOMER_CARD,
    CardStanding.ENTITY: RateRule.ENTITY_CARD,
    CardStanding.FIRM: RateRule.FIRM_CARD,
}


@dataclass(frozen=True, slots=True)
class Rate:
    """The price of a unit and the path by which it was found.

    `base` is the price before the factor, a markup and a conversion. `rule` is None for a transfer
    price, which no customer pays. `multiplier` is the factor of a special activity that is in the
    price, None for ordinary work. `conversion` is how it came into the contract's currency, None
    where it was in it.
    """

    unit: Money
    base: Money
    rule: RateRule | None
    explanation: str
    rate_card_id: UUID | None = None
    rate_card_version: int | None = None
    multiplier: Decimal | None = None
    conversion: Conversion | None = None


def resolve_rate(
    item: SourceItem,
    terms: ContractTerms,
    line: LineTerms,
    cards: Sequence[tuple[str, RateCard]],
) -> Rate | None:
    """Return the rate of the role worked in as of the work date; the first match wins.

    The line's rate of the person, then of the role; then on each card in its order the person's,
    and the most specific of role, level and region. A special activity multiplies it.
    """
    base = _base_rate(item, terms, line, cards)
    if base is None or not item.activity:
        return base
    listed = [("the contract line", line.multipliers), *_multipliers_of(cards)]
    return _multiplied(base, item.activity, listed)


def resolve_on_cards(item: SourceItem, cards: Sequence[tuple[str, RateCard]]) -> Rate | None:
    """Return the rate of the role worked in as of the work date, where only cards set it."""
    base = _on_cards(item, cards)
    if base is None or not item.activity:
        return base
    return _multiplied(base, item.activity, _multipliers_of(cards))


def _base_rate(
    item: SourceItem,
    terms: ContractTerms,
    line: LineTerms,
    cards: Sequence[tuple[str, RateCard]],
) -> Rate | None:
    version = f"(terms version {terms.contract_version})"
    own = None if item.person_id is None else line.person_rates.get((item.role, item.person_id))
    if own is not None:
        words = f"contract line rate of {item.role} for this person: {own} an hour {version}"
        return Rate(own, own, RateRule.LINE_PERSON, words)
    agreed = line.rates.get(item.role)
    if agreed is not None:
        words = f"contract line rate of {item.role}: {agreed} an hour {version}"
        return Rate(agreed, agreed, RateRule.LINE_ROLE, words)
    return _on_cards(item, cards)


def _on_cards(item: SourceItem, cards: Sequence[tuple[str, RateCard]]) -> Rate | None:
    for standing, card in cards:
        entry = _best(card.entries.get(item.role, ()), item)
        if entry is not None:
            return Rate(
                entry.hourly_rate,
                entry.hourly_rate,
                _RULES.get(standing),
                f"{standing} {card.code} version {card.version}, {_scope(entry)}:"
                f" {entry.hourly_rate} an hour from {entry.valid_from}",
                card.rate_card_id,
                card.version,
            )
    return None


def _multipliers_of(
    cards: Sequence[tuple[str, RateCard]],
) -> list[tuple[str, Mapping[str, Decimal]]]:
    return [(f"{standing} {card.code}", card.multipliers) for standing, card in cards]


def _multiplied(
    base: Rate, activity: str, listed: Iterable[tuple[str, Mapping[str, Decimal]]]
) -> Rate:
    """Return the rate times the factor of the first that lists the activity, else once."""
    for where, multipliers in listed:
        factor = multipliers.get(activity)
        if factor is not None:
            unit = Money(
                round_half_away(exact_product(base.unit.amount, factor), RATE_PLACES),
                base.unit.currency,
            )
            explanation = f"{base.explanation}, times {factor:f} for {activity} by {where}"
            return replace(base, unit=unit, explanation=explanation, multiplier=factor)
    return base


def _best(entries: Iterable[CardEntry], item: SourceItem) -> CardEntry | None:
    fitting = [
        entry
        for entry in entries
        if entry.is_valid_on(item.service_from)
        and entry.person_id in (None, item.person_id)
        and entry.level in (None, item.level)
        and entry.region in (None, item.region)
    ]
    return max(fitting, key=_specificity, default=None)


def _specificity(entry: CardEntry) -> tuple[bool, bool, bool, date]:
    return (
        entry.person_id is not None,
        entry.level is not None,
        entry.region is not None,
        entry.valid_from,
    )


def _scope(entry: CardEntry) -> str:
    words = [entry.role, entry.level or "", entry.region or ""]
    if entry.person_id is not None:
        words.append("for this person")
    return " ".join(word for word in words if word)
