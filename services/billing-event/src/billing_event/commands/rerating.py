"""Re-rating runs: opened, decided on and steered by people, or opened by a change."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.domain import rerating_run as domain
from billing_event.domain.rerating_run import (
    Cause,
    ContractElsewhere,
    Drafted,
    ReratingRun,
    ReratingRunId,
    RunStatus,
    Scope,
)
from billing_event.repository import rerating as repository
from throughline_runtime import exceptions
from throughline_runtime.identity import require_entity
from throughline_runtime.ids import new_id

HALTED: Final = "rerating_run.halted"
"""Kind of the exception a run opens that an error has stopped."""


async def create(
    tx: AsyncConnection,
    scope: Scope,
    *,
    cause: Cause,
    reason: str,
    drafted: Drafted,
    moves_payers: bool,
    by: str,
    at: datetime,
) -> ReratingRun:
    """Open a run and have its preview computed.

    Raises:
        EntityForbidden: the entity is not for the caller.
        ContractElsewhere: a contract is not known, or another entity invoices it.
    """
    require_entity(scope.legal_entity_id)
    if scope.contract_ids:
        missing = set(scope.contract_ids) - set(await repository.contracts_of(tx, scope))
        if missing:
            raise ContractElsewhere(
                f"contract {min(missing)} is none of this legal entity",
                field="scope.contract_ids",
                advice="open a run for each legal entity",
            )
    draft = ReratingRun(
        rerating_run_id=ReratingRunId(new_id()),
        version=0,
        status=RunStatus.DRAFT,
        cause=cause,
        reason=reason,
        scope=scope,
        drafted=drafted,
        moves_payers=moves_payers,
        created_at=at,
    )
    run = domain.propose(draft, by=by, facts_epoch=await repository.facts_epoch(tx))
    await repository.add(tx, run)
    return run


async def preview(tx: AsyncConnection, run_id: ReratingRunId, *, by: str) -> ReratingRun:
    """Have the preview of a run computed, or computed anew.

    Raises:
        RunNotFound, EntityForbidden: no such run for the caller.
        IllegalTransition: it is being previewed or was decided.
    """
    run = await _own(tx, run_id)
    epoch = await repository.facts_epoch(tx)
    return await _saved(tx, domain.propose(run, by=by, facts_epoch=epoch))


async def approve(tx: AsyncConnection, run_id: ReratingRunId, *, by: str) -> ReratingRun:
    """Have a previewed run applied, on a second person's word.

    Raises:
        RunNotFound, EntityForbidden: no such run for the caller.
        IllegalTransition, SecondPersonRequired, Outdated, NothingToDo: see `domain.approve`.
    """
    run = await _own(tx, run_id)
    epoch = await repository.epoch_of(tx, run)
    return await _saved(tx, domain.approve(run, by=by, facts_epoch=epoch))


async def reject(
    tx: AsyncConnection, run_id: ReratingRunId, reason: str, *, by: str, at: datetime
) -> ReratingRun:
    """Decide that the work of a previewed run keeps its price.

    Raises:
        RunNotFound, EntityForbidden: no such run for the caller.
        IllegalTransition: it is not previewed.
    """
    return await _decided(tx, run_id, lambda run: domain.reject(run, by=by, reason=reason, at=at))


async def cancel(
    tx: AsyncConnection, run_id: ReratingRunId, reason: str, *, by: str, at: datetime
) -> ReratingRun:
    """Give a run up; what was not posted yet stays as it is.

    Raises:
        RunNotFound, EntityForbidden: no such run for the caller.
        IllegalTransition: it is being applied, or is over.
    """
    await exceptions.close(tx, HALTED, [run_id])
    return await _decided(tx, run_id, lambda run: domain.cancel(run, by=by, reason=reason, at=at))


async def stop(tx: AsyncConnection, run_id: ReratingRunId) -> ReratingRun:
    """Stop a run; a chunk under way that has not committed by now has no effect.

    Raises:
        RunNotFound, EntityForbidden: no such run for the caller.
        IllegalTransition: it is neither previewed nor applied.
    """
    return await _decided(tx, run_id, domain.stop)


async def resume(tx: AsyncConnection, run_id: ReratingRunId) -> ReratingRun:
    """Let a stopped run go on.

    Raises:
        RunNotFound, EntityForbidden: no such run for the caller.
        IllegalTransition: it is not stopped.
    """
    await exceptions.close(tx, HALTED, [run_id])
    return await _decided(tx, run_id, domain.resume)


async def halt(tx: AsyncConnection, run: ReratingRun, *, reason: str) -> None:
    """Stop a run that cannot be worked on, and show why; one that moved on is left alone."""
    current = await repository.get(tx, run.rerating_run_id, lock=True)
    if current.version != run.version:
        return
    await repository.save(tx, domain.stop(current))
    await exceptions.open_(
        tx,
        HALTED,
        run.rerating_run_id,
        reason=f"re-rating run stopped while {run.status}: {reason}",
        owner="operations",
        advice="mend the cause, then resume the run; or cancel it",
        legal_entity_id=run.scope.legal_entity_id,
    )


async def _decided(
    tx: AsyncConnection, run_id: ReratingRunId, decide: Callable[[ReratingRun], ReratingRun]
) -> ReratingRun:
    return await _saved(tx, decide(await _own(tx, run_id)))


async def _own(tx: AsyncConnection, run_id: ReratingRunId) -> ReratingRun:
    run = await repository.get(tx, run_id, lock=True)
    require_entity(run.scope.legal_entity_id)
    return run


async def _saved(tx: AsyncConnection, run: ReratingRun) -> ReratingRun:
    await repository.save(tx, run)
    return run
