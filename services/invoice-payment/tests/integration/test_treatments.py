"""Prepayments, draws, write-offs, lapses and intercompany charges in the books; payers on paper."""

from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
from invoice_payment_builders import CUSTOMER, an_id
from invoice_payment_credits import assert_agrees
from invoice_payment_world import World, a_batch, a_block, written_off

from invoice_payment import consumers
from invoice_payment.commands.item import set_items_aside
from throughline.billing_event.events.v1.billing_event_events_pb2 import (
    BillingEventsReleased,
    IntercompanyChargesRated,
    RetainerPeriodChanged,
)
from throughline.billing_event.v1 import billing_event_pb2 as billing
from throughline.common.v1.money_pb2 import Money
from throughline.customer_contract.events.v1.customer_contract_events_pb2 import (
    LegalEntityRecorded,
)
from throughline_runtime.clock import Clock
from throughline_runtime.ids import new_id
from throughline_testing.samples import sample


def a_draw(**values: Any) -> BillingEventsReleased:
    """Return the release of eight hours that draw on a retainer."""
    return a_batch(
        1,
        type=billing.BILLING_EVENT_TYPE_RETAINER_DRAW,
        treatment=billing.BILLING_TREATMENT_DRAWN,
        **values,
    )


def released_again(event: BillingEventsReleased, version: int) -> BillingEventsReleased:
    anew = BillingEventsReleased()
    anew.CopyFrom(event)
    anew.batch_id = str(new_id())
    for row in anew.billing_events:
        row.version = version
    return anew


def charges(lending: str, borrowing: str, *amounts: str) -> IntercompanyChargesRated:
    event = sample(IntercompanyChargesRated)
    event.batch_id = str(new_id())
    row = event.charges[0]
    del event.charges[:]
    for amount in amounts:
        charge = event.charges.add()
        charge.CopyFrom(row)
        charge.lending_legal_entity_id, charge.borrowing_legal_entity_id = lending, borrowing
        charge.amount.CopyFrom(Money(amount=amount, currency="EUR"))
    return event


async def test_a_retainer_is_owed_until_work_draws_on_it(world: World) -> None:
    await world.release(a_block())
    totals = await world.totals()
    assert totals["journal"].get("revenue.EUR", 0) == 0
    await world.bill(run_key="first")
    assert (await world.totals())["journal"]["contract_liability.EUR"] == Decimal("2500.00")

    await world.release(a_draw())
    journal = (await world.totals())["journal"]
    assert journal["contract_liability.EUR"] == Decimal("1060.00")
    assert journal["revenue.EUR"] == Decimal("1440.00")
    assert (await world.draft(run_key="second")).progress.invoices_drafted == 0
    totals = await world.totals()
    assert totals["billable_items"]["drawn.EUR"] == Decimal("1440.00")
    assert totals["billable_items"]["open_amount.EUR"] == 0
    await assert_agrees(world)


async def test_what_lapses_of_a_retainer_is_earned_once(world: World) -> None:
    await world.release(a_block())
    await world.bill()
    event = RetainerPeriodChanged(lapsed_amount=Money(amount="400.00", currency="EUR"))
    period = event.retainer_period
    period.retainer_period_id, period.version = str(new_id()), 4
    period.contract_id, period.contract_line_id = str(an_id("b1")), str(an_id("b103"))
    period.legal_entity_id = str(an_id("e1"))
    for _ in range(2):
        await world.told(lambda tx, told: consumers.take_lapsed(Clock(), tx, told), event)
    journal = (await world.totals())["journal"]
    assert journal["contract_liability.EUR"] == Decimal("2100.00")
    assert journal["revenue.EUR"] == Decimal("400.00")


@pytest.mark.parametrize("first", ["release", "write_off"])
async def test_written_off_work_is_not_billed_whichever_comes_first(
    world: World, first: str
) -> None:
    event = a_batch(1)
    given_up = written_off(event, version=3)
    steps = [
        lambda: world.release(event),
        lambda: world.told(consumers.take_written_off, given_up),
    ]
    for step in steps if first == "release" else reversed(steps):
        await step()

    assert (await world.draft()).progress.invoices_drafted == 0
    totals = await world.totals()
    assert totals["journal"]["write_off.EUR"] == Decimal("1440.00")
    assert totals["billable_items"]["written_off.EUR"] == Decimal("1440.00")
    assert totals["billable_items"]["amount.EUR"] == 0
    await assert_agrees(world)


