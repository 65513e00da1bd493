"""Release runs: started and steered by people, worked off chunk by chunk."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.bulk import checkpoint
from billing_event.commands import job, release
from billing_event.commands.lines import require_contracts
from billing_event.domain.job import RunStatus
from billing_event.domain.position import BillingEventId
from billing_event.domain.release_run import (
    ReleaseRun,
    ReleaseRunId,
    ReleaseRunNotFound,
    ReleaseScope,
)
from billing_event.domain.steering import steered
from billing_event.repository import release as repository
from throughline_runtime.fields import read_uuid
from throughline_runtime.ids import new_id
from throughline_runtime.page import Page

CHUNK_ROWS: Final = 2_000
"""Rows one transaction of a run looks at."""


async def start(tx: AsyncConnection, scope: ReleaseScope, *, by: str, at: datetime) -> ReleaseRun:
    """Start a run over the eligible rows of a scope.

    Raises:
        ContractNotFound, EntityForbidden: it names a contract that is not there for the caller.
    """
    await require_contracts(tx, {"scope.contract_id": scope.contract_id})
    found, own = await checkpoint.count(tx, scope, by=by)
    run = ReleaseRun(
        release_run_id=ReleaseRunId(new_id()),
        version=1,
        scope=scope,
        status=RunStatus.RUNNING,
        rows_found=found + own,
        rows_other_person=own,
        started_by=by,
        started_at=at,
    )
    await repository.add_run(tx, run)
    return run


async def preview(
    tx: AsyncConnection, scope: ReleaseScope, page: Page, *, by: str
) -> Sequence[Row[Any]]:
    """Return what a release by `by` would do, by contract, type and currency, and one line more.

    See `checkpoint.preview` for the columns.

    Raises:
        ContractNotFound, EntityForbidden: see `start`.
    """
    await require_contracts(tx, {"scope.contract_id": scope.contract_id})
    after = None
    if page.after is not None:
        contract_id, event_type, currency = page.after
        after = read_uuid("page_token", contract_id), event_type, currency
    return await checkpoint.preview(tx, scope, by=by, after=after, limit=page.size + 1)


async def steer(
    tx: AsyncConnection, release_run_id: ReleaseRunId, status: RunStatus, *, at: datetime
) -> ReleaseRun:
    """Stop a run, or let it go on; a chunk under way that has not committed has no effect.

    Raises:
        ReleaseRunNotFound, EntityForbidden: no such run for the caller.
        IllegalTransition: it does not lead there.
    """
    run = await repository.get_run(tx, release_run_id, lock=True)
    require_visible(run)
    changed = steered(run, status, at=at)
    await repository.save_run(tx, changed)
    return changed


async def work(tx: AsyncConnection, run: ReleaseRun, *, at: datetime) -> None:
    """Release the next chunk of a run and count it, or close the run when nothing is left.

    Raises:
        RunMovedOn: the run was stopped meanwhile.
    """
    found = await checkpoint.next_rows(
        tx, run.scope, by=run.started_by, after=run.cursor, limit=CHUNK_ROWS
    )
    if not found:
        await repository.save_run(tx, steered(run, RunStatus.DONE, at=at))
        return
    done = await release.release_found(tx, found, by=run.started_by, at=at)
    await repository.count(
        tx,
        run,
        released=len(done.rows),
        held=done.held,
        amounts=done.amounts,
        cursor=BillingEventId(found[-1].billing_event_id),
    )


def require_visible(run: ReleaseRun) -> None:
    """Check that the caller may see a run: all the entities it is about.

    Raises:
        EntityForbidden: the caller may not.
    """
    missing = ReleaseRunNotFound(f"{run.name_in_words} does not exist", field="release_run_id")
    job.require_visible(run.scope.legal_entity_ids, missing)
