"""Re-rating runs: their scope, status and progress, and the facts they stand on."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Row, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.rerating_run import (
    PROGRESS_FIELDS,
    WORKING,
    Cause,
    Cursor,
    Drafted,
    Progress,
    ReratingRun,
    ReratingRunId,
    RunMovedOn,
    RunNotFound,
    RunStatus,
    Scope,
)
from billing_event.domain.source import ContractId
from throughline_core.errors import StaleVersion
from throughline_runtime import audit

_RUN: Final = tables.rerating_run

_CONTRACTS: Final = text("""
    SELECT contract_id FROM contract_state
    WHERE legal_entity_id = :legal_entity_id
      AND (CAST(:contract_ids AS uuid[]) IS NULL
           OR contract_id = ANY(CAST(:contract_ids AS uuid[])))
      AND (CAST(:after AS uuid) IS NULL OR contract_id >= CAST(:after AS uuid))
    ORDER BY contract_id
""")

# Terms and cards that can move a price of the run's entity, the latest first.
_FACTS_EPOCH: Final = text("""
    SELECT greatest(
        (SELECT max(epoch) FROM contract_state WHERE contract_id IN (
             SELECT contract_id FROM rerating_sum WHERE rerating_run_id = :rerating_run_id)),
        (SELECT max(epoch) FROM rate_card
         WHERE legal_entity_id IS NULL OR legal_entity_id = :legal_entity_id),
        0)
""")

_EPOCH: Final = text("SELECT epoch FROM fact_epoch")


async def add(tx: AsyncConnection, run: ReratingRun) -> None:
    """Store a new run; one that exists by its id stays as it is."""
    values = {
        "rerating_run_id": run.rerating_run_id,
        "cause": run.cause,
        "reason": run.reason,
        "legal_entity_id": run.scope.legal_entity_id,
        "contract_ids": list(run.scope.contract_ids),
        "contract_line_ids": list(run.scope.contract_line_ids),
        "person_ids": list(run.scope.person_ids),
        "customer_id": run.scope.customer_id,
        "rate_card_id": run.scope.rate_card_id,
        "service_from": run.scope.service_from,
        "service_through": run.scope.service_through,
        "drafted": run.drafted,
        "moves_payers": run.moves_payers,
        "created_at": run.created_at,
        **_moving(run),
    }
    await tx.execute(insert(_RUN).values(values).on_conflict_do_nothing())
    audit.touch(tx, run.rerating_run_id)


async def get(tx: AsyncConnection, run_id: ReratingRunId, *, lock: bool = False) -> ReratingRun:
    """Return a run; with `lock` no chunk of it commits before this transaction.

    Raises:
        RunNotFound: there is none.
    """
    query = select(_RUN).where(_RUN.c.rerating_run_id == run_id)
    row = (await tx.execute(query.with_for_update() if lock else query)).one_or_none()
    if row is None:
        raise RunNotFound(f"re-rating run {run_id} does not exist", field="rerating_run_id")
    return run_from(row)


async def is_cancelled(tx: AsyncConnection, run_id: ReratingRunId) -> bool:
    """Whether there is such a run, and it was given up."""
    cancelled = select(_RUN.c.rerating_run_id).where(
        _RUN.c.rerating_run_id == run_id, _RUN.c.status == RunStatus.CANCELLED
    )
    return (await tx.execute(cancelled)).first() is not None


async def lock_unmoved(tx: AsyncConnection, run: ReratingRun) -> ReratingRun:
    """Lock a run that is worked on, for the transaction of one chunk; return how far it is.

    Raises:
        RunMovedOn: somebody stopped it, or another process has done the chunk.
    """
    current = await get(tx, run.rerating_run_id, lock=True)
    if (current.version, current.cursor) != (run.version, run.cursor):
        raise RunMovedOn(f"re-rating run {run.rerating_run_id} is no longer {run.status}")
    return current


async def working(tx: AsyncConnection) -> Sequence[ReratingRun]:
    """Return the runs that are previewed, applied or waiting, oldest first."""
    query = select(_RUN).where(_RUN.c.status.in_(WORKING)).order_by(_RUN.c.rerating_run_id)
    return [run_from(row) for row in await tx.execute(query)]


async def save(tx: AsyncConnection, run: ReratingRun) -> None:
    """Write the new status of a run.

    Raises:
        StaleVersion: the stored row is not exactly one version behind.
    """
    written = await tx.execute(
        update(_RUN)
        .where(_RUN.c.rerating_run_id == run.rerating_run_id, _RUN.c.version == run.version - 1)
        .values(_moving(run))
    )
    audit.touch(tx, run.rerating_run_id)
    if written.rowcount != 1:
        raise StaleVersion(f"re-rating run {run.rerating_run_id} moved meanwhile")


async def count(
    tx: AsyncConnection, run: ReratingRun, done: Mapping[str, int], *, cursor: Cursor | None
) -> None:
    """Add what a chunk did to a run that the transaction has locked."""
    sums = {name: _RUN.c[name] + figure for name, figure in done.items() if figure}
    await tx.execute(
        update(_RUN)
        .where(_RUN.c.rerating_run_id == run.rerating_run_id)
        .values(**_cursor(cursor), **sums)
    )


async def contracts_of(
    tx: AsyncConnection, scope: Scope, *, after: ContractId | None = None
) -> list[ContractId]:
    """Return the contracts of a scope's entity, those it names if it does, in order."""
    rows = await tx.execute(
        _CONTRACTS,
        {
            "legal_entity_id": scope.legal_entity_id,
            "contract_ids": list(scope.contract_ids) or None,
            "after": after,
        },
    )
    return list(rows.scalars())


