"""Periodic jobs: invoice runs, drafts that wait for tax, and documents."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import accumulate
from typing import Final, TypeVar
from uuid import UUID

import structlog
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment import tables
from invoice_payment.bulk import claims
from invoice_payment.bulk.claims import OpenContract, Scope
from invoice_payment.commands import invoice as invoices
from invoice_payment.commands import open_items
from invoice_payment.commands import run as runs
from invoice_payment.commands.run import RunInvoice
from invoice_payment.document import render
from invoice_payment.domain.invoice import InvoiceStatus, TotalNegative
from invoice_payment.domain.run import InvoiceRun, Progress, RunStatus
from invoice_payment.repository import document
from invoice_payment.repository import run as repository
from throughline_core.errors import Aborted, StaleVersion, Unavailable
from throughline_runtime.context import Context
from throughline_runtime.database import read, write
from throughline_runtime.schedule import Schedule

RUNS: Final = "invoice-runs"
TAX: Final = "invoice-tax"
DOCUMENTS: Final = "invoice-documents"
CREDITS: Final = "invoice-credits"

CONTRACTS_PER_CHUNK: Final = 100
ITEMS_PER_CHUNK: Final = 10_000
INVOICES_PER_CHUNK: Final = 200
CREDITS_PER_CHUNK: Final = 5_000

# A job ends after this long and is woken again, so that the process can stop in good order.
_WORK_SECONDS: Final = 5.0
# A chunk is a batch: its statements may take longer than those of a request.
_PATIENCE: Final = text("SET LOCAL statement_timeout = '60s'")

_log: Final = structlog.get_logger(__name__)

Sized = TypeVar("Sized", OpenContract, RunInvoice)

Work = Callable[[AsyncConnection, Sequence[UUID]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one transaction of a run works on: contracts or invoices by id, and how."""

    ids: Sequence[UUID]
    work: Work


async def drive_runs(context: Context) -> None:
    """Work on all runs that draft, approve or issue, a chunk of each in turn, until none is left.

    Every chunk commits its effect and the run's progress together: after a crash it goes on with
    the first chunk that did not commit.
    """
    until = time.monotonic() + _WORK_SECONDS
    put_off: set[UUID] = set()
    while working := [run for run in await _working(context) if run.run_id not in put_off]:
        for run in working:
            try:
                await advance(context, run)
            except (Aborted, Unavailable) as refusal:
                # It is tried again the next time; the other runs do not wait for it.
                _log.warning("run_put_off", run_id=str(run.run_id), code=refusal.stable_code)
                put_off.add(run.run_id)
        if time.monotonic() > until:
            context.wake(RUNS)
            return


async def advance(context: Context, run: InvoiceRun) -> None:
    """Work on the next chunk of a run, or close its phase when there is none."""
    try:
        chunk = await _next_chunk(context, run)
        if chunk.ids:
            await _work(context, run, chunk)
        else:
            async with write(context.engine) as tx:
                await runs.finish_phase(tx, run, at=context.clock.now())
    except StaleVersion:
        # Somebody stopped the run; what was under way has no effect.
        _log.info("run_moved_on", run_id=str(run.run_id))
    if run.status is RunStatus.ISSUING:
        context.wake(DOCUMENTS)


async def retry_tax(context: Context) -> None:
    """Tax the drafts that wait for a rule, as far as rules and customers allow by now."""
    after: UUID | None = None
    while True:
        async with read(context.engine) as tx:
            waiting = await _tax_pending(tx, after=after)
        if not waiting:
            return
        async with write(context.engine) as tx:
            await invoices.retry_tax(tx, waiting)
        after = waiting[-1]


async def credit_rebilled(context: Context) -> None:
    """Draft credit notes over what re-rating took back of issued invoices, contract by contract.

    A contract that fails keeps no other waiting: it becomes an exception, and is tried again.
    """
    async with write(context.engine) as tx:
        await open_items.close_rebilled(tx)
    after: UUID | None = None
    while True:
        async with read(context.engine) as tx:
            contract_ids = await open_items.rebilled(tx, after=after, limit=CONTRACTS_PER_CHUNK)
        if not contract_ids:
            return
        for contract_id in contract_ids:
            await _credit_rebilled(context, contract_id)
        after = contract_ids[-1]


async def _credit_rebilled(context: Context, contract_id: UUID) -> None:
    try:
        async with write(context.engine) as tx:
            await tx.execute(_PATIENCE)
            at = context.clock.now()
            await open_items.credit_rebilled(tx, contract_id, at=at, limit=CREDITS_PER_CHUNK)
    except (Aborted, Unavailable) as refusal:
        _log.warning("rebill_put_off", contract_id=str(contract_id), code=refusal.stable_code)
    except Exception as error:
        # Whatever is wrong with one contract must not stop the next: it becomes an exception.
        _log.exception("rebill_failed", contract_id=str(contract_id))
        async with write(context.engine) as tx:
            reason = f"{type(error).__name__}: {error}"[:500]
            await open_items.leave_rebilled(tx, contract_id, reason=reason)


