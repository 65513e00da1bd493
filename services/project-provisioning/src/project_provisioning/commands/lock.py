"""Lock dates."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.domain import lock as domain
from project_provisioning.domain.lock import LockNotFound, PeriodLock
from project_provisioning.repository import lock as repository
from throughline_runtime.identity import require_entity


async def set_lock_date(
    tx: AsyncConnection,
    legal_entity_id: UUID,
    *,
    open_from: date,
    reason: str,
    by: str,
    at: datetime,
) -> PeriodLock:
    """Lock what is dated before a day.

    Raises:
        EntityForbidden, LockNotAhead, StaleVersion.
    """
    require_entity(legal_entity_id)
    lock = await repository.find(tx, legal_entity_id)
    change = domain.close_before(
        lock, legal_entity_id, open_from=open_from, reason=reason, by=by, at=at
    )
    await repository.save(tx, change)
    return change.state


async def reopen_period(
    tx: AsyncConnection,
    legal_entity_id: UUID,
    *,
    open_from: date,
    reason: str,
    by: str,
    at: datetime,
) -> PeriodLock:
    """Open what is dated from a day on again.

    Raises:
        EntityForbidden, LockNotFound, LockNotBack, StaleVersion.
    """
    require_entity(legal_entity_id)
    lock = await repository.find(tx, legal_entity_id)
    if lock is None:
        raise LockNotFound(f"nothing is locked for {legal_entity_id}", field="legal_entity_id")
    change = domain.reopen_from(lock, open_from=open_from, reason=reason, by=by, at=at)
    await repository.save(tx, change)
    return change.state
