"""Credit notes from draft to issue: what they give back is billed again, once, or given up."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from invoice_payment_builders import APPROVER, CONTRACT, CUSTOMER, DRAFTED_AT, an_id, eur
from invoice_payment_credits import CLERK, assert_agrees, drafted, issued, the_invoice
from invoice_payment_world import World, a_batch, taking_back
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from invoice_payment import schedules
from invoice_payment.commands import credit as credits
from invoice_payment.commands import open_items
from invoice_payment.domain.credit import ExceedsCreditable, NothingLeft, WantedItem, WantedLine
from invoice_payment.domain.credit_application import CustomerDiffers, ExceedsCredit
from invoice_payment.domain.credit_note import Request
from invoice_payment.domain.invoice import ApproverDraftedIt
from invoice_payment.domain.line import Disposition
from throughline.customer_contract.v1 import contract_pb2
from throughline.invoice_payment.events.v1.invoice_payment_events_pb2 import (
    InvoiceCredited,
    InvoiceDrafted,
    InvoiceItemsBilled,
    InvoiceItemsCredited,
)
from throughline.invoice_payment.v1 import invoice_pb2
from throughline_runtime.database import write
from throughline_runtime.ids import new_id

WRITE_OFF = Disposition.WRITE_OFF


async def items_of(world: World, invoice_id: UUID) -> Sequence[tuple[Any, ...]]:
    return await world.rows(
        "SELECT invoice_line_id, billing_event_id FROM invoice_item WHERE invoice_id = :id"
        " ORDER BY billing_event_id",
        id=invoice_id,
    )


async def test_a_credited_invoice_is_billed_again_in_full(world: World) -> None:
    await world.release()
    await world.bill(run_key="first")
    invoice_id = await the_invoice(world)

    note = await issued(world, await drafted(world, invoice_id))

    assert note.number is not None
    assert note.number.text == "CN-DE01-2026-000001"
    totals = await world.totals()
    assert totals["billable_items"]["credited.EUR"] == Decimal("11040.00")
    assert totals["billable_items"]["open_amount.EUR"] == Decimal("11040.00")
    assert totals["invoices"]["open.EUR"] == 0
    status = "SELECT status FROM invoice WHERE invoice_id = :id"
    assert await world.value(status, id=invoice_id) == "credited"
    await assert_agrees(world)

    await world.bill(run_key="second")
    nets = await world.rows("SELECT net_total FROM invoice WHERE document_type = 'invoice'")
    assert nets == [(Decimal("11040.00"),)] * 2
    assert (await world.totals())["billable_items"]["open_amount.EUR"] == 0
    await assert_agrees(world)


async def test_a_part_is_given_back_and_exactly_that_is_billed_again(world: World) -> None:
    """4.5 h and 3.5 h invoiced; the 3.5 h credited; 1 h more worked: the next invoice is 4.5 h."""
    june, july, late = (a_batch(1, quantity=each) for each in ("4.50", "3.50", "1.00"))
    for event, amount in ((june, "810.00"), (july, "630.00"), (late, "180.00")):
        event.billing_events[0].amount.amount = amount
    await world.release(june)
    await world.release(july)
    await world.bill(run_key="first")
    invoice_id = await the_invoice(world)
    [(line_id, _), _] = await items_of(world, invoice_id)
    item = WantedItem(UUID(july.billing_events[0].billing_event_id))

    await issued(world, await drafted(world, invoice_id, WantedLine(line_id, None, (item,))))
    await world.release(late)
    await world.bill(run_key="second")

    assert await world.rows(
        "SELECT line.quantity FROM invoice JOIN invoice_line AS line USING (invoice_id)"
        " WHERE document_type = 'invoice' ORDER BY sequence"
    ) == [(Decimal("8.00"),), (Decimal("4.50"),)]
    await assert_agrees(world)


async def test_parts_of_one_item_go_their_own_ways(world: World) -> None:
    await world.release(a_batch(1))
    await world.bill(run_key="first")
    invoice_id = await the_invoice(world)
    [(line_id, item_id)] = await items_of(world, invoice_id)

    def of(quantity: str) -> WantedLine:
        return WantedLine(line_id, None, (WantedItem(item_id, Decimal(quantity)),))

    await issued(world, await drafted(world, invoice_id, of("3.00")))
    await issued(world, await drafted(world, invoice_id, of("2.00"), disposition=WRITE_OFF))
    with pytest.raises(ExceedsCreditable):
        await drafted(world, invoice_id, of("3.01"))

    totals = await world.totals()
    assert totals["billable_items"]["credited.EUR"] == Decimal("900.00")
    assert totals["billable_items"]["credited_given_up.EUR"] == Decimal("360.00")
    assert totals["billable_items"]["open_amount.EUR"] == Decimal("540.00")
    assert totals["journal"]["write_off.EUR"] == Decimal("360.00")
    await assert_agrees(world)

    await world.bill(run_key="second")
    assert (await world.totals())["billable_items"]["open_amount.EUR"] == 0
    await assert_agrees(world)


async def test_of_two_credits_for_the_same_item_one_is_refused(world: World) -> None:
    await world.release(a_batch(1))
    await world.bill()
    invoice_id = await the_invoice(world)

    outcomes = await asyncio.gather(
        *(drafted(world, invoice_id) for _ in range(2)), return_exceptions=True
    )

    refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert [type(outcome) for outcome in refused] == [NothingLeft]
    assert await world.value("SELECT count(*) FROM invoice WHERE document_type = 'credit_note'")


async def test_the_database_itself_refuses_to_credit_more_than_was_billed(world: World) -> None:
    await world.release(a_batch(1))
    await world.bill()
    for change in ("credited_quantity = quantity + 1", "credited_quantity = -1"):
        with pytest.raises(DBAPIError, match="invoice_item_creditable"):
            async with write(world.engine) as tx:
                await tx.execute(text(f"UPDATE invoice_item SET {change}"))


async def test_a_voided_credit_note_gives_up_what_it_took(world: World) -> None:
    await world.release(a_batch(1))
    await world.bill()
    invoice_id = await the_invoice(world)
    note = await drafted(world, invoice_id)
    await world.do(lambda tx: credits.void_credit_note(tx, note.invoice_id, reason="a mistake"))

    assert await world.value("SELECT sum(credited_quantity) FROM invoice_item") == 0
    await issued(world, await drafted(world, invoice_id))
    await assert_agrees(world)


async def test_who_drafted_a_credit_note_does_not_approve_it(world: World) -> None:
    await world.release(a_batch(1))
    await world.bill()
    note = await drafted(world, await the_invoice(world))
    with pytest.raises(ApproverDraftedIt):
        await world.do(lambda tx: credits.approve_credit_note(tx, note.invoice_id, by=CLERK))


async def test_what_a_credit_note_gives_back_is_told_item_by_item(world: World) -> None:
    await world.release()
    await world.bill()
    before = len(await world.published(InvoiceDrafted))
    note = await issued(world, await drafted(world, await the_invoice(world)))

    [credited] = await world.published(InvoiceCredited)
    assert credited.credit_note.document_type == invoice_pb2.DOCUMENT_TYPE_CREDIT_NOTE
    assert credited.credit_note.gross_total.amount == credited.applied.amount == "13137.60"
    assert credited.invoice_status == invoice_pb2.INVOICE_STATUS_CREDITED
    [items] = await world.published(InvoiceItemsCredited)
    assert items.credit_note_id == str(note.invoice_id)
    assert [(item.billing_event_id, item.quantity, item.amount.amount) for item in items.items] == [
        (str(an_id("181")), "8.00", "1440.00"),
        (str(an_id("182")), "1", "9600.00"),
    ]
    assert len(await world.published(InvoiceDrafted)) == before


async def test_the_rest_of_a_credit_settles_the_next_invoice(world: World) -> None:
    await world.release(a_batch(1))
    await world.bill(run_key="first")
    invoice_id = await the_invoice(world)
    await world.pay(invoice_id, eur("1713.60"))
    note = await issued(world, await drafted(world, invoice_id))
    assert note.open_amount == eur("-1713.60")
    await assert_agrees(world)

    await world.release(a_batch(1))
    await world.bill(run_key="second")
    second = await world.value(
        "SELECT invoice_id FROM invoice WHERE document_type = 'invoice' AND paid_total = 0"
    )
    with pytest.raises(ExceedsCredit):
        await world.do(
            lambda tx: credits.apply_to_invoice(
                tx, note.invoice_id, second, eur("1713.61"), at=DRAFTED_AT
            )
        )
    applied = await world.do(
        lambda tx: credits.apply_to_invoice(
            tx, note.invoice_id, second, eur("1713.60"), at=DRAFTED_AT
        )
    )
    assert applied.credit_note.open_amount == eur("0.00")
    await assert_agrees(world)


async def test_credit_of_one_payer_does_not_settle_anothers_invoice(world: World) -> None:
    other = await world.customer()
    await world.release(a_batch(1))
    await world.release(a_batch(1, bill_to_customer_id=str(other)))
    await world.bill()
    own, others = await world.rows(
        "SELECT invoice_id FROM invoice ORDER BY customer_id = :id DESC", id=CUSTOMER
    )
    await world.pay(own[0], eur("1713.60"))
    note = await issued(world, await drafted(world, own[0]))
    with pytest.raises(CustomerDiffers):
        await world.do(
            lambda tx: credits.apply_to_invoice(
                tx, note.invoice_id, others[0], eur("1.00"), at=DRAFTED_AT
            )
        )


async def test_re_rated_work_is_credited_and_billed_anew(world: World) -> None:
    policy = contract_pb2.RERATING_POLICY_CREDIT_AND_REBILL
    [contract_id] = await world.sign(rerating_policy=policy)
    billed = await world.release(a_batch(2, contract_id=contract_id))
    await world.bill(run_key="first")
    run_id = str(new_id())
    mirror = taking_back(billed)
    del mirror.billing_events[1:]
    mirror.billing_events[0].rerating_run_id = run_id
    anew = a_batch(1, contract_id=contract_id, rerating_run_id=run_id)
    anew.billing_events[0].unit_rate.amount = "200.00"
    anew.billing_events[0].amount.amount = "1600.00"
    await world.release(mirror)
    await world.release(anew)

    for _ in range(2):
        await schedules.credit_rebilled(world.context)
    [(note_id, drafted_by, gross)] = await world.rows(
        "SELECT invoice_id, drafted_by, gross_total FROM invoice"
        " WHERE document_type = 'credit_note'"
    )
    assert (drafted_by, gross) == (open_items.SERVICE, Decimal("-1713.60"))
    await world.do(lambda tx: credits.approve_credit_note(tx, note_id, by=APPROVER))
    await world.do(lambda tx: credits.issue_credit(tx, note_id, at=DRAFTED_AT))
    await world.bill(run_key="second")

    assert await world.rows(
        "SELECT net_total FROM invoice WHERE document_type = 'invoice' ORDER BY sequence"
    ) == [(Decimal("2880.00"),), (Decimal("1600.00"),)]
    totals = await world.totals()
    assert totals["billable_items"]["open_amount.EUR"] == 0
    assert totals["recognised_open"]["amount.EUR"] == 0
    await assert_agrees(world)


async def test_work_below_nothing_becomes_a_credit_note_by_one_command(world: World) -> None:
    billed = await world.release(a_batch(2))
    await world.bill(run_key="first")
    await world.release(taking_back(billed))
    late = a_batch(1, quantity="1.00")
    late.billing_events[0].amount.amount = "180.00"
    await world.release(late)
    request = Request(new_id(), "agreed with the client", CLERK, DRAFTED_AT)
    note = await world.do(
        lambda tx: open_items.credit_open_items(tx, CONTRACT, CUSTOMER, request, invoice_id=None)
    )
    assert note.totals.net == eur("-2700.00")
    await issued(world, note)

    totals = await world.totals()
    assert totals["billable_items"]["open_amount.EUR"] == 0
    assert totals["journal"]["receivable.EUR"] == Decimal("214.20")
    told = await world.published(InvoiceItemsBilled)
    assert told[-1].invoice_id == str(note.invoice_id)
    await assert_agrees(world)
    request = Request(new_id(), "again", CLERK, DRAFTED_AT)
    with pytest.raises(open_items.NotNegative):
        await world.do(
            lambda tx: open_items.credit_open_items(
                tx, CONTRACT, CUSTOMER, request, invoice_id=None
            )
        )
