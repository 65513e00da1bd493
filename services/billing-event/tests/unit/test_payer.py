"""What several pay sums to the whole, always; one of them takes the cents that cannot be shared."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest
from billing_event_builders import (
    CONTRACT,
    CUSTOMER,
    NOW,
    a_customer,
    a_milestone,
    a_payer,
    an_agreement,
    an_expense,
    an_id,
    an_item,
    eur,
    some_terms,
)
from hypothesis import given
from hypothesis import strategies as st

from billing_event.domain.agreement import Facts
from billing_event.domain.decision import Judge
from billing_event.domain.hold import HoldReason
from billing_event.domain.limit import Account, LimitBook, LimitScope, payer_account_id
from billing_event.domain.limit_terms import limits_of
from billing_event.domain.payer import apportion, has_moved
from billing_event.domain.position import EventStatus, Row
from billing_event.domain.source import CustomerId, SourceItem, SourceItemId
from billing_event.domain.standing import Reversal, Standing
from billing_event.domain.terms import ContractTerms, Payer
from throughline_core.money import Money, exponent

FIRST, SECOND, THIRD = (CustomerId(an_id(f"c{number}")) for number in (1, 2, 3))
SIXTY_FORTY = (a_payer(FIRST, "60", is_rounding=True), a_payer(SECOND, "40"))


def a_judge_of(
    terms: ContractTerms, *, left: dict[CustomerId, str] | None = None, on_hold: bool = False
) -> Judge:
    """Return a judge of a contract; `left` is what payers with a limit may still pay."""
    rooms = {limit.customer_id: limit.agreed.amount for limit in limits_of(terms)}
    rooms |= {payer: Decimal(amount) for payer, amount in (left or {}).items()}
    book = LimitBook(
        Account(payer_account_id(CONTRACT, payer), LimitScope.PAYER, room, "the payer")
        for payer, room in rooms.items()
        if payer is not None
    )
    customers = {
        payer: replace(a_customer(), customer_id=payer) for payer in (FIRST, SECOND, THIRD)
    }
    customers[SECOND] = replace(customers[SECOND], is_on_credit_hold=on_hold)
    facts = Facts(1, {CONTRACT: an_agreement(terms)}, (), customers)
    return Judge(facts, book, {}, at=NOW)


def rated(item: SourceItem, *payers: Payer) -> list[Row]:
    currency = "EUR" if item.price is None else item.price.currency
    judge = a_judge_of(some_terms(payers=payers, currency=currency))
    judge.decide_new([item])
    return judge.decision.rated


def borne(rows: Sequence[Row]) -> list[tuple[CustomerId, str, str]]:
    """Return payer, quantity and amount of rows."""
    return [
        (row.rating.bill_to_customer_id, f"{row.quantity}", f"{row.amount.amount:.2f}")
        for row in rows
    ]


HALVES = (a_payer(FIRST, "50", is_rounding=True), a_payer(SECOND, "50"))
BY_AMOUNT = (a_payer(FIRST, "0", amount="9999.00"), a_payer(SECOND, "100", is_rounding=True))


@pytest.mark.parametrize(
    ("before", "after", "is_moved"),
    [
        ((), (), False),
        ((), SIXTY_FORTY, True),
        (SIXTY_FORTY, (), True),
        (SIXTY_FORTY, SIXTY_FORTY, False),
        (SIXTY_FORTY, SIXTY_FORTY[::-1], False),
        (SIXTY_FORTY, HALVES, True),
        # As long as the first pays by amount, nobody else has a row.
        (BY_AMOUNT, BY_AMOUNT, False),
        (SIXTY_FORTY, BY_AMOUNT, True),
    ],
)
def test_payers_have_moved_when_another_bears_another_share(
    before: tuple[Payer, ...], after: tuple[Payer, ...], is_moved: bool
) -> None:
    rows = rated(an_item(), *before)
    agreement = an_agreement(some_terms(payers=after))

    assert has_moved(rows, an_item(), agreement) is is_moved


def test_the_bill_to_of_the_newest_terms_has_moved_and_payers_only_of_their_days() -> None:
    rows = rated(an_item())
    later = {"contract_version": 2, "effective_on": an_item().service_to}

    another = some_terms(bill_to_customer_id=SECOND, **later)
    assert has_moved(rows, an_item(), an_agreement(some_terms(), another))
    shared = some_terms(payers=SIXTY_FORTY, **later)
    assert not has_moved(rows, an_item(), an_agreement(some_terms(), shared))


def test_a_hundred_in_thirds_leaves_the_odd_cent_with_the_rounding_payer() -> None:
    thirds = (
        a_payer(FIRST, "33.3333", is_rounding=True),
        a_payer(SECOND, "33.3333"),
        a_payer(THIRD, "33.3334"),
    )
    rows = rated(a_milestone(eur("100.00")), *thirds)
    assert [row.amount for row in rows] == [eur("33.34"), eur("33.33"), eur("33.33")]
    assert [(row.quantity, row.rating.unit_rate) for row in rows] == [
        (Decimal(1), row.amount) for row in rows
    ]


def test_hours_are_split_in_hundredths_and_minutes_with_them() -> None:
    rows = rated(an_item(minutes=25), *SIXTY_FORTY)
    assert borne(rows) == [(FIRST, "0.25", "25.00"), (SECOND, "0.17", "17.00")]
    assert [row.minutes for row in rows] == [15, 10]
    assert [row.rating.share_percent for row in rows] == [60, 40]
    assert rows[0].rating.explanation.endswith("this payer bears 60 % of it")


def test_an_hour_too_short_to_share_goes_to_one_payer() -> None:
    payers = (a_payer(FIRST, "10", is_rounding=True), a_payer(SECOND, "90"))
    [row] = rated(an_item(minutes=1), *payers)
    assert (row.rating.bill_to_customer_id, row.quantity, row.minutes) == (
        SECOND,
        Decimal("0.02"),
        1,
    )


def test_an_expense_keeps_what_is_finer_than_a_cent_with_the_rounding_payer() -> None:
    rows = rated(an_expense(eur("10.005")), *SIXTY_FORTY)
    assert [row.amount for row in rows] == [eur("6.005"), eur("4.00")]


def test_a_payer_with_an_order_of_its_own_pays_by_that() -> None:
    own = a_payer(SECOND, "40", purchase_order_number="P-77")
    rows = rated(an_item(), SIXTY_FORTY[0], own)
    assert [row.rating.purchase_order_number for row in rows] == ["", "P-77"]


def test_one_payer_of_all_of_it_has_one_row() -> None:
    [row] = rated(an_item(), a_payer(SECOND, "100", is_rounding=True))
    assert (row.rating.bill_to_customer_id, row.rating.share_percent) == (SECOND, None)


def test_each_payer_is_held_for_its_own_reasons() -> None:
    judge = a_judge_of(some_terms(payers=SIXTY_FORTY), on_hold=True)
    judge.decide_new([an_item()])
    assert [(row.status, [hold.reason for hold in row.holds]) for row in judge.decision.rated] == [
        (EventStatus.RELEASED, []),
        (EventStatus.HELD, [HoldReason.CREDIT_HOLD]),
    ]

    again = a_judge_of(some_terms(payers=SIXTY_FORTY))
    again.decide_again([Standing(an_item(), tuple(judge.decision.rated))])
    [freed] = again.decision.changed
    assert (freed.rating.bill_to_customer_id, freed.status) == (SECOND, EventStatus.RELEASED)


def test_a_payer_by_amount_pays_first_and_what_does_not_fit_goes_to_the_others() -> None:
    grant = a_payer(THIRD, "0", amount="250.00")
    judge = a_judge_of(some_terms(payers=(grant, *SIXTY_FORTY)))
    items = [an_item(source_item_id=SourceItemId(an_id(f"15{n}")), minutes=120) for n in (1, 2, 3)]
    judge.decide_new(items)
    assert borne(judge.decision.rated) == [
        (THIRD, "2.00", "200.00"),
        (THIRD, "0.50", "50.00"),
        (FIRST, "0.90", "90.00"),
        (SECOND, "0.60", "60.00"),
        (FIRST, "1.20", "120.00"),
        (SECOND, "0.80", "80.00"),
    ]
    assert not any(row.holds for row in judge.decision.rated)
    assert sum(each.amount for each in judge.book.reservations) == 250


def test_what_is_given_back_goes_to_whoever_pays_at_the_moment() -> None:
    terms = some_terms(payers=(a_payer(THIRD, "0", amount="250.00"), *SIXTY_FORTY))
    for left, bearers in (("1.00", [THIRD]), ("0.99", [FIRST, SECOND]), ("0", [FIRST, SECOND])):
        judge = a_judge_of(terms, left={THIRD: left})
        judge.decide_new([an_item(minutes=-60)])
        found = [row.rating.bill_to_customer_id for row in judge.decision.rated]
        assert found == bearers


def test_where_all_pay_by_amount_what_is_over_is_held_with_the_last() -> None:
    both = (
        a_payer(FIRST, "0", amount="60.00", is_rounding=True),
        a_payer(SECOND, "0", amount="30.00"),
    )
    rows = rated(a_milestone(eur("100.00")), *both)
    assert [(row.rating.bill_to_customer_id, row.amount) for row in rows] == [
        (FIRST, eur("60.00")),
        (SECOND, eur("30.00")),
        (SECOND, eur("10.00")),
    ]
    assert [[hold.reason for hold in row.holds] for row in rows] == [
        [],
        [],
        [HoldReason.LIMIT_EXCEEDED],
    ]


def test_a_limit_of_one_payer_holds_the_part_over_it_and_not_the_others() -> None:
    capped = a_payer(SECOND, "40", not_to_exceed="30.00")
    judge = a_judge_of(some_terms(payers=(SIXTY_FORTY[0], capped)))
    item = an_item()
    judge.decide_new([item])
    assert borne(judge.decision.rated) == [
        (FIRST, "0.60", "60.00"),
        (SECOND, "0.30", "30.00"),
        (SECOND, "0.10", "10.00"),
    ]

    raised = a_judge_of(some_terms(payers=(SIXTY_FORTY[0], capped)), left={SECOND: "5.00"})
    raised.decide_again([Standing(item, tuple(judge.decision.rated))])
    assert borne(raised.decision.rated) == [(SECOND, "-0.05", "-5.00"), (SECOND, "0.05", "5.00")]


def test_rows_from_before_payers_were_billed_are_split_when_they_are_looked_at() -> None:
    judge = a_judge_of(some_terms())
    item = an_item()
    judge.decide_new([item])
    [whole] = judge.decision.rated
    waiting = replace(whole, status=EventStatus.ELIGIBLE, released_by="")

    again = a_judge_of(some_terms(payers=SIXTY_FORTY))
    again.decide_again([Standing(item, (waiting,))])
    assert borne(again.decision.rated) == [
        (CUSTOMER, "-1.00", "-100.00"),
        (FIRST, "0.60", "60.00"),
        (SECOND, "0.40", "40.00"),
    ]


shares = st.lists(st.integers(1, 1000), min_size=1, max_size=6)


@given(st.integers(-100_000, 100_000), shares, st.integers(0, 5))
def test_units_are_shared_without_loss_and_the_rounding_payer_alone_evens_out(
    units: int, weights: list[int], number: int
) -> None:
    rounding = number % len(weights)
    parts = apportion(units, weights, rounding=rounding)
    assert sum(parts) == units
    assert all(part * units >= 0 for part in parts)
    for index, (part, weight) in enumerate(zip(parts, weights, strict=True)):
        exact = Decimal(units) * weight / sum(weights)
        assert index == rounding or abs(part - exact) < 1
    assert apportion(-units, weights, rounding=rounding) == [-part for part in parts]


def a_percentage(weights: Sequence[int]) -> list[Decimal]:
    """Return shares of at most four decimals that sum to 100, and are none of them nought."""
    units = apportion(1_000_000 - len(weights), weights, rounding=0)
    return [Decimal(unit + 1) / 10_000 for unit in units]


@given(
    shares,
    st.sampled_from(["JPY", "EUR", "KWD"]),
    st.decimals(-10_000, 10_000, places=4).filter(bool),
    st.none() | st.decimals(0, 3_000, places=2),
)
def test_an_agreed_amount_is_borne_to_the_last_digit(
    weights: list[int], currency: str, amount: Decimal, first: Decimal | None
) -> None:
    rows = rated(
        a_milestone(Money(amount, currency)), *some_payers(weights, currency=currency, first=first)
    )
    assert sum(row.amount.amount for row in rows) == amount
    assert all(row.quantity * row.rating.unit_rate.amount == row.amount.amount for row in rows)
    assert all(row.amount.amount * amount > 0 for row in rows)
    unit = Decimal(1).scaleb(-exponent(currency))
    odd = [row for row in rows if row.amount.amount % unit]
    assert len(odd) <= 1


@given(
    shares,
    st.integers(-6_000, 6_000),
    st.decimals("0.0001", 500, places=4),
    st.none() | st.decimals(0, 3_000, places=2),
)
def test_hours_are_borne_to_the_last_minute_and_what_takes_them_back_mirrors_each_row(
    weights: list[int], minutes: int, rate: Decimal, first: Decimal | None
) -> None:
    payers = some_payers(weights, first=first)
    terms = some_terms(payers=payers)
    line = next(iter(terms.lines.values()))
    priced = replace(line, rates={"consultant": eur(f"{rate:f}")})
    judge = a_judge_of(replace(terms, lines={line.contract_line_id: priced}))
    item = an_item(minutes=minutes)
    judge.decide_new([item])
    rows = list(judge.decision.rated)
    hours = sum(row.quantity for row in rows)
    assert sum(row.minutes for row in rows) == minutes
    assert sum(row.amount.amount for row in rows) == hours * rate
    assert all(row.minutes * minutes >= 0 and row.quantity * hours >= 0 for row in rows)
    assert {row.rating.bill_to_customer_id for row in rows} <= {p.customer_id for p in payers}

    taker = replace(item, source_item_id=SourceItemId(an_id("199")), minutes=-minutes)
    judge.decide_reversals([Reversal(taker, (), Standing(item, tuple(rows)))])
    mirrored = judge.decision.rated[len(rows) :]
    assert [(row.amount, row.quantity, row.minutes, row.rating) for row in mirrored] == [
        (-row.amount, -row.quantity, -row.minutes, row.rating) for row in rows
    ]


def some_payers(
    weights: Sequence[int], *, first: Decimal | None, currency: str = "EUR"
) -> tuple[Payer, ...]:
    """Return payers by percent, after one by amount if `first` is given."""
    found = [
        a_payer(CustomerId(an_id(f"c{number + 10:x}")), f"{percent:f}", is_rounding=number == 0)
        for number, percent in enumerate(a_percentage(weights))
    ]
    if first is not None:
        grant = Payer(THIRD, Decimal(0), False, amount=Money(first, currency))
        found.insert(0, grant)
    return tuple(found)


@pytest.mark.parametrize(
    "payer",
    [a_payer(FIRST, "0", amount="500.00"), a_payer(FIRST, "100", not_to_exceed="500.00")],
)
def test_what_a_payer_pays_at_most_is_a_limit_of_the_contract(payer: Payer) -> None:
    [limit] = limits_of(some_terms(payers=(payer,)))
    assert (limit.scope, limit.customer_id, limit.agreed) == (LimitScope.PAYER, FIRST, eur(500))
