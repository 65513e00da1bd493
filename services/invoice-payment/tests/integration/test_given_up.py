"""What a credit note gives up is neither credited nor billed again, whatever crosses with it."""

from decimal import Decimal
from functools import partial
from uuid import UUID

import pytest
from invoice_payment_builders import APPROVER, DRAFTED_AT
from invoice_payment_credits import assert_agrees, drafted, issued, the_invoice
from invoice_payment_world import World, a_batch, a_block, taking_back, written_off
from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment import consumers, schedules
from invoice_payment.commands import credit as credits
from invoice_payment.domain.credit import (
    GivenUpTwice,
    PrepaymentGivenUp,
    TakenBackMeanwhile,
    WantedItem,
    WantedLine,
)
from invoice_payment.domain.invoice import Invoice
from invoice_payment.domain.line import Disposition
from throughline.billing_event.events.v1.billing_event_events_pb2 import BillingEventsReleased
from throughline.customer_contract.v1 import contract_pb2
from throughline_runtime.ids import new_id

WRITE_OFF = Disposition.WRITE_OFF


def work(
    hours: str, rate: str = "180.00", *, contract_id: str | None = None, run_id: str = ""
) -> BillingEventsReleased:
    """Return the release of so many hours at a rate, by a re-rating run if one is named."""
    event = a_batch(1, contract_id=contract_id, quantity=hours)
    [row] = event.billing_events
    row.unit_rate.amount = rate
    row.amount.amount = f"{Decimal(hours) * Decimal(rate):.2f}"
    if run_id:
        row.rerating_run_id = run_id
    return event


def without(billed: BillingEventsReleased, hours: str) -> BillingEventsReleased:
    """Return what takes a row back of which so many hours were given up before."""
    event = taking_back(billed)
    [row] = event.billing_events
    rest = Decimal(row.quantity) + Decimal(hours)
    row.quantity, row.amount.amount = str(rest), f"{rest * 180:.2f}"
    return event


async def part_of(world: World, invoice_id: UUID, hours: str) -> WantedLine:
    [(line_id, item_id)] = await world.rows(
        "SELECT invoice_line_id, billing_event_id FROM invoice_item WHERE invoice_id = :id",
        id=invoice_id,
    )
    return WantedLine(line_id, None, (WantedItem(item_id, Decimal(hours)),))


async def billed_in_all(world: World) -> Decimal:
    """Return the net total of everything issued, credit notes taken off."""
    total: Decimal = await world.value(
        "SELECT sum(net_total) FROM invoice WHERE number IS NOT NULL"
    )
    return total


async def void(world: World, note: Invoice) -> None:
    await world.do(lambda tx: credits.void_credit_note(tx, note.invoice_id, reason="anew"))


async def credit_rebilled(world: World) -> None:
    """Let the service draft what re-rating takes off invoices, and issue that."""
    await schedules.credit_rebilled(world.context)
    for [note_id] in await world.rows(
        "SELECT invoice_id FROM invoice WHERE document_type = 'credit_note' AND status = 'ready'"
        " AND drafted_by = 'service:invoice-payment'"
    ):
        await world.do(partial(issue, note_id=note_id))


async def issue(tx: AsyncConnection, note_id: UUID) -> None:
    await credits.approve_credit_note(tx, note_id, by=APPROVER)
    await credits.issue_credit(tx, note_id, at=DRAFTED_AT)


async def test_what_was_taken_back_since_the_draft_is_not_given_up(world: World) -> None:
    first = await world.release(work("8.00"))
    await world.bill(run_key="first")
    note = await drafted(world, await the_invoice(world), disposition=WRITE_OFF)
    await world.release(taking_back(first))
    with pytest.raises(TakenBackMeanwhile, match="taken back"):
        await issued(world, note)

    await void(world, note)
    await world.release(work("20.00"))
    await world.bill(run_key="second")
    assert await billed_in_all(world) == Decimal("3600.00")
    await assert_agrees(world)


async def test_what_was_taken_back_since_the_draft_is_still_returned(world: World) -> None:
    first = await world.release(work("8.00"))
    await world.bill(run_key="first")
    note = await drafted(world, await the_invoice(world))
    await world.release(taking_back(first))
    await issued(world, note)
    assert (await world.draft(run_key="second")).progress.invoices_drafted == 0
    assert (await world.totals())["billable_items"]["open_amount.EUR"] == 0
    await assert_agrees(world)


