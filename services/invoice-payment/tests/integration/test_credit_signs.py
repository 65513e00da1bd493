"""Credit notes of invoices that bill work and take some back: each part keeps its own amount."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from invoice_payment_builders import APPROVER, DRAFTED_AT, eur
from invoice_payment_credits import assert_agrees, drafted, issued
from invoice_payment_world import World, a_batch, taking_back

from invoice_payment import schedules
from invoice_payment.commands import credit as credits
from invoice_payment.commands import open_items
from invoice_payment.domain.credit import WantedItem, WantedLine
from invoice_payment.domain.credit_note import draft_credit_note
from throughline.billing_event.events.v1.billing_event_events_pb2 import BillingEventsReleased
from throughline.billing_event.v1 import billing_event_pb2
from throughline.customer_contract.v1 import contract_pb2
from throughline_runtime.ids import new_id

REBILL = contract_pb2.RERATING_POLICY_CREDIT_AND_REBILL
ADJUSTMENT = billing_event_pb2.BILLING_EVENT_KIND_ADJUSTMENT
WAITING = (
    "SELECT subject_id::text, owner FROM exception_item WHERE kind = :kind AND closed_at IS NULL"
)


def work(
    quantity: str, rate: str, *, count: int = 1, currency: str = "EUR", **values: Any
) -> BillingEventsReleased:
    """Return time entries of so many hours at a rate."""
    event = a_batch(count, quantity=quantity, **values)
    for row in event.billing_events:
        row.unit_rate.amount, row.unit_rate.currency = rate, currency
        row.amount.amount, row.amount.currency = f"{Decimal(quantity) * Decimal(rate):f}", currency
    return event


def rerated(event: BillingEventsReleased, run_id: str) -> BillingEventsReleased:
    """Return the release of the rows with which a re-rating run takes every row back."""
    mirror = taking_back(event)
    for row in mirror.billing_events:
        row.rerating_run_id = run_id
    return mirror


def item_of(event: BillingEventsReleased, quantity: str | None = None) -> WantedItem:
    wanted = None if quantity is None else Decimal(quantity)
    return WantedItem(UUID(event.billing_events[0].billing_event_id), wanted)


async def latest_lines(world: World) -> tuple[UUID, Sequence[tuple[UUID, Decimal]]]:
    """Return the last invoice issued, and its lines with their amounts, the largest first."""
    invoice_id = await world.value(
        "SELECT invoice_id FROM invoice WHERE document_type = 'invoice'"
        " ORDER BY sequence DESC LIMIT 1"
    )
    lines = await world.rows(
        "SELECT invoice_line_id, net_amount FROM invoice_line WHERE invoice_id = :id"
        " ORDER BY net_amount DESC",
        id=invoice_id,
    )
    return invoice_id, [(line_id, net) for line_id, net in lines]


async def billed_net(world: World) -> Decimal:
    """Return what all issued documents together bill."""
    total: Decimal = await world.value(
        "SELECT sum(net_total) FROM invoice WHERE number IS NOT NULL"
    )
    return total


async def issue_drafted_note(world: World) -> None:
    [(note_id,)] = await world.rows(
        "SELECT invoice_id FROM invoice WHERE document_type = 'credit_note' AND number IS NULL"
    )
    await world.do(lambda tx: credits.approve_credit_note(tx, note_id, by=APPROVER))
    await world.do(lambda tx: credits.issue_credit(tx, note_id, at=DRAFTED_AT))


async def test_a_repriced_line_is_credited_in_full_and_billed_again(world: World) -> None:
    await world.release(work("8.00", "180.00"))
    await world.bill(run_key="first")
    await world.release(work("-8.00", "180.00", kind=ADJUSTMENT))
    await world.release(work("8.00", "190.00", kind=ADJUSTMENT))
    await world.bill(run_key="second")
    invoice_id, [(repriced, net), _] = await latest_lines(world)
    assert net == Decimal("1520.00")

    note = await issued(world, await drafted(world, invoice_id, WantedLine(repriced)))
    await world.bill(run_key="third")

    assert (note.totals.net, note.open_amount) == (eur("-1520.00"), eur("-1713.60"))
    assert await billed_net(world) == Decimal("1520.00")
    journal = (await world.totals())["journal"]
    assert journal.get("rounding.EUR", 0) == 0
    await assert_agrees(world)


async def test_a_month_with_work_taken_back_is_rebilled_at_the_new_price(world: World) -> None:
    [contract_id] = await world.sign(rerating_policy=REBILL)
    june = await world.release(work("8.00", "180.00", contract_id=contract_id))
    await world.bill(run_key="first")
    await world.release(taking_back(june))
    july = await world.release(work("10.00", "200.00", contract_id=contract_id))
    await world.bill(run_key="second")
    run_id = str(new_id())
    await world.release(rerated(july, run_id))
    await world.release(work("10.00", "210.00", contract_id=contract_id, rerating_run_id=run_id))

    await schedules.credit_rebilled(world.context)
    await issue_drafted_note(world)
    await world.bill(run_key="third")

    assert await billed_net(world) == Decimal("2100.00")
    await assert_agrees(world)


async def test_what_takes_a_credit_back_is_billed_and_the_rest_credited(world: World) -> None:
    """A price difference of -1,440 and +1,520 was billed; both rows are taken back by re-rating."""
    [contract_id] = await world.sign(rerating_policy=REBILL)
    await world.release(work("10.00", "200.00", contract_id=contract_id))
    less = work("-8.00", "180.00", contract_id=contract_id, kind=ADJUSTMENT)
    await world.release(less)
    await world.bill(run_key="first")
    undone = rerated(less, str(new_id()))
    undone.billing_events[0].quantity, undone.billing_events[0].amount.amount = "8.00", "1440.00"
    await world.release(undone)

    await schedules.credit_rebilled(world.context)
    await world.bill(run_key="second")

    assert await billed_net(world) == Decimal("2000.00")
    assert await world.rows(WAITING, kind=open_items.NOT_REBILLED) == []
    await assert_agrees(world)


@pytest.mark.parametrize(("rate", "net"), [("180.00", "-540.00"), ("0.10", "-0.30")])
async def test_an_entry_is_credited_beside_a_correction_on_its_line(
    world: World, rate: str, net: str
) -> None:
    """Four hours were three: -4 and +3 share a line with two hours more."""
    first = await world.release(work("4.00", rate))
    await world.bill(run_key="first")
    await world.release(taking_back(first))
    again = await world.release(work("3.00", rate))
    await world.release(work("2.00", rate))
    await world.bill(run_key="second")
    invoice_id, [(line_id, _)] = await latest_lines(world)

    wanted = WantedLine(line_id, None, (item_of(again),))
    note = await issued(world, await drafted(world, invoice_id, wanted))

    assert note.totals.net == eur(net)
    await assert_agrees(world)


async def test_re_rated_work_is_credited_beside_a_correction_on_its_line(world: World) -> None:
    [contract_id] = await world.sign(rerating_policy=REBILL)
    first = await world.release(work("4.00", "180.00", contract_id=contract_id))
    await world.bill(run_key="first")
    await world.release(taking_back(first))
    again = await world.release(work("3.00", "180.00", contract_id=contract_id))
    await world.release(work("2.00", "180.00", contract_id=contract_id))
    await world.bill(run_key="second")

    await world.release(rerated(again, str(new_id())))
    await schedules.credit_rebilled(world.context)

    nets = "SELECT net_total FROM invoice WHERE document_type = 'credit_note'"
    assert await world.rows(nets) == [(Decimal("-540.00"),)]


async def test_a_contract_that_cannot_be_rebilled_keeps_no_other_waiting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, good = sorted(await world.sign(2, rerating_policy=REBILL))
    billed = [
        await world.release(work("8.00", "180.00", contract_id=contract_id))
        for contract_id in (broken, good)
    ]
    await world.bill()
    for event in billed:
        await world.release(rerated(event, str(new_id())))

    def failing(invoice: Any, *rest: Any) -> Any:
        assert str(invoice.contract_id) != broken, "this one cannot be credited"
        return draft_credit_note(invoice, *rest)

    credited = (
        "SELECT contract_id::text FROM invoice WHERE document_type = 'credit_note' ORDER BY 1"
    )
    monkeypatch.setattr("invoice_payment.commands.open_items.draft_credit_note", failing)
    for _ in range(2):
        await schedules.credit_rebilled(world.context)
    assert await world.rows(credited) == [(good,)]
    assert await world.rows(WAITING, kind=open_items.NOT_REBILLED) == [(broken, "finance")]

    monkeypatch.undo()
    await schedules.credit_rebilled(world.context)
    assert await world.rows(credited) == [(broken,), (good,)]
    assert await world.rows(WAITING, kind=open_items.NOT_REBILLED) == []


async def test_free_work_that_is_rated_anew_is_billed_at_its_price(world: World) -> None:
    [contract_id] = await world.sign(rerating_policy=REBILL)
    free = await world.release(work("8.00", "0", contract_id=contract_id))
    await world.release(work("1.00", "180.00", contract_id=contract_id))
    await world.bill(run_key="first")
    run_id = str(new_id())
    await world.release(rerated(free, run_id))
    await world.release(work("8.00", "150.00", contract_id=contract_id, rerating_run_id=run_id))

    await schedules.credit_rebilled(world.context)
    await issue_drafted_note(world)
    await world.bill(run_key="second")

    assert await billed_net(world) == Decimal("1380.00")
    status = "SELECT status FROM invoice WHERE document_type = 'credit_note'"
    assert await world.value(status) == "paid"
    await assert_agrees(world)


async def test_an_invoice_of_nothing_is_settled_when_it_is_issued(world: World) -> None:
    await world.release(work("4.00", "0"))
    await world.bill()
    invoice_id, _ = await latest_lines(world)
    status = "SELECT status FROM invoice WHERE invoice_id = :id"
    assert await world.value(status, id=invoice_id) == "paid"
    note = await issued(world, await drafted(world, invoice_id))
    assert await world.value(status, id=note.invoice_id) == "paid"
    await assert_agrees(world)


async def a_yen_invoice(world: World, quantity: str, count: int) -> tuple[UUID, UUID, list[UUID]]:
    """Return an issued invoice of one line at 12,345 JPY an hour, the line and its items."""
    [contract_id] = await world.sign(currency="JPY")
    event = work(quantity, "12345", count=count, currency="JPY", contract_id=contract_id)
    await world.release(event)
    await world.bill(run_key="first")
    invoice_id, [(line_id, _)] = await latest_lines(world)
    return invoice_id, line_id, [UUID(row.billing_event_id) for row in event.billing_events]


async def test_entries_without_decimals_are_credited_one_by_one(world: World) -> None:
    invoice_id, line_id, item_ids = await a_yen_invoice(world, "0.37", 4)
    nets = []
    for item_id in item_ids:
        wanted = WantedLine(line_id, None, (WantedItem(item_id),))
        note = await issued(world, await drafted(world, invoice_id, wanted))
        nets.append(-note.totals.net.amount)
    assert nets == [4568, 4568, 4568, 4567]
    assert await world.value("SELECT sum(gross_total) FROM invoice") == 0


async def test_the_rest_of_an_entry_without_decimals_is_issued_and_billed_again(
    world: World,
) -> None:
    invoice_id, line_id, [item_id, _] = await a_yen_invoice(world, "10.00", 2)
    for quantity in (*[Decimal("0.01")] * 4, None):
        wanted = WantedLine(line_id, None, (WantedItem(item_id, quantity),))
        await issued(world, await drafted(world, invoice_id, wanted))
    await world.bill(run_key="second")
    last, _ = await latest_lines(world)
    net = "SELECT net_total FROM invoice WHERE invoice_id = :id"
    assert await world.value(net, id=last) == Decimal(123450)
    journal = (await world.totals())["journal"]
    assert journal.get("contract_asset.JPY", 0) == 0
