"""Credit notes for integration tests, and how the figures of the service must agree."""

from typing import Final
from uuid import UUID

from invoice_payment_builders import APPROVER, DRAFTED_AT
from invoice_payment_world import World

from invoice_payment.commands import credit as credits
from invoice_payment.commands.credit import Wanted
from invoice_payment.domain.credit import WantedLine
from invoice_payment.domain.credit_note import Request
from invoice_payment.domain.invoice import Invoice
from invoice_payment.domain.line import Disposition
from throughline_runtime.ids import new_id

CLERK: Final = "user:credit-clerk"
RETURN: Final = Disposition.RETURN_TO_UNBILLED


async def drafted(
    world: World,
    invoice_id: UUID,
    *lines: WantedLine,
    disposition: Disposition = RETURN,
) -> Invoice:
    request = Request(new_id(), "agreed with the client", CLERK, DRAFTED_AT)
    wanted = Wanted(invoice_id, disposition, lines)
    return await world.do(lambda tx: credits.create_credit_note(tx, wanted, request))


async def issued(world: World, note: Invoice) -> Invoice:
    await world.do(lambda tx: credits.approve_credit_note(tx, note.invoice_id, by=APPROVER))
    return await world.do(lambda tx: credits.issue_credit(tx, note.invoice_id, at=DRAFTED_AT))


async def the_invoice(world: World) -> UUID:
    found: UUID = await world.value(
        "SELECT invoice_id FROM invoice WHERE document_type = 'invoice' AND number IS NOT NULL"
    )
    return found


async def assert_agrees(world: World) -> None:
    """Check what the invariants say of the figures of this service alone."""
    totals = await world.totals()
    journal, invoices = totals["journal"], totals["invoices"]
    assert journal.get("receivable.EUR", 0) == invoices.get("open.EUR", 0)
    assert journal.get("contract_asset.EUR", 0) == totals["recognised_open"].get("amount.EUR", 0)
    assert totals["billable_items"]["claimed_live_twice"] == journal["unbalanced"] == 0
    assert totals["number_series"]["gaps"] == totals["number_series"]["repeats"] == 0
    assert totals["issued_chain"]["breaks"] == 0
