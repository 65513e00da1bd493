"""Credit notes while something else happens to the same invoice or contract."""

import asyncio
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from invoice_payment_builders import APPROVER, DRAFTED_AT, eur
from invoice_payment_credits import drafted, issued, the_invoice
from invoice_payment_world import World, a_batch, taking_back

from invoice_payment.bulk import netting
from invoice_payment.commands import credit as credits
from invoice_payment.domain.credit import WantedItem, WantedLine
from invoice_payment.domain.invoice import Invoice
from invoice_payment.repository import credit as repository

WAIT_SECONDS = 5


async def billed(world: World, count: int) -> tuple[UUID, UUID, list[UUID]]:
    """Return an issued invoice of one line, the line and its items."""
    await world.release(a_batch(count))
    await world.bill()
    rows = await world.rows(
        "SELECT invoice_line_id, billing_event_id FROM invoice_item ORDER BY billing_event_id"
    )
    return await the_invoice(world), rows[0][0], [item_id for _, item_id in rows]


async def test_what_a_voided_note_gives_up_is_not_taken_by_halves(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four of eight hours are on a note that is voided while another one is drafted."""
    invoice_id, line_id, [item_id] = await billed(world, 1)
    half = WantedLine(line_id, None, (WantedItem(item_id, Decimal("4.00")),))
    first = await drafted(world, invoice_id, half)
    taken = repository.taken
    voiding: list[asyncio.Task[Invoice]] = []

    async def void() -> Invoice:
        return await world.do(
            lambda tx: credits.void_credit_note(tx, first.invoice_id, reason="a mistake")
        )

    async def taken_late(tx: Any, invoice: Invoice) -> Any:
        voiding.append(asyncio.create_task(void()))
        await asyncio.wait(voiding, timeout=1)
        return await taken(tx, invoice)

    monkeypatch.setattr(repository, "taken", taken_late)
    second = await issued(world, await drafted(world, invoice_id))
    await voiding[0]

    assert second.totals.net == eur("-720.00")
    assert await world.rows("SELECT quantity, credited_quantity FROM invoice_item") == [
        (Decimal("8.00"), Decimal("4.00"))
    ]


async def test_a_correction_arrives_while_a_credit_of_its_contract_is_issued(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = a_batch(2)
    await world.release(event)
    await world.bill()
    invoice_id = await the_invoice(world)
    gone, kept = event.billing_events
    line_id = await world.value("SELECT DISTINCT invoice_line_id FROM invoice_item")
    wanted = WantedLine(line_id, None, (WantedItem(UUID(kept.billing_event_id)),))
    note = await drafted(world, invoice_id, wanted)
    await world.do(lambda tx: credits.approve_credit_note(tx, note.invoice_id, by=APPROVER))
    correction = taking_back(event)
    del correction.billing_events[1:]
    assert correction.billing_events[0].reverses_billing_event_id == gone.billing_event_id
    arrived, locked = asyncio.Event(), asyncio.Event()
    net_arrived, lock_contracts = netting.net_arrived, netting.lock_contracts

    async def net_later(tx: Any, item_ids: Any, *, at: Any) -> Any:
        monkeypatch.setattr(netting, "lock_contracts", lock_and_tell)
        arrived.set()
        await asyncio.wait_for(locked.wait(), WAIT_SECONDS)
        return await net_arrived(tx, item_ids, at=at)

    async def lock_and_tell(tx: Any, contract_ids: Any) -> None:
        await lock_contracts(tx, contract_ids)
        locked.set()

    async def issuing() -> Invoice:
        await asyncio.wait_for(arrived.wait(), WAIT_SECONDS)
        return await world.do(lambda tx: credits.issue_credit(tx, note.invoice_id, at=DRAFTED_AT))

    monkeypatch.setattr(netting, "net_arrived", net_later)
    _, done = await asyncio.gather(world.release(correction), issuing())
    assert done.number is not None
