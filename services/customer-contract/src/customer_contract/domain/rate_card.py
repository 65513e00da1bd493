"""Rate cards: what an hour costs, for whom and when, and which of several rates holds."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import IntEnum
from itertools import pairwise

from customer_contract.domain.service_line import ServiceLine
from customer_contract.domain.values import (
    CustomerId,
    LegalEntityId,
    PersonId,
    RateCardId,
    require_currency,
    require_known,
)
from throughline_core.change import Change
from throughline_core.errors import FailedPrecondition, InvalidArgument, NotFound
from throughline_core.money import Money


class OverlappingEntries(InvalidArgument):
    """Two rates for one role, level, region and person share a day."""

    code = "rate_card.overlapping_entries"


class EmptyPeriod(InvalidArgument):
    """A rate ends before it begins."""

    code = "rate_card.empty_period"


class RateNotPositive(InvalidArgument):
    """A rate of nought or less."""

    code = "rate_card.rate_not_positive"


class ScopeChanged(FailedPrecondition):
    """The card's next version has another currency or another owner."""

    code = "rate_card.scope_changed"


class NoRate(NotFound):
    """Nothing that was agreed or published says what this hour costs."""

    code = "rate_card.no_rate"


@dataclass(frozen=True, slots=True)
class RateKey:
    """Whose hour a rate is for; None stands for any."""

    role: str
    level: str | None
    region: str | None
    person_id: PersonId | None


@dataclass(frozen=True, slots=True)
class RateEntry:
    """An hour's price on the work dates from `valid_from` up to `valid_to`, None = open."""

    key: RateKey
    hourly_rate: Money
    valid_from: date
    valid_to: date | None

    def holds_on(self, day: date) -> bool:
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)


@dataclass(frozen=True, slots=True)
class CardScope:
    """Whose card it is: a customer's, a legal entity's, or with neither the firm's."""

    currency: str
    legal_entity_id: LegalEntityId | None
    customer_id: CustomerId | None


@dataclass(frozen=True, slots=True)
class RateCard:
    """A published version, frozen; `published_at` is when it was recorded."""

    rate_card_id: RateCardId
    version: int
    code: str
    name: str
    scope: CardScope
    entries: tuple[RateEntry, ...]
    published_at: datetime


@dataclass(frozen=True, slots=True)
class RateCardPublished:
    """A version of a rate card was published."""

    card: RateCard


def publish(
    latest: RateCard | None,
    *,
    rate_card_id: RateCardId,
    code: str,
    name: str,
    scope: CardScope,
    entries: Sequence[RateEntry],
    at: datetime,
) -> Change[RateCard, RateCardPublished]:
    """Make the version that follows `latest`, or the first one.

    Raises:
        ScopeChanged: the currency or the owner differs from the earlier versions'.
        OverlappingEntries, EmptyPeriod, RateNotPositive, MixedCurrencies: the rates.
        UnknownCurrency: the currency is no ISO 4217 code.
    """
    require_known(scope.currency, field="currency")
    if latest is not None and latest.scope != scope:
        raise ScopeChanged(
            f"card {code} has had another currency or owner since its first version",
            advice="publish it under another code",
        )
    _check_entries(entries, scope.currency)
    version = 1 if latest is None else latest.version + 1
    card = RateCard(rate_card_id, version, code, name, scope, tuple(entries), at)
    return Change(card, (RateCardPublished(card),))


def _check_entries(entries: Sequence[RateEntry], currency: str) -> None:
    by_key: defaultdict[RateKey, list[RateEntry]] = defaultdict(list)
    for index, entry in enumerate(entries):
        field = f"entries[{index}]"
        require_currency(entry.hourly_rate, currency, field=f"{field}.hourly_rate")
        if entry.hourly_rate <= Money.zero(currency):
            raise RateNotPositive("a rate is above nought", field=f"{field}.hourly_rate")
        if entry.valid_to is not None and entry.valid_to <= entry.valid_from:
            raise EmptyPeriod(
                f"the rate ends on {entry.valid_to} and begins on {entry.valid_from}",
                field=f"{field}.valid_to",
                advice="valid_to is the first day the rate no longer holds",
            )
        by_key[entry.key].append(entry)
    for same in by_key.values():
        for earlier, later in pairwise(sorted(same, key=lambda entry: entry.valid_from)):
            if earlier.valid_to is None or later.valid_from < earlier.valid_to:
                raise OverlappingEntries(
                    f"two rates for role {later.key.role} hold on {later.valid_from}",
                    field=f"entries[{entries.index(later)}].valid_from",
                    advice="end the earlier rate on the day the later one begins",
                )


