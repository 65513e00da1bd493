"""Money in: recorded once, settled up to what is open, kept when it fits nothing."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from invoice_payment_builders import DE01, eur
from invoice_payment_world import World

from invoice_payment.commands import payment as commands
from invoice_payment.commands.payment import LegalEntityUnknown, Told
from invoice_payment.domain.payment import (
    DiffersFromRecorded,
    ExceedsInvoice,
    ExceedsPayment,
    Payment,
    PaymentStatus,
)
from invoice_payment.repository.master import EntityNotFound
from throughline.invoice_payment.events.v1.invoice_payment_events_pb2 import (
    InvoiceSettled,
    PaymentReceived,
)
from throughline.invoice_payment.v1 import invoice_pb2
from throughline_core.money import Money

AT = datetime(2026, 10, 12, 9, 30, tzinfo=UTC)
NUMBER = "INV-DE01-2026-000001"


def told(amount: str = "13137.60", **values: object) -> Told:
    payment = Told(
        provider="stripe",
        provider_payment_id="ch_3Q2cNw0001",
        status=PaymentStatus.RECEIVED,
        amount=eur(amount),
        received_on=date(2026, 10, 12),
        legal_entity_id=None,
        legal_entity_code="DE01",
        customer_id=None,
        reference=NUMBER,
    )
    return replace(payment, **values)  # type: ignore[arg-type]  # names and types are Told's


async def record(world: World, payment: Told) -> Payment:
    return await world.do(lambda tx: commands.record_payment(tx, payment, at=AT))


@pytest.fixture
async def billed(world: World, move_clock: Callable[[datetime], None]) -> World:
    move_clock(datetime(2026, 9, 30, 16, tzinfo=UTC))
    await world.release()
    await world.bill()
    return world


async def open_amount(world: World) -> Decimal:
    return Decimal(await world.value("SELECT gross_total - paid_total FROM invoice"))


async def test_a_payment_in_full_closes_the_receivable(billed: World) -> None:
    payment = await record(billed, told())

    assert payment.unapplied.is_zero
    assert await billed.rows("SELECT status, version FROM invoice") == [("paid", 4)]
    [settled] = await billed.published(InvoiceSettled)
    assert settled.status == invoice_pb2.INVOICE_STATUS_PAID
    totals = await billed.totals()
    assert totals["journal"]["receivable.EUR"] == 0
    assert totals["journal"]["unapplied_cash.EUR"] == 0
    assert totals["invoices"]["open.EUR"] == 0


async def test_the_money_settles_no_invoice_before_it_was_issued(billed: World) -> None:
    """Paid ahead, on 29 September, for what was issued on the 30th."""
    await record(billed, told(received_on=date(2026, 9, 29)))

    days = dict(await billed.rows("SELECT fact, posted_on FROM journal_entry"))
    assert days["payment"] == date(2026, 9, 29)
    assert days["payment_allocation"] == days["invoice"] == date(2026, 9, 30)


async def test_money_settles_the_invoice_named_when_it_was_announced(billed: World) -> None:
    await record(billed, told(status=PaymentStatus.PENDING))

    payment = await record(billed, told(reference="", legal_entity_code="DE01"))

    assert payment.unapplied.is_zero
    assert await open_amount(billed) == 0


async def test_the_same_callback_five_times_is_one_payment(billed: World) -> None:
    news = [told(), told(status=PaymentStatus.PENDING), told(), told(), told()]

    await asyncio.gather(*(record(billed, each) for each in news))

    assert len(await billed.published(PaymentReceived)) == 1
    totals = await billed.totals()
    assert totals["payments"] == {
        "count": 1,
        "amount.EUR": Decimal("13137.60"),
        "allocated.EUR": Decimal("13137.60"),
        "unapplied.EUR": 0,
    }
    assert totals["journal"]["entries"] == 4


async def test_a_pending_payment_moves_nothing_until_it_arrives(billed: World) -> None:
    pending = await record(billed, told(status=PaymentStatus.PENDING))
    assert (await billed.totals())["payments"]["count"] == 0

    arrived = await record(billed, told())
    late = await record(billed, told(status=PaymentStatus.FAILED))

    assert arrived.payment_id == pending.payment_id == late.payment_id
    assert late.status is PaymentStatus.RECEIVED
    assert await open_amount(billed) == 0


async def test_a_part_payment_leaves_the_rest_open_for_the_next(billed: World) -> None:
    await record(billed, told("5000.00"))
    assert await billed.value("SELECT status FROM invoice") == "partially_paid"
    assert await open_amount(billed) == Decimal("8137.60")

    await record(billed, told("8137.60", provider_payment_id="ch_2"))

    assert await billed.value("SELECT status FROM invoice") == "paid"
    assert len(await billed.published(InvoiceSettled)) == 2


async def test_what_is_paid_too_much_stays_unapplied(billed: World) -> None:
    payment = await record(billed, told("20000.00"))

    assert payment.unapplied == eur("6862.40")
    totals = await billed.totals()
    assert totals["journal"]["unapplied_cash.EUR"] == totals["payments"]["unapplied.EUR"]
    assert totals["payments"]["unapplied.EUR"] == Decimal("6862.40")


@pytest.mark.parametrize("reference", ["", "thank you", "INV-DE01-2026-000099"])
async def test_a_payment_that_names_no_invoice_waits_unapplied(
    billed: World, reference: str
) -> None:
    payment = await record(billed, told(reference=reference))

    assert payment.unapplied == eur("13137.60")
    assert await open_amount(billed) == Decimal("13137.60")


async def test_another_currency_is_kept_and_settles_nothing(billed: World) -> None:
    payment = await record(billed, replace(told(), amount=Money(Decimal("13137.60"), "USD")))

    assert payment.unapplied == payment.amount
    assert await open_amount(billed) == Decimal("13137.60")


async def test_an_entity_is_found_by_id_by_code_or_by_its_invoice(billed: World) -> None:
    by_id = await record(billed, told("1.00", legal_entity_id=DE01, provider_payment_id="1"))
    by_number = await record(billed, told("1.00", legal_entity_code="", provider_payment_id="2"))

    assert by_id.legal_entity_id == by_number.legal_entity_id == DE01
    with pytest.raises(LegalEntityUnknown):
        await record(billed, told(legal_entity_code="", reference="", provider_payment_id="3"))
    with pytest.raises(EntityNotFound):
        await record(billed, told(legal_entity_id=UUID(int=1), provider_payment_id="4"))


async def test_another_amount_under_a_known_id_is_refused(billed: World) -> None:
    await record(billed, told())

    with pytest.raises(DiffersFromRecorded):
        await record(billed, told("13137.61"))


async def allocate(world: World, payment: Payment, amount: str) -> None:
    invoice_id = await world.value("SELECT invoice_id FROM invoice")
    await world.do(
        lambda tx: commands.allocate_payment(tx, payment.payment_id, invoice_id, eur(amount), at=AT)
    )


async def test_people_allocate_what_found_no_invoice_by_itself(billed: World) -> None:
    payment = await record(billed, told("20000.00", reference="your invoice"))

    await allocate(billed, payment, "10000.00")
    with pytest.raises(ExceedsInvoice):
        await allocate(billed, payment, "3137.61")
    await allocate(billed, payment, "3137.60")

    assert await open_amount(billed) == 0
    assert (await billed.totals())["payments"]["unapplied.EUR"] == Decimal("6862.40")


async def test_two_who_allocate_the_last_euro_get_it_once(billed: World) -> None:
    payment = await record(billed, told("100.00", reference=""))

    outcomes = await asyncio.gather(
        *(allocate(billed, payment, "100.00") for _ in range(4)), return_exceptions=True
    )

    assert sum(outcome is None for outcome in outcomes) == 1
    assert sum(isinstance(outcome, ExceedsPayment) for outcome in outcomes) == 3
    assert await open_amount(billed) == Decimal("13037.60")
