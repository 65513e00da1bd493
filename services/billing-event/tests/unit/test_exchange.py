"""Which day's rate of exchange converts a price, and that none is never 1."""

from datetime import date
from decimal import Decimal

import pytest
from billing_event_builders import (
    ENTITY,
    a_card,
    a_line,
    an_entry,
    an_expense,
    an_item,
    eur,
    some_facts,
    some_terms,
)

from billing_event.domain.exchange import (
    DateRule,
    Exchange,
    ExchangePolicy,
    PolicyInconsistent,
    Quotation,
    check_policy,
)
from billing_event.domain.hold import HoldReason
from billing_event.domain.rating import Priced, Rater, Unratable
from billing_event.domain.source import LegalEntityId, SourceItem
from billing_event.domain.terms import BillingModel
from throughline_core.money import Money

MONDAY = date(2026, 9, 7)
FRIDAY = date(2026, 9, 4)


def usd(amount: str) -> Money:
    return Money(Decimal(amount), "USD")


def a_rate(
    quote: str = "USD",
    rate: str = "1.25",
    *,
    base: str = "EUR",
    on: date = MONDAY,
    source: str = "ecb",
) -> Quotation:
    return Quotation(base, quote, on, source, Decimal(rate))


def convert(exchange: Exchange, price: Money, into: str = "EUR", on: date = MONDAY) -> str | None:
    found = exchange.convert(price, into, service_on=on, legal_entity_id=ENTITY)
    return None if found is None else f"{found.price.amount.normalize():f} {found.words}"


def under(**policy: object) -> dict[LegalEntityId, ExchangePolicy]:
    return {ENTITY: ExchangePolicy(ENTITY, 1, **policy)}  # type: ignore[arg-type]  # any field


@pytest.mark.parametrize(
    ("quotation", "price", "expected"),
    [
        (a_rate("EUR", "0.8", base="USD"), "100", "80 at 0.8 EUR for 1 USD, ecb of 2026-09-07"),
        (a_rate("USD", "1.25"), "100", "80 at 0.8 EUR for 1 USD, ecb of 2026-09-07"),
    ],
)
def test_a_rate_is_used_as_published_or_inversely(
    quotation: Quotation, price: str, expected: str
) -> None:
    assert convert(Exchange({}, [quotation]), usd(price)) == f"{expected} (work date)"


def test_two_rates_of_one_source_meet_in_a_third_currency() -> None:
    exchange = Exchange({}, [a_rate("USD", "1.25"), a_rate("CHF", "0.95")])
    found = exchange.convert(usd("100"), "CHF", service_on=MONDAY, legal_entity_id=ENTITY)
    assert found is not None
    assert (found.price, found.conversion.rate) == (Money(Decimal("76"), "CHF"), Decimal("0.76"))


def test_rates_of_two_sources_never_meet() -> None:
    exchange = Exchange({}, [a_rate("USD"), a_rate("CHF", "0.95", source="snb")])
    assert convert(exchange, usd("100"), "CHF") is None


def test_an_older_rate_is_used_within_its_age_and_says_how_old_it_is() -> None:
    exchange = Exchange({}, [a_rate(on=FRIDAY)])
    assert convert(exchange, usd("100")) == (
        "80 at 0.8 EUR for 1 USD, ecb of 2026-09-04, 3 days before (work date)"
    )


def test_a_table_that_ended_long_ago_converts_nothing() -> None:
    exchange = Exchange({}, [a_rate(on=date(2026, 8, 30))])
    assert convert(exchange, usd("100")) is None
    assert exchange.missing(usd("1"), "EUR", service_on=MONDAY, legal_entity_id=ENTITY) == (
        "no rate of exchange from USD to EUR for 2026-09-07, nor for the 7 days before"
    )


def test_the_latest_day_goes_before_the_source_and_a_later_one_never_counts() -> None:
    rates = [
        a_rate(rate="2", on=FRIDAY, source="aaa"),
        a_rate(rate="4", source="zzz"),
        a_rate(rate="8", on=date(2026, 9, 8)),
    ]
    assert str(convert(Exchange({}, rates), usd("100"))).startswith("25 at 0.25")
    only = under(source="aaa")
    assert str(convert(Exchange(only, rates), usd("100"))).startswith("50 at 0.5")


