"""Letting somebody decide in another's place, and ending that."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.domain import delegation as domain
from project_provisioning.domain.delegation import Delegation
from project_provisioning.repository import delegation as repository
from throughline_runtime.identity import require_entity


async def delegate(
    tx: AsyncConnection, delegation: Delegation, *, by: str, is_pmo: bool
) -> Delegation:
    """Let somebody decide in another's place.

    Raises:
        DelegationToSelf, DelegationDatesReversed, DelegationNotOwn, DelegationOverlap,
        EntityForbidden.
    """
    if delegation.legal_entity_id is not None:
        require_entity(delegation.legal_entity_id)
    others = await repository.between(tx, delegation.delegator, delegation.delegate)
    made = domain.delegate(delegation, by=by, is_pmo=is_pmo, others=others)
    await repository.add(tx, made)
    return made


async def revoke(
    tx: AsyncConnection, delegation_id: UUID, *, by: str, is_pmo: bool, at: datetime
) -> Delegation:
    """End a delegation now.

    Raises:
        DelegationNotFound, DelegationNotOwn, DelegationEnded, EntityForbidden.
    """
    delegation = await repository.get(tx, delegation_id)
    if delegation.legal_entity_id is not None:
        require_entity(delegation.legal_entity_id)
    revoked = domain.revoke(delegation, by=by, is_pmo=is_pmo, at=at)
    await repository.save(tx, revoked)
    return revoked
