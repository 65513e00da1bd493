"""Rate cards: what is published, and which rate an hour has."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from customer_contract_builders import (
    CARD_ID,
    CUSTOMER_ID,
    ENTITY_ID,
    PERSON_ID,
    a_card,
    a_line,
    a_rate,
    an_id,
    eur,
)
from hypothesis import given
from hypothesis import strategies as st

from customer_contract.domain.rate_card import (
    CardPurpose,
    CardScope,
    CardUnchanged,
    Deal,
    EmptyPeriod,
    MultiplierRepeated,
    NotForBilling,
    OverlappingEntries,
    RateCard,
    RateEntry,
    RateKey,
    RateNotPositive,
    ScopeChanged,
    TransferParties,
    draft,
    publish,
    require_billing,
)
from customer_contract.domain.rate_resolution import Hour, NoRate, resolve
from customer_contract.domain.service_line import ActivityMultiplier, LineRate, ModelTerms
from customer_contract.domain.values import CustomerId, LegalEntityId, PersonId, RateCardId
from throughline_core.errors import InvalidArgument
from throughline_core.money import MixedCurrencies, Money

DEAL = Deal(CUSTOMER_ID, ENTITY_ID, "EUR", CARD_ID)
HOUR = Hour(date(2026, 9, 2), "consultant", "senior", "CH", PERSON_ID)
OPEN_LINE = a_line(2, terms=ModelTerms())

FIRM = CardScope("EUR", None, None)
ENTITY = CardScope("EUR", ENTITY_ID, None)
CUSTOMER = CardScope("EUR", None, CUSTOMER_ID)
BORROWER = LegalEntityId(an_id("e2"))
TRANSFER = CardScope("EUR", ENTITY_ID, None, CardPurpose.TRANSFER, BORROWER)
OF_OTHERS = (
    CardScope("EUR", LegalEntityId(an_id("e2")), None),
    CardScope("EUR", None, CustomerId(an_id("c9"))),
    CardScope("EUR", LegalEntityId(an_id("e2")), CUSTOMER_ID),
)
OTHERS = (TRANSFER, CardScope("USD", None, None), *OF_OTHERS)


def card_of(number: int, scope: CardScope, *entries: RateEntry, **changes: Any) -> RateCard:
    card_id = RateCardId(an_id(f"d{number + 1}"))
    return a_card(*entries, rate_card_id=card_id, code=f"RC-{number}", scope=scope, **changes)


def published(latest: RateCard | None, *entries: RateEntry, **changes: Any) -> RateCard:
    card = a_card(*entries, **changes)
    drafted = draft(latest, card.content, rate_card_id=card.rate_card_id)
    return publish(drafted, proposed_by="olga", published_by="frieda", at=card.published_at).state


def test_a_card_is_published_in_versions() -> None:
    first = published(None)
    second = published(first, a_rate("consultant", "151"))

    assert (first.version, second.version) == (1, 2)
    assert first == a_card()


def test_a_version_says_something_else_than_the_one_before() -> None:
    with pytest.raises(CardUnchanged):
        published(a_card())


def test_an_activity_has_one_factor() -> None:
    twice = (ActivityMultiplier("travel", Decimal("0.5")), ActivityMultiplier("travel", Decimal(1)))
    with pytest.raises(MultiplierRepeated):
        published(None, multipliers=twice)


@pytest.mark.parametrize("scope", [CardScope("USD", ENTITY_ID, None), FIRM, CUSTOMER, TRANSFER])
def test_a_card_keeps_its_currency_and_owner(scope: CardScope) -> None:
    rate = replace(a_rate("consultant", "1"), hourly_rate=Money(Decimal(1), scope.currency))
    with pytest.raises(ScopeChanged):
        published(a_card(), rate, scope=scope)


@pytest.mark.parametrize("borrower", [BORROWER, None])
def test_a_transfer_card_is_the_lenders_for_one_borrower_or_any(
    borrower: LegalEntityId | None,
) -> None:
    card = published(None, scope=replace(TRANSFER, borrowing_legal_entity_id=borrower))
    assert card.scope.borrowing_legal_entity_id is borrower


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"legal_entity_id": None}, "legal_entity_id"),
        ({"customer_id": CUSTOMER_ID}, "customer_id"),
        ({"borrowing_legal_entity_id": ENTITY_ID}, "borrowing_legal_entity_id"),
        ({"purpose": CardPurpose.BILLING}, "borrowing_legal_entity_id"),
    ],
)
def test_who_lends_and_who_borrows_are_two_entities_and_no_customer(
    changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(TransferParties) as refused:
        published(None, scope=replace(TRANSFER, **changes))
    assert refused.value.field == field


def test_a_contract_names_no_transfer_card_as_its_own() -> None:
    require_billing(ENTITY)
    with pytest.raises(NotForBilling):
        require_billing(TRANSFER)


def test_a_transfer_card_has_no_say_even_where_a_contract_names_it() -> None:
    deal = replace(DEAL, rate_card_id=CARD_ID)
    card = a_card(a_rate("consultant", "1"), scope=TRANSFER, rate_card_id=CARD_ID)
    with pytest.raises(NoRate):
        resolve(HOUR, OPEN_LINE, deal, [card])


@pytest.mark.parametrize(
    ("entries", "refusal", "field"),
    [
        ([a_rate("a", "0")], RateNotPositive, "entries[0].hourly_rate"),
        (
            [replace(a_rate("a", "1"), hourly_rate=Money(Decimal(1), "USD"))],
            MixedCurrencies,
            "entries[0].hourly_rate",
        ),
        ([a_rate("a", "1", valid_to=date(2026, 1, 1))], EmptyPeriod, "entries[0].valid_to"),
        ([a_rate("a", "1"), a_rate("a", "2")], OverlappingEntries, "entries[1].valid_from"),
        (
            [a_rate("a", "1", valid_from=date(2026, 6, 1)), a_rate("a", "2")],
            OverlappingEntries,
            "entries[0].valid_from",
        ),
        (
            [
                a_rate("a", "1", valid_to=date(2026, 7, 2)),
                a_rate("a", "2", valid_from=date(2026, 7, 1)),
            ],
            OverlappingEntries,
            "entries[1].valid_from",
        ),
    ],
)
def test_a_card_that_answers_twice_or_not_at_all_is_refused(
    entries: list[RateEntry], refusal: type[InvalidArgument], field: str
) -> None:
    with pytest.raises(refusal) as refused:
        published(None, *entries)
    assert refused.value.field == field


def test_rates_may_follow_each_other_and_differ_by_key() -> None:
    published(
        None,
        a_rate("a", "1", valid_to=date(2026, 7, 1)),
        a_rate("a", "2", valid_from=date(2026, 7, 1)),
        a_rate("a", "3", level="x"),
        a_rate("a", "4", region="x"),
        a_rate("a", "5", person_id=PERSON_ID),
    )


def test_the_lines_own_rate_goes_before_every_card() -> None:
    found = resolve(HOUR, a_line(2), DEAL, [a_card(a_rate("consultant", "999"))])

    assert found.hourly_rate == eur("140")
    assert found.card is None
    assert found.path == "role consultant, as agreed on contract line 2"


def test_owners_are_asked_in_the_agreed_order() -> None:
    rates = [a_rate("consultant", amount) for amount in ("1", "2", "3", "4")]
    contract_card = a_card(rates[0])
    in_order = [
        contract_card,
        card_of(2, CUSTOMER, rates[1]),
        card_of(3, ENTITY, rates[2]),
        card_of(4, FIRM, rates[3]),
    ]
    for first in range(len(in_order)):
        left = in_order[first:]
        found = resolve(HOUR, OPEN_LINE, DEAL, reversed(left))
        assert found.card is left[0]
    with pytest.raises(NoRate):
        resolve(HOUR, OPEN_LINE, DEAL, [])


def test_the_contracts_person_goes_before_its_roles_but_not_before_the_line() -> None:
    card = a_card(
        a_rate("consultant", "1", level="senior", region="CH"),
        a_rate("consultant", "2", person_id=PERSON_ID),
    )
    assert resolve(HOUR, OPEN_LINE, DEAL, [card]).hourly_rate == eur("2")
    anybody = replace(HOUR, person_id=None)
    assert resolve(anybody, OPEN_LINE, DEAL, [card]).hourly_rate == eur("1")


@pytest.mark.parametrize("scope", OTHERS)
def test_cards_of_others_have_no_say(scope: CardScope) -> None:
    rate = replace(a_rate("consultant", "1"), hourly_rate=Money(Decimal(1), scope.currency))
    with pytest.raises(NoRate):
        resolve(HOUR, OPEN_LINE, DEAL, [card_of(2, scope, rate)])


def test_among_cards_of_one_owner_the_last_published_is_asked_first() -> None:
    early = card_of(
        2, ENTITY, a_rate("consultant", "1"), published_at=datetime(2026, 1, 1, tzinfo=UTC)
    )
    late = card_of(
        3, ENTITY, a_rate("consultant", "2"), published_at=datetime(2026, 2, 1, tzinfo=UTC)
    )
    without = card_of(
        4, ENTITY, a_rate("analyst", "3"), published_at=datetime(2026, 3, 1, tzinfo=UTC)
    )

    for cards in ([early, late, without], [without, late, early]):
        assert resolve(HOUR, OPEN_LINE, DEAL, cards).card is late


def test_the_work_date_chooses_the_period() -> None:
    card = a_card(
        a_rate("consultant", "1", valid_to=date(2026, 9, 2)),
        a_rate("consultant", "2", valid_from=date(2026, 9, 3)),
    )
    day = date(2026, 9, 1)
    assert resolve(replace(HOUR, work_date=day), OPEN_LINE, DEAL, [card]).hourly_rate == eur("1")
    with pytest.raises(NoRate):
        resolve(replace(HOUR, work_date=day + timedelta(1)), OPEN_LINE, DEAL, [card])
    day += timedelta(2)
    assert resolve(replace(HOUR, work_date=day), OPEN_LINE, DEAL, [card]).hourly_rate == eur("2")


def test_the_answer_says_how_it_was_found() -> None:
    card = card_of(2, ENTITY, a_rate("consultant", "1", region="CH"), version=3)
    found = resolve(HOUR, OPEN_LINE, DEAL, [card])
    assert found.path == "role consultant, region CH, on the entity's card RC-2 version 3"


def test_the_persons_own_rate_on_the_line_goes_before_the_roles() -> None:
    rates = (
        LineRate("consultant", eur("140"), Decimal(0)),
        LineRate("consultant", eur("155"), Decimal(0), PERSON_ID),
    )
    line = a_line(2, terms=ModelTerms(rates=rates))

    found = resolve(HOUR, line, DEAL, [])

    assert found.hourly_rate == eur("155")
    assert found.path == "role consultant, the person's own rate, as agreed on contract line 2"
    assert [one.reason for one in found.candidates] == ["the person's own rate goes first"]
    anybody = resolve(replace(HOUR, person_id=None), line, DEAL, [])
    assert anybody.hourly_rate == eur("140")
    assert [one.reason for one in anybody.candidates] == ["for another person"]


def test_an_activity_counts_by_the_line_then_by_the_card_then_once() -> None:
    overtime = replace(HOUR, activity="overtime")
    card = a_card(a_rate("consultant", "100"))
    line = a_line(
        2, terms=ModelTerms(multipliers=(ActivityMultiplier("overtime", Decimal("1.25")),))
    )

    by_line = resolve(overtime, line, DEAL, [card])
    by_card = resolve(overtime, OPEN_LINE, DEAL, [card])
    unlisted = resolve(replace(HOUR, activity="standby"), OPEN_LINE, DEAL, [card])
    agreed_rate = resolve(overtime, a_line(2), DEAL, [card])
    plain = card_of(2, CUSTOMER, a_rate("consultant", "80"), multipliers=())
    by_next_card = resolve(overtime, OPEN_LINE, replace(DEAL, rate_card_id=None), [card, plain])

    assert (by_line.effective_rate, by_line.factor_path) == (
        eur("125"),
        "overtime, as agreed on contract line 2",
    )
    assert (by_card.effective_rate, by_card.factor_path) == (
        eur("150"),
        "overtime, on card RC-DE-2026 version 1",
    )
    assert (unlisted.factor, unlisted.factor_path) == (
        Decimal(1),
        "standby is not listed and counts once",
    )
    assert (agreed_rate.effective_rate, agreed_rate.card) == (eur("210"), None)
    assert (by_next_card.hourly_rate, by_next_card.effective_rate) == (eur("80"), eur("120"))
    assert resolve(HOUR, OPEN_LINE, DEAL, [card]).factor_path == ""


def test_a_rate_times_a_factor_has_the_decimals_of_a_rate() -> None:
    card = a_card(
        a_rate("consultant", "0.333333"),
        multipliers=(ActivityMultiplier("travel", Decimal("0.5")),),
    )
    found = resolve(replace(HOUR, activity="travel"), OPEN_LINE, DEAL, [card])
    assert found.effective_rate == eur("0.166667")


def test_every_rate_that_lost_says_why() -> None:
    winner = card_of(
        2,
        CUSTOMER,
        a_rate("consultant", "1"),
        a_rate("consultant", "2", level="senior"),
        a_rate("consultant", "3", level="junior"),
        a_rate("consultant", "4", region="US"),
        a_rate("consultant", "5", person_id=PersonId(an_id("999"))),
        a_rate("consultant", "6", level="senior", region="CH", valid_to=HOUR.work_date),
        a_rate("analyst", "7"),
    )
    other = card_of(
        3, ENTITY, a_rate("consultant", "8"), published_at=datetime(2026, 2, 1, tzinfo=UTC)
    )
    older = card_of(
        4, CUSTOMER, a_rate("consultant", "9"), published_at=datetime(2026, 1, 1, tzinfo=UTC)
    )

    found = resolve(HOUR, OPEN_LINE, DEAL, [older, other, winner])

    assert found.hourly_rate == eur("2")
    assert [(one.hourly_rate, one.reason) for one in found.candidates] == [
        (eur("1"), "a narrower rate on the same card goes first"),
        (eur("3"), "for level junior"),
        (eur("4"), "for region US"),
        (eur("5"), "for another person"),
        (eur("6"), "not valid on 2026-09-02"),
        (eur("9"), "card RC-2 was published later"),
        (eur("8"), "the customer's card goes first"),
    ]


def test_what_the_line_agrees_beats_every_card_and_says_so() -> None:
    found = resolve(HOUR, a_line(2), DEAL, [a_card(a_rate("consultant", "999"))])
    [lost] = found.candidates
    assert lost.reason == "the rate agreed on the contract line goes first"
    assert lost.card is not None


# The order of narrowness on one card, written out as the people who price know it.
NARROWEST_FIRST = [
    (person, level, region) for person, level, region in product((True, False), repeat=3)
]


@given(
    kept=st.sets(st.sampled_from(NARROWEST_FIRST)),
    noise=st.lists(st.sampled_from(["role", "level", "region", "person", "early", "late"])),
    seed=st.randoms(use_true_random=False),
)
def test_the_narrowest_matching_rate_wins_whatever_else_is_on_the_card(
    kept: set[tuple[bool, bool, bool]], noise: list[str], seed: Any
) -> None:
    entries = [
        RateEntry(
            RateKey(
                HOUR.role,
                HOUR.level if level else None,
                HOUR.region if region else None,
                HOUR.person_id if person else None,
            ),
            eur(str(rank + 1)),
            date(2026, 9, 1),
            date(2026, 9, 3),
        )
        for rank, (person, level, region) in enumerate(NARROWEST_FIRST)
        if (person, level, region) in kept
    ]
    entries += [_that_does_not_match(why) for why in noise]
    seed.shuffle(entries)

    if kept:
        expected = min(NARROWEST_FIRST.index(one) for one in kept) + 1
        found = resolve(HOUR, OPEN_LINE, DEAL, [a_card(*entries)])
        assert found.hourly_rate == eur(str(expected))
    else:
        card = replace(a_card(), entries=tuple(entries))
        with pytest.raises(NoRate):
            resolve(HOUR, OPEN_LINE, DEAL, [card])


def _that_does_not_match(why: str) -> RateEntry:
    key = RateKey(HOUR.role, HOUR.level, HOUR.region, HOUR.person_id)
    entry = RateEntry(key, eur("1000"), date(2026, 9, 1), date(2026, 9, 3))
    other: dict[str, RateEntry] = {
        "role": replace(entry, key=replace(key, role="other")),
        "level": replace(entry, key=replace(key, level="other")),
        "region": replace(entry, key=replace(key, region="other")),
        "person": replace(entry, key=replace(key, person_id=PersonId(an_id("999")))),
        "early": replace(entry, valid_to=HOUR.work_date),
        "late": replace(entry, valid_from=HOUR.work_date + timedelta(1), valid_to=None),
    }
    return other[why]


ROLES = st.sampled_from(["consultant", "analyst"])
LEVELS = st.sampled_from([None, "senior", "junior"])
REGIONS = st.sampled_from([None, "CH", "US"])
PEOPLE = st.sampled_from([None, PERSON_ID, PersonId(an_id("999"))])
DAYS = st.dates(date(2026, 8, 30), date(2026, 9, 5))


@st.composite
def cards(draw: st.DrawFn) -> list[RateCard]:
    """Draw cards of several owners and instants, whose rates never share a key and a day."""
    drawn = []
    for number in range(draw(st.integers(0, 5))):
        keys = draw(
            st.lists(st.builds(RateKey, ROLES, LEVELS, REGIONS, PEOPLE), max_size=6, unique=True)
        )
        entries = []
        for index, key in enumerate(keys):
            start = draw(DAYS)
            end = draw(st.none() | st.just(start + timedelta(draw(st.integers(1, 4)))))
            entries.append(RateEntry(key, eur(str(number * 100 + index + 1)), start, end))
        scope = draw(st.sampled_from([FIRM, ENTITY, CUSTOMER, *OF_OTHERS]))
        at = datetime(2026, 8, draw(st.integers(1, 3)), tzinfo=UTC)
        card = card_of(number, scope, published_at=at)
        is_contracts = draw(st.booleans()) and number == 0
        drawn.append(
            replace(
                card,
                entries=tuple(entries),
                rate_card_id=CARD_ID if is_contracts else card.rate_card_id,
            )
        )
    return drawn


def naive_rate(hour: Hour, deal: Deal, cards: list[RateCard]) -> Money | None:
    """Ask every question in the agreed order, one after the other, as a person with the cards."""
    owners = [
        [card for card in cards if card.rate_card_id == deal.rate_card_id],
        [card for card in cards if card.scope.customer_id == deal.customer_id],
        [card for card in cards if card.scope == CardScope("EUR", deal.legal_entity_id, None)],
        [card for card in cards if card.scope == CardScope("EUR", None, None)],
    ]
    for owned in owners:
        visible = [
            card
            for card in owned
            if card.rate_card_id == deal.rate_card_id
            or card.scope.legal_entity_id in (None, deal.legal_entity_id)
        ]
        latest_first = sorted(
            visible, key=lambda card: (card.published_at, card.rate_card_id), reverse=True
        )
        for card in latest_first:
            for person, level, region in NARROWEST_FIRST:
                wanted = RateKey(
                    hour.role,
                    hour.level if level else None,
                    hour.region if region else None,
                    hour.person_id if person else None,
                )
                for entry in card.entries:
                    if entry.key == wanted and entry.holds_on(hour.work_date):
                        return entry.hourly_rate
    return None


@given(
    drawn=cards(),
    hour=st.builds(Hour, DAYS, ROLES, LEVELS, REGIONS, PEOPLE),
    seed=st.randoms(use_true_random=False),
)
def test_the_rate_is_the_one_a_person_with_the_cards_would_find(
    drawn: list[RateCard], hour: Hour, seed: Any
) -> None:
    expected = naive_rate(hour, DEAL, drawn)
    seed.shuffle(drawn)
    if expected is None:
        with pytest.raises(NoRate):
            resolve(hour, OPEN_LINE, DEAL, drawn)
    else:
        found = resolve(hour, OPEN_LINE, DEAL, drawn)
        assert found.hourly_rate == expected
        in_scope = [card for card in drawn if in_scope_of(card)]
        of_role = [e for card in in_scope for e in card.entries if e.key.role == hour.role]
        assert len(found.candidates) == len(of_role) - 1


def in_scope_of(card: RateCard) -> bool:
    own = card.rate_card_id == DEAL.rate_card_id
    return own or card.scope in (FIRM, ENTITY, CUSTOMER)
