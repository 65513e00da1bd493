"""Invoice runs."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment import tables
from invoice_payment.domain.run import WORKING, InvoiceRun, Progress, RunStatus
from throughline_core.errors import NotFound, StaleVersion
from throughline_runtime import audit

LEFT_OUT: Final = "invoice_run.left_out"
"""Kind of the exception a contract, or an invoice, that a run could not take along opens."""

# A later run that leaves a contract out as well has taken its exception over.
_LEFT_OUT_OF: Final = text("""
    SELECT subject_id FROM exception_item
    WHERE kind = :kind AND closed_at IS NULL AND detail ->> 'run_id' = :run_id
""")


class RunNotFound(NotFound):
    """No such run."""

    code = "invoice_run.not_found"


class RunMovedOn(StaleVersion):
    """The run was stopped while a chunk of it was worked on; the chunk has no effect."""

    code = "invoice_run.moved_on"


async def add(tx: AsyncConnection, run: InvoiceRun) -> InvoiceRun:
    """Store a new run, or return the one that exists for its entity, cut-off and key."""
    table = tables.invoice_run
    values = {
        "run_id": run.run_id,
        "version": run.version,
        "legal_entity_id": run.legal_entity_id,
        "cut_off": run.cut_off,
        "run_key": run.run_key,
        "contract_ids": list(run.contract_ids),
        "status": run.status,
        "started_by": run.started_by,
        "started_at": run.started_at,
        "approved_by": run.approved_by,
        **asdict(run.progress),
    }
    await tx.execute(insert(table).values(values).on_conflict_do_nothing())
    query = select(table).where(
        table.c.legal_entity_id == run.legal_entity_id,
        table.c.cut_off == run.cut_off,
        table.c.run_key == run.run_key,
    )
    found = run_from((await tx.execute(query)).one())
    audit.touch(tx, found.run_id)
    return found


async def get(tx: AsyncConnection, run_id: UUID, *, lock: bool = False) -> InvoiceRun:
    """Return a run; with `lock` no chunk of it commits before this transaction.

    Raises:
        RunNotFound: there is none.
    """
    table = tables.invoice_run
    query = select(table).where(table.c.run_id == run_id)
    row = (await tx.execute(query.with_for_update() if lock else query)).one_or_none()
    if row is None:
        raise RunNotFound(f"invoice run {run_id} does not exist", field="run_id")
    return run_from(row)


async def left_out(tx: AsyncConnection, run_id: UUID) -> Sequence[UUID]:
    """Return the contracts and invoices whose open exceptions say that this run left them out."""
    values = {"kind": LEFT_OUT, "run_id": str(run_id)}
    return list((await tx.execute(_LEFT_OUT_OF, values)).scalars())


async def working(tx: AsyncConnection) -> Sequence[InvoiceRun]:
    """Return the runs that draft, approve or issue, oldest first."""
    table = tables.invoice_run
    query = select(table).where(table.c.status.in_(WORKING)).order_by(table.c.run_id)
    return [run_from(row) for row in await tx.execute(query)]


async def save(tx: AsyncConnection, run: InvoiceRun) -> None:
    """Write the new status of a run, which the caller has locked, and where it goes on.

    Raises:
        StaleVersion: the stored row is not exactly one version behind.
    """
    table = tables.invoice_run
    written = await tx.execute(
        update(table)
        .where(table.c.run_id == run.run_id, table.c.version == run.version - 1)
        .values(
            version=run.version,
            status=run.status,
            approved_by=run.approved_by,
            finished_at=run.finished_at,
            cursor=run.cursor,
            retried_contract_ids=_stored(run.retried_contract_ids),
            contracts_failed=run.progress.contracts_failed,
        )
    )
    audit.touch(tx, run.run_id)
    if written.rowcount != 1:
        raise StaleVersion(f"invoice run {run.run_id} is not at version {run.version - 1}")


async def count(
    tx: AsyncConnection, run: InvoiceRun, done: Progress, *, cursor: UUID | None
) -> None:
    """Add what a chunk did, as the last thing its transaction does.

    Raises:
        RunMovedOn: the run is no longer in the status it was when the chunk began.
    """
    table = tables.invoice_run
    sums = {name: table.c[name] + figure for name, figure in asdict(done).items()}
    written = await tx.execute(
        update(table)
        .where(table.c.run_id == run.run_id, table.c.version == run.version)
        .values(cursor=cursor, **sums)
    )
    if written.rowcount != 1:
        raise RunMovedOn(f"invoice run {run.run_id} is no longer {run.status}")


def run_from(row: Row[Any]) -> InvoiceRun:
    """Return the run a row of its table holds."""
    progress = Progress(**{name: getattr(row, name) for name in Progress.__dataclass_fields__})
    run = InvoiceRun(
        run_id=row.run_id,
        version=row.version,
        legal_entity_id=row.legal_entity_id,
        cut_off=row.cut_off,
        run_key=row.run_key,
        contract_ids=tuple(row.contract_ids),
        status=RunStatus(row.status),
        started_by=row.started_by,
        started_at=row.started_at,
        approved_by=row.approved_by,
        finished_at=row.finished_at,
        cursor=row.cursor,
    )
    retried = row.retried_contract_ids
    return replace(
        run,
        progress=progress,
        retried_contract_ids=None if retried is None else tuple(retried),
    )


def _stored(ids: tuple[UUID, ...] | None) -> list[UUID] | None:
    return None if ids is None else list(ids)
