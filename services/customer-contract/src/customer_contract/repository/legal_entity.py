"""Legal entities."""

from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract import tables
from customer_contract.domain.legal_entity import EntityProfile, LegalEntity, LegalEntityRecorded
from customer_contract.domain.values import LegalEntityId
from customer_contract.repository.columns import address_columns, address_from
from customer_contract.wire import legal_entity as wire
from throughline_core.change import Change
from throughline_core.errors import AlreadyExists, NotFound, StaleVersion
from throughline_runtime import outbox


class LegalEntityNotFound(NotFound):
    """There is no legal entity of this id."""

    code = "legal_entity.not_found"


class CodeTaken(AlreadyExists):
    """Another legal entity has this code."""

    code = "legal_entity.code_taken"


async def get(tx: AsyncConnection, legal_entity_id: LegalEntityId) -> LegalEntity:
    """Return the legal entity.

    Raises:
        LegalEntityNotFound: there is none.
    """
    table = tables.legal_entity
    query = select(table).where(table.c.legal_entity_id == legal_entity_id)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise LegalEntityNotFound(
            f"there is no legal entity {legal_entity_id}", field="legal_entity_id"
        )
    return legal_entity_from(row)


async def add(tx: AsyncConnection, change: Change[LegalEntity, LegalEntityRecorded]) -> None:
    """Write a new legal entity and queue its events.

    Raises:
        CodeTaken: its code is another's.
    """
    entity = change.state
    values = {
        "legal_entity_id": entity.legal_entity_id,
        "version": entity.version,
        "code": entity.code,
        "currency": entity.currency,
        **_profile_columns(entity.profile),
    }
    written = await tx.execute(insert(tables.legal_entity).values(values).on_conflict_do_nothing())
    if written.rowcount != 1:
        raise CodeTaken(
            f"a legal entity has the code {entity.code}",
            field="code",
            advice="find that legal entity, or choose another code",
        )
    await outbox.append(tx, map(wire.write_event, change.events))


async def save(tx: AsyncConnection, change: Change[LegalEntity, LegalEntityRecorded]) -> None:
    """Write the new state and queue its events, or neither.

    Raises:
        StaleVersion: the stored row is not exactly one version behind.
    """
    entity, table = change.state, tables.legal_entity
    written = await tx.execute(
        update(table)
        .where(table.c.legal_entity_id == entity.legal_entity_id)
        .where(table.c.version == entity.version - 1)
        .values(version=entity.version, **_profile_columns(entity.profile))
    )
    if written.rowcount != 1:
        raise StaleVersion(f"legal entity {entity.code} is not at {entity.version - 1}")
    await outbox.append(tx, map(wire.write_event, change.events))


def legal_entity_from(row: Row[Any]) -> LegalEntity:
    return LegalEntity(
        legal_entity_id=LegalEntityId(row.legal_entity_id),
        version=row.version,
        code=row.code,
        currency=row.currency,
        profile=EntityProfile(
            name=row.name,
            time_zone=row.time_zone,
            address=address_from(row),
            tax_id=row.tax_id,
            registration=row.registration,
            iban=row.iban,
            bic=row.bic,
            billing_email=row.billing_email,
        ),
    )


def _profile_columns(profile: EntityProfile) -> dict[str, object]:
    return {
        "name": profile.name,
        "time_zone": profile.time_zone,
        **address_columns(profile.address),
        "tax_id": profile.tax_id,
        "registration": profile.registration,
        "iban": profile.iban,
        "bic": profile.bic,
        "billing_email": profile.billing_email,
    }
