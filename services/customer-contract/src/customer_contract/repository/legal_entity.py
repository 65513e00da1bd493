"""Legal entities."""

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import Row, bindparam, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract import tables
from customer_contract.domain.legal_entity import (
    EntityDetails,
    EntityProfile,
    LegalEntity,
    LegalEntityEvent,
    PeriodClosed,
)
from customer_contract.domain.values import LegalEntityId
from customer_contract.repository.columns import address_columns, address_from
from customer_contract.repository.party_details import registration_columns, registrations_from
from customer_contract.wire import legal_entity as wire
from throughline_core.change import Change
from throughline_core.errors import AlreadyExists, NotFound, StaleVersion
from throughline_runtime import outbox

_GET: Final = select(tables.legal_entity).where(
    tables.legal_entity.c.legal_entity_id == bindparam("legal_entity_id")
)


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
    row = (await tx.execute(_GET, {"legal_entity_id": legal_entity_id})).one_or_none()
    if row is None:
        raise missing(legal_entity_id)
    return legal_entity_from(row)


async def hold_open(tx: AsyncConnection, legal_entity_id: LegalEntityId) -> LegalEntity:
    """Return the legal entity, whose periods nobody closes until the transaction ends.

    Raises:
        LegalEntityNotFound: there is none.
    """
    found = await tx.execute(_GET.with_for_update(read=True), {"legal_entity_id": legal_entity_id})
    row = found.one_or_none()
    if row is None:
        raise missing(legal_entity_id)
    return legal_entity_from(row)


async def known(
    tx: AsyncConnection, legal_entity_ids: Collection[LegalEntityId]
) -> frozenset[LegalEntityId]:
    """Return those of the ids that are a legal entity's."""
    table = tables.legal_entity
    query = select(table.c.legal_entity_id).where(table.c.legal_entity_id.in_(legal_entity_ids))
    return frozenset((await tx.execute(query)).scalars())


def missing(
    legal_entity_id: LegalEntityId, *, field: str = "legal_entity_id"
) -> LegalEntityNotFound:
    """Return the refusal of an id that is no legal entity's."""
    return LegalEntityNotFound(f"there is no legal entity {legal_entity_id}", field=field)


async def add(tx: AsyncConnection, change: Change[LegalEntity, LegalEntityEvent]) -> None:
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


async def save(
    tx: AsyncConnection, change: Change[LegalEntity, LegalEntityEvent], *, moved_by: str
) -> None:
    """Write the new state and queue its events, or neither; `moved_by` is on record for closing.

    Raises:
        StaleVersion: the stored row is not exactly one version behind.
    """
    entity, table = change.state, tables.legal_entity
    written = await tx.execute(
        update(table)
        .where(table.c.legal_entity_id == entity.legal_entity_id)
        .where(table.c.version == entity.version - 1)
        .values(
            version=entity.version,
            closed_through=entity.closed_through,
            **_profile_columns(entity.profile),
        )
    )
    if written.rowcount != 1:
        raise StaleVersion(f"legal entity {entity.code} is not at {entity.version - 1}")
    for event in change.events:
        if isinstance(event, PeriodClosed):
            await _note_closing(tx, event, moved_by)
    await outbox.append(tx, map(wire.write_event, change.events))


async def _note_closing(tx: AsyncConnection, event: PeriodClosed, moved_by: str) -> None:
    await tx.execute(
        insert(tables.period_close_move).values(
            legal_entity_id=event.entity.legal_entity_id,
            version=event.entity.version,
            closed_through=event.entity.closed_through,
            reason=event.reason,
            moved_by=moved_by,
        )
    )


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
            details=EntityDetails(
                holiday_country=row.holiday_country,
                holiday_subdivision=row.holiday_subdivision,
                working_days=tuple(row.working_days),
                registrations=registrations_from(row.tax_registrations),
                fiscal_year_start_month=row.fiscal_year_start_month,
            ),
        ),
        closed_through=row.closed_through,
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
        "holiday_country": profile.details.holiday_country,
        "holiday_subdivision": profile.details.holiday_subdivision,
        "working_days": list(profile.details.working_days),
        "tax_registrations": registration_columns(profile.details.registrations),
        "fiscal_year_start_month": profile.details.fiscal_year_start_month,
    }
