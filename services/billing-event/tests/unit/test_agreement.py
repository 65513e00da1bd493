"""Which terms hold for a day, what a special activity costs, and what an end cuts short."""

from datetime import date
from decimal import Decimal

import pytest
from billing_event_builders import (
    PERSON,
    SUPPORT,
    TERM,
    a_card,
    a_line,
    an_agreement,
    an_entry,
    an_id,
    an_item,
    eur,
    some_terms,
)

from billing_event.domain.agreement import Agreement, Ending
from billing_event.domain.rate import resolve_rate
from billing_event.domain.recurring import chain, corrections, plan
from billing_event.domain.terms import BillingModel, ContractTerms, LineTerms, Proration
from throughline_core.money import Money
from throughline_core.period import Period

OCTOBER, NOVEMBER = date(2026, 10, 1), date(2026, 11, 1)
EARLY = Ending(date(2026, 10, 16), True, "terminated")
DONE = Ending(date(2026, 10, 16), False, "completed")


def version(number: int, effective_on: date | None = None) -> ContractTerms:
    return some_terms(contract_version=number, effective_on=effective_on)


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(2026, 8, 1), 1),
        (date(2026, 9, 30), 1),
        (OCTOBER, 2),
        (date(2026, 10, 31), 2),
        (NOVEMBER, 3),
    ],
)
def test_the_latest_version_in_effect_holds_for_a_day(day: date, expected: int) -> None:
    terms = an_agreement(version(1, date(2026, 8, 24)), version(2, OCTOBER), version(3, NOVEMBER))
    found = terms.on(day)
    assert found is not None
    assert found.contract_version == expected


def test_a_later_version_that_reaches_back_goes_first() -> None:
    terms = an_agreement(version(1), version(2, NOVEMBER), version(3, OCTOBER))
    found = terms.on(NOVEMBER)
    assert found is not None
    assert found.contract_version == 3


def test_a_moved_limit_holds_as_long_as_the_terms_it_was_made_from() -> None:
    terms = an_agreement(version(1), version(2, NOVEMBER), version(3))
    assert [found and found.contract_version for found in map(terms.on, (OCTOBER, NOVEMBER))] == [
        1,
        3,
    ]


@pytest.mark.parametrize(
    ("first_version", "versions"),
    [(1, (version(1), version(3, NOVEMBER))), (None, (version(3, NOVEMBER),))],
)
def test_no_version_holds_while_one_that_may_is_missing(
    first_version: int | None, versions: tuple[ContractTerms, ...]
) -> None:
    terms = Agreement(versions, first_version)
    assert terms.on(OCTOBER) is None
    assert terms.on(NOVEMBER) is versions[-1]


def hour(line: LineTerms, **different: object) -> tuple[Money, Decimal | None] | None:
    card = a_card(an_entry("80.00", role="architect"), multipliers={"travel": Decimal("0.5")})
    item = an_item(**different)
    rate = resolve_rate(item, some_terms(line), line, [("the firm's card", card)])
    return None if rate is None else (rate.unit, rate.multiplier)


def test_a_person_on_the_contract_goes_before_the_role() -> None:
    line = a_line(person_rates={("consultant", PERSON): eur("130.00")})
    assert hour(line) == (eur("130.00"), None)
    assert hour(line, person_id=an_id("132")) == (eur("100.00"), None)


@pytest.mark.parametrize(
    ("activity", "expected"),
    [
        ("", (eur("100.00"), None)),
        ("overtime", (eur("150.00"), Decimal("1.5"))),
        ("travel", (eur("50.00"), Decimal("0.5"))),
        ("standby", (eur("100.00"), None)),
        ("free", (eur("0.00"), Decimal(0))),
    ],
)
def test_an_activity_is_multiplied_by_the_line_then_the_card_then_not(
    activity: str, expected: tuple[Money, Decimal | None]
) -> None:
    line = a_line(multipliers={"overtime": Decimal("1.5"), "free": Decimal(0)})
    assert hour(line, activity=activity) == expected


def test_the_explanation_says_by_what_and_where_the_rate_was_multiplied() -> None:
    line = a_line(multipliers={"overtime": Decimal("1.5")})
    rate = resolve_rate(an_item(activity="overtime"), some_terms(line), line, [])
    assert rate is not None
    assert rate.explanation.endswith(", times 1.5 for overtime by the contract line")


def support(**different: object) -> LineTerms:
    values = {
        "billing_model": BillingModel.RECURRING,
        "unit_price": eur("3100.00"),
        "term": TERM,
        **different,
    }
    return a_line(SUPPORT, **values)