async def facts_epoch(tx: AsyncConnection) -> int:
    """Return the count of facts as it is now."""
    return int((await tx.execute(_EPOCH)).scalar_one())


async def epoch_of(tx: AsyncConnection, run: ReratingRun) -> int:
    """Return the count of facts when a price of what the run found may have moved last."""
    values = {
        "rerating_run_id": run.rerating_run_id,
        "legal_entity_id": run.scope.legal_entity_id,
    }
    return int((await tx.execute(_FACTS_EPOCH, values)).scalar_one())


def run_from(row: Row[Any]) -> ReratingRun:
    """Return the run a row of its table holds."""
    cursor = None
    if row.cursor_contract_id is not None:
        cursor = Cursor(
            row.cursor_contract_id, row.cursor_service_from, row.cursor_billing_event_id
        )
    return ReratingRun(
        rerating_run_id=row.rerating_run_id,
        version=row.version,
        status=RunStatus(row.status),
        cause=Cause(row.cause),
        reason=row.reason,
        scope=Scope(
            legal_entity_id=row.legal_entity_id,
            contract_ids=tuple(row.contract_ids),
            contract_line_ids=tuple(row.contract_line_ids),
            person_ids=tuple(row.person_ids),
            customer_id=row.customer_id,
            rate_card_id=row.rate_card_id,
            service_from=row.service_from,
            service_through=row.service_through,
        ),
        drafted=Drafted(row.drafted),
        moves_payers=row.moves_payers,
        created_at=row.created_at,
        proposed_by=row.proposed_by,
        decided_by=row.decided_by,
        decision_reason=row.decision_reason,
        facts_epoch=row.facts_epoch,
        previewed_at=row.previewed_at,
        finished_at=row.finished_at,
        cursor=cursor,
        progress=Progress(**{name: getattr(row, name) for name in PROGRESS_FIELDS}),
    )


def _moving(run: ReratingRun) -> dict[str, Any]:
    return {
        "version": run.version,
        "status": run.status,
        "proposed_by": run.proposed_by,
        "decided_by": run.decided_by,
        "decision_reason": run.decision_reason,
        "facts_epoch": run.facts_epoch,
        "previewed_at": run.previewed_at,
        "finished_at": run.finished_at,
        **_cursor(run.cursor),
        **{name: getattr(run.progress, name) for name in PROGRESS_FIELDS},
    }


def _cursor(cursor: Cursor | None) -> dict[str, Any]:
    return {
        "cursor_contract_id": cursor and cursor.contract_id,
        "cursor_service_from": cursor and cursor.service_from,
        "cursor_billing_event_id": cursor and cursor.billing_event_id,
    }
