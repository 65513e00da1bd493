"""Work taken back is credited at the tax it was billed with, whatever the tax is by now."""

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from invoice_payment_builders import CONTRACT, CUSTOMER, DRAFTED_AT, a_rule, an_id, eur
from invoice_payment_credits import CLERK, assert_agrees, issued
from invoice_payment_world import World, a_batch, taking_back

from invoice_payment.commands import open_items
from invoice_payment.domain.amounts import TaxTreatment
from invoice_payment.domain.credit_note import Request
from invoice_payment.domain.invoice import Invoice
from throughline.billing_event.events.v1.billing_event_events_pb2 import BillingEventsReleased
from throughline_runtime.ids import new_id

BEFORE = a_rule(
    tax_rule_id=an_id("2a8"),
    treatment=TaxTreatment("S", Decimal("16.00")),
    valid_from=date(2021, 1, 1),
    valid_to=date(2026, 9, 15),
)
SINCE = a_rule(tax_rule_id=an_id("2a9"), valid_from=date(2026, 9, 15))
LEFT_OUT = (
    "SELECT reason, advice FROM exception_item"
    " WHERE kind = 'invoice_run.left_out' AND closed_at IS NULL"
)


@pytest.fixture
async def world(bare_world: World) -> World:
    """The firm in a year in which the tax rises in the middle of September."""
    await bare_world.found(rules=(BEFORE, SINCE))
    return bare_world


def work(quantity: str, day: int, **values: Any) -> BillingEventsReleased:
    event = a_batch(1, quantity=quantity, **values)
    [row] = event.billing_events
    row.amount.amount = f"{Decimal(quantity) * 180:.2f}"
    row.service_from, row.service_to = f"2026-09-{day:02d}", f"2026-09-{day + 1:02d}"
    return event


async def credited(world: World, invoice_id: UUID | None = None) -> Invoice:
    request = Request(new_id(), "corrected", CLERK, DRAFTED_AT)
    return await world.do(
        lambda tx: open_items.credit_open_items(
            tx, CONTRACT, CUSTOMER, request, invoice_id=invoice_id
        )
    )


async def taxes(world: World) -> Decimal:
    """Return the tax of all documents, drafts included."""
    total: Decimal = await world.value("SELECT sum(tax_total) FROM invoice")
    return total


async def test_open_work_is_credited_on_the_invoice_that_billed_it(world: World) -> None:
    early = await world.release(work("8.00", 2))
    await world.bill(run_key="first")
    await world.release(work("1.00", 20))
    await world.bill(run_key="second")
    await world.release(taking_back(early))

    note = await credited(world)

    assert note.credits is not None
    assert note.credits.number == "INV-DE01-2026-000001"
    assert note.totals.tax == eur("-230.40")
    assert note.tax_point_on == date(2026, 9, 2)


async def test_a_credit_stays_off_an_invoice_of_another_tax_until_finance_drafts_it(
    world: World,
) -> None:
    early = await world.release(work("8.00", 2))
    await world.bill(run_key="first")
    await world.release(taking_back(early))
    await world.release(work("8.00", 20))
    await world.bill(run_key="second")

    [[net, tax]] = await world.rows("SELECT net_total, tax_total FROM invoice WHERE sequence = 2")
    assert (net, tax) == (Decimal("1440.00"), Decimal("273.60"))
    [[reason, advice]] = await world.rows(LEFT_OUT)
    assert "invoiced at another tax" in reason
    assert "draft a credit note" in advice

    await issued(world, await credited(world))
    assert await world.rows(LEFT_OUT) == []
    # What is left of the supplies: eight hours of 20 September at 19 %.
    assert await taxes(world) == Decimal("273.60")
    await assert_agrees(world)


async def test_work_of_another_tax_is_no_part_of_the_credit(world: World) -> None:
    early = await world.release(work("8.00", 2))
    await world.bill(run_key="first")
    await world.release(taking_back(early))
    await world.release(work("1.00", 20))

    note = await issued(world, await credited(world))
    await world.bill(run_key="second")

    assert note.totals.net == eur("-1440.00")
    assert await taxes(world) == Decimal("34.20")
    await assert_agrees(world)


async def test_a_credit_of_the_same_tax_comes_on_the_next_invoice(world: World) -> None:
    early = await world.release(work("8.00", 2))
    await world.bill(run_key="first")
    await world.release(taking_back(early))
    await world.release(work("10.00", 3))
    await world.bill(run_key="second")
    assert await world.value("SELECT net_total FROM invoice WHERE sequence = 2") == Decimal(360)
    assert await world.rows(LEFT_OUT) == []


async def test_what_several_invoices_billed_is_credited_on_each(world: World) -> None:
    billed = []
    for key, day in (("first", 2), ("second", 3)):
        billed.append(await world.release(work("8.00", day)))
        await world.bill(run_key=key)
    for event in billed:
        await world.release(taking_back(event))

    with pytest.raises(open_items.BilledElsewhere, match="000001, INV-DE01-2026-000002") as refused:
        await credited(world)
    assert refused.value.field == "invoice_id"
    invoice_ids = await world.rows("SELECT invoice_id FROM invoice ORDER BY sequence")
    for (invoice_id,) in invoice_ids:
        note = await issued(world, await credited(world, invoice_id))
        assert (note.credits and note.credits.invoice_id) == invoice_id
        assert note.totals.net == eur("-1440.00")
    await assert_agrees(world)


async def test_an_invoice_that_did_not_bill_the_work_is_not_named(world: World) -> None:
    early = await world.release(work("8.00", 2))
    await world.bill(run_key="first")
    await world.release(work("1.00", 3))
    await world.bill(run_key="second")
    await world.release(taking_back(early))
    other = await world.value("SELECT invoice_id FROM invoice WHERE sequence = 2")
    with pytest.raises(open_items.BilledElsewhere, match="INV-DE01-2026-000001"):
        await credited(world, other)
