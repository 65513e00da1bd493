"""Delegations as rows, and who a subject may stand in for."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, insert, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.delegation import (
    Delegation,
    DelegationNotFound,
    DelegationScope,
    Judge,
)
from throughline_core.errors import StaleVersion
from throughline_runtime import audit

_table = tables.delegation
# Two delegations between the same two at once might overlap.
_SERIALISE: Final = text("SELECT pg_advisory_xact_lock(hashtextextended(:pair, 0))")


async def judge_of(
    tx: AsyncConnection, subject: str, *, is_pmo: bool, scope: DelegationScope, on: date
) -> Judge:
    """Return a subject as one who decides, with the places it is in on a day: one query."""
    query = (
        select(_table)
        .where(_table.c.delegate == subject, _table.c.revoked_at.is_(None))
        .where(_table.c.starts_on <= on, _table.c.ends_on > on)
        .where(or_(_table.c.scope == scope, _table.c.scope == DelegationScope.ALL))
        .order_by(_table.c.delegation_id)
    )
    rows = await tx.execute(query)
    return Judge(subject, is_pmo, tuple(map(delegation_from, rows)))


async def between(tx: AsyncConnection, delegator: str, delegate: str) -> Sequence[Delegation]:
    """Return what is delegated between two; nobody else adds to it before this transaction ends."""
    await tx.execute(_SERIALISE, {"pair": f"delegation {delegator}\x1f{delegate}"})
    query = select(_table).where(
        _table.c.delegator == delegator,
        _table.c.delegate == delegate,
        _table.c.revoked_at.is_(None),
    )
    return list(map(delegation_from, await tx.execute(query)))


async def get(tx: AsyncConnection, delegation_id: UUID) -> Delegation:
    """Return a delegation, locked until the transaction ends.

    Raises:
        DelegationNotFound: there is none.
    """
    query = select(_table).where(_table.c.delegation_id == delegation_id).with_for_update()
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise DelegationNotFound(f"no delegation {delegation_id}", field="delegation_id")
    return delegation_from(row)


async def add(tx: AsyncConnection, delegation: Delegation) -> None:
    """Write a new delegation."""
    await tx.execute(insert(_table).values(**_values(delegation)))
    audit.touch(tx, delegation.delegation_id)


async def save(tx: AsyncConnection, delegation: Delegation) -> None:
    """Write that a delegation was ended.

    Raises:
        StaleVersion: the stored row is not exactly one version behind.
    """
    written = await tx.execute(
        update(_table)
        .where(_table.c.delegation_id == delegation.delegation_id)
        .where(_table.c.version == delegation.version - 1)
        .values(**_values(delegation))
    )
    if written.rowcount != 1:
        raise StaleVersion(f"delegation {delegation.delegation_id} was changed by somebody else")
    audit.touch(tx, delegation.delegation_id)


def delegation_from(row: Row[Any]) -> Delegation:
    """Return the delegation a row holds."""
    return Delegation(
        delegation_id=row.delegation_id,
        version=row.version,
        delegator=row.delegator,
        delegate=row.delegate,
        scope=DelegationScope(row.scope),
        by_pmo=row.by_pmo,
        legal_entity_id=row.legal_entity_id,
        starts_on=row.starts_on,
        ends_on=row.ends_on,
        reason=row.reason,
        created_by=row.created_by,
        created_at=row.created_at,
        revoked_by=row.revoked_by or "",
        revoked_at=row.revoked_at,
    )


def _values(delegation: Delegation) -> dict[str, Any]:
    return {
        "delegation_id": delegation.delegation_id,
        "version": delegation.version,
        "delegator": delegation.delegator,
        "delegate": delegation.delegate,
        "scope": delegation.scope,
        "by_pmo": delegation.by_pmo,
        "legal_entity_id": delegation.legal_entity_id,
        "starts_on": delegation.starts_on,
        "ends_on": delegation.ends_on,
        "reason": delegation.reason,
        "created_by": delegation.created_by,
        "created_at": delegation.created_at,
        "revoked_by": delegation.revoked_by or None,
        "revoked_at": delegation.revoked_at,
    }
