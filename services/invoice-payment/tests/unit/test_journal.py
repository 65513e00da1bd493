"""What each fact debits and credits."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from invoice_payment_builders import (
    CONTRACT,
    DE01,
    DELIVERY,
    FIXED_FEE,
    RELEASED_AT,
    a_draft,
    a_payment,
    an_id,
    an_issued,
    eur,
    hours,
    milestone,
)

from invoice_payment.domain.invoice import InvoiceSettled
from invoice_payment.domain.journal import (
    Entry,
    Recognised,
    post_allocation,
    post_invoice,
    post_payment,
    post_release,
    posting_day,
)
from invoice_payment.domain.settlement import settled


def recognised(amount: str, *, batch: str = "193", line: str = "b102") -> Recognised:
    return Recognised(
        an_id(batch), RELEASED_AT, CONTRACT, an_id(line), an_id("f1"), an_id("f2"), eur(amount)
    )


def sides(entry: Entry) -> list[tuple[str, str, str]]:
    return [
        (posting.role.value, f"{posting.debit.amount:f}", f"{posting.credit.amount:f}")
        for posting in entry.postings
    ]


def test_released_work_is_a_contract_asset_and_revenue() -> None:
    [entry] = post_release(
        DE01, "Europe/Berlin", [recognised("1440.00"), recognised("9600.00", line="b101")]
    )

    assert sides(entry) == [
        ("contract_asset", "1440.00", "0"),
        ("revenue", "0", "1440.00"),
        ("contract_asset", "9600.00", "0"),
        ("revenue", "0", "9600.00"),
    ]
    assert [posting.contract_line_id for posting in entry.postings[::2]] == [DELIVERY, FIXED_FEE]
    assert entry.posted_on == date(2026, 9, 30)


def test_each_batch_has_its_own_entry_and_nothing_has_none() -> None:
    entries = post_release(
        DE01,
        "Europe/Berlin",
        [recognised("1.00"), recognised("2.00", batch="194"), recognised("0.00", batch="195")],
    )

    assert [entry.fact_id for entry in entries] == [an_id("193"), an_id("194")]
    assert len({entry.journal_entry_id for entry in entries}) == 2


def test_a_reversal_takes_revenue_back() -> None:
    [entry] = post_release(DE01, "Europe/Berlin", [recognised("-1440.00")])

    assert sides(entry) == [("contract_asset", "0", "1440.00"), ("revenue", "1440.00", "0")]


def test_an_invoice_turns_the_contract_asset_into_a_receivable() -> None:
    entry = post_invoice(an_issued())

    assert sides(entry) == [
        ("receivable", "13137.60", "0"),
        ("contract_asset", "0", "9600.00"),
        ("contract_asset", "0", "1440.00"),
        ("tax_payable", "0", "2097.60"),
    ]


@pytest.mark.parametrize(
    ("recognised_amount", "rounding"),
    [
        pytest.param("13.76", ("rounding", "0.01", "0"), id="two entries of 6.88, one line"),
        pytest.param("13.74", ("rounding", "0", "0.01"), id="the line is a cent more"),
    ],
)
def test_a_cent_of_rounding_has_its_account(
    recognised_amount: str, rounding: tuple[str, str, str]
) -> None:
    items = hours("0.50", "27.50", recognised=eur(recognised_amount), item_count=2)

    assert rounding in sides(post_invoice(an_issued(items)))


def test_money_in_is_unapplied_until_it_settles_something() -> None:
    partly = settled(an_issued(), eur("5000.00"))
    told = InvoiceSettled(partly, an_id("1d2"), an_id("1d1"), eur("5000.00"), date(2026, 10, 12))

    assert sides(post_payment(a_payment("5000.00"))) == [
        ("cash", "5000.00", "0"),
        ("unapplied_cash", "0", "5000.00"),
    ]
    assert sides(post_allocation(told)) == [
        ("unapplied_cash", "5000.00", "0"),
        ("receivable", "0", "5000.00"),
    ]


def test_the_same_fact_makes_the_same_entry() -> None:
    first, again = (post_invoice(an_issued()) for _ in range(2))

    assert first.journal_entry_id == again.journal_entry_id


@pytest.mark.parametrize(
    ("at", "zone", "day"),
    [
        (datetime(2026, 2, 17, 22, 30, tzinfo=UTC), "Asia/Riyadh", date(2026, 2, 18)),
        (datetime(2026, 9, 30, 22, 30, tzinfo=UTC), "Europe/Berlin", date(2026, 10, 1)),
        (datetime(2026, 10, 1, 3, 30, tzinfo=UTC), "America/New_York", date(2026, 9, 30)),
    ],
)
def test_days_are_those_of_the_entity_s_zone(at: datetime, zone: str, day: date) -> None:
    assert posting_day(at, zone) == day


amounts = st.decimals(-100000, 100000, places=2)


@given(st.lists(st.tuples(amounts, st.decimals(0, 500, places=3), amounts), min_size=1, max_size=9))
def test_an_invoice_always_balances(lines: list[tuple[Decimal, Decimal, Decimal]]) -> None:
    items = [
        hours("1.00", invoice_line_id=an_id(f"1b{index}"), recognised=eur(str(recognised_amount)))
        if index % 2
        else milestone(str(rate), quantity=quantity, recognised=eur(str(recognised_amount)))
        for index, (quantity, rate, recognised_amount) in enumerate(lines)
    ]

    assume(a_draft(*items).totals.net >= eur("0.00"))

    entry = post_invoice(an_issued(*items))

    debits = [posting.debit.amount for posting in entry.postings]
    credits_ = [posting.credit.amount for posting in entry.postings]
    assert sum(debits) == sum(credits_)
    assert all((left > 0) != (right > 0) for left, right in zip(debits, credits_, strict=True))
