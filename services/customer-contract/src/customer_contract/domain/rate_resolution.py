"""Which of several rates holds for an hour, and why the others do not."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from customer_contract.domain.rate_card import (
    Deal,
    Owner,
    RateCard,
    RateEntry,
    RateKey,
    in_order,
)
from customer_contract.domain.service_line import ActivityMultiplier, LineRate, ServiceLine
from customer_contract.domain.values import PersonId
from throughline_core.errors import NotFound
from throughline_core.money import RATE_PLACES, Money
from throughline_core.rounding import round_half_away

CANDIDATES_MAX: Final = 100


class NoRate(NotFound):
    """Nothing that was agreed or published says what this hour costs."""

    code = "rate_card.no_rate"


@dataclass(frozen=True, slots=True)
class Hour:
    """An hour to be priced; None stands for nobody in particular, no level, no region.

    An empty activity is ordinary work.
    """

    work_date: date
    role: str
    level: str | None = None
    region: str | None = None
    person_id: PersonId | None = None
    activity: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rate for the role that was not taken, and why; no card = the contract line names it."""

    hourly_rate: Money
    path: str
    card: RateCard | None
    valid_from: date | None
    valid_to: date | None
    reason: str


@dataclass(frozen=True, slots=True)
class ResolvedRate:
    """The price of an hour, how it was found, and the card; None when the line names the rate.

    `factor` is what the activity multiplies the rate by, 1 for ordinary work.
    """

    hourly_rate: Money
    path: str
    card: RateCard | None
    factor: Decimal
    factor_path: str
    candidates: tuple[Candidate, ...]

    @property
    def effective_rate(self) -> Money:
        """The rate times the factor, rounded to the decimals of a rate."""
        product = self.hourly_rate * self.factor
        return Money(round_half_away(product.amount, RATE_PLACES), product.currency)


@dataclass(frozen=True, slots=True)
class _Found:
    """The rate that was taken: on the line, or an entry of the card at a place of the order."""

    hourly_rate: Money
    path: str
    agreed: LineRate | None = None
    place: int = -1
    entry: RateEntry | None = None


def resolve(hour: Hour, line: ServiceLine, deal: Deal, cards: Iterable[RateCard]) -> ResolvedRate:
    """Return the rate that holds, by the first match of the agreed order.

    The line's own rate for the person, then for the role; then the contract's card, the
    customer's, the entity's, the firm's. Among cards of one owner the one published last is asked
    first. On a card a person's rate goes before anybody's, then one for the level, then one for
    the region. An activity multiplies the rate by the factor of the line, else of the first card
    in the same order that lists it, else once.

    Raises:
        NoRate: nothing matches.
    """
    asked = in_order(cards, deal)
    found = _on_line(hour, line) or _on_cards(hour, asked)
    if found is None:
        raise NoRate(
            f"no rate for role {hour.role} on {hour.work_date}",
            field="role",
            advice="agree a rate on the contract line, or publish a card with the role",
        )
    card = asked[found.place][1] if found.entry else None
    factor, factor_path = _factor(hour.activity, line, [one for _, one in asked])
    lost = (*_lost_on_line(hour, line, found), *_lost_on_cards(hour, asked, found))
    return ResolvedRate(
        found.hourly_rate, found.path, card, factor, factor_path, lost[:CANDIDATES_MAX]
    )


def _on_line(hour: Hour, line: ServiceLine) -> _Found | None:
    rates = [
        rate
        for rate in line.terms.rates
        if rate.role == hour.role and rate.person_id in {None, hour.person_id}
    ]
    if not rates:
        return None
    rate = max(rates, key=lambda one: one.person_id is not None)
    return _Found(rate.hourly_rate, _line_path(rate, line), agreed=rate)


def _on_cards(hour: Hour, asked: Sequence[tuple[Owner, RateCard]]) -> _Found | None:
    for place, (owner, card) in enumerate(asked):
        matching = [entry for entry in card.entries if _mismatch(entry, hour) is None]
        if matching:
            entry = max(matching, key=lambda one: _rank(one.key))
            path = _card_path(owner, card, entry.key)
            return _Found(entry.hourly_rate, path, place=place, entry=entry)
    return None


def _factor(activity: str, line: ServiceLine, cards: Iterable[RateCard]) -> tuple[Decimal, str]:
    if not activity:
        return Decimal(1), ""
    listed = _listed(activity, line.terms.multipliers)
    if listed is not None:
        return listed, f"{activity}, as agreed on contract line {line.position}"
    for card in cards:
        listed = _listed(activity, card.multipliers)
        if listed is not None:
            return listed, f"{activity}, on card {card.code} version {card.version}"
    return Decimal(1), f"{activity} is not listed and counts once"


def _listed(activity: str, multipliers: Iterable[ActivityMultiplier]) -> Decimal | None:
    return next((one.factor for one in multipliers if one.activity == activity), None)


def _lost_on_line(hour: Hour, line: ServiceLine, found: _Found) -> Iterator[Candidate]:
    for rate in line.terms.rates:
        if rate.role == hour.role and rate is not found.agreed:
            is_another = rate.person_id not in {None, hour.person_id}
            reason = "for another person" if is_another else "the person's own rate goes first"
            yield Candidate(rate.hourly_rate, _line_path(rate, line), None, None, None, reason)


def _lost_on_cards(
    hour: Hour, asked: Sequence[tuple[Owner, RateCard]], found: _Found
) -> Iterator[Candidate]:
    for place, (owner, card) in enumerate(asked):
        for entry in card.entries:
            if entry.key.role != hour.role or entry is found.entry:
                continue
            yield Candidate(
                entry.hourly_rate,
                _card_path(owner, card, entry.key),
                card,
                entry.valid_from,
                entry.valid_to,
                _mismatch(entry, hour) or _outranked(place, asked, found),
            )


def _outranked(place: int, asked: Sequence[tuple[Owner, RateCard]], found: _Found) -> str:
    """Return why an entry that matches was not taken."""
    if found.entry is None:
        return "the rate agreed on the contract line goes first"
    if place == found.place:
        return "a narrower rate on the same card goes first"
    winner, card = asked[found.place]
    if asked[place][0] is winner:
        return f"card {card.code} was published later"
    return f"the {winner.name.lower()}'s card goes first"


def _mismatch(entry: RateEntry, hour: Hour) -> str | None:
    """Return why the entry is not for the hour, None where it is."""
    key = entry.key
    if key.role != hour.role:
        return f"for role {key.role}"
    if not entry.holds_on(hour.work_date):
        return f"not valid on {hour.work_date}"
    if key.person_id not in {None, hour.person_id}:
        return "for another person"
    if key.level not in {None, hour.level}:
        return f"for level {key.level}"
    if key.region not in {None, hour.region}:
        return f"for region {key.region}"
    return None


def _rank(key: RateKey) -> tuple[bool, bool, bool]:
    return (key.person_id is not None, key.level is not None, key.region is not None)


def _line_path(rate: LineRate, line: ServiceLine) -> str:
    whose = "" if rate.person_id is None else ", the person's own rate"
    return f"role {rate.role}{whose}, as agreed on contract line {line.position}"


def _card_path(owner: Owner, card: RateCard, key: RateKey) -> str:
    parts = [f"role {key.role}"]
    if key.level is not None:
        parts.append(f"level {key.level}")
    if key.region is not None:
        parts.append(f"region {key.region}")
    if key.person_id is not None:
        parts.append("the person's own rate")
    parts.append(f"on the {owner.name.lower()}'s card {card.code} version {card.version}")
    return ", ".join(parts)
