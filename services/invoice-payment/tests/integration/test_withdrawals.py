"""Releases taken back: what leaves drafts and books, and what may come again."""

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from invoice_payment_builders import APPROVER
from invoice_payment_credits import assert_agrees, drafted, issued, the_invoice
from invoice_payment_world import World, a_batch, taking_back

from invoice_payment.bulk import retraction
from invoice_payment.commands import invoice as invoices
from invoice_payment.commands.item import (
    ItemInvoiced,
    ItemNetted,
)
from invoice_payment.domain.credit import NothingLeft, WantedItem, WantedLine
from invoice_payment.domain.invoice import InvoiceStatus
from invoice_payment.domain.line import Disposition
from throughline.billing_event.events.v1.billing_event_events_pb2 import BillingEventsReleased
from throughline.invoice_payment.events.v1.invoice_payment_events_pb2 import (
    InvoiceDrafted,
    InvoiceVoided,
)
from throughline.invoice_payment.v1 import billable_item_service_pb2 as pb
from throughline.invoice_payment.v1.billable_item_service_pb2_grpc import BillableItemServiceStub
from throughline_core.errors import Refusal
from throughline_runtime.identity import Caller
from throughline_runtime.ids import new_id
from throughline_testing.serving import Running, a_caller

BILLING = Caller.service("billing-event")


def ids_of(event: BillingEventsReleased) -> list[UUID]:
    return [UUID(row.billing_event_id) for row in event.billing_events]


def again(event: BillingEventsReleased, version: int) -> BillingEventsReleased:
    """Return the release of the same rows with another version."""
    released = BillingEventsReleased()
    released.CopyFrom(event)
    released.batch_id = str(new_id())
    for row in released.billing_events:
        row.version = version
    return released


async def test_a_draft_is_made_anew_without_what_was_withdrawn(world: World) -> None:
    event = await world.release(a_batch(3))
    run = await world.approve(await world.draft())
    first, *_ = ids_of(event)

    [changed] = await world.withdraw(first)

    assert (changed.left, changed.invoice.status) == ([first], InvoiceStatus.READY)
    assert (changed.invoice.version, changed.invoice.approved_by) == (3, "")
    row = "SELECT net_total, tax_total, gross_total, approved_by, line_count FROM invoice"
    assert await world.rows(row) == [
        (Decimal("2880.00"), Decimal("547.20"), Decimal("3427.20"), "", 1)
    ]
    assert await world.rows("SELECT quantity, item_count FROM invoice_line") == [
        (Decimal("16.00"), 2)
    ]
    assert (await world.published(InvoiceDrafted))[-1].invoice.version == 3
    await assert_agrees(world)

    invoice_id = changed.invoice.invoice_id
    await world.do(lambda tx: invoices.approve_invoice(tx, invoice_id, by=APPROVER))
    assert (await world.issue(run)).progress.invoices_issued == 1
    await assert_agrees(world)


async def test_a_draft_nothing_is_left_on_is_voided(world: World) -> None:
    event = await world.release(a_batch(2))
    await world.draft(run_key="first")
    [changed] = await world.withdraw(*ids_of(event))

    assert changed.invoice.status is InvoiceStatus.VOIDED
    [told] = await world.published(InvoiceVoided)
    assert told.reason == "released too early"
    totals = await world.totals()
    assert totals["billable_items"].get("amount.EUR", 0) == 0
    assert totals["journal"]["revenue.EUR"] == 0
    await assert_agrees(world)


async def test_a_draft_that_would_pay_the_customer_is_voided_and_frees_the_rest(
    world: World,
) -> None:
    billed = await world.release(a_batch(1))
    await world.bill(run_key="first")
    await world.release(taking_back(billed))
    more = await world.release(a_batch(2))
    await world.draft(run_key="second")

    [changed] = await world.withdraw(*ids_of(more))

    assert changed.invoice.status is InvoiceStatus.VOIDED
    assert await world.value(
        "SELECT count(*) FROM invoice_item WHERE is_live AND invoice_id = :id",
        id=changed.invoice.invoice_id,
    ) == (0)


async def test_only_a_newer_release_brings_a_withdrawn_item_back(world: World) -> None:
    event = await world.release(a_batch(1))
    [item_id] = ids_of(event)
    assert await world.withdraw(item_id, version=3) == []
    for version in (2, 3):
        await world.release(again(event, version))
    assert (await world.draft(run_key="first")).progress.invoices_drafted == 0

    await world.release(again(event, 4))
    await world.release(again(event, 4))
    await world.bill(run_key="second")

    totals = await world.totals()
    assert totals["billable_items"]["invoiced_amount.EUR"] == Decimal("1440.00")
    assert totals["journal"]["revenue.EUR"] == Decimal("1440.00")
    await assert_agrees(world)


async def test_a_withdrawal_that_comes_before_the_release_holds(world: World) -> None:
    event = a_batch(1)
    await world.withdraw(*ids_of(event))
    await world.release(event)

    totals = await world.totals()
    assert totals["billable_items"]["items"] == 0
    assert totals["journal"].get("revenue.EUR", 0) == 0


async def test_withdrawing_twice_is_withdrawing_once(world: World) -> None:
    event = await world.release(a_batch(2))
    await world.draft()
    first, _ = ids_of(event)
    await world.withdraw(first)
    assert await world.withdraw(first) == []
    assert (await world.totals())["journal"]["revenue.EUR"] == Decimal("1440.00")