class Owner(IntEnum):
    """Whose card a rate is on, in the order they are asked."""

    CONTRACT = 1
    CUSTOMER = 2
    ENTITY = 3
    FIRM = 4


@dataclass(frozen=True, slots=True)
class Deal:
    """What decides which cards an hour may be priced by, and in which order."""

    customer_id: CustomerId
    legal_entity_id: LegalEntityId
    currency: str
    rate_card_id: RateCardId | None


@dataclass(frozen=True, slots=True)
class Hour:
    """An hour to be priced; None stands for nobody in particular, no level, no region."""

    work_date: date
    role: str
    level: str | None = None
    region: str | None = None
    person_id: PersonId | None = None


@dataclass(frozen=True, slots=True)
class ResolvedRate:
    """The price of an hour, how it was found, and the card; None when the line names the rate."""

    hourly_rate: Money
    path: str
    card: RateCard | None


def resolve(hour: Hour, line: ServiceLine, deal: Deal, cards: Iterable[RateCard]) -> ResolvedRate:
    """Return the rate that holds, by the first match of the agreed order.

    The line's own rate for the role; then the contract's card, the customer's, the entity's, the
    firm's. Among cards of one owner the one published last is asked first. On a card a person's
    rate goes before anybody's, then one for the level, then one for the region.

    Raises:
        NoRate: nothing matches.
    """
    for rate in line.terms.rates:
        if rate.role == hour.role:
            return ResolvedRate(
                rate.hourly_rate,
                f"role {hour.role}, as agreed on contract line {line.position}",
                None,
            )
    for owner, card in _in_order(cards, deal):
        entry = _best(card.entries, hour)
        if entry is not None:
            return ResolvedRate(entry.hourly_rate, _path(owner, card, entry.key), card)
    raise NoRate(
        f"no rate for role {hour.role} on {hour.work_date}",
        field="role",
        advice="agree a rate on the contract line, or publish a card with the role",
    )


def in_scope(card: RateCard, deal: Deal) -> Owner | None:
    """Return whose card it is to this deal, None when it has no say."""
    scope = card.scope
    if scope.currency != deal.currency:
        return None
    if card.rate_card_id == deal.rate_card_id:
        return Owner.CONTRACT
    if scope.legal_entity_id not in {None, deal.legal_entity_id}:
        return None
    if scope.customer_id is not None:
        return Owner.CUSTOMER if scope.customer_id == deal.customer_id else None
    return Owner.FIRM if scope.legal_entity_id is None else Owner.ENTITY


def _in_order(cards: Iterable[RateCard], deal: Deal) -> list[tuple[Owner, RateCard]]:
    owned = [(owner, card) for card in cards if (owner := in_scope(card, deal)) is not None]
    # The id decides between two cards of one instant, so that everybody finds the same rate.
    owned.sort(key=lambda pair: (pair[1].published_at, pair[1].rate_card_id), reverse=True)
    return sorted(owned, key=lambda pair: pair[0])


def _best(entries: Iterable[RateEntry], hour: Hour) -> RateEntry | None:
    matching = [entry for entry in entries if _matches(entry, hour)]
    return max(matching, key=lambda entry: _rank(entry.key), default=None)


def _matches(entry: RateEntry, hour: Hour) -> bool:
    key = entry.key
    return (
        key.role == hour.role
        and key.level in {None, hour.level}
        and key.region in {None, hour.region}
        and key.person_id in {None, hour.person_id}
        and entry.holds_on(hour.work_date)
    )


def _rank(key: RateKey) -> tuple[bool, bool, bool]:
    return (key.person_id is not None, key.level is not None, key.region is not None)


def _path(owner: Owner, card: RateCard, key: RateKey) -> str:
    parts = [f"role {key.role}"]
    if key.level is not None:
        parts.append(f"level {key.level}")
    if key.region is not None:
        parts.append(f"region {key.region}")
    if key.person_id is not None:
        parts.append("the person's own rate")
    parts.append(f"on the {owner.name.lower()}'s card {card.code} version {card.version}")
    return ", ".join(parts)
