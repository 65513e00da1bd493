"""Commands on legal entities."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date

from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract.domain import legal_entity as domain
from customer_contract.domain.legal_entity import EntityProfile, LegalEntity
from customer_contract.domain.values import LegalEntityId
from customer_contract.domain.versions import require_version
from customer_contract.repository import legal_entity as repository
from throughline_runtime.identity import current_caller, require_entity, require_every_entity
from throughline_runtime.ids import new_id


async def create(
    tx: AsyncConnection, *, code: str, currency: str, profile: EntityProfile
) -> LegalEntity:
    """Record a company of the firm and announce `LegalEntityRecorded`.

    Raises:
        InvalidArgument: see `domain.record`.
        CodeTaken: another company has the code.
        EntityForbidden: the caller is limited to companies that exist already.
    """
    require_every_entity()
    change = domain.record(LegalEntityId(new_id()), code=code, currency=currency, profile=profile)
    await repository.add(tx, change)
    return change.state


async def update(
    tx: AsyncConnection,
    legal_entity_id: LegalEntityId,
    profile: EntityProfile,
    *,
    version: int,
    keeps_details: bool,
) -> LegalEntity:
    """Replace what may be edited and announce `LegalEntityRecorded`, if anything differs.

    `keeps_details`: the profile says nothing about them, and what is known stays.

    Raises:
        LegalEntityNotFound, EntityForbidden, StaleVersion: the company.
        InvalidArgument: see `domain.revise`.
    """
    require_entity(legal_entity_id)
    entity = await repository.get(tx, legal_entity_id)
    require_version(entity.version, version)
    if keeps_details:
        profile = replace(profile, details=entity.profile.details)
    change = domain.revise(entity, profile)
    if change.events:
        await repository.save(tx, change, moved_by=current_caller().subject)
    return change.state


async def close_period(
    tx: AsyncConnection,
    legal_entity_id: LegalEntityId,
    closed_through: date | None,
    *,
    reason: str,
    version: int,
    today: Callable[[str], date],
) -> LegalEntity:
    """Move the last closed day and announce `LegalEntityRecorded`, if it differs.

    Raises:
        LegalEntityNotFound, EntityForbidden, StaleVersion: the company.
        PeriodNotOver, ReasonMissing: see `domain.close_period`.
    """
    require_entity(legal_entity_id)
    entity = await repository.get(tx, legal_entity_id)
    require_version(entity.version, version)
    change = domain.close_period(
        entity, closed_through, reason=reason, today=today(entity.profile.time_zone)
    )
    if change.events:
        await repository.save(tx, change, moved_by=current_caller().subject)
    return change.state
