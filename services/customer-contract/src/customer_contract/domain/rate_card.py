"""Rate cards: what an hour costs, for whom and when, as proposed and as published."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import IntEnum, StrEnum
from itertools import pairwise

from customer_contract.domain.service_line import ActivityMultiplier
from customer_contract.domain.values import (
    CustomerId,
    LegalEntityId,
    PersonId,
    RateCardId,
    require_currency,
    require_known,
)
from throughline_core.change import Change
from throughline_core.errors import FailedPrecondition, InvalidArgument
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
    """The card's next version has another currency, owner or purpose."""

    code = "rate_card.scope_changed"


class MultiplierRepeated(InvalidArgument):
    """An activity has two factors on one card."""

    code = "rate_card.multiplier_repeated"


class TransferParties(InvalidArgument):
    """A transfer card names who lends and no customer; only it names who borrows, another one."""

    code = "rate_card.transfer_parties"


class NotForBilling(InvalidArgument):
    """A transfer card prices nothing that a customer pays."""

    code = "rate_card.not_for_billing"


class CardUnchanged(FailedPrecondition):
    """The version in force says the same."""

    code = "rate_card.unchanged"


class NotProposed(FailedPrecondition):
    """Nobody has proposed the card with this content."""

    code = "rate_card.not_proposed"


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


class CardPurpose(StrEnum):
    """What the rates are for: customers' bills, or one entity's work for another."""

    BILLING = "billing"
    TRANSFER = "transfer"


@dataclass(frozen=True, slots=True)
class CardScope:
    """Whose card it is: a customer's, a legal entity's, or with neither the firm's.

    A transfer card is the lending entity's; without `borrowing_legal_entity_id` it is for any
    entity that borrows.
    """

    currency: str
    legal_entity_id: LegalEntityId | None
    customer_id: CustomerId | None
    purpose: CardPurpose = CardPurpose.BILLING
    borrowing_legal_entity_id: LegalEntityId | None = None

    @property
    def is_transfer(self) -> bool:
        return self.purpose is CardPurpose.TRANSFER


@dataclass(frozen=True, slots=True)
class CardContent:
    """What a version of the card with this code says."""

    code: str
    name: str
    scope: CardScope
    entries: tuple[RateEntry, ...]
    multipliers: tuple[ActivityMultiplier, ...] = ()


@dataclass(frozen=True, slots=True)
class CardDraft:
    """The version that is to follow the one in force, not published yet."""

    rate_card_id: RateCardId
    version: int
    content: CardContent


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
    multipliers: tuple[ActivityMultiplier, ...] = ()
    proposed_by: str = ""
    published_by: str = ""

    @property
    def content(self) -> CardContent:
        return CardContent(self.code, self.name, self.scope, self.entries, self.multipliers)


@dataclass(frozen=True, slots=True)
class RateCardPublished:
    """A version of a rate card was published."""

    card: RateCard


def draft(latest: RateCard | None, content: CardContent, *, rate_card_id: RateCardId) -> CardDraft:
    """Return the version that would follow `latest`, or the first one.

    Raises:
        ScopeChanged: the currency or the owner differs from the earlier versions'.
        OverlappingEntries, EmptyPeriod, RateNotPositive, MixedCurrencies: the rates.
        MultiplierRepeated: the factors.
        TransferParties: who lends and borrows.
        UnknownCurrency: the currency is no ISO 4217 code.
        CardUnchanged: it says what `latest` says.
    """
    require_known(content.scope.currency, field="currency")
    _check_parties(content.scope)
    if latest is not None and latest.scope != content.scope:
        raise ScopeChanged(
            f"card {content.code} has had another currency, owner or purpose since its first"
            " version",
            advice="propose it under another code",
        )
    _check_entries(content.entries, content.scope.currency)
    activities = [multiplier.activity for multiplier in content.multipliers]
    if len(set(activities)) != len(activities):
        raise MultiplierRepeated("an activity has one factor on a card", field="multipliers")
    if latest is not None and latest.content == content:
        raise CardUnchanged(f"version {latest.version} of {content.code} says the same already")
    return CardDraft(rate_card_id, 1 if latest is None else latest.version + 1, content)


def publish(
    card: CardDraft, *, proposed_by: str, published_by: str, at: datetime
) -> Change[RateCard, RateCardPublished]:
    """Put a drafted version into force."""
    content = card.content
    published = RateCard(
        rate_card_id=card.rate_card_id,
        version=card.version,
        code=content.code,
        name=content.name,
        scope=content.scope,
        entries=content.entries,
        published_at=at,
        multipliers=content.multipliers,
        proposed_by=proposed_by,
        published_by=published_by,
    )
    return Change(published, (RateCardPublished(published),))


def require_billing(scope: CardScope) -> None:
    """Refuse a transfer card where a contract names its own.

    Raises:
        NotForBilling: it is one.
    """
    if scope.is_transfer:
        raise NotForBilling(
            "a transfer card prices nothing that a customer pays",
            field="rate_card_id",
            advice="name a card of bill rates",
        )


def _check_parties(scope: CardScope) -> None:
    lender, borrower = scope.legal_entity_id, scope.borrowing_legal_entity_id
    if not scope.is_transfer:
        if borrower is not None:
            raise TransferParties(
                "only a transfer card names an entity that borrows",
                field="borrowing_legal_entity_id",
                advice="leave it out, or propose a transfer card",
            )
        return
    if lender is None:
        raise TransferParties(
            "a transfer card is the lending entity's",
            field="legal_entity_id",
            advice="name the entity whose people are lent",
        )
    if scope.customer_id is not None:
        raise TransferParties(
            "no customer pays by a transfer card", field="customer_id", advice="leave it out"
        )
    if borrower == lender:
        raise TransferParties(
            "an entity borrows from another",
            field="borrowing_legal_entity_id",
            advice="name another entity, or none for any",
        )


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


def in_scope(card: RateCard, deal: Deal) -> Owner | None:
    """Return whose card it is to this deal, None when it has no say."""
    scope = card.scope
    if scope.is_transfer or scope.currency != deal.currency:
        return None
    if card.rate_card_id == deal.rate_card_id:
        return Owner.CONTRACT
    if scope.legal_entity_id not in {None, deal.legal_entity_id}:
        return None
    if scope.customer_id is not None:
        return Owner.CUSTOMER if scope.customer_id == deal.customer_id else None
    return Owner.FIRM if scope.legal_entity_id is None else Owner.ENTITY


def in_order(cards: Iterable[RateCard], deal: Deal) -> list[tuple[Owner, RateCard]]:
    """Return the cards that have a say, in the order in which they are asked."""
    owned = [(owner, card) for card in cards if (owner := in_scope(card, deal)) is not None]
    # The id decides between two cards of one instant, so that everybody finds the same rate.
    owned.sort(key=lambda pair: (pair[1].published_at, pair[1].rate_card_id), reverse=True)
    return sorted(owned, key=lambda pair: pair[0])
