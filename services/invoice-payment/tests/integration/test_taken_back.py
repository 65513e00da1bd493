"""What is taken back cancels while nobody claimed it, and is a credit to come once somebody did."""

from decimal import Decimal

import pytest
from invoice_payment_builders import CONTRACT
from invoice_payment_world import World, a_batch, taking_back

from invoice_payment.commands.item import ItemClaimed, put_items_back, set_items_aside
from throughline.invoice_payment.v1 import billable_item_service_pb2 as items_pb
from throughline.invoice_payment.v1 import receivable_service_pb2 as receivables_pb
from throughline.invoice_payment.v1.billable_item_service_pb2_grpc import BillableItemServiceStub
from throughline.invoice_payment.v1.receivable_service_pb2_grpc import ReceivableServiceStub
from throughline_core.errors import Refusal
from throughline_runtime.identity import Caller
from throughline_runtime.ids import new_id
from throughline_testing.serving import Running, a_caller

FINANCE = a_caller("finance", subject="user:clerk")
ABROAD = a_caller("finance", subject="user:abroad", entities=[new_id()])


async def statuses(running: Running) -> list[tuple[str, int]]:
    stub = running.stub(BillableItemServiceStub, caller=FINANCE)
    reply = await stub.ListBillableItems(items_pb.ListBillableItemsRequest())
    return sorted((item.amount.amount, item.status) for item in reply.billable_items)


async def exposure(running: Running, world: World, caller: Caller) -> list[tuple[str, str]]:
    stub = running.stub(ReceivableServiceStub, caller=caller)
    customer_id = str(await world.value("SELECT customer_id FROM customer"))
    nobody = str(new_id())
    reply = await stub.GetExposure(
        receivables_pb.GetExposureRequest(customer_ids=[nobody, customer_id])
    )
    assert [each.customer_id for each in reply.customers] == [nobody, customer_id]
    assert list(reply.customers[0].exposures) == []
    return [
        (each.open_invoices.amount, each.unbilled.amount) for each in reply.customers[1].exposures
    ]


@pytest.mark.parametrize("reversal_first", [False, True])
async def test_what_nobody_claimed_cancels_whichever_side_comes_first(
    world: World, running: Running, *, reversal_first: bool
) -> None:
    kept, gone = await world.release(a_batch(1)), a_batch(2)
    for event in (taking_back(gone), gone) if reversal_first else (gone, taking_back(gone)):
        await world.release(event)

    found = [status for _, status in await statuses(running)]
    assert found.count(items_pb.BILLABLE_ITEM_STATUS_NETTED) == 4
    assert found.count(items_pb.BILLABLE_ITEM_STATUS_OPEN) == 1
    await world.bill()
    assert await world.rows("SELECT billing_event_id::text FROM invoice_item") == [
        (kept.billing_events[0].billing_event_id,)
    ]
    totals = await world.totals()
    assert totals["billable_items"]["open_amount.EUR"] == 0
    assert totals["recognised_open"]["amount.EUR"] == totals["journal"]["contract_asset.EUR"] == 0
    assert totals["billable_items"]["claimed_live_twice"] == 0


async def test_what_takes_back_what_did_not_arrive_waits(world: World, running: Running) -> None:
    await world.release(taking_back(a_batch(1)))
    assert await statuses(running) == [("-1440.00", items_pb.BILLABLE_ITEM_STATUS_WAITING)]
    run = await world.draft()
    assert run.progress.contracts_found == 0


async def test_what_a_draft_claimed_is_credited_with_the_next_work(
    world: World, running: Running
) -> None:
    billed = await world.release(a_batch(1))
    await world.bill(run_key="first")
    await world.release(taking_back(billed))
    assert await exposure(running, world, FINANCE) == [("1713.60", "-1440.00")]

    waiting = await world.draft(run_key="second")
    assert (waiting.progress.invoices_drafted, waiting.progress.contracts_failed) == (0, 1)

    await world.release(a_batch(2))
    await world.bill(run_key="third")
    assert await world.rows("SELECT net_total FROM invoice ORDER BY sequence") == [
        (Decimal("1440.00"),),
        (Decimal("1440.00"),),
    ]
    assert (await world.totals())["billable_items"]["open_amount.EUR"] == 0


async def test_a_voided_draft_lets_both_sides_cancel(world: World) -> None:
    billed = await world.release(a_batch(1))
    await world.draft(run_key="first")
    await world.release(taking_back(billed))
    await world.void(await world.value("SELECT invoice_id FROM invoice"))

    again = await world.draft(run_key="second")
    assert again.progress.invoices_drafted == 0
    assert await world.value("SELECT count(*) FROM netted_item") == 2


async def test_an_item_set_aside_is_not_claimed_and_a_claimed_one_not_set_aside(
    world: World,
) -> None:
    await world.release(a_batch(1))
    item_id = await world.value("SELECT billing_event_id FROM billable_item")
    await world.do(lambda tx: set_items_aside(tx, [item_id]))
    assert (await world.draft(run_key="first")).progress.invoices_drafted == 0

    await world.release(a_batch(1))
    await world.draft(run_key="second")
    claimed = await world.value("SELECT billing_event_id FROM invoice_item")
    assert claimed != item_id
    with pytest.raises(ItemClaimed):
        await world.do(lambda tx: set_items_aside(tx, [claimed]))


async def test_an_item_that_is_put_back_is_billed_unless_it_was_set_aside_again(
    world: World,
) -> None:
    await world.release(a_batch(1))
    item_id = await world.value("SELECT billing_event_id FROM billable_item")
    first = await world.do(lambda tx: set_items_aside(tx, [item_id]))
    again = await world.do(lambda tx: set_items_aside(tx, [item_id]))
    await world.do(lambda tx: put_items_back(tx, [item_id], until=first))
    assert (await world.draft(run_key="first")).progress.invoices_drafted == 0

    await world.do(lambda tx: put_items_back(tx, [item_id], until=again))
    assert (await world.draft(run_key="second")).progress.invoices_drafted == 1


async def test_exposure_is_what_is_owed_and_what_will_be(world: World, running: Running) -> None:
    await world.release(a_batch(1))
    assert await exposure(running, world, FINANCE) == [("0.00", "1440.00")]
    await world.bill()
    await world.release(a_batch(2))
    assert await exposure(running, world, FINANCE) == [("1713.60", "2880.00")]
    assert await exposure(running, world, ABROAD) == []


async def test_people_may_not_set_items_aside(running: Running) -> None:
    stub = running.stub(BillableItemServiceStub, caller=FINANCE)
    with pytest.raises(Refusal) as refused:
        await stub.SetItemsAside(
            items_pb.SetItemsAsideRequest(request_id="1", billing_event_ids=[str(CONTRACT)])
        )
    assert refused.value.stable_code == "caller.role_missing"
