"""Invoice runs: each item claimed once, whatever is stopped, raced, repeated or broken."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID

import pytest
from invoice_payment_builders import APPROVER, DRAFTED_AT, STARTER
from invoice_payment_world import SERVICE, World, a_batch

from invoice_payment import consumers, schedules
from invoice_payment.bulk import claims
from invoice_payment.bulk.claims import Scope
from invoice_payment.commands import run as runs
from invoice_payment.domain.run import DifferentContracts, RunApproverStartedIt, RunStatus
from invoice_payment.repository import run as repository
from invoice_payment.repository.run import RunMovedOn
from throughline.customer_contract.events.v1.customer_contract_events_pb2 import CustomerRecorded
from throughline.customer_contract.v1 import contract_pb2
from throughline.invoice_payment.events.v1.invoice_payment_events_pb2 import (
    InvoiceDrafted,
    InvoiceIssued,
    InvoiceItemsBilled,
    InvoiceLinesContinued,
    JournalPosted,
)
from throughline_runtime.database import write
from throughline_runtime.identity import acting_as
from throughline_testing.samples import sample
from throughline_testing.statements import Statements

OPEN = (
    "SELECT count(*) FROM exception_item WHERE kind = 'invoice_run.left_out' AND closed_at IS NULL"
)


async def test_a_run_drafts_has_approved_and_issues(world: World) -> None:
    await world.release()

    run = await world.bill()

    assert run.status is RunStatus.ISSUED
    assert run.progress.contracts_found == run.progress.contracts_done == 1
    assert (run.progress.items_claimed, run.progress.invoices_issued) == (2, 1)
    [issued] = await world.published(InvoiceIssued)
    invoice = issued.invoice
    assert invoice.number == "INV-DE01-2026-000001"
    issued_on = date.fromisoformat(invoice.issued_on)
    assert date.fromisoformat(invoice.due_on) - issued_on == timedelta(days=30)
    assert (invoice.net_total.amount, invoice.tax_total.amount) == ("11040.00", "2097.60")
    assert [line.description for line in invoice.lines] == [
        "Discovery workshop and target architecture: Kickoff held and scope agreed",
        "Delivery by time and materials: senior consultant",
    ]


async def test_issue_posts_the_receivable_and_tells_what_was_billed(world: World) -> None:
    await world.release()

    await world.bill()

    [billed] = await world.published(InvoiceItemsBilled)
    assert [item.amount.amount for item in billed.items] == ["1440.00", "9600.00"]
    release, invoice = await world.published(JournalPosted)
    assert release.journal_entry.number == "JE-DE01-2026-000001"
    assert invoice.journal_entry.fact == "invoice"
    totals = await world.totals()
    assert totals["journal"]["receivable.EUR"] == totals["invoices"]["open.EUR"]
    assert totals["journal"]["contract_asset.EUR"] == totals["recognised_open"]["amount.EUR"] == 0
    assert totals["issued_chain"]["breaks"] == 0


async def test_the_cut_off_is_inclusive_and_late_work_comes_next(world: World) -> None:
    await world.release(a_batch(28))

    first = await world.draft(cut_off=date(2026, 9, 10))
    second = await world.draft(cut_off=date(2026, 9, 28))

    assert (first.progress.items_claimed, second.progress.items_claimed) == (10, 18)


async def test_two_runs_at_once_claim_each_item_once(world: World) -> None:
    contracts = await world.sign(8)
    for contract_id in contracts:
        await world.release(a_batch(20, contract_id=contract_id))
    first, second = await world.start(run_key="one"), await world.start(run_key="two")

    await asyncio.gather(*(_until_drafted(world, run.run_id) for run in (first, second)))

    claimed = [(await world.get(run)).progress.items_claimed for run in (first, second)]
    assert sum(claimed) == 160
    totals = await world.totals()
    assert totals["billable_items"]["claimed_live_twice"] == 0
    assert await world.value("SELECT count(*) FROM invoice_item") == 160


async def _until_drafted(world: World, run_id: UUID) -> None:
    """Draft contract by contract, as slowly as can be, so that the runs meet on each."""
    after: UUID | None = None
    with acting_as(SERVICE):
        while True:
            async with write(world.engine) as tx:
                run = await repository.get(tx, run_id)
                found = await claims.next_contracts(tx, Scope.of(run), after=after, limit=1)
                if not found:
                    return
                await runs.draft_contracts(tx, run, found, at=DRAFTED_AT)
            after = found[-1].contract_id


async def test_a_stopped_run_drafts_nothing_more_and_goes_on_when_resumed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedules, "CONTRACTS_PER_CHUNK", 1)
    for contract_id in await world.sign(3):
        await world.release(a_batch(2, contract_id=contract_id))
    run = await world.start()
    await schedules.advance(world.context, run)

    stopped = await world.do(lambda tx: runs.stop_run(tx, run.run_id))
    with pytest.raises(RunMovedOn):
        # A chunk that was under way when the run was stopped.
        await _draft_next(world, run.run_id, version=run.version)
    assert (await world.work(stopped)).progress.invoices_drafted == 1

    resumed = await world.do(lambda tx: runs.resume_run(tx, run.run_id))
    drafted = await world.work(resumed)

    assert drafted.status is RunStatus.DRAFTED
    assert drafted.progress.contracts_found == 3
    assert (drafted.progress.invoices_drafted, drafted.progress.items_claimed) == (3, 6)


async def _draft_next(world: World, run_id: UUID, *, version: int) -> None:
    async with write(world.engine) as tx:
        run = await repository.get(tx, run_id)
        found = await claims.next_contracts(tx, Scope.of(run), after=run.cursor, limit=1)
        stale = replace(run, version=version)
        await runs.draft_contracts(tx, stale, found, at=DRAFTED_AT)


async def test_a_crash_between_chunks_loses_and_repeats_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedules, "CONTRACTS_PER_CHUNK", 2)
    for contract_id in await world.sign(5):
        await world.release(a_batch(2, contract_id=contract_id))
    run = await world.start()

    async def crash(*_: object, **__: object) -> None:
        raise asyncio.CancelledError

    await schedules.advance(world.context, run)
    with monkeypatch.context() as broken:
        broken.setattr(repository, "count", crash)
        with pytest.raises(asyncio.CancelledError):
            await schedules.advance(world.context, await world.get(run))
    drafted = await world.work(run)

    assert drafted.progress.invoices_drafted == 5
    assert await world.value("SELECT count(*) FROM invoice") == 5
    assert await world.value("SELECT count(*) FROM invoice_item WHERE is_live") == 10


async def test_the_same_entity_cut_off_and_key_started_twice_are_one_run(world: World) -> None:
    await world.release()

    started = await asyncio.gather(*(world.start() for _ in range(5)))
    drafted = await world.work(started[0])
    again = await world.start()

    assert {run.run_id for run in started} == {drafted.run_id}
    assert again == drafted
    with pytest.raises(DifferentContracts):
        await world.start(contract_ids=[UUID(int=1)])
    assert (await world.start(run_key="second")).run_id != drafted.run_id


async def test_four_eyes_see_a_run(world: World) -> None:
    await world.release()
    run = await world.draft()

    with pytest.raises(RunApproverStartedIt):
        await world.do(lambda tx: runs.approve_run(tx, run.run_id, by=STARTER))

    assert (await world.approve(run)).approved_by == APPROVER


async def test_one_broken_contract_is_left_out_and_the_rest_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    contracts = await world.sign(3)
    for contract_id in contracts:
        await world.release(a_batch(2, contract_id=contract_id))
    whole = claims.claim

    async def fails_for_one(
        tx: object, scope: Scope, contract_ids: Sequence[UUID], *, apart: Collection[UUID]
    ) -> Sequence[claims.DocumentItems]:
        if UUID(contracts[1]) in contract_ids:
            raise ArithmeticError("this contract cannot be drafted")
        return await whole(tx, scope, contract_ids, apart=apart)  # type: ignore[arg-type]  # handed through

    monkeypatch.setattr(claims, "claim", fails_for_one)
    run = await world.draft()

    assert run.status is RunStatus.DRAFTED
    assert (run.progress.invoices_drafted, run.progress.contracts_failed) == (2, 1)
    [[subject, reason]] = await world.rows(
        "SELECT subject_id, reason FROM exception_item WHERE kind = 'invoice_run.left_out'"
    )
    assert subject == UUID(contracts[1])
    assert "cannot be drafted" in reason

    monkeypatch.undo()
    assert (await world.draft(run_key="again")).progress.invoices_drafted == 1
    assert await world.value(OPEN) == 0


async def test_work_of_an_unknown_contract_or_customer_waits_and_says_so(world: World) -> None:
    [known] = await world.sign()
    unknown = str(UUID(int=7))
    await world.release(a_batch(2, contract_id=unknown))
    await world.release(a_batch(3, contract_id=known, bill_to_customer_id=str(UUID(int=8))))
    await world.release(a_batch(1, contract_id=known))

    run = await world.draft()

    assert (run.progress.items_claimed, run.progress.contracts_failed) == (1, 2)
    assert await world.value(OPEN) == 2

    customer = sample(CustomerRecorded)
    customer.customer.customer_id = str(UUID(int=8))
    await world.told(consumers.keep_customers, customer)
    assert (await world.draft(run_key="again")).progress.items_claimed == 3
    assert await world.value(OPEN) == 1


async def test_a_chunk_ends_before_it_has_too_many_items(
    world: World, monkeypatch: pytest.MonkeyPatch, statements: Statements
) -> None:
    monkeypatch.setattr(schedules, "ITEMS_PER_CHUNK", 10)
    for size, contract_id in zip((25, 6, 4, 1), await world.sign(4), strict=True):
        await world.release(a_batch(size, contract_id=contract_id))
    statements.clear()

    run = await world.bill()

    assert (run.progress.invoices_issued, run.progress.items_claimed) == (4, 36)
    claimed = [text for text in statements.texts if "INSERT INTO invoice_item" in text]
    sealed = [text for text in statements.texts if "INSERT INTO invoice_seal" in text]
    assert (len(claimed), len(sealed)) == (3, 3)


async def test_work_in_another_currency_than_the_contract_s_is_not_passed_over(
    world: World,
) -> None:
    batch = a_batch(3)
    row = batch.billing_events[1]
    row.unit_rate.currency = row.amount.currency = "USD"
    await world.release(batch)

    run = await world.draft()

    assert (run.progress.items_claimed, run.progress.contracts_failed) == (2, 1)
    reason = "SELECT reason FROM exception_item WHERE kind = 'invoice_run.left_out'"
    assert "contract's currency" in await world.value(reason)


async def test_a_draft_voided_while_its_run_issues_is_passed_over(world: World) -> None:
    for contract_id in await world.sign(3):
        await world.release(a_batch(1, contract_id=contract_id))
    run = await world.approve(await world.draft())
    ids = [row[0] for row in await world.rows("SELECT invoice_id FROM invoice ORDER BY 1")]
    issuing = await world.do(lambda tx: runs.issue_run(tx, run.run_id))

    await world.void(ids[1])
    await world.do(lambda tx: runs.issue_approved(tx, issuing, ids, at=DRAFTED_AT))

    issued = await world.work(issuing)
    assert (issued.status, issued.progress.invoices_issued) == (RunStatus.ISSUED, 2)
    assert await world.value(OPEN) == 0


async def test_statements_do_not_grow_with_contracts_or_items(
    world: World, statements: Statements
) -> None:
    await world.release()
    await world.bill()
    counts = []
    for size in (1, 25):
        for contract_id in await world.sign(size):
            await world.release(a_batch(size * 4, contract_id=contract_id))
        statements.clear()
        await world.bill(run_key=f"size-{size}")
        counts.append(len(statements))

    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    ("detail", "lines"),
    [
        (contract_pb2.LINE_DETAIL_ROLE, ["18.00 × 180.00 = 3240.00"]),
        (contract_pb2.LINE_DETAIL_PERSON, ["10.00 × 180.00 = 1800.00", "8.00 × 180.00 = 1440.00"]),
        (
            contract_pb2.LINE_DETAIL_ENTRY,
            ["8.00 × 180.00 = 1440.00", "8.00 × 180.00 = 1440.00", "2.00 × 180.00 = 360.00"],
        ),
    ],
)
async def test_the_contract_s_detail_decides_the_lines(
    world: World, detail: contract_pb2.LineDetail, lines: list[str]
) -> None:
    [contract_id] = await world.sign(line_detail=detail)
    batch = a_batch(3, contract_id=contract_id)
    batch.billing_events[1].person_name = "Jonas Keller"
    batch.billing_events[1].person_id = str(UUID(int=9))
    batch.billing_events[2].quantity, batch.billing_events[2].amount.amount = "2.00", "360.00"
    await world.release(batch)

    await world.draft()

    [drafted] = await world.published(InvoiceDrafted)
    told = [
        f"{line.quantity} × {line.unit_rate.amount} = {line.net_amount.amount}"
        for line in drafted.invoice.lines
    ]
    assert told == lines


async def test_a_contract_may_want_an_invoice_for_each_of_its_lines(world: World) -> None:
    [contract_id] = await world.sign(invoice_grouping=contract_pb2.INVOICE_GROUPING_CONTRACT_LINE)
    batch = a_batch(4, contract_id=contract_id)
    for row in batch.billing_events[:2]:
        row.contract_line_id = str(UUID(int=11))
    await world.release(batch)

    run = await world.draft()

    assert run.progress.invoices_drafted == 2
    totals = await world.rows("SELECT net_total FROM invoice ORDER BY invoice_id")
    assert totals == [(2880,), (2880,)]


async def test_a_long_invoice_is_published_in_parts(world: World) -> None:
    [contract_id] = await world.sign(line_detail=contract_pb2.LINE_DETAIL_ENTRY)
    for _ in range(2):
        await world.release(a_batch(300, contract_id=contract_id))

    await world.bill()

    [issued] = await world.published(InvoiceIssued)
    continued = await world.published(InvoiceLinesContinued)
    billed = await world.published(InvoiceItemsBilled)
    assert issued.invoice.line_count == 600
    parts = [issued.invoice.lines, *(part.lines for part in continued)]
    assert [line.position for part in parts for line in part] == list(range(1, 601))
    assert [(part.chunk, part.chunk_count, len(part.items)) for part in billed] == [
        (1, 2, 500),
        (2, 2, 100),
    ]


async def test_a_voided_draft_frees_its_items_for_the_next(world: World) -> None:
    await world.release()
    await world.draft()
    invoice_id = await world.value("SELECT invoice_id FROM invoice")

    await world.void(invoice_id)
    run = await world.bill(run_key="again")

    assert run.progress.items_claimed == 2
    assert await world.rows("SELECT is_live, count(*) FROM invoice_item GROUP BY 1 ORDER BY 1") == [
        (False, 2),
        (True, 2),
    ]
    assert (await world.totals())["billable_items"]["open_amount.EUR"] == 0


async def test_a_run_over_named_contracts_leaves_the_others_alone(world: World) -> None:
    contracts = await world.sign(3)
    for contract_id in contracts:
        await world.release(a_batch(2, contract_id=contract_id))

    run = await world.draft(contract_ids=[UUID(contracts[1])])

    assert run.progress.contracts_found == run.progress.invoices_drafted == 1


async def test_a_cut_off_in_the_past_of_all_work_drafts_nothing(world: World) -> None:
    await world.release()

    run = await world.draft(cut_off=date(2026, 8, 31))

    assert (run.status, run.progress.invoices_drafted) == (RunStatus.DRAFTED, 0)
