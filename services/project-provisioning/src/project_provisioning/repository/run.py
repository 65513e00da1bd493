"""Provisioning runs as rows, with the exception a paused one puts before people."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.run import (
    TRANSITIONS,
    UNDER_WAY,
    Check,
    Run,
    RunEvent,
    RunNotFound,
    RunState,
    wait_seconds,
)
from project_provisioning.wire import run as wire
from throughline.customer_contract.v1 import contract_pb2
from throughline_core.change import Change
from throughline_core.errors import StaleVersion
from throughline_runtime import audit, exceptions, outbox

EXCEPTION_KIND: Final = "provisioning_run"

# What a paused run becomes.
_PAST_A_PAUSE: Final = TRANSITIONS[RunState.PAUSED]


async def add_all(tx: AsyncConnection, runs: Iterable[tuple[Run, contract_pb2.Contract]]) -> None:
    """Write new runs in one statement; a contract that has a run already keeps it."""
    rows = [
        {
            **_values(run),
            "run_id": run.run_id,
            "contract_id": run.terms.contract_id,
            "engagement_id": run.terms.engagement_id,
            "correlation_id": run.terms.correlation_id,
            "legal_entity_id": run.terms.legal_entity_id,
            "contract": contract.SerializeToString(),
            "received_at": run.received_at,
        }
        for run, contract in runs
    ]
    await tx.execute(insert(tables.provisioning_run).on_conflict_do_nothing(), rows)


async def get(tx: AsyncConnection, run_id: UUID) -> Run:
    """Return a run, locked until the transaction ends.

    Raises:
        RunNotFound: there is none.
    """
    table = tables.provisioning_run
    query = select(table).where(table.c.run_id == run_id).with_for_update()
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise RunNotFound(f"no provisioning run {run_id}", field="run_id")
    return run_from(row)


async def save(tx: AsyncConnection, change: Change[Run, RunEvent]) -> None:
    """Write the new state, queue its events, and open or close the exception it stands for.

    Raises:
        StaleVersion: the stored row is not exactly one version behind.
    """
    run, table = change.state, tables.provisioning_run
    # Waits are counted on the database's clock: the one all processes share.
    rest = timedelta(seconds=wait_seconds(run.attempts - 1) if run.attempts else 0)
    written = await tx.execute(
        update(table)
        .where(table.c.run_id == run.run_id)
        .where(table.c.version == run.version - 1)
        .values(**_values(run), due_at=func.now() + rest)
    )
    if written.rowcount != 1:
        raise StaleVersion(f"provisioning run {run.run_id} is not at {run.version - 1}")
    audit.touch(tx, run.run_id, engagement_id=run.terms.engagement_id)
    await _tell_people(tx, run)
    await outbox.append(tx, map(wire.write_event, change.events))


async def due(tx: AsyncConnection, *, size: int) -> Sequence[Run]:
    """Return runs whose next step is due, at most `size`, the longest waiting first."""
    table = tables.provisioning_run
    query = (
        select(table)
        .where(table.c.state.in_(UNDER_WAY))
        .where(table.c.due_at <= func.now())
        .order_by(table.c.due_at)
        .limit(size)
    )
    return [run_from(row) for row in await tx.execute(query)]


async def _tell_people(tx: AsyncConnection, run: Run) -> None:
    blocker = run.blocker
    if blocker is None:
        if run.state in _PAST_A_PAUSE:
            await exceptions.close(tx, EXCEPTION_KIND, [run.run_id])
        return
    await exceptions.open_(
        tx,
        EXCEPTION_KIND,
        run.run_id,
        blocker.code,
        blocker.owner,
        blocker.advice,
        legal_entity_id=run.terms.legal_entity_id,
        engagement_id=run.terms.engagement_id,
        detail={"contract": run.terms.contract_number},
    )


def _values(run: Run) -> dict[str, Any]:
    blocker = run.blocker
    return {
        "version": run.version,
        "state": run.state,
        "pins": dict(run.pins),
        "checks": [asdict(check) for check in run.checks],
        "reason": blocker.code if blocker else None,
        "owner": blocker.owner if blocker else None,
        "attempts": run.attempts,
        "project_id": run.project_id,
        "cancellation_reason": run.cancellation_reason,
        "changed_at": run.changed_at,
    }


def run_from(row: Row[Any]) -> Run:
    """Return the run a row holds."""
    return Run(
        run_id=row.run_id,
        version=row.version,
        state=RunState(row.state),
        terms=wire.read_terms(contract_pb2.Contract.FromString(row.contract)),
        pins=row.pins,
        checks=tuple(Check(**check) for check in row.checks),
        attempts=row.attempts,
        project_id=row.project_id,
        received_at=row.received_at,
        changed_at=row.changed_at,
        cancellation_reason=row.cancellation_reason,
    )