async def test_written_off_work_leaves_its_draft(world: World) -> None:
    event = await world.release(a_batch(2))
    await world.draft()
    given_up = written_off(event, version=3)
    del given_up.billing_events[1:]
    await world.told(consumers.take_written_off, given_up)
    assert await world.value("SELECT net_total FROM invoice") == Decimal("1440.00")
    await assert_agrees(world)


async def test_an_undone_write_off_is_billed_when_it_is_released_again(world: World) -> None:
    event = await world.release(a_batch(1))
    await world.told(consumers.take_written_off, written_off(event, version=3))
    await world.told(consumers.take_written_off, written_off(event, version=4, undone=True))
    journal = (await world.totals())["journal"]
    assert (journal["write_off.EUR"], journal["revenue.EUR"]) == (0, 0)
    assert (await world.draft(run_key="first")).progress.invoices_drafted == 0

    await world.release(released_again(event, 5))
    await world.bill(run_key="second")
    assert (await world.totals())["journal"]["revenue.EUR"] == Decimal("1440.00")
    await assert_agrees(world)


async def test_what_was_set_aside_to_be_written_off_is_billable_once_that_is_undone(
    world: World,
) -> None:
    event = await world.release(a_batch(1))
    item_id = UUID(event.billing_events[0].billing_event_id)
    await world.do(lambda tx: set_items_aside(tx, [item_id]))
    await world.told(consumers.take_written_off, written_off(event, version=3))
    back = written_off(event, version=4, undone=True)
    back.billing_events[0].status = billing.BILLING_EVENT_STATUS_RELEASED
    back.decided_at.GetCurrentTime()
    await world.told(consumers.take_written_off, back)
    assert (await world.draft()).progress.invoices_drafted == 1


async def test_an_undoing_heard_of_late_leaves_aside_what_is_given_up_again(world: World) -> None:
    event = await world.release(a_batch(1))
    item_id = UUID(event.billing_events[0].billing_event_id)
    back = written_off(event, version=4, undone=True)
    back.billing_events[0].status = billing.BILLING_EVENT_STATUS_RELEASED
    back.decided_at.GetCurrentTime()
    await world.do(lambda tx: set_items_aside(tx, [item_id]))
    await world.told(consumers.take_written_off, back)
    assert (await world.draft()).progress.invoices_drafted == 0


async def test_releases_before_and_after_a_write_off_may_come_together(world: World) -> None:
    event = a_batch(1)
    await world.told(consumers.take_released, released_again(event, 5), event)
    await world.told(consumers.take_written_off, written_off(event, version=4, undone=True))
    await world.told(consumers.take_written_off, written_off(event, version=3))
    await world.bill()
    totals = await world.totals()
    assert totals["billable_items"]["invoiced_amount.EUR"] == Decimal("1440.00")
    assert totals["journal"]["revenue.EUR"] == Decimal("1440.00")
    await assert_agrees(world)


async def test_an_undone_write_off_that_is_released_at_once_is_billed(world: World) -> None:
    event = await world.release(a_batch(1))
    back = written_off(event, version=4, undone=True)
    for row in back.billing_events:
        row.status = billing.BILLING_EVENT_STATUS_RELEASED
    # In whatever order they come.
    await world.told(consumers.take_written_off, back)
    await world.told(consumers.take_written_off, written_off(event, version=3))
    await world.bill()

    totals = await world.totals()
    assert totals["billable_items"]["written_off.EUR"] == totals["journal"]["write_off.EUR"] == 0
    assert totals["billable_items"]["invoiced_amount.EUR"] == Decimal("1440.00")
    assert totals["journal"]["revenue.EUR"] == Decimal("1440.00")
    await assert_agrees(world)


@pytest.mark.parametrize(
    "order", [*permutations(["released", "written off", "undone", "withdrawn"])], ids="-".join
)
async def test_the_books_hold_what_is_released_again_once_in_whatever_order(
    world: World, order: Sequence[str]
) -> None:
    event = released_again(a_batch(1), 2)
    row_id = UUID(event.billing_events[0].billing_event_id)
    gone = written_off(event, version=3)
    again = written_off(event, version=4, undone=True)
    again.billing_events[0].status = billing.BILLING_EVENT_STATUS_RELEASED
    steps: dict[str, Callable[[], Awaitable[object]]] = {
        "released": lambda: world.release(event),
        "written off": lambda: world.told(consumers.take_written_off, gone),
        "undone": lambda: world.told(consumers.take_written_off, again),
        "withdrawn": lambda: world.withdraw(row_id, version=4),
    }
    for name in order:
        await steps[name]()
    await assert_agrees(world)
    await world.release(released_again(event, 6))
    await world.bill()

    journal = (await world.totals())["journal"]
    assert journal["revenue.EUR"] == Decimal("1440.00")
    assert journal["write_off.EUR"] == journal["contract_asset.EUR"] == 0
    await assert_agrees(world)