async def test_what_is_invoiced_stays_and_nothing_of_the_request_happens(world: World) -> None:
    billed = await world.release(a_batch(1))
    await world.bill()
    free = await world.release(a_batch(1))
    with pytest.raises(ItemInvoiced, match="INV-DE01-2026-000001"):
        await world.withdraw(*ids_of(free), *ids_of(billed))
    assert await world.value("SELECT count(*) FROM retracted_item") == 0


async def test_what_a_credit_note_gave_back_can_be_withdrawn(world: World) -> None:
    billed = await world.release(a_batch(1))
    await world.bill(run_key="first")
    await issued(world, await drafted(world, await the_invoice(world)))
    await world.withdraw(*ids_of(billed))

    totals = await world.totals()
    assert totals["journal"]["revenue.EUR"] == 0
    assert (await world.draft(run_key="second")).progress.invoices_drafted == 0
    await assert_agrees(world)


async def test_what_cancelled_is_not_withdrawn(world: World) -> None:
    event = await world.release(a_batch(1))
    await world.release(taking_back(event))
    with pytest.raises(ItemNetted):
        await world.withdraw(*ids_of(event))


async def test_services_find_and_withdraw_items_and_people_do_not(
    world: World, running: Running
) -> None:
    billed = await world.release(a_batch(1))
    await world.bill()
    free = await world.release(a_batch(1))
    stub = running.stub(BillableItemServiceStub, caller=BILLING)
    wanted = [str(item_id) for item_id in [*ids_of(billed), *ids_of(free), new_id()]]
    found = await stub.LocateItems(pb.LocateItemsRequest(billing_event_ids=wanted))
    assert [
        (each.billing_event_id, each.status, each.quantity, each.invoice_number)
        for each in sorted(found.locations, key=lambda each: wanted.index(each.billing_event_id))
    ] == [
        (wanted[0], pb.BILLABLE_ITEM_STATUS_INVOICED, "8", "INV-DE01-2026-000001"),
        (wanted[1], pb.BILLABLE_ITEM_STATUS_OPEN, "8", ""),
    ]
    request = pb.WithdrawItemsRequest(
        request_id="w1",
        reason="too early",
        items=[pb.WithdrawnItem(billing_event_id=wanted[1], version=2)],
    )
    for _ in range(2):
        assert not (await stub.WithdrawItems(request)).drafts
    located = await stub.LocateItems(pb.LocateItemsRequest(billing_event_ids=[wanted[1]]))
    assert not located.locations
    people = running.stub(BillableItemServiceStub, caller=a_caller("finance"))
    with pytest.raises(Refusal) as refused:
        await people.WithdrawItems(request)
    assert refused.value.stable_code == "caller.role_missing"


async def test_an_item_of_a_draft_that_is_voided_at_this_moment_is_withdrawn(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = await world.release(a_batch(2))
    await world.draft()
    [(invoice_id,)] = await world.rows("SELECT invoice_id FROM invoice")
    find = retraction.portions

    async def voided_after(tx: Any, item_ids: Any) -> Any:
        found = await find(tx, item_ids)
        await world.void(invoice_id)
        return found

    monkeypatch.setattr(retraction, "portions", voided_after)
    assert await world.withdraw(ids_of(event)[0]) == []
    assert (await world.totals())["billable_items"]["open_amount.EUR"] == Decimal("1440.00")


async def test_what_a_withdrawn_correction_took_back_can_be_credited(world: World) -> None:
    event = await world.release(a_batch(1))
    await world.bill()
    correction = await world.release(taking_back(event))
    invoice_id = await the_invoice(world)
    with pytest.raises(NothingLeft):
        await drafted(world, invoice_id)

    await world.withdraw(*ids_of(correction))
    await issued(world, await drafted(world, invoice_id))
    await assert_agrees(world)


async def test_each_part_of_an_item_is_told_where_it_is(world: World, running: Running) -> None:
    event = await world.release(a_batch(1))
    await world.bill()
    invoice_id = await the_invoice(world)
    line_id = await world.value("SELECT invoice_line_id FROM invoice_line")
    [item_id] = ids_of(event)
    stub = running.stub(BillableItemServiceStub, caller=BILLING)

    async def credit(quantity: str, disposition: Disposition) -> list[tuple[int, str]]:
        item = WantedItem(item_id, Decimal(quantity))
        wanted = WantedLine(line_id, disposition, (item,))
        await issued(world, await drafted(world, invoice_id, wanted))
        request = pb.LocateItemsRequest(billing_event_ids=[str(item_id)])
        locations = (await stub.LocateItems(request)).locations
        return sorted((each.status, each.quantity) for each in locations)

    assert await credit("3.00", Disposition.WRITE_OFF) == [
        (pb.BILLABLE_ITEM_STATUS_INVOICED, "5"),
        (pb.BILLABLE_ITEM_STATUS_WRITTEN_OFF, "3"),
    ]
    assert await credit("5.00", Disposition.RETURN_TO_UNBILLED) == [
        (pb.BILLABLE_ITEM_STATUS_OPEN, "5"),
        (pb.BILLABLE_ITEM_STATUS_WRITTEN_OFF, "3"),
    ]
