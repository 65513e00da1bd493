"""Lock dates, and what moved them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.lock import LockNotFound, PeriodLock
from project_provisioning.domain.person import Sight
from project_provisioning.queries.paging import by_id, cut, within
from project_provisioning.repository.lock import lock_from
from throughline_runtime.fields import read_decimal
from throughline_runtime.page import Page

_lock, _change = tables.period_lock, tables.period_lock_change


async def get_lock(tx: AsyncConnection, legal_entity_id: UUID) -> PeriodLock:
    """Return a company's lock date.

    Raises:
        LockNotFound: nothing was ever locked for it.
    """
    query = select(_lock).where(_lock.c.legal_entity_id == legal_entity_id)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise LockNotFound(f"nothing is locked for {legal_entity_id}", field="legal_entity_id")
    return lock_from(row)


async def locks(tx: AsyncConnection, *, sight: Sight, page: Page) -> tuple[list[PeriodLock], str]:
    """Return lock dates by company, and the next page's token."""
    query = by_id(
        within(select(_lock), _lock.c.legal_entity_id, sight), _lock.c.legal_entity_id, page
    )
    kept, token = cut((await tx.execute(query)).all(), page, lambda row: row.legal_entity_id)
    return list(map(lock_from, kept)), token


async def changes(
    tx: AsyncConnection, legal_entity_id: UUID, *, page: Page
) -> tuple[Sequence[Row[Any]], str]:
    """Return what moved a company's lock date, latest first, and the next page's token."""
    query = select(_change).where(_change.c.legal_entity_id == legal_entity_id)
    if page.after is not None:
        before = read_decimal("page_token", page.after[0], places=0)
        query = query.where(_change.c.version < before)
    query = query.order_by(_change.c.version.desc()).limit(page.size + 1)
    return cut((await tx.execute(query)).all(), page, lambda row: row.version)
