"""A thing is priced by the terms of its work date, or something says what stands in the way."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from billing_event_builders import (
    CARD,
    CUSTOMER,
    ENTITY,
    EXPENSES,
    HOURS,
    PERSON,
    a_card,
    a_customer,
    a_line,
    a_milestone,
    an_entry,
    an_expense,
    an_id,
    an_item,
    eur,
    some_facts,
    some_terms,
)

from billing_event.domain.hold import WAYS_OUT, HoldReason
from billing_event.domain.rating import Covered, Outcome, Priced, Rater, Unratable
from billing_event.domain.source import CustomerId, LegalEntityId
from billing_event.domain.terms import (
    BillingModel,
    CardEntry,
    ContractTerms,
    RateCard,
    TaxStatus,
)
from throughline_core.money import Money
from throughline_core.quantity import RoundingMode, TimeRounding

UNPRICED = a_line(rates={})


def the_rate(terms: ContractTerms, *cards: RateCard) -> str:
    """Return the rate found for the story's hour, and the path that led to it."""
    outcome = Rater(some_facts(terms, cards=cards)).rate(an_item())
    assert isinstance(outcome, Priced)
    return f"{outcome.shares[0].rating.unit_rate.amount} by {outcome.shares[0].rating.explanation}"


def reasons(outcome: Outcome) -> Sequence[HoldReason]:
    if isinstance(outcome, Unratable):
        return [outcome.hold.reason]
    assert isinstance(outcome, Priced)
    return [hold.reason for hold in outcome.shares[0].holds]


OWN = a_card(an_entry("1"), rate_card_id=an_id("d2"), code="OWN", legal_entity_id=None)
CUSTOMERS = a_card(an_entry("2"), rate_card_id=an_id("d3"), code="CUST", customer_id=CUSTOMER)
ENTITYS = a_card(an_entry("3"), rate_card_id=an_id("d4"), code="ENT")
FIRMS = a_card(an_entry("4"), rate_card_id=an_id("d5"), code="FIRM", legal_entity_id=None)


@pytest.mark.parametrize(
    ("line", "cards", "rate"),
    [
        (a_line(), [OWN, CUSTOMERS, ENTITYS, FIRMS], "100.00 by contract line rate of consultant"),
        (UNPRICED, [FIRMS, ENTITYS, CUSTOMERS, OWN], "1 by the contract's card OWN version 1"),
        (UNPRICED, [FIRMS, ENTITYS, CUSTOMERS], "2 by the customer's card CUST version 1"),
        (UNPRICED, [FIRMS, ENTITYS], "3 by the entity's card ENT version 1"),
        (UNPRICED, [FIRMS], "4 by the firm's card FIRM version 1"),
    ],
)
def test_the_first_source_that_knows_the_role_sets_the_rate(
    line: object, cards: Sequence[RateCard], rate: str
) -> None:
    terms = some_terms(line, rate_card_id=an_id("d2"))  # type: ignore[arg-type]  # a line
    assert the_rate(terms, *cards).startswith(rate)


@pytest.mark.parametrize(
    ("entries", "rate"),
    [
        ([an_entry("1"), an_entry("2", level="senior")], "2"),
        ([an_entry("2", level="senior"), an_entry("3", region="DE")], "2"),
        ([an_entry("3", region="DE"), an_entry("4", level="senior", region="DE")], "4"),
        ([an_entry("4", level="senior", region="DE"), an_entry("5", person_id=PERSON)], "5"),
        ([an_entry("1"), an_entry("6", level="principal")], "1"),
        ([an_entry("1"), an_entry("7", person_id=an_id("132"))], "1"),
        ([an_entry("1"), an_entry("8", valid_from=date(2026, 9, 8))], "1"),
        ([an_entry("1", valid_to=date(2026, 9, 7)), an_entry("9", role="analyst")], None),
    ],
)
def test_on_a_card_the_person_then_the_most_specific_rate_of_the_day_counts(
    entries: Sequence[CardEntry], rate: str | None
) -> None:
    facts = some_facts(some_terms(UNPRICED), cards=[a_card(*entries)])
    outcome = Rater(facts).rate(an_item())
    if rate is None:
        assert reasons(outcome) == [HoldReason.MISSING_RATE]
    else:
        assert isinstance(outcome, Priced)
        assert outcome.shares[0].rating.unit_rate == eur(rate)
        assert (
            outcome.shares[0].rating.rate_card_id,
            outcome.shares[0].rating.rate_card_version,
        ) == (CARD, 1)


@pytest.mark.parametrize(
    "card",
    [
        a_card(an_entry("1"), legal_entity_id=LegalEntityId(an_id("e2"))),
        a_card(an_entry("1"), customer_id=CustomerId(an_id("c2"))),
    ],
)
def test_a_card_of_another_entity_or_customer_prices_nothing(card: RateCard) -> None:
    facts = some_facts(some_terms(UNPRICED), cards=[card])
    assert reasons(Rater(facts).rate(an_item())) == [HoldReason.MISSING_RATE]