def test_a_quarter_begins_on_the_anchor_day_and_covers_three_months() -> None:
    term = Period(date(2026, 9, 10), date(2027, 1, 1))
    assert list(chain(term, lambda _: (3, 1))) == [
        (Period(date(2026, 9, 10), date(2026, 12, 1)), Period(date(2026, 9, 1), date(2026, 12, 1))),
        (Period(date(2026, 12, 1), date(2027, 1, 1)), Period(date(2026, 12, 1), date(2027, 3, 1))),
    ]


@pytest.mark.parametrize(
    ("proration", "amount"),
    [
        (Proration.ACTUAL_DAYS, "1500.00"),
        (Proration.THIRTY_DAYS, "1550.00"),
        (Proration.NONE, "3100.00"),
    ],
)
def test_the_last_part_of_a_period_is_charged_as_agreed(proration: Proration, amount: str) -> None:
    line = support(proration=proration)
    periods = plan(an_agreement(some_terms(line), ending=EARLY))
    assert [period.amount for period in periods] == [eur("3100.00"), eur(amount)]


def test_a_completed_contract_charges_the_period_it_was_completed_in() -> None:
    periods = plan(an_agreement(some_terms(support()), ending=DONE))
    assert [period.amount for period in periods] == [eur("3100.00")] * 2


def test_a_period_is_priced_by_the_terms_of_its_first_day() -> None:
    dearer = some_terms(
        support(unit_price=eur("3200.00")), contract_version=2, effective_on=NOVEMBER
    )
    periods = plan(an_agreement(some_terms(support()), dearer))
    assert [period.amount for period in periods[:3]] == [
        eur("3100.00"),
        eur("3100.00"),
        eur("3200.00"),
    ]


def ended(on: date | None) -> Agreement:
    return an_agreement(some_terms(support(ended_on=on)))


def test_what_was_charged_past_the_end_is_agreed_anew() -> None:
    agreement = an_agreement(some_terms(support()))
    charged = plan(agreement)[:3]
    corrected = corrections(an_agreement(some_terms(support()), ending=EARLY), charged)
    assert [period.amount for period in corrected] == [eur("1500.00"), eur("0")]
    assert corrections(agreement, charged) == []


def test_what_was_given_back_is_charged_again_when_its_days_are_back() -> None:
    agreement = an_agreement(some_terms(support()))
    charged = plan(agreement)[:3]
    cut = corrections(an_agreement(some_terms(support()), ending=EARLY), charged)
    back = corrections(agreement, cut)
    assert [(period.service, period.amount) for period in back] == [
        (period.service, period.amount) for period in charged[1:]
    ]


def test_a_new_price_alone_corrects_nothing_that_was_charged() -> None:
    dearer = some_terms(
        support(unit_price=eur("3200.00")), contract_version=2, effective_on=OCTOBER
    )
    charged = plan(an_agreement(some_terms(support())))[:3]
    assert corrections(an_agreement(some_terms(support()), dearer), charged) == []


def test_what_was_charged_stays_while_terms_are_missing_that_may_decide_its_days() -> None:
    charged = plan(an_agreement(some_terms(support())))[:3]
    cut = support(term=Period(TERM.start, OCTOBER))
    third = some_terms(cut, contract_version=3, effective_on=NOVEMBER)
    assert corrections(an_agreement(some_terms(support()), third), charged) == []


@pytest.mark.parametrize(
    ("moved_to", "prices"),
    [
        (date(2026, 10, 26), ["2500.00"]),
        (date(2026, 11, 16), ["3100.00", "1550.00"]),
        (None, ["3100.00", "3100.00"]),
    ],
)
def test_an_end_that_is_moved_later_is_charged_up_to_there(
    moved_to: date | None, prices: list[str]
) -> None:
    charged = plan(ended(None))[:3]
    cut = {
        each.recurring_period_id: each
        for each in (*charged, *corrections(ended(date(2026, 10, 16)), charged))
    }
    corrected = corrections(ended(moved_to), cut.values())
    assert [period.amount for period in corrected] == list(map(eur, prices))


def test_a_period_charged_as_a_part_follows_the_end_that_made_it_one() -> None:
    [period] = corrections(ended(date(2026, 10, 26)), plan(ended(date(2026, 10, 16))))
    assert (period.amount, period.service.end) == (eur("2500.00"), date(2026, 10, 26))


def test_a_line_that_is_charged_otherwise_by_now_leaves_what_was_charged() -> None:
    hourly = some_terms(a_line(SUPPORT), contract_version=2, effective_on=NOVEMBER)
    now = an_agreement(some_terms(support()), hourly)
    assert corrections(now, plan(ended(None))[:3]) == []
