"""Differences between versions of a card, and from which day gone by they matter."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from customer_contract_builders import a_card, a_rate, eur
from hypothesis import given
from hypothesis import strategies as st

from customer_contract.domain.rate_card import CardContent, RateEntry, RateKey
from customer_contract.domain.rate_difference import compare, retroactive_from
from customer_contract.domain.service_line import ActivityMultiplier

TODAY = date(2026, 9, 10)
CARD = a_card(a_rate("consultant", "150"), a_rate("analyst", "100")).content


def with_entries(*entries: RateEntry, **changes: object) -> CardContent:
    return replace(CARD, entries=entries, **changes)  # type: ignore[arg-type]  # a test's wish


def test_the_first_version_adds_all_it_says() -> None:
    found = compare(None, CARD)
    assert [(one.entry.key.role, one.old_rate, one.percent) for one in found] == [
        ("analyst", None, None),
        ("consultant", None, None),
    ]


def test_a_rate_that_follows_is_compared_with_the_one_it_replaces() -> None:
    cut, risen = date(2027, 1, 1), "157.5"
    after = with_entries(
        a_rate("consultant", "150", valid_to=cut), a_rate("consultant", risen, valid_from=cut)
    )
    removed, shortened, added = compare(CARD, after)

    assert (removed.entry.key.role, removed.after, removed.percent) == ("analyst", None, None)
    assert shortened.percent == Decimal("0.00")
    assert (added.before, added.old_rate, added.percent) == (None, eur("150"), Decimal("5.00"))


def test_the_order_of_rates_is_no_difference() -> None:
    assert compare(CARD, with_entries(*reversed(CARD.entries))) == ()


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (CARD, None),
        (with_entries(a_rate("consultant", "151"), CARD.entries[1]), date(2026, 1, 1)),
        (with_entries(CARD.entries[0]), date(2026, 1, 1)),
        (
            with_entries(
                *CARD.entries, a_rate("consultant", "1", level="x", valid_from=date(2026, 9, 9))
            ),
            date(2026, 9, 9),
        ),
        (with_entries(*CARD.entries, a_rate("painter", "1", valid_from=TODAY)), None),
        (
            with_entries(*CARD.entries, multipliers=(ActivityMultiplier("travel", Decimal(1)),)),
            date(2026, 1, 1),
        ),
    ],
)
def test_a_version_tells_the_first_past_day_it_prices_otherwise(
    after: CardContent, expected: date | None
) -> None:
    assert retroactive_from(CARD, after, today=TODAY) == expected


def test_a_first_version_prices_the_days_before_it() -> None:
    assert retroactive_from(None, CARD, today=TODAY) == date(2026, 1, 1)
    ahead = with_entries(a_rate("consultant", "1", valid_from=TODAY))
    assert retroactive_from(None, ahead, today=TODAY) is None


DAYS = st.integers(0, 20).map(lambda n: date(2026, 9, 1) + timedelta(n))


@st.composite
def contents(draw: st.DrawFn) -> CardContent:
    """Draw a card whose rates of one key follow each other without sharing a day."""
    entries = []
    for role in ("a", "b"):
        days = sorted(draw(st.sets(DAYS, max_size=4)))
        for start, end in zip(days, [*days[1:], None], strict=False):
            if draw(st.booleans()):
                amount = eur(str(draw(st.integers(1, 3))))
                entries.append(RateEntry(RateKey(role, None, None, None), amount, start, end))
    return replace(CARD, entries=tuple(entries))


@given(before=contents(), after=contents())
def test_it_is_the_first_day_a_look_at_every_day_would_find(
    before: CardContent, after: CardContent
) -> None:
    def prices(content: CardContent, day: date) -> dict[RateKey, object]:
        return {e.key: e.hourly_rate for e in content.entries if e.holds_on(day)}

    days = [date(2026, 9, 1) + timedelta(n) for n in range((TODAY - date(2026, 9, 1)).days)]
    expected = next((day for day in days if prices(before, day) != prices(after, day)), None)
    assert retroactive_from(before, after, today=TODAY) == expected