def test_of_two_cards_with_one_standing_the_one_published_last_counts() -> None:
    later = a_card(
        an_entry("5"),
        rate_card_id=an_id("d6"),
        code="NEW",
        published_at=datetime(2026, 9, 1, tzinfo=UTC),
    )
    assert the_rate(some_terms(UNPRICED), ENTITYS, later).startswith("5 by the entity's card NEW")


@pytest.mark.parametrize(
    ("minutes", "rounding", "rate", "quantity", "amount"),
    [
        (25, TimeRounding(1, RoundingMode.NEAREST), "34.34", "0.42", "14.4228"),
        (15, TimeRounding(1, RoundingMode.NEAREST), "27.50", "0.25", "6.875"),
        (30, TimeRounding(1, RoundingMode.NEAREST), "27.50", "0.50", "13.75"),
        (50, TimeRounding(30, RoundingMode.UP), "100.00", "1.00", "100.00"),
        (-25, TimeRounding(1, RoundingMode.NEAREST), "34.34", "-0.42", "-14.4228"),
        (1, TimeRounding(15, RoundingMode.DOWN), "100.00", "0.00", "0.00"),
        (25, TimeRounding(1, RoundingMode.NEAREST), "34.123456", "0.42", "14.331852"),
    ],
)
def test_time_is_printed_hours_times_rate_exactly(
    minutes: int, rounding: TimeRounding, rate: str, quantity: str, amount: str
) -> None:
    terms = some_terms(a_line(rates={"consultant": eur(rate)}), time_rounding=rounding)
    outcome = Rater(some_facts(terms)).rate(an_item(minutes=minutes))
    assert isinstance(outcome, Priced)
    assert outcome.shares[0].portion.quantity == Decimal(quantity)
    assert outcome.shares[0].portion.minutes == minutes
    assert outcome.shares[0].portion.amount == eur(amount)


@pytest.mark.parametrize(
    ("cost", "markup", "price", "words"),
    [
        ("200.00", "5", "210", "cost 200.00 EUR plus 5 % (terms version 1)"),
        ("187.35", "5", "196.7175", "cost 187.35 EUR plus 5 % (terms version 1)"),
        ("33.33", "7.1234", "35.704229", "cost 33.33 EUR plus 7.1234 % (terms version 1)"),
        ("200.00", "0", "200", "cost 200.00 EUR (terms version 1)"),
        ("-50.00", "5", "-52.5", "cost -50.00 EUR plus 5 % (terms version 1)"),
    ],
)
def test_an_expense_is_billed_at_cost_plus_markup(
    cost: str, markup: str, price: str, words: str
) -> None:
    line = a_line(EXPENSES, billing_model=BillingModel.PASS_THROUGH, markup_percent=Decimal(markup))
    item = an_expense(eur(cost), contract_line_id=EXPENSES)
    outcome = Rater(some_facts(some_terms(line))).rate(item)
    assert isinstance(outcome, Priced)
    assert (outcome.shares[0].portion.quantity, outcome.shares[0].portion.amount) == (
        Decimal(1),
        eur(price),
    )
    assert outcome.shares[0].rating.explanation == words


def usd(amount: str) -> Money:
    return Money(Decimal(amount), "USD")


@pytest.mark.parametrize(
    ("cost", "receipt"), [(usd("216.86"), eur("200.00")), (eur("200.00"), usd("216.86"))]
)
def test_an_expense_is_billed_at_what_it_cost_in_the_currency_of_the_contract(
    cost: Money, receipt: Money
) -> None:
    line = a_line(EXPENSES, billing_model=BillingModel.PASS_THROUGH, markup_percent=Decimal(5))
    item = an_expense(cost, contract_line_id=EXPENSES, receipt_price=receipt)
    outcome = Rater(some_facts(some_terms(line))).rate(item)
    assert isinstance(outcome, Priced)
    assert outcome.shares[0].portion.amount == eur("210")
    assert outcome.shares[0].rating.explanation == "cost 200.00 EUR plus 5 % (terms version 1)"