async def make_documents(context: Context) -> None:
    """Make the PDFs of issued invoices; one that fails does not keep the others waiting."""
    after: UUID | None = None
    until = time.monotonic() + _WORK_SECONDS
    while True:
        async with read(context.engine) as tx:
            pending = await document.pending(tx, after=after, limit=INVOICES_PER_CHUNK)
        for invoice_id in pending:
            await _make_document(context, invoice_id)
            if time.monotonic() > until:
                context.wake(DOCUMENTS)
                return
        if not pending:
            return
        after = pending[-1]


async def _make_document(context: Context, invoice_id: UUID) -> None:
    async with read(context.engine) as tx:
        invoice, work = await document.content_of(tx, invoice_id)
    try:
        made = await asyncio.to_thread(render, invoice, work)
    except Exception as error:
        # Whatever is wrong with one document must not stop the next: it becomes an exception.
        _log.exception("document_failed", invoice_id=str(invoice_id))
        async with write(context.engine) as tx:
            await document.fail(tx, invoice, reason=f"{type(error).__name__}: {error}"[:500])
        return
    async with write(context.engine) as tx:
        await document.add(
            tx, invoice, content=made.content, sha256=made.sha256, made_at=context.clock.now()
        )


async def _working(context: Context) -> Sequence[InvoiceRun]:
    async with read(context.engine) as tx:
        return await repository.working(tx)


async def _next_chunk(context: Context, run: InvoiceRun) -> Chunk:
    if run.status is RunStatus.DRAFTING:
        return await _next_contracts(context, run)
    is_approving = run.status is RunStatus.APPROVING
    status = InvoiceStatus.READY if is_approving else InvoiceStatus.APPROVED
    async with read(context.engine) as tx:
        found = await runs.next_invoices(tx, run, status, limit=INVOICES_PER_CHUNK)
    ids = [invoice.invoice_id for invoice in _as_many_as_fit(found)]
    if is_approving:
        return Chunk(ids, partial(_approve, run))
    return Chunk(ids, partial(_issue, run, context.clock.now()))


async def _next_contracts(context: Context, run: InvoiceRun) -> Chunk:
    async with read(context.engine) as tx:
        await tx.execute(_PATIENCE)
        found = await claims.next_contracts(
            tx, Scope.of(run), after=run.cursor, limit=CONTRACTS_PER_CHUNK
        )
        is_first = run.cursor is None and not run.progress.contracts_found
        total = await claims.count_contracts(tx, Scope.of(run)) if is_first else 0
    if total:
        async with write(context.engine) as tx:
            await repository.count(tx, run, Progress(contracts_found=total), cursor=None)
    by_id = {contract.contract_id: contract for contract in _as_many_as_fit(found)}
    return Chunk(list(by_id), partial(_draft, run, by_id, context.clock.now()))


def _as_many_as_fit(found: Sequence[Sized]) -> list[Sized]:
    """Return the first of these, up to as many items as one transaction takes; one at least."""
    sums = accumulate(each.item_count for each in found)
    pairs = zip(found, sums, strict=True)
    return [each for each, items in pairs if items <= ITEMS_PER_CHUNK or each is found[0]]


async def _work(context: Context, run: InvoiceRun, chunk: Chunk) -> None:
    """Do the chunk in one transaction; if it fails, one by one, leaving out what fails alone.

    What is only out of reach for now leaves nothing out: the job is run again.
    """
    try:
        async with write(context.engine) as tx:
            await tx.execute(_PATIENCE)
            await chunk.work(tx, chunk.ids)
    except (Aborted, Unavailable):
        raise
    except Exception as error:
        if len(chunk.ids) == 1:
            _log.exception("run_left_out", run_id=str(run.run_id), subject=str(chunk.ids[0]))
            reason = f"{type(error).__name__}: {error}"[:500]
            advice = error.advice if isinstance(error, TotalNegative) else None
            async with write(context.engine) as tx:
                await runs.leave_out(tx, run, chunk.ids[0], reason=reason, advice=advice)
            return
        for single in chunk.ids:
            await _work(context, run, Chunk([single], chunk.work))


async def _draft(
    run: InvoiceRun,
    contracts: Mapping[UUID, OpenContract],
    at: datetime,
    tx: AsyncConnection,
    contract_ids: Sequence[UUID],
) -> None:
    chosen = [contracts[contract_id] for contract_id in contract_ids]
    await runs.draft_contracts(tx, run, chosen, at=at)


async def _approve(run: InvoiceRun, tx: AsyncConnection, invoice_ids: Sequence[UUID]) -> None:
    await runs.approve_drafts(tx, run, invoice_ids)


async def _issue(
    run: InvoiceRun, at: datetime, tx: AsyncConnection, invoice_ids: Sequence[UUID]
) -> None:
    await runs.issue_approved(tx, run, invoice_ids, at=at)


async def _tax_pending(tx: AsyncConnection, *, after: UUID | None) -> Sequence[UUID]:
    table = tables.invoice
    query = (
        select(table.c.invoice_id)
        .where(table.c.status == InvoiceStatus.TAX_PENDING)
        .where(table.c.invoice_id > (after or UUID(int=0)))
        .order_by(table.c.invoice_id)
        .limit(INVOICES_PER_CHUNK)
    )
    return list((await tx.execute(query)).scalars())


SCHEDULES: Final = (
    Schedule(RUNS, 1, drive_runs),
    Schedule(TAX, 5, retry_tax),
    Schedule(DOCUMENTS, 2, make_documents),
    Schedule(CREDITS, 5, credit_rebilled),
)
