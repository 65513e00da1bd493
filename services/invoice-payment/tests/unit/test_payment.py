"""Payments: news in any order, and allocations that never exceed either side."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from invoice_payment_builders import a_draft, a_payment, an_id, an_issued, eur

from invoice_payment.domain.invoice import Invoice, InvoiceStatus
from invoice_payment.domain.payment import (
    AmountNotPositive,
    CurrencyDiffers,
    DayImplausible,
    DiffersFromRecorded,
    EntityDiffers,
    ExceedsInvoice,
    ExceedsPayment,
    InvoiceNotOpen,
    Payment,
    PaymentNotReceived,
    PaymentReceived,
    PaymentStatus,
    allocatable,
    allocate,
    hear_again,
    record,
)
from throughline_core.errors import Refusal
from throughline_core.money import Money

ON = date(2026, 10, 12)
PENDING, RECEIVED, FAILED = PaymentStatus


def test_money_that_arrived_is_announced() -> None:
    change = record(a_payment())

    assert change.events == (PaymentReceived(a_payment()),)
    assert record(a_payment(status=PENDING)).events == ()


@pytest.mark.parametrize("amount", ["0.00", "-1.00"])
def test_nothing_is_no_payment(amount: str) -> None:
    with pytest.raises(AmountNotPositive):
        record(a_payment(amount))


@pytest.mark.parametrize("order", list(permutations([PENDING, PENDING, FAILED, RECEIVED])))
def test_news_ends_in_the_same_state_in_any_order(order: tuple[PaymentStatus, ...]) -> None:
    payment, announced = None, 0
    for status in order:
        told = a_payment(status=status)
        change = record(told) if payment is None else hear_again(payment, told)
        payment, announced = change.state, announced + len(change.events)

    assert payment is not None
    assert payment.status is RECEIVED
    assert announced == 1


@pytest.mark.parametrize("day", [date(1999, 12, 31), date(2026, 11, 13)])
def test_a_day_nobody_pays_on_is_refused(day: date) -> None:
    with pytest.raises(DayImplausible):
        record(a_payment(received_on=day))


def test_another_amount_under_a_known_id_is_refused() -> None:
    with pytest.raises(DiffersFromRecorded):
        hear_again(a_payment(), a_payment("13137.61"))


def test_an_allocation_settles_the_invoice_and_uses_the_payment() -> None:
    allocation = allocate(
        a_payment("20000.00"), an_issued(), eur("13137.60"), allocation_id=an_id("1d2"), on=ON
    )

    assert allocation.payment.unapplied == eur("6862.40")
    assert allocation.settled.invoice.status is InvoiceStatus.PAID
    assert allocation.settled.amount == eur("13137.60")


@pytest.mark.parametrize(
    ("payment", "invoice", "amount", "refusal"),
    [
        (a_payment(status=PENDING), an_issued(), "1.00", PaymentNotReceived),
        (a_payment(status=FAILED), an_issued(), "1.00", PaymentNotReceived),
        (a_payment(), a_draft(), "1.00", InvoiceNotOpen),
        (a_payment(legal_entity_id=an_id("e2")), an_issued(), "1.00", EntityDiffers),
        (a_payment(), an_issued(), "0.00", AmountNotPositive),
        (a_payment("100.00"), an_issued(), "100.01", ExceedsPayment),
        (a_payment("20000.00"), an_issued(), "13137.61", ExceedsInvoice),
    ],
)
def test_what_does_not_fit_is_refused(
    payment: Payment, invoice: Invoice, amount: str, refusal: type[Refusal]
) -> None:
    with pytest.raises(refusal):
        allocate(payment, invoice, eur(amount), allocation_id=an_id("1d2"), on=ON)


def test_another_currency_settles_nothing() -> None:
    dollars = Money(Decimal("13137.60"), "USD")
    payment = replace(a_payment(), amount=dollars, allocated=Money.zero("USD"))

    with pytest.raises(CurrencyDiffers):
        allocate(payment, an_issued(), dollars, allocation_id=an_id("1d2"), on=ON)
    assert allocatable(payment, an_issued()).is_zero


def test_an_amount_in_another_currency_is_refused_by_its_name() -> None:
    amount = Money(Decimal("5.00"), "USD")
    with pytest.raises(CurrencyDiffers) as refused:
        allocate(a_payment(), an_issued(), amount, allocation_id=an_id("1d2"), on=ON)
    assert refused.value.field == "amount"


@given(st.decimals("0.01", 30000, places=2))
def test_what_is_allocated_by_itself_is_the_lesser_of_both(amount: Decimal) -> None:
    payment, invoice = a_payment(str(amount)), an_issued()

    taken = allocatable(payment, invoice)
    allocation = allocate(payment, invoice, taken, allocation_id=an_id("1d2"), on=ON)

    assert taken == min(payment.amount, invoice.totals.gross)
    assert payment.amount == taken + allocation.payment.unapplied
    assert allocation.settled.invoice.open_amount + taken == invoice.totals.gross


def test_a_draft_or_a_pending_payment_is_not_allocated_by_itself() -> None:
    assert allocatable(a_payment(), a_draft()).is_zero
    assert allocatable(a_payment(status=PENDING), an_issued()).is_zero
