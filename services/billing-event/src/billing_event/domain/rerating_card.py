"""Which days a new version of a rate card prices differently."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date
from itertools import pairwise
from uuid import UUID

from billing_event.domain.terms import CardEntry, RateCard
from throughline_core.money import Money
from throughline_core.period import Period

_ENTRY = tuple[str, str | None, str | None, UUID | None]


def changed_days(old: RateCard | None, new: RateCard) -> Period | None:
    """Return the days from the first to the last with another price in the new version.

    An entry that was cut in two at the same price changes nothing. A multiplier has no days:
    another one changes all that the card is valid for, as the first version of a card does.
    """
    old = old or replace(new, entries={})
    entries = [each for card in (old, new) for every in card.entries.values() for each in every]
    if old.multipliers != new.multipliers:
        days = [(each.valid_from, each.valid_to or date.max) for each in entries]
    else:
        before, after = _by_scope(old), _by_scope(new)
        days = [
            span
            for scope in before.keys() | after.keys()
            for span in _differing(before[scope], after[scope])
        ]
    if not days:
        return None
    return Period(min(start for start, _ in days), max(end for _, end in days))


def _by_scope(card: RateCard) -> defaultdict[_ENTRY, list[CardEntry]]:
    found: defaultdict[_ENTRY, list[CardEntry]] = defaultdict(list)
    for entries in card.entries.values():
        for entry in entries:
            found[(entry.role, entry.level, entry.region, entry.person_id)].append(entry)
    return found


def _differing(old: list[CardEntry], new: list[CardEntry]) -> Iterator[tuple[date, date]]:
    """Yield the spans, between days on which a price of either begins or ends, that differ."""
    edges = sorted(
        {each.valid_from for each in (*old, *new)}
        | {each.valid_to or date.max for each in (*old, *new)}
    )
    for start, end in pairwise(edges):
        if _price_on(old, start) != _price_on(new, start):
            yield start, end


def _price_on(entries: Iterable[CardEntry], day: date) -> Money | None:
    valid = [each for each in entries if each.is_valid_on(day)]
    latest = max(valid, key=lambda each: each.valid_from, default=None)
    return None if latest is None else latest.hourly_rate
