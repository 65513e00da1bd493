"""Cost rates: what an hour of the firm's people costs it, by role, level and region."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise

from customer_contract.domain.values import CostRateCardId, LegalEntityId, require_currency
from throughline_core.change import Change
from throughline_core.errors import FailedPrecondition, InvalidArgument, NotFound
from throughline_core.money import Money


class OverlappingCosts(InvalidArgument):
    """Two costs for one role, level and region share a day."""

    code = "cost_rate.overlapping_entries"


class EmptyCostPeriod(InvalidArgument):
    """A cost ends before it begins."""

    code = "cost_rate.empty_period"


class CostNotPositive(InvalidArgument):
    """A cost of nought or less."""

    code = "cost_rate.cost_not_positive"


class CostsUnchanged(FailedPrecondition):
    """The version in force says the same."""

    code = "cost_rate.unchanged"


class NoCost(NotFound):
    """The card has no cost for this hour."""

    code = "cost_rate.no_cost"


@dataclass(frozen=True, slots=True)
class CostKey:
    """Whose hour a cost is for; None stands for any."""

    role: str
    level: str | None
    region: str | None


@dataclass(frozen=True, slots=True)
class CostEntry:
    """An hour's cost on the work dates from `valid_from` up to `valid_to`, None = open."""

    key: CostKey
    hourly_cost: Money
    valid_from: date
    valid_to: date | None

    def holds_on(self, day: date) -> bool:
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)


@dataclass(frozen=True, slots=True)
class CostRateCard:
    """A version of a legal entity's costs, in its currency; None = not published yet."""

    cost_rate_card_id: CostRateCardId
    version: int
    legal_entity_id: LegalEntityId
    currency: str
    entries: tuple[CostEntry, ...]
    published_at: datetime | None


@dataclass(frozen=True, slots=True)
class CostRateCardPublished:
    """A version of a legal entity's costs was published."""

    card: CostRateCard


@dataclass(frozen=True, slots=True)
class CostHour:
    """An hour to be costed; None stands for no level, no region."""

    work_date: date
    role: str
    level: str | None = None
    region: str | None = None


@dataclass(frozen=True, slots=True)
class ResolvedCost:
    """The cost of an hour and how it was found."""

    hourly_cost: Money
    path: str


def draft(
    latest: CostRateCard | None,
    entries: Sequence[CostEntry],
    *,
    cost_rate_card_id: CostRateCardId,
    legal_entity_id: LegalEntityId,
    currency: str,
) -> CostRateCard:
    """Return the version that would follow `latest`, or the first one, not published yet.

    Raises:
        OverlappingCosts, EmptyCostPeriod, CostNotPositive, MixedCurrencies: the costs.
        CostsUnchanged: it says what `latest` says.
    """
    _check_entries(entries, currency)
    if latest is not None and latest.entries == tuple(entries):
        raise CostsUnchanged(f"version {latest.version} says the same already")
    version = 1 if latest is None else latest.version + 1
    return CostRateCard(cost_rate_card_id, version, legal_entity_id, currency, tuple(entries), None)


def publish(card: CostRateCard, *, at: datetime) -> Change[CostRateCard, CostRateCardPublished]:
    """Put a drafted version into force."""
    published = CostRateCard(
        card.cost_rate_card_id,
        card.version,
        card.legal_entity_id,
        card.currency,
        card.entries,
        at,
    )
    return Change(published, (CostRateCardPublished(published),))


def resolve(hour: CostHour, card: CostRateCard) -> ResolvedCost:
    """Return the cost that holds: a level goes before any, then a region.

    Raises:
        NoCost: nothing matches.
    """
    matching = [entry for entry in card.entries if _matches(entry, hour)]
    if not matching:
        raise NoCost(
            f"no cost for role {hour.role} on {hour.work_date}",
            field="role",
            advice="publish a version of the entity's costs with the role",
        )
    entry = max(matching, key=lambda one: (one.key.level is not None, one.key.region is not None))
    return ResolvedCost(entry.hourly_cost, _path(entry.key, card))


def _matches(entry: CostEntry, hour: CostHour) -> bool:
    key = entry.key
    return (
        key.role == hour.role
        and key.level in {None, hour.level}
        and key.region in {None, hour.region}
        and entry.holds_on(hour.work_date)
    )


def _path(key: CostKey, card: CostRateCard) -> str:
    parts = [f"role {key.role}"]
    if key.level is not None:
        parts.append(f"level {key.level}")
    if key.region is not None:
        parts.append(f"region {key.region}")
    parts.append(f"on version {card.version}")
    return ", ".join(parts)


def _check_entries(entries: Sequence[CostEntry], currency: str) -> None:
    by_key: defaultdict[CostKey, list[CostEntry]] = defaultdict(list)
    for index, entry in enumerate(entries):
        field = f"entries[{index}]"
        require_currency(entry.hourly_cost, currency, field=f"{field}.hourly_cost")
        if entry.hourly_cost <= Money.zero(currency):
            raise CostNotPositive("a cost is above nought", field=f"{field}.hourly_cost")
        if entry.valid_to is not None and entry.valid_to <= entry.valid_from:
            raise EmptyCostPeriod(
                f"the cost ends on {entry.valid_to} and begins on {entry.valid_from}",
                field=f"{field}.valid_to",
                advice="valid_to is the first day the cost no longer holds",
            )
        by_key[entry.key].append(entry)
    for same in by_key.values():
        for earlier, later in pairwise(sorted(same, key=lambda entry: entry.valid_from)):
            if earlier.valid_to is None or later.valid_from < earlier.valid_to:
                raise OverlappingCosts(
                    f"two costs for role {later.key.role} hold on {later.valid_from}",
                    field=f"entries[{entries.index(later)}].valid_from",
                    advice="end the earlier cost on the day the later one begins",
                )
