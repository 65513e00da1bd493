"""Who lends is who employed on the day; both entities book one amount at the transfer price."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from billing_event_builders import (
    CONTRACT,
    ENTITY,
    NOW,
    a_card,
    a_line,
    an_entry,
    an_expense,
    an_id,
    an_item,
    eur,
    some_facts,
    some_terms,
)
from hypothesis import given
from hypothesis import strategies as st

from billing_event.domain.hold import HoldReason
from billing_event.domain.intercompany import Charge, Work, charge_of, mirror, work_of
from billing_event.domain.rating import Rater, Unratable
from billing_event.domain.source import ContractId, LegalEntityId, SourceItem, SourceItemId
from billing_event.domain.terms import CardEntry, CardPurpose, RateCard

LENDER, OTHER = LegalEntityId(an_id("e2")), LegalEntityId(an_id("e3"))
LENT = an_item(delivering_entity_id=LENDER)


def a_transfer_card(*entries: CardEntry, **different: Any) -> RateCard:
    card = a_card(*entries, code="IC-CH", legal_entity_id=LENDER, purpose=CardPurpose.TRANSFER)
    return replace(card, **different)


def charged(item: SourceItem, *cards: RateCard) -> Charge | None:
    return charge_of(Work(item, CONTRACT, LENDER, ENTITY), some_terms(), cards, at=NOW)


def test_only_time_of_another_entity_than_the_selling_one_is_lent() -> None:
    known = {CONTRACT: ENTITY}
    items = [an_item(), LENT, an_expense(eur("9.00"), delivering_entity_id=LENDER)]
    assert [work.item for work in work_of(items, known)] == [LENT]


def test_time_that_is_not_billable_is_lent_as_well() -> None:
    free = replace(LENT, is_billable=False)
    unbilled = replace(LENT, contract_id=None, contract_line_id=None, project_contract_id=CONTRACT)
    found = list(work_of([free, unbilled], {CONTRACT: ENTITY}))
    assert [work.borrowing_entity_id for work in found] == [ENTITY, ENTITY]


def test_while_the_contract_is_unknown_nobody_can_say_who_borrows() -> None:
    [work] = work_of([an_item()], {ContractId(an_id("b9")): ENTITY})
    assert work.borrowing_entity_id is None


def test_hours_are_charged_as_recorded_whatever_the_customers_rounding() -> None:
    charge = charged(replace(LENT, minutes=25), a_transfer_card(an_entry("120.00")))
    assert charge is not None
    assert (charge.minutes, charge.quantity, charge.amount) == (25, Decimal("0.42"), eur("50.40"))
    assert (charge.lending_entity_id, charge.borrowing_entity_id) == (LENDER, ENTITY)


def test_a_card_for_the_borrower_goes_before_one_for_any_and_the_latest_before_earlier() -> None:
    late = datetime(2026, 9, 1, tzinfo=UTC)
    anybodys = a_transfer_card(an_entry("1"), rate_card_id=an_id("d2"), published_at=late)
    earlier = a_transfer_card(
        an_entry("2"), rate_card_id=an_id("d3"), borrowing_entity_id=ENTITY, code="A"
    )
    latest = replace(earlier, rate_card_id=an_id("d4"), published_at=late, code="B")
    for cards, card_id in (
        ([anybodys, earlier, latest], "d4"),
        ([anybodys, earlier], "d3"),
        ([anybodys], "d2"),
    ):
        charge = charged(LENT, *cards)
        assert charge is not None
        assert charge.rate_card_id == an_id(card_id)


@pytest.mark.parametrize(
    "card",
    [
        a_transfer_card(an_entry("1"), borrowing_entity_id=OTHER),
        a_transfer_card(an_entry("1"), legal_entity_id=OTHER),
        a_transfer_card(an_entry("1", valid_from=date(2026, 9, 8))),
        a_transfer_card(an_entry("1", role="architect")),
        a_transfer_card(an_entry("1"), purpose=CardPurpose.BILLING),
    ],
)
def test_a_card_of_others_for_other_days_roles_or_customers_charges_nothing(card: RateCard) -> None:
    assert charged(LENT, card) is None


def test_a_special_activity_is_charged_at_the_factor_of_the_card() -> None:
    card = a_transfer_card(an_entry("120.00"), multipliers={"overtime": Decimal("1.25")})
    charge = charged(replace(LENT, activity="overtime"), card)
    assert charge is not None
    assert charge.unit_rate == eur("150.00")
    assert charge.explanation.endswith("times 1.25 for overtime by the transfer card IC-CH")


def test_a_transfer_card_never_prices_what_a_customer_pays() -> None:
    card = a_transfer_card(an_entry("1"), legal_entity_id=ENTITY)
    terms = some_terms(a_line(rates={}), rate_card_id=card.rate_card_id)
    outcome = Rater(some_facts(terms, cards=[card])).rate(an_item())
    assert isinstance(outcome, Unratable)
    assert outcome.hold.reason is HoldReason.MISSING_RATE


@given(st.integers(1, 1440), st.decimals("0.01", 500, places=6))
def test_what_takes_a_charge_back_mirrors_it_in_every_figure(minutes: int, rate: Decimal) -> None:
    entry = an_entry(f"{rate:f}")
    charge = charged(replace(LENT, minutes=minutes), a_transfer_card(entry))
    assert charge is not None
    taken_back = mirror(charge, SourceItemId(an_id("199")), at=NOW)
    assert taken_back.reverses == charge.intercompany_charge_id
    assert (taken_back.minutes, taken_back.quantity) == (-charge.minutes, -charge.quantity)
    assert taken_back.amount + charge.amount == eur(0)
    assert taken_back.unit_rate == charge.unit_rate
