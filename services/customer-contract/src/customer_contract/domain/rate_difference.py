"""What two versions of a rate card say differently, and from which work date on."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from customer_contract.domain.rate_card import CardContent, RateEntry, RateKey
from throughline_core.money import Money
from throughline_core.rounding import round_half_away

_PERCENT_PLACES: Final = 2


@dataclass(frozen=True, slots=True)
class RateDifference:
    """A rate, known by whose it is and its first day, before and after; None = not on the card.

    `replaced` is what a new rate replaces: the one that held on its first day, None = there was
    none.
    """

    before: RateEntry | None
    after: RateEntry | None
    replaced: Money | None = None

    @property
    def entry(self) -> RateEntry:
        """The rate as it is now, or as it was where it is no longer on the card."""
        entry = self.after or self.before
        assert entry is not None
        return entry

    @property
    def old_rate(self) -> Money | None:
        return self.replaced if self.before is None else self.before.hourly_rate

    @property
    def percent(self) -> Decimal | None:
        """By how much it rises, with two decimals; None where there is nothing to compare."""
        if self.after is None or self.old_rate is None:
            return None
        rise = self.after.hourly_rate.amount / self.old_rate.amount - 1
        return round_half_away(rise * 100, _PERCENT_PLACES)


def compare(before: CardContent | None, after: CardContent) -> tuple[RateDifference, ...]:
    """Return the rates that were added, removed or altered, by role, level, region and day."""
    old = {} if before is None else {_identity(entry): entry for entry in before.entries}
    new = {_identity(entry): entry for entry in after.entries}
    held = _by_key(() if before is None else before.entries)
    found = (
        RateDifference(
            old.get(identity),
            new.get(identity),
            None if identity in old else _rate_on(held[identity[0]], identity[1]),
        )
        for identity in old.keys() | new.keys()
        if old.get(identity) != new.get(identity)
    )
    return tuple(sorted(found, key=lambda one: _order(one.entry)))


def retroactive_from(before: CardContent | None, after: CardContent, *, today: date) -> date | None:
    """Return the first day before `today` that the cards price otherwise, None when there is none.

    Factors of activities have no days of their own: another factor counts from the first rate on.
    """
    old = _by_key(() if before is None else before.entries)
    new = _by_key(after.entries)
    old_factors = () if before is None else before.multipliers
    factors_changed = set(old_factors) != set(after.multipliers)
    days = (
        day
        for key in {*old, *new}
        for day in _days_of_change((*old[key], *new[key]))
        if day < today and (factors_changed or _rate_on(old[key], day) != _rate_on(new[key], day))
    )
    return min(days, default=None)


def _by_key(entries: Iterable[RateEntry]) -> defaultdict[RateKey, list[RateEntry]]:
    found: defaultdict[RateKey, list[RateEntry]] = defaultdict(list)
    for entry in entries:
        found[entry.key].append(entry)
    return found


def _days_of_change(entries: Iterable[RateEntry]) -> Iterator[date]:
    for entry in entries:
        yield entry.valid_from
        if entry.valid_to is not None:
            yield entry.valid_to


def _rate_on(entries: Iterable[RateEntry], day: date) -> Money | None:
    return next((entry.hourly_rate for entry in entries if entry.holds_on(day)), None)


def _identity(entry: RateEntry) -> tuple[RateKey, date]:
    return (entry.key, entry.valid_from)


def _order(entry: RateEntry) -> tuple[str, ...]:
    key = entry.key
    return (
        key.role,
        key.level or "",
        key.region or "",
        str(key.person_id or ""),
        entry.valid_from.isoformat(),
    )