FEE = a_line(billing_model=BillingModel.FIXED_FEE)
FOREIGN = {"consultant": Money(Decimal(120), "USD")}
HELD = {
    "no line named": (an_item(contract_line_id=None), some_facts(), HoldReason.UNMAPPED),
    "no contract named": (an_item(contract_id=None), some_facts(), HoldReason.UNMAPPED),
    "line not in the terms": (
        an_item(contract_line_id=EXPENSES),
        some_facts(),
        HoldReason.UNMAPPED,
    ),
    "hours on a line for expenses": (
        an_item(),
        some_facts(some_terms(a_line(billing_model=BillingModel.PASS_THROUGH))),
        HoldReason.UNMAPPED,
    ),
    "terms not there": (
        an_item(contract_id=an_id("b2")),
        some_facts(),
        HoldReason.CONTRACT_NOT_ACTIVE,
    ),
    "role without a rate": (an_item(role="architect"), some_facts(), HoldReason.MISSING_RATE),
    "rate in another currency": (
        an_item(),
        some_facts(some_terms(a_line(rates=FOREIGN))),
        HoldReason.MISSING_FX_RATE,
    ),
    "expense in another currency": (
        an_expense(Money(Decimal(10), "USD")),
        some_facts(),
        HoldReason.MISSING_FX_RATE,
    ),
    "expense whose receipt is in a third currency": (
        an_expense(usd("10.00"), receipt_price=Money(Decimal(9), "GBP")),
        some_facts(),
        HoldReason.MISSING_FX_RATE,
    ),
    "work before the term": (
        an_item(service_from=date(2026, 8, 31)),
        some_facts(),
        HoldReason.OUTSIDE_TERM,
    ),
    "work on the day the term ends": (
        an_item(service_from=date(2027, 9, 1)),
        some_facts(),
        HoldReason.OUTSIDE_TERM,
    ),
    "customer on credit hold": (
        an_item(),
        some_facts(customer=a_customer(is_on_credit_hold=True)),
        HoldReason.CREDIT_HOLD,
    ),
    "tax id of another country": (
        an_item(),
        some_facts(customer=a_customer(tax_status=TaxStatus.INVALID)),
        HoldReason.TAX_INVALID,
    ),
    "tax id not given": (
        an_item(),
        some_facts(customer=a_customer(tax_status=TaxStatus.MISSING)),
        HoldReason.TAX_INVALID,
    ),
    "customer not heard of yet": (
        an_item(),
        some_facts(customer=a_customer(customer_id=CustomerId(an_id("c2")))),
        HoldReason.TAX_INVALID,
    ),
    "milestone not accepted": (
        a_milestone(eur(9600), is_accepted=False),
        some_facts(some_terms(FEE)),
        HoldReason.AWAITING_ACCEPTANCE,
    ),
}


@pytest.mark.parametrize(("item", "facts", "reason"), HELD.values(), ids=HELD.keys())
def test_what_stands_in_the_way_is_named(item: object, facts: object, reason: HoldReason) -> None:
    outcome = Rater(facts).rate(item)  # type: ignore[arg-type]  # facts and an item
    assert reasons(outcome) == [reason]


def test_every_hold_names_who_can_clear_it_and_how() -> None:
    assert WAYS_OUT.keys() == set(HoldReason)


def test_a_customer_that_needs_no_tax_id_holds_nothing() -> None:
    facts = some_facts(customer=a_customer(tax_status=TaxStatus.NOT_REQUIRED))
    assert reasons(Rater(facts).rate(an_item())) == []


@pytest.mark.parametrize("model", [BillingModel.FIXED_FEE, BillingModel.RECURRING])
def test_time_under_a_fee_is_covered_by_it(model: BillingModel) -> None:
    facts = some_facts(some_terms(a_line(billing_model=model)))
    assert isinstance(Rater(facts).rate(an_item()), Covered)


def test_a_milestone_is_billed_at_the_agreed_amount_whenever_it_is_complete() -> None:
    item = a_milestone(eur("9600.00"), service_from=date(2028, 1, 1))
    outcome = Rater(some_facts(some_terms(FEE))).rate(item)
    assert isinstance(outcome, Priced)
    assert outcome.shares[0].portion.amount == eur("9600.00")
    assert outcome.shares[0].holds == ()


def test_a_row_copies_the_terms_it_was_rated_under() -> None:
    outcome = Rater(some_facts()).rate(an_item())
    assert isinstance(outcome, Priced)
    rating = outcome.shares[0].rating
    assert (rating.contract_line_id, rating.contract_version) == (HOURS, 1)
    assert (rating.legal_entity_id, rating.bill_to_customer_id) == (ENTITY, CUSTOMER)


@pytest.mark.parametrize(
    ("amount", "is_billed"), [("99999999999.99", True), ("-100000000000.00", False)]
)
def test_an_amount_that_no_invoice_could_hold_waits_for_a_person(
    amount: str, is_billed: bool
) -> None:
    item = a_milestone(eur(amount))
    outcome = Rater(some_facts(some_terms(a_line(billing_model=BillingModel.FIXED_FEE)))).rate(item)
    assert isinstance(outcome, Priced) is is_billed
    if isinstance(outcome, Unratable):
        assert (outcome.hold.reason, outcome.hold.owner) == (HoldReason.UNMAPPED, "finance")
        assert "-100000000000.00 EUR" in outcome.hold.detail


def test_hours_at_a_price_beyond_all_bounds_wait_for_a_person() -> None:
    facts = some_facts(some_terms(a_line(rates={"consultant": eur("100000000000.00")})))
    assert reasons(Rater(facts).rate(an_item())) == [HoldReason.UNMAPPED]
