"""Cost rates: what is published, and which cost an hour has."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from customer_contract_builders import ENTITY_ID, a_cost, a_cost_card, eur

from customer_contract.domain import cost_rate as domain
from customer_contract.domain.cost_rate import CostEntry, CostHour, CostRateCard
from throughline_core.errors import InvalidArgument
from throughline_core.money import MixedCurrencies, Money

HOUR = CostHour(date(2026, 9, 2), "consultant", "senior", "CH")


def drafted(latest: CostRateCard | None, *entries: CostEntry) -> CostRateCard:
    return domain.draft(
        latest,
        entries,
        cost_rate_card_id=a_cost_card().cost_rate_card_id,
        legal_entity_id=ENTITY_ID,
        currency="EUR",
    )


def test_costs_are_published_in_versions() -> None:
    at = datetime(2026, 8, 1, 8, tzinfo=UTC)
    first = domain.publish(drafted(None, *a_cost_card().entries), at=at).state
    assert first == a_cost_card()
    assert drafted(first, a_cost("consultant", "1")).version == 2
    with pytest.raises(domain.CostsUnchanged):
        drafted(first, *first.entries)


@pytest.mark.parametrize(
    ("entries", "refusal", "field"),
    [
        ([a_cost("a", "0")], domain.CostNotPositive, "entries[0].hourly_cost"),
        (
            [replace(a_cost("a", "1"), hourly_cost=Money(Decimal(1), "USD"))],
            MixedCurrencies,
            "entries[0].hourly_cost",
        ),
        (
            [a_cost("a", "1", valid_to=date(2026, 1, 1))],
            domain.EmptyCostPeriod,
            "entries[0].valid_to",
        ),
        (
            [a_cost("a", "1"), a_cost("a", "2", valid_from=date(2026, 2, 1))],
            domain.OverlappingCosts,
            "entries[1].valid_from",
        ),
    ],
)
def test_costs_that_answer_twice_or_not_at_all_are_refused(
    entries: list[CostEntry], refusal: type[InvalidArgument], field: str
) -> None:
    with pytest.raises(refusal) as refused:
        drafted(None, *entries)
    assert refused.value.field == field


def test_a_level_goes_before_any_then_a_region() -> None:
    any_cost, swiss, senior = (
        a_cost("consultant", "1"),
        a_cost("consultant", "2", region="CH"),
        a_cost("consultant", "3", level="senior"),
    )
    both = a_cost("consultant", "4", level="senior", region="CH")
    for entries, amount in (
        ([any_cost], "1"),
        ([any_cost, swiss], "2"),
        ([swiss, any_cost, senior], "3"),
        ([senior, both, swiss], "4"),
    ):
        assert domain.resolve(HOUR, a_cost_card(*entries)).hourly_cost == eur(amount)


def test_the_work_date_chooses_the_period() -> None:
    card = a_cost_card(
        a_cost("consultant", "1", valid_to=HOUR.work_date),
        a_cost("consultant", "2", valid_from=date(2026, 9, 3)),
    )
    with pytest.raises(domain.NoCost):
        domain.resolve(HOUR, card)
    assert domain.resolve(replace(HOUR, work_date=date(2026, 9, 1)), card).hourly_cost == eur("1")


@pytest.mark.parametrize(
    "entry",
    [
        a_cost("analyst", "1"),
        a_cost("consultant", "1", level="junior"),
        a_cost("consultant", "1", region="US"),
        a_cost("consultant", "1", valid_from=date(2026, 9, 3)),
    ],
)
def test_costs_of_others_have_no_say(entry: CostEntry) -> None:
    with pytest.raises(domain.NoCost):
        domain.resolve(HOUR, a_cost_card(entry))
