"""What a run leaves out: seen on the run, explained in the queue, and taken up when it resumes."""

from collections.abc import Collection, Sequence
from datetime import date
from uuid import UUID

import pytest
from invoice_payment_world import World, a_batch

from invoice_payment.bulk import claims
from invoice_payment.bulk.claims import Scope
from invoice_payment.commands import run as runs
from invoice_payment.domain.invoice import Invoice, InvoiceChange
from invoice_payment.domain.issue import issue_in_order
from invoice_payment.domain.run import InvoiceRun, NothingLeftOut, RunStatus
from invoice_payment.domain.series import Taken
from throughline.billing_event.events.v1.billing_event_events_pb2 import BillingEventsReleased
from throughline.customer_contract.v1 import contract_pb2
from throughline.invoice_payment.events.v1.invoice_payment_events_pb2 import InvoiceDrafted

OPEN = "SELECT kind, subject_id FROM exception_item WHERE closed_at IS NULL ORDER BY kind"


def a_reversal(contract_id: str) -> BillingEventsReleased:
    """Return one released row that gives eight hours back."""
    batch = a_batch(1, contract_id=contract_id)
    [row] = batch.billing_events
    row.amount.amount, row.quantity = "-1440.00", "-8.00"
    return batch


async def resume(world: World, run: InvoiceRun) -> InvoiceRun:
    resumed = await world.do(lambda tx: runs.resume_run(tx, run.run_id))
    assert resumed.status is RunStatus.DRAFTING
    return await world.work(resumed)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Contracts that cannot be drafted while they are in this set."""
    contracts: set[str] = set()
    whole = claims.claim

    async def fails(
        tx: object, scope: Scope, contract_ids: Sequence[UUID], *, apart: Collection[UUID]
    ) -> Sequence[claims.DocumentItems]:
        if contracts & set(map(str, contract_ids)):
            raise ArithmeticError("this contract cannot be drafted")
        return await whole(tx, scope, contract_ids, apart=apart)  # type: ignore[arg-type]  # handed through

    monkeypatch.setattr(claims, "claim", fails)
    return contracts


async def test_work_that_sums_to_less_than_nothing_is_not_invoiced(world: World) -> None:
    owed, owing = await world.sign(2)
    await world.release(a_batch(1, contract_id=owed))
    await world.release(a_reversal(owing))

    run = await world.bill()

    assert (run.status, run.progress.invoices_issued) == (RunStatus.ISSUED, 1)
    assert run.progress.contracts_failed == 1
    [advice] = await world.rows(
        "SELECT reason, advice FROM exception_item WHERE subject_id = :id", id=UUID(owing)
    )
    assert "less than nothing" in advice[0]
    assert "credit note" in advice[1]
    # Its work is free, and still an open position of the books.
    totals = await world.totals()
    assert totals["billable_items"]["open_amount.EUR"] == -1440
    assert totals["journal"]["contract_asset.EUR"] == totals["recognised_open"]["amount.EUR"]

    await world.release(a_batch(2, contract_id=owing))
    later = await world.bill(run_key="later")
    assert later.progress.items_claimed == 3
    assert (await world.totals())["billable_items"]["open_amount.EUR"] == 0


async def test_only_the_invoice_that_would_be_negative_is_left_out(world: World) -> None:
    grouping = contract_pb2.INVOICE_GROUPING_CONTRACT_LINE
    [contract_id] = await world.sign(invoice_grouping=grouping)
    await world.release(a_batch(2, contract_id=contract_id))
    negative = a_reversal(contract_id)
    negative.billing_events[0].contract_line_id = str(UUID(int=11))
    await world.release(negative)

    run = await world.draft()

    assert (run.progress.invoices_drafted, run.progress.contracts_failed) == (1, 1)
    [drafted] = await world.published(InvoiceDrafted)
    assert drafted.invoice.net_total.amount == "2880.00"


async def test_a_run_that_left_something_out_says_so_and_takes_it_up_when_resumed(
    world: World, broken: set[str]
) -> None:
    first, second, other = await world.sign(3)
    for contract_id in (first, second):
        await world.release(a_batch(2, contract_id=contract_id))
    broken.add(second)

    run = await world.bill()

    assert run.status_text == "issued, 1 left out"
    assert await world.rows(OPEN) == [
        ("invoice_run.incomplete", run.run_id),
        ("invoice_run.left_out", UUID(second)),
    ]

    broken.clear()
    # What was released meanwhile for contracts that were not left out is for the next run.
    await world.release(a_batch(1, contract_id=other))
    again = await world.issue(await world.approve(await resume(world, run)))

    assert (again.status_text, again.progress.invoices_issued) == ("issued", 2)
    progress = again.progress
    assert (progress.contracts_found, progress.contracts_done) == (2, 2)
    assert progress.contracts_failed == 0
    assert await world.rows(OPEN) == []
    assert await world.value("SELECT count(*) FROM invoice") == 2
    with pytest.raises(NothingLeftOut):
        await resume(world, again)


async def test_a_resumed_run_may_fail_again(world: World, broken: set[str]) -> None:
    await world.release(a_batch(2))
    broken.add(await world.value("SELECT CAST(contract_id AS text) FROM contract_terms"))
    run = await world.draft()
    assert run.status_text == "drafted, 1 left out"

    assert (await resume(world, run)).status_text == "drafted, 1 left out"


async def test_an_invoice_that_could_not_be_issued_is_issued_when_the_run_resumes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for contract_id in await world.sign(2):
        await world.release(a_batch(1, contract_id=contract_id))
    approved = await world.approve(await world.draft())
    [left], [_] = await world.rows("SELECT invoice_id FROM invoice ORDER BY invoice_id")
    whole = issue_in_order

    def fails(found: Sequence[Invoice], taken: Taken, *, on: date) -> list[InvoiceChange]:
        if left in {invoice.invoice_id for invoice in found}:
            raise ArithmeticError("this invoice cannot be issued")
        return whole(found, taken, on=on)

    with monkeypatch.context() as patched:
        patched.setattr("invoice_payment.commands.invoice.issue_in_order", fails)
        run = await world.issue(approved)
    assert run.status_text == "issued, 1 left out"

    again = await world.issue(await world.approve(await resume(world, run)))

    assert (again.status_text, again.progress.invoices_issued) == ("issued", 2)
    assert await world.rows(OPEN) == []
    assert (await world.totals())["number_series"]["gaps"] == 0