@pytest.mark.parametrize("hours", ["3.00", "8.00"])
async def test_what_was_rated_anew_since_the_draft_is_billed_once(world: World, hours: str) -> None:
    policy = contract_pb2.RERATING_POLICY_CREDIT_AND_REBILL
    [contract_id] = await world.sign(rerating_policy=policy)
    first = await world.release(work("8.00", contract_id=contract_id))
    await world.bill(run_key="first")
    invoice_id = await the_invoice(world)
    note = await drafted(
        world, invoice_id, await part_of(world, invoice_id, hours), disposition=WRITE_OFF
    )
    run_id = str(new_id())
    mirror = taking_back(first)
    mirror.billing_events[0].rerating_run_id = run_id
    await world.release(mirror)
    await world.release(work("8.00", "190.00", contract_id=contract_id, run_id=run_id))
    await credit_rebilled(world)
    with pytest.raises(TakenBackMeanwhile):
        await issued(world, note)

    # What could be credited so far waits for the rest.
    await world.bill(run_key="second")
    assert await world.rows(
        "SELECT unit_rate, quantity FROM invoice JOIN invoice_line AS line USING (invoice_id)"
        " WHERE document_type = 'invoice' ORDER BY sequence"
    ) == [(180, 8), (190, 8)]
    await void(world, note)
    await credit_rebilled(world)
    assert (await world.draft(run_key="third")).progress.invoices_drafted == 0
    assert await billed_in_all(world) == Decimal("1520.00")
    await assert_agrees(world)


@pytest.mark.parametrize(
    ("given_up", "known"),
    [
        (("8.00",), "0.00"),
        (("3.00",), "0.00"),
        (("3.00",), "3.00"),
        (("3.00", "2.00"), "3.00"),
        (("3.00", "2.00"), "0.00"),
    ],
)
async def test_what_was_given_up_while_it_was_taken_back_counts_once(
    world: World, given_up: tuple[str, ...], known: str
) -> None:
    """The row that takes the work back was on its way, made when only `known` was given up."""
    first = await world.release(work("8.00"))
    await world.bill(run_key="first")
    invoice_id = await the_invoice(world)
    for hours in given_up:
        wanted = await part_of(world, invoice_id, hours)
        await issued(world, await drafted(world, invoice_id, wanted, disposition=WRITE_OFF))
    await world.release(without(first, known))

    totals = await world.totals()
    assert totals["billable_items"]["credited_given_up.EUR"] == Decimal(known) * 180
    assert totals["journal"]["write_off.EUR"] == Decimal(known) * 180
    await assert_agrees(world)
    await world.release(work("20.00"))
    await world.bill(run_key="second")
    assert await billed_in_all(world) == Decimal("3600.00")
    assert (await world.totals())["billable_items"]["open_amount.EUR"] == 0
    await assert_agrees(world)


async def test_what_was_given_up_while_it_was_rated_anew_is_billed_at_its_new_rate(
    world: World,
) -> None:
    policy = contract_pb2.RERATING_POLICY_CREDIT_AND_REBILL
    [contract_id] = await world.sign(rerating_policy=policy)
    first = await world.release(work("8.00", contract_id=contract_id))
    await world.bill(run_key="first")
    invoice_id = await the_invoice(world)
    wanted = await part_of(world, invoice_id, "3.00")
    await issued(world, await drafted(world, invoice_id, wanted, disposition=WRITE_OFF))
    run_id = str(new_id())
    mirror = taking_back(first)
    mirror.billing_events[0].rerating_run_id = run_id
    await world.release(mirror)
    await world.release(work("8.00", "190.00", contract_id=contract_id, run_id=run_id))
    await world.bill(run_key="second")
    await credit_rebilled(world)
    assert (await world.draft(run_key="third")).progress.invoices_drafted == 0
    assert await billed_in_all(world) == Decimal("1520.00")
    assert (await world.totals())["journal"]["write_off.EUR"] == 0
    await assert_agrees(world)


async def test_what_is_written_off_already_is_returned_and_not_given_up_again(
    world: World,
) -> None:
    first = await world.release(work("8.00"))
    await world.bill(run_key="first")
    await world.told(consumers.take_written_off, written_off(first, version=3))
    invoice_id = await the_invoice(world)
    with pytest.raises(GivenUpTwice, match="written off") as refused:
        await drafted(world, invoice_id, disposition=WRITE_OFF)
    assert "return_to_unbilled" in (refused.value.advice or "")

    await issued(world, await drafted(world, invoice_id))
    assert (await world.draft(run_key="second")).progress.invoices_drafted == 0
    journal = (await world.totals())["journal"]
    assert (journal["write_off.EUR"], journal["contract_asset.EUR"]) == (Decimal("1440.00"), 0)
    await assert_agrees(world)


async def test_what_was_written_off_since_the_draft_is_not_given_up(world: World) -> None:
    first = await world.release(work("8.00"))
    await world.bill(run_key="first")
    note = await drafted(world, await the_invoice(world), disposition=WRITE_OFF)
    await world.told(consumers.take_written_off, written_off(first, version=3))
    with pytest.raises(GivenUpTwice):
        await issued(world, note)


async def test_what_is_paid_in_advance_is_returned_and_not_given_up(world: World) -> None:
    await world.release(a_block())
    await world.bill(run_key="first")
    invoice_id = await the_invoice(world)
    with pytest.raises(PrepaymentGivenUp, match="in advance") as refused:
        await drafted(world, invoice_id, disposition=WRITE_OFF)
    assert "change order" in (refused.value.advice or "")
    await issued(world, await drafted(world, invoice_id))
    await assert_agrees(world)