def test_the_end_of_the_month_before_is_a_rule() -> None:
    policy = under(rule=DateRule.PREVIOUS_MONTH_END)
    rates = [a_rate(rate="2", on=date(2026, 8, 31)), a_rate(rate="4")]
    assert convert(Exchange(policy, rates), usd("100")) == (
        "50 at 0.5 EUR for 1 USD, ecb of 2026-08-31 (end of the month before)"
    )


def test_a_fixed_rate_holds_for_every_day_and_both_ways() -> None:
    fixed = {("EUR", "USD"): Decimal("1.25")}
    exchange = Exchange(under(rule=DateRule.FIXED, fixed_rates=fixed), [a_rate(rate="9")])
    assert str(convert(exchange, usd("100"), on=date(2031, 1, 1))).startswith("80 at 0.8")
    assert convert(exchange, Money(Decimal(1), "CHF")) is None


@pytest.mark.parametrize(
    "policy",
    [
        ExchangePolicy(ENTITY, rule=DateRule.FIXED),
        ExchangePolicy(ENTITY, fixed_rates={("EUR", "USD"): Decimal(1)}),
        ExchangePolicy(ENTITY, rule=DateRule.FIXED, fixed_rates={("EUR", "EUR"): Decimal(1)}),
        ExchangePolicy(ENTITY, rule=DateRule.FIXED, fixed_rates={("EUR", "USD"): Decimal(0)}),
    ],
)
def test_a_policy_that_cannot_be_followed_is_refused(policy: ExchangePolicy) -> None:
    with pytest.raises(PolicyInconsistent):
        check_policy(policy)


def rate(item: SourceItem, *rates: Quotation, markup: str = "0") -> Priced | Unratable:
    """Rate an hour by a card in dollars, or an expense on a pass-through line."""
    line = a_line(rates={})
    if item.minutes == 0:
        line = a_line(
            billing_model=BillingModel.PASS_THROUGH, rates={}, markup_percent=Decimal(markup)
        )
    card = a_card(an_entry("0", hourly_rate=usd("187.55")), currency="USD")
    facts = some_facts(some_terms(line), cards=[card])
    facts = type(facts)(1, facts.agreements, facts.cards, facts.customers, Exchange({}, rates))
    outcome = Rater(facts).rate(item)
    assert isinstance(outcome, Priced | Unratable)
    return outcome


def test_an_hour_of_a_card_in_another_currency_is_converted_to_a_rate_of_four_decimals() -> None:
    outcome = rate(an_item(minutes=30), a_rate(rate="1.0843"))
    assert isinstance(outcome, Priced)
    [share] = outcome.shares
    # 1 / 1.0843 = 0.9222539887; times 187.55 = 172.9687…
    assert share.rating.unit_rate == eur("172.9687")
    assert share.portion.amount == eur("86.48435")
    conversion = share.rating.conversion
    assert conversion is not None
    assert (conversion.from_price, conversion.rate) == (usd("187.55"), Decimal("0.9222539887"))
    assert (conversion.rate_on, conversion.source) == (MONDAY, "ecb")
    assert "at 0.9222539887 EUR for 1 USD, ecb of 2026-09-07" in share.rating.explanation


def test_a_cost_is_converted_once_from_the_receipt_and_then_marked_up() -> None:
    item = an_expense(Money(Decimal("92.00"), "CHF"), receipt_price=usd("100.00"))
    outcome = rate(item, a_rate(), a_rate("CHF", "0.95"), markup="10")
    assert isinstance(outcome, Priced)
    [share] = outcome.shares
    assert share.rating.unit_rate == eur("88")
    assert share.rating.conversion is not None
    assert share.rating.conversion.from_price == usd("100.00")
    assert share.rating.explanation.startswith("cost 80.00 EUR (100.00 USD at 0.8 EUR for 1 USD")


@pytest.mark.parametrize("item", [an_item(), an_expense(usd("100.00"))])
def test_without_a_rate_of_exchange_nothing_is_priced(item: SourceItem) -> None:
    outcome = rate(item)
    assert isinstance(outcome, Unratable)
    assert outcome.hold.reason is HoldReason.MISSING_FX_RATE
    assert "from USD to EUR for 2026-09-07" in outcome.hold.detail
