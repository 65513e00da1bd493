"""Works re-rating runs off: a transaction for each chunk, and invoicing asked between them.

Every chunk commits its effect and the run's progress together: after a crash a run goes on with the
first chunk that did not commit.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

import structlog
from sqlalchemy import text

from billing_event.commands import rerating, rerating_apply, rerating_preview
from billing_event.commands.rerating_preview import Chunk, Whereabouts
from billing_event.domain.limit import LimitAccountId
from billing_event.domain.position import BillingEventId
from billing_event.domain.rerating_run import Outcome, ReratingRun, ReratingRunId, RunStatus
from billing_event.domain.source import SourceItemId
from billing_event.repository import rerating as repository
from billing_event.repository import rerating_item
from throughline.invoice_payment.v1 import billable_item_service_pb2 as items_pb
from throughline.invoice_payment.v1.billable_item_service_pb2_grpc import BillableItemServiceStub
from throughline_core.errors import Aborted, Unavailable
from throughline_runtime.context import Context
from throughline_runtime.database import read, write

RERATE: Final = "billing-event.rerate"
REPORT: Final = "billing-event.report-changes"
"""The job that takes what a run has settled out of the exceptions queue."""

# A job ends after this long and is woken again, so that the process can stop in good order.
_WORK_SECONDS: Final = 5.0
_LOCATED_MAX: Final = 5_000
# A chunk is a batch: its statements may take longer than those of a request.
_PATIENCE: Final = text("SET LOCAL statement_timeout = '60s'")
# What is invoiced there and not claimed here yet is about to be.
_ON_DOCUMENTS: Final = (
    items_pb.BILLABLE_ITEM_STATUS_DRAFTED,
    items_pb.BILLABLE_ITEM_STATUS_INVOICED,
)

_log: Final = structlog.get_logger(__name__)


async def drive(context: Context) -> None:
    """Work on all runs that are previewed or applied, a chunk of each in turn, until none is left.

    One that cannot go on for now, because invoicing does not answer, is taken up the next time.
    """
    until = time.monotonic() + _WORK_SECONDS
    put_off: set[ReratingRunId] = set()
    while working := [
        run
        for run in await _working(context)
        if run.rerating_run_id not in put_off and run.status is not RunStatus.WAITING
    ]:
        for run in working:
            if not await _goes_on(context, run, advance):
                put_off.add(run.rerating_run_id)
        if time.monotonic() > until:
            context.wake(RERATE)
            return


async def look_at_drafts(context: Context) -> None:
    """Post what waited for drafts that were issued, or voided, since."""
    for run in await _working(context):
        if run.status is RunStatus.WAITING:
            await _goes_on(context, run, _pass_over)


async def _goes_on(
    context: Context, run: ReratingRun, work: Callable[[Context, ReratingRun], Awaitable[None]]
) -> bool:
    """Work on a run, and return whether it may be worked on further now.

    One that an error stops shows why; the others do not wait for it.
    """
    run_id = str(run.rerating_run_id)
    try:
        await work(context, run)
    except (Aborted, Unavailable) as refusal:
        # Moved by somebody, or invoicing does not answer: what was under way has no effect.
        _log.warning("rerating_put_off", run_id=run_id, code=refusal.stable_code)
        return False
    except Exception as error:
        _log.exception("rerating_halted", run_id=run_id)
        await _halt(context, run, error)
        return False
    return True


async def advance(context: Context, run: ReratingRun) -> None:
    """Do the next chunk of a run, or close its phase when there is none.

    Raises:
        StaleVersion: somebody moved the run, or work of the chunk, meanwhile.
        Unavailable: invoicing cannot be asked where things are.
    """
    if run.status is RunStatus.PREVIEWING:
        await _preview(context, run)
    else:
        await _apply(context, run)


async def _preview(context: Context, run: ReratingRun) -> None:
    """Look at chunk after chunk for a while; the next is read while the one before is written."""
    until = time.monotonic() + _WORK_SECONDS
    if run.cursor is None:
        async with write(context.engine) as tx:
            await repository.lock_unmoved(tx, run)
            if await rerating_item.forget_preview(tx, run.rerating_run_id):
                return
    async with read(context.engine) as tx:
        taken = await rerating_preview.taken_before(tx, run)
    chunk = await _read(context, run, taken)
    while chunk.cursor is not None:
        following = replace(run, cursor=chunk.cursor)
        _, chunk = await asyncio.gather(
            _keep(context, run, chunk), _read(context, following, chunk.taken)
        )
        run = following
        if time.monotonic() > until:
            return
    async with write(context.engine) as tx:
        await rerating_preview.finish(tx, run, at=context.clock.now())


async def _read(
    context: Context, run: ReratingRun, taken: Mapping[LimitAccountId, Decimal]
) -> Chunk:
    async with read(context.engine) as tx:
        await tx.execute(_PATIENCE)
        return await rerating_preview.read_chunk(tx, run, taken=taken, at=context.clock.now())


async def _keep(context: Context, run: ReratingRun, chunk: Chunk) -> None:
    where = await _locate(context, chunk.rows_to_locate)
    async with write(context.engine) as tx:
        await tx.execute(_PATIENCE)
        await rerating_preview.keep_chunk(tx, run, chunk, where)


async def _apply(context: Context, run: ReratingRun) -> None:
    async with read(context.engine) as tx:
        ids, rows = await rerating_apply.next_open(tx, run, Outcome.PENDING)
    if ids:
        await _post(context, run, ids, rows, outcome=Outcome.PENDING)
        return
    await _finish(context, run)


async def _pass_over(context: Context, run: ReratingRun) -> None:
    """Look once at each thing of a run that waits."""
    after: SourceItemId | None = None
    while True:
        async with read(context.engine) as tx:
            ids, rows = await rerating_apply.next_open(tx, run, Outcome.WAITING, after=after)
        if not ids:
            break
        await _post(context, run, ids, rows, outcome=Outcome.WAITING)
        after = ids[-1]
    await _finish(context, run)


async def _post(
    context: Context,
    run: ReratingRun,
    ids: Sequence[SourceItemId],
    rows: Sequence[BillingEventId],
    *,
    outcome: Outcome,
) -> None:
    """Post things in one transaction; if it fails one by one, leaving what fails alone."""
    where = await _locate(context, rows)
    at = context.clock.now()
    try:
        async with write(context.engine) as tx:
            await tx.execute(_PATIENCE)
            await rerating_apply.post_chunk(tx, run, ids, where.drafted, outcome=outcome, at=at)
    except (Aborted, Unavailable):
        raise
    except Exception as error:
        if len(ids) == 1:
            _log.exception("rerating_left_out", source_item_id=str(ids[0]))
            reason = f"{type(error).__name__}: {error}"[:500]
            async with write(context.engine) as tx:
                await rerating_apply.leave_out(tx, run, ids[0], outcome=outcome, reason=reason)
            return
        for single in ids:
            await _post(context, run, [single], rows, outcome=outcome)


async def _finish(context: Context, run: ReratingRun) -> None:
    async with write(context.engine) as tx:
        finished = await rerating_apply.finish(tx, run, at=context.clock.now())
    if finished.status is RunStatus.APPLIED:
        context.wake(REPORT)


async def _halt(context: Context, run: ReratingRun, error: Exception) -> None:
    async with write(context.engine) as tx:
        await rerating.halt(tx, run, reason=f"{type(error).__name__}: {error}"[:500])


async def _working(context: Context) -> Sequence[ReratingRun]:
    async with read(context.engine) as tx:
        return await repository.working(tx)


async def _locate(context: Context, rows: Sequence[BillingEventId]) -> Whereabouts:
    """Ask invoicing on which documents rows are; those it has never heard of are on none."""
    documents: dict[BillingEventId, list[str]] = {}
    drafted: set[BillingEventId] = set()
    stub = context.stub(BillableItemServiceStub, "invoice-payment")
    for start in range(0, len(rows), _LOCATED_MAX):
        some = rows[start : start + _LOCATED_MAX]
        request = items_pb.LocateItemsRequest(billing_event_ids=map(str, some))
        known = {str(row_id): row_id for row_id in some}
        for location in (await stub.LocateItems(request)).locations:
            row_id = known[location.billing_event_id]
            if location.status in _ON_DOCUMENTS:
                drafted.add(row_id)
            if location.invoice_id:
                name = location.invoice_number or location.invoice_id
                documents.setdefault(row_id, []).append(name)
    return Whereabouts(documents, drafted)
