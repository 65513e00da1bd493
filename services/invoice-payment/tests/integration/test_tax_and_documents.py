"""Steps that wait or fail are retried alone: tax of drafts, and PDFs of issued invoices."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from hashlib import sha256
from uuid import UUID

import pytest
from invoice_payment_builders import a_rule
from invoice_payment_world import SERVICE, World, a_batch

from invoice_payment import consumers, document, schedules
from invoice_payment.commands import invoice as invoices
from invoice_payment.domain.invoice import DocumentNotFailed, Invoice
from invoice_payment.domain.tax import BuyerRegistration
from throughline.customer_contract.events.v1.customer_contract_events_pb2 import CustomerRecorded
from throughline.customer_contract.v1 import customer_pb2
from throughline.invoice_payment.events.v1.invoice_payment_events_pb2 import InvoiceDrafted
from throughline_runtime.identity import acting_as
from throughline_testing.samples import sample

STATE = "SELECT status, version FROM invoice"
WAITING = "SELECT kind, reason, owner FROM exception_item WHERE closed_at IS NULL"


async def run_job(world: World, job: Callable[..., object]) -> None:
    with acting_as(SERVICE):
        await job(world.context)  # type: ignore[misc]  # jobs are coroutines


async def test_a_draft_without_a_rule_waits_and_goes_on_when_it_is_there(
    bare_world: World,
) -> None:
    world = bare_world
    await world.found(rules=[])
    await world.release()
    run = await world.draft()
    assert (run.progress.invoices_tax_pending, await world.rows(STATE)) == (1, [("tax_pending", 1)])
    [[kind, reason, owner]] = await world.rows(WAITING)
    assert (kind, owner) == ("invoice.tax_rule_missing", "finance")
    assert "seller DE, buyer DE with a valid registration" in reason
    assert "professional_services, on 2026-09-11" in reason

    await run_job(world, schedules.retry_tax)
    assert await world.rows(STATE) == [("tax_pending", 1)]
    await world.put_rule(a_rule())
    await run_job(world, schedules.retry_tax)
    await run_job(world, schedules.retry_tax)

    assert await world.rows(STATE) == [("ready", 2)]
    assert await world.rows(WAITING) == []
    waiting, ready = await world.published(InvoiceDrafted)
    assert (waiting.invoice.version, ready.invoice.version) == (1, 2)
    assert ready.invoice.tax_total.amount == "2097.60"
    approved = await world.approve(run)
    assert approved.progress.invoices_approved == 1


async def test_a_customer_put_right_lets_its_drafts_go_on(bare_world: World) -> None:
    world = bare_world
    needs_registration = a_rule(buyer_registration=BuyerRegistration.VALID)
    await world.found(rules=[needs_registration])
    customer = sample(CustomerRecorded)
    customer.customer.version, customer.customer.tax_status = 2, customer_pb2.TAX_STATUS_INVALID
    await world.told(consumers.keep_customers, customer)
    await world.release()
    await world.draft()
    assert await world.rows(STATE) == [("tax_pending", 1)]

    customer.customer.version, customer.customer.tax_status = 3, customer_pb2.TAX_STATUS_VALID
    customer.customer.tax_id = "DE811569869"
    await world.told(consumers.keep_customers, customer)
    await run_job(world, schedules.retry_tax)

    assert await world.rows(STATE) == [("ready", 2)]
    assert await world.value("SELECT buyer ->> 'tax_id' FROM invoice") == "DE811569869"


async def test_a_rule_put_again_replaces_it_for_later_drafts_only(world: World) -> None:
    await world.release()
    await world.bill()
    rate = replace(a_rule().treatment, rate_percent=a_rule().treatment.rate_percent - 3)

    await world.put_rule(a_rule(treatment=rate, tax_rule_id=UUID(int=1)))
    await world.release(a_batch(1))
    await world.draft(run_key="again")

    assert await world.rows("SELECT version, rate_percent FROM tax_rule") == [(2, 16)]
    rates = await world.rows("SELECT rate_percent FROM invoice_tax ORDER BY base_amount")
    assert [int(percent) for [percent] in rates] == [16, 19]


async def test_a_document_is_made_after_issue_and_kept(world: World) -> None:
    await world.release()
    await world.bill()

    await run_job(world, schedules.make_documents)
    await run_job(world, schedules.make_documents)

    [[content, digest]] = await world.rows("SELECT content, sha256 FROM invoice_document")
    assert content.startswith(b"%PDF-")
    assert digest == sha256(content).hexdigest()
    steps = await world.rows("SELECT document_step, document_sha256, version FROM invoice")
    assert steps == [("done", digest, 3)]


async def test_a_document_that_fails_is_an_exception_and_is_made_when_retried(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for contract_id in await world.sign(2):
        await world.release(a_batch(1, contract_id=contract_id))
    await world.bill()
    [[broken], [whole]] = await world.rows("SELECT invoice_id FROM invoice ORDER BY invoice_id")
    render = document.render

    def fails_for_one(invoice: Invoice, _work: object) -> document.Document:
        if invoice.invoice_id == broken:
            raise RuntimeError("no ink")
        return render(invoice, {})

    monkeypatch.setattr(schedules, "render", fails_for_one)
    await run_job(world, schedules.make_documents)

    steps = await world.rows("SELECT document_step FROM invoice ORDER BY invoice_id")
    assert steps == [("failed",), ("done",)]
    [[kind, reason, _]] = await world.rows(WAITING)
    assert (kind, reason) == ("invoice.document_failed", "RuntimeError: no ink")

    monkeypatch.undo()
    with pytest.raises(DocumentNotFailed):
        await world.do(lambda tx: invoices.retry_document(tx, whole))
    await world.do(lambda tx: invoices.retry_document(tx, broken))
    await run_job(world, schedules.make_documents)

    assert await world.value("SELECT count(*) FROM invoice_document") == 2
    assert await world.rows(WAITING) == []


async def test_the_job_drives_runs_and_stops_when_nothing_is_left(
    world: World, move_clock: Callable[[datetime], None]
) -> None:
    move_clock(datetime.fromisoformat("2026-09-30T22:30:00+00:00"))
    await world.release()
    run = await world.start()
    await run_job(world, schedules.drive_runs)
    await world.approve(run)
    await world.issue(run)
    await run_job(world, schedules.drive_runs)

    assert (await world.get(run)).status == "issued"
    # Half past midnight in Berlin: the first of October there.
    assert await world.value("SELECT issued_on FROM invoice") == date(2026, 10, 1)