@pytest.mark.parametrize("withdrawn_after", range(5))
async def test_given_up_twice_and_withdrawn_the_books_hold_nothing(
    world: World, withdrawn_after: int
) -> None:
    event = await world.release(released_again(a_batch(1), 2))
    given_up = [written_off(event, version=version) for version in (3, 5)]
    again = [written_off(event, version=version, undone=True) for version in (4, 6)]
    for message in again:
        message.billing_events[0].status = billing.BILLING_EVENT_STATUS_RELEASED
    told = [given_up[0], again[0], given_up[1], again[1]]
    row_id = UUID(event.billing_events[0].billing_event_id)
    for message in told[:withdrawn_after]:
        await world.told(consumers.take_written_off, message)
    await world.withdraw(row_id, version=6)
    await world.told(consumers.take_written_off, *told[withdrawn_after:])

    journal = (await world.totals())["journal"]
    assert journal["revenue.EUR"] == journal["contract_asset.EUR"] == 0
    assert journal.get("write_off.EUR", 0) == 0
    await assert_agrees(world)


async def test_what_was_written_off_after_its_invoice_is_shown_to_people(world: World) -> None:
    event = await world.release(a_batch(1))
    await world.bill()
    await world.told(consumers.take_written_off, written_off(event, version=3))
    assert await world.value(
        "SELECT count(*) FROM exception_item WHERE kind = :kind AND closed_at IS NULL",
        kind=consumers.WRITTEN_OFF_LATE,
    ) == (1)


async def test_both_entities_of_a_charge_book_their_own_side(world: World) -> None:
    us01 = sample(LegalEntityRecorded)
    us01.legal_entity.legal_entity_id = str(an_id("e2"))
    us01.legal_entity.code, us01.legal_entity.currency = "US01", "USD"
    us01.legal_entity.time_zone = "America/New_York"
    event = charges(str(an_id("e2")), str(an_id("e1")), "800.00", "-200.00")
    for _ in range(2):
        await world.told(consumers.take_charges, event)
    journal = (await world.totals())["journal"]
    assert journal["intercompany_payable.EUR"] == Decimal("600.00")
    assert journal["waiting"] == 1

    await world.told(consumers.keep_entities, us01)
    journal = (await world.totals())["journal"]
    assert journal["intercompany_receivable.EUR"] == Decimal("600.00")
    assert journal["intercompany_revenue.EUR"] == Decimal("600.00")
    assert journal["intercompany_cost.EUR"] == Decimal("600.00")
    assert (journal["waiting"], journal["unbalanced"]) == (0, 0)


async def test_each_payer_gets_an_invoice_of_its_own_on_its_own_terms(world: World) -> None:
    other = await world.customer(name="Südwind Spedition GmbH", payment_terms_days=14)
    await world.release(a_batch(2))
    await world.release(a_batch(1, bill_to_customer_id=str(other)))
    await world.bill()
    assert await world.rows(
        "SELECT customer_id, buyer ->> 'name', payment_terms_days, net_total"
        " FROM invoice ORDER BY net_total DESC"
    ) == [
        (CUSTOMER, "Nordwind Logistik GmbH", 30, Decimal("2880.00")),
        (other, "Südwind Spedition GmbH", 14, Decimal("1440.00")),
    ]


async def test_one_order_stands_on_the_invoice_and_several_on_its_lines(world: World) -> None:
    [single] = await world.sign()
    await world.release(a_batch(1, contract_id=single, purchase_order_number="PO-A"))
    [several] = await world.sign()
    for order in ("PO-B", "PO-C"):
        await world.release(a_batch(1, contract_id=several, purchase_order_number=order))
    await world.bill()
    assert await world.rows(
        "SELECT invoice.purchase_order_number, line.purchase_order_number"
        " FROM invoice JOIN invoice_line AS line USING (invoice_id)"
        " ORDER BY 1 DESC, line.position"
    ) == [("PO-A", ""), ("", "PO-B"), ("", "PO-C")]
