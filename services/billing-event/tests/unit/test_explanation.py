"""A row says how its amount came about, so that anybody can work it out again."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from billing_event_builders import (
    CUSTOMER,
    EXPENSES,
    NOW,
    PERSON,
    a_card,
    a_customer,
    a_judge,
    a_line,
    a_milestone,
    a_payer,
    an_entry,
    an_expense,
    an_id,
    an_item,
    eur,
    some_facts,
    some_terms,
)

from billing_event.domain.agreement import Facts
from billing_event.domain.drawing import Drawing
from billing_event.domain.exchange import Exchange, Quotation
from billing_event.domain.explanation import steps_of
from billing_event.domain.limit import Account, LimitBook, LimitScope, account_id
from billing_event.domain.position import Portion, RateRule, Row, mirror
from billing_event.domain.rating import Priced, Rater
from billing_event.domain.source import CustomerId, ItemType, SourceItem
from billing_event.domain.terms import (
    BillingModel,
    LineTerms,
    Overage,
    RateCard,
    RetainerTerms,
    RollOver,
)
from throughline_core.money import Money
from throughline_core.quantity import RoundingMode, TimeRounding

QUARTERS_UP = TimeRounding(15, RoundingMode.UP)
UNPRICED = a_line(rates={})
OTHER = CustomerId(an_id("c2"))


def the_rows(
    item: SourceItem, facts: Facts | None = None, book: LimitBook | None = None
) -> list[Row]:
    judge = a_judge(facts, book)
    judge.decide_new([item])
    return judge.decision.rated


def steps(row: Row) -> list[str]:
    return list(steps_of(row))


@pytest.mark.parametrize(
    ("line", "card", "rule", "base"),
    [
        (a_line(), {}, RateRule.LINE_ROLE, "100.00"),
        (
            a_line(person_rates={("consultant", PERSON): eur("130.00")}),
            {},
            RateRule.LINE_PERSON,
            "130.00",
        ),
        (UNPRICED, {"rate_card_id": an_id("d2")}, RateRule.CONTRACT_CARD, "90.00"),
        (UNPRICED, {"customer_id": CUSTOMER}, RateRule.CUSTOMER_CARD, "90.00"),
        (UNPRICED, {}, RateRule.ENTITY_CARD, "90.00"),
        (UNPRICED, {"legal_entity_id": None}, RateRule.FIRM_CARD, "90.00"),
    ],
)
def test_an_hour_says_whose_rate_it_is(
    line: LineTerms, card: dict[str, object], rule: RateRule, base: str
) -> None:
    cards: list[RateCard] = [a_card(an_entry("90.00"), **card)]
    terms = some_terms(line, rate_card_id=an_id("d2"))
    [row] = the_rows(an_item(), some_facts(terms, cards=cards))
    assert (row.rating.rule, row.rating.base_rate) == (rule, eur(base))


@pytest.mark.parametrize(
    ("type_", "rule"),
    [
        (ItemType.MILESTONE, RateRule.AGREED),
        (ItemType.RECURRING, RateRule.AGREED),
        (ItemType.PROGRESS, RateRule.AGREED),
        (ItemType.ADJUSTMENT, RateRule.AGREED),
        (ItemType.USAGE, RateRule.USAGE_TIER),
        (ItemType.EXPENSE, RateRule.COST_PLUS),
    ],
)
def test_what_comes_with_a_price_says_what_kind_of_price_it_is(
    type_: ItemType, rule: RateRule
) -> None:
    [row] = the_rows(replace(a_milestone(eur("40.00")), type=type_))
    assert (row.rating.rule, row.rating.base_rate) == (rule, eur("40.00"))
    assert row.rating.rounding is None


def a_retainer(overage_rate: str | None) -> LineTerms:
    overage = None if overage_rate is None else eur(overage_rate)
    block = RetainerTerms(Decimal(40), RollOver.NONE, Decimal(0), 0, Overage.BILL, overage)
    return a_line(
        billing_model=BillingModel.RETAINER, unit_price=eur("6000.00"), rates={}, retainer=block
    )


def test_work_on_a_retainer_is_priced_by_its_block_and_beyond_it_by_the_overage() -> None:
    rater = Rater(some_facts(some_terms(a_retainer("175.00"))))
    drawing = rater.rate(an_item())
    assert isinstance(drawing, Drawing)
    assert (drawing.rating.rule, drawing.rating.base_rate) == (
        RateRule.RETAINER_BLOCK,
        eur("150"),
    )
    beyond = rater.beyond(an_item(), drawing, Portion(Decimal(1), 60, eur("150")))
    assert isinstance(beyond, Priced)
    [share] = beyond.shares
    assert (share.rating.rule, share.rating.base_rate) == (
        RateRule.RETAINER_OVERAGE,
        eur("175.00"),
    )


def test_hours_are_explained_from_the_minutes_to_the_amount() -> None:
    terms = some_terms(time_rounding=QUARTERS_UP)
    [row] = the_rows(an_item(minutes=50), some_facts(terms))
    assert steps(row) == [
        "Rate: contract line rate of consultant: 100.00 EUR an hour (terms version 1).",
        "Time: 50 minutes recorded, rounded up to a multiple of 15: 1.00 hours.",
        "Amount: 1.00 hours times 100.00 EUR is 100.00 EUR.",
    ]


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        (RoundingMode.UP, "rounded up to a multiple of 15: 0.75 hours"),
        (RoundingMode.DOWN, "rounded down to a multiple of 15: 0.50 hours"),
        (RoundingMode.NEAREST, "rounded to the nearest multiple of 15: 0.75 hours"),
    ],
)
def test_the_rounding_of_time_is_said_in_words(mode: RoundingMode, words: str) -> None:
    terms = some_terms(time_rounding=TimeRounding(15, mode))
    [row] = the_rows(an_item(minutes=40), some_facts(terms))
    assert steps(row)[1] == f"Time: 40 minutes recorded, {words}."


def test_factor_and_conversion_follow_each_other() -> None:
    card = a_card(an_entry("200", hourly_rate=Money(Decimal(200), "USD")), currency="USD")
    rates = [Quotation("EUR", "USD", date(2026, 9, 7), "ecb", Decimal("1.25"))]
    terms = some_terms(a_line(rates={}, multipliers={"overtime": Decimal("1.5")}))
    facts = replace(some_facts(terms, cards=[card]), exchange=Exchange({}, rates))
    [row] = the_rows(an_item(activity="overtime"), facts)
    assert row.rating.base_rate == Money(Decimal(200), "USD")
    assert steps(row)[2:] == [
        "Price: 200.00 USD, times 1.5 for overtime, times 0.8 by ecb of 2026-09-07: 240.00 EUR.",
        "Amount: 1.00 hours times 240.00 EUR is 240.00 EUR.",
    ]


def test_an_expense_names_its_cost_and_its_markup() -> None:
    line = a_line(EXPENSES, billing_model=BillingModel.PASS_THROUGH, markup_percent=Decimal(5))
    expense = an_expense(eur("80.00"), contract_line_id=EXPENSES)
    [row] = the_rows(expense, some_facts(some_terms(line)))
    assert steps(row) == [
        "Rate: cost 80.00 EUR plus 5 % (terms version 1).",
        "Price: 80.00 EUR, with the markup of the line: 84.00 EUR.",
        "Amount: 1 times 84.00 EUR is 84.00 EUR.",
    ]


def shared_by_two(item: SourceItem) -> list[Row]:
    payers = (a_payer(CUSTOMER, "60", is_rounding=True), a_payer(OTHER, "40"))
    facts = some_facts(some_terms(payers=payers))
    customers = {CUSTOMER: a_customer(), OTHER: a_customer(customer_id=OTHER)}
    return the_rows(item, replace(facts, customers=customers))


def test_each_payer_sees_its_part_of_the_hours() -> None:
    first, second = shared_by_two(an_item(minutes=50))
    assert steps(first)[1] == "Time: of 50 minutes recorded, 30 are of this row: 0.50 hours."
    assert steps(second)[2:] == [
        "Share: this payer bears 40 % of the hours, the rounding payer what is left over:"
        " 0.33 hours.",
        "Amount: 0.33 hours times 100.00 EUR is 33.00 EUR.",
    ]


def test_each_payer_sees_its_part_of_an_agreed_amount() -> None:
    _, second = shared_by_two(a_milestone(eur("1000.00")))
    assert steps(second)[1:] == [
        "Price: 1000.00 EUR.",
        "Share: this payer bears 40 % of that, the rounding payer what is left over: 400.00 EUR.",
        "Amount: 1 times 400.00 EUR is 400.00 EUR.",
    ]


def test_what_a_limit_cut_in_two_says_how_much_of_the_work_a_row_is() -> None:
    contract = some_terms().contract_id
    account = Account(account_id(contract, None), LimitScope.CONTRACT, Decimal(25), "the contract")
    under, over = the_rows(an_item(), book=LimitBook([account]))
    assert steps(under)[1] == "Time: of 60 minutes recorded, 15 are of this row: 0.25 hours."
    assert steps(over)[1] == "Time: of 60 minutes recorded, 45 are of this row: 0.75 hours."


def test_what_a_limit_cut_off_an_agreed_amount_says_how_much_of_it_a_row_bills() -> None:
    contract = some_terms().contract_id
    account = Account(account_id(contract, None), LimitScope.CONTRACT, Decimal(50), "the contract")
    _, over = the_rows(a_milestone(eur("90.00")), book=LimitBook([account]))
    assert steps(over)[1:] == [
        "Price: 90.00 EUR, of which this row bills 40.00 EUR.",
        "Amount: 1 times 40.00 EUR is 40.00 EUR.",
    ]


def test_what_takes_a_row_back_names_it() -> None:
    [row] = the_rows(an_item())
    taker = an_item(source_item_id=an_id("152"), minutes=-60)
    back = mirror(row, taker, part=1, at=NOW, on=NOW.date(), by="policy")
    assert steps(back)[0] == (
        f"Takes back {row.billing_event_id}, at the rate and terms frozen on that row."
    )
    assert steps(back)[-1] == "Amount: -1.00 hours times 100.00 EUR is -100.00 EUR."


def test_a_row_from_before_the_figures_were_kept_has_the_words_it_was_rated_with() -> None:
    [row] = the_rows(an_item())
    old = replace(row, rating=replace(row.rating, rule=None, base_rate=None, rounding=None))
    assert steps(old) == [
        "Rate: contract line rate of consultant: 100.00 EUR an hour (terms version 1).",
        "Time: 60 minutes recorded: 1.00 hours.",
        "Amount: 1.00 hours times 100.00 EUR is 100.00 EUR.",
    ]
