"""Lock dates as rows: one for each company that ever locked, and every move of it."""

from collections.abc import Collection, Iterable, Mapping
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain import lock as domain
from project_provisioning.domain.lock import LockChange, PeriodLock
from throughline_core.errors import StaleVersion
from throughline_runtime import audit


async def open_from(tx: AsyncConnection, legal_entity_ids: Iterable[UUID]) -> Mapping[UUID, date]:
    """Return the first open day of those companies that lock at all: one query.

    The rows are locked for share, so that nobody moves a lock date before this transaction ends.
    """
    table = tables.period_lock
    query = (
        select(table.c.legal_entity_id, table.c.open_from)
        .where(table.c.legal_entity_id.in_(set(legal_entity_ids)))
        .order_by(table.c.legal_entity_id)
        .with_for_update(read=True)
    )
    return {row.legal_entity_id: row.open_from for row in await tx.execute(query)}


async def require_open(
    tx: AsyncConnection, days: Collection[tuple[UUID, date]], *, field: str
) -> None:
    """Refuse if a day of a company is locked.

    Raises:
        PeriodLocked: names the first such day.
    """
    found = await open_from(tx, {legal_entity_id for legal_entity_id, _ in days})
    domain.require_open(found, sorted(days), field=field)


async def find(tx: AsyncConnection, legal_entity_id: UUID) -> PeriodLock | None:
    """Return a company's lock, held until the transaction ends; None where it never locked."""
    table = tables.period_lock
    query = select(table).where(table.c.legal_entity_id == legal_entity_id).with_for_update()
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else lock_from(row)


async def save(tx: AsyncConnection, change: LockChange) -> None:
    """Write the lock and what moved it.

    Raises:
        StaleVersion: another writer moved it first.
    """
    lock, table = change.state, tables.period_lock
    values = {
        "version": lock.version,
        "open_from": lock.open_from,
        "changed_by": lock.changed_by,
        "changed_at": lock.changed_at,
    }
    statement = upsert(table).values(legal_entity_id=lock.legal_entity_id, **values)
    written = await tx.execute(
        statement.on_conflict_do_update(
            index_elements=["legal_entity_id"],
            set_=values,
            where=table.c.version == lock.version - 1,
        )
    )
    if written.rowcount != 1:
        raise StaleVersion(f"the lock of {lock.legal_entity_id} is not at {lock.version - 1}")
    rows = [
        {
            "legal_entity_id": lock.legal_entity_id,
            **values,
            "reopened": event.reopened,
            "reason": event.reason,
        }
        for event in change.events
    ]
    await tx.execute(insert(tables.period_lock_change), rows)
    audit.touch(tx, lock.legal_entity_id)


def lock_from(row: Row[Any]) -> PeriodLock:
    """Return the lock a row holds."""
    return PeriodLock(
        row.legal_entity_id, row.version, row.open_from, row.changed_by, row.changed_at
    )
