"""The firm's companies as rows, as customer-contract last told of them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.legal_entity import LegalEntity

_FIELDS = (
    "version",
    "code",
    "currency",
    "time_zone",
    "country",
    "holiday_country",
    "holiday_subdivision",
    "working_days",
    "name",
    "closed_through",
)


async def keep(tx: AsyncConnection, entities: Sequence[LegalEntity]) -> Sequence[UUID]:
    """Keep companies, unless a newer version is kept already; return those that were news.

    Each of them comes once.
    """
    table = tables.legal_entity
    statement = insert(table).values(
        [
            {
                "legal_entity_id": entity.legal_entity_id,
                **{field: getattr(entity, field) for field in _FIELDS},
            }
            for entity in sorted(entities, key=lambda entity: entity.legal_entity_id)
        ]
    )
    # A copy made before names were kept has none.
    kept = statement.on_conflict_do_update(
        index_elements=["legal_entity_id"],
        set_={field: statement.excluded[field] for field in _FIELDS},
        where=(table.c.version < statement.excluded.version)
        | ((table.c.version == statement.excluded.version) & (table.c.name == "")),
    )
    return list((await tx.execute(kept.returning(table.c.legal_entity_id))).scalars())


async def of(tx: AsyncConnection, legal_entity_ids: Iterable[UUID]) -> Mapping[UUID, LegalEntity]:
    """Return those of these companies that are known: one query."""
    table = tables.legal_entity
    query = select(table).where(table.c.legal_entity_id.in_(set(legal_entity_ids)))
    return {row.legal_entity_id: entity_from(row) for row in await tx.execute(query)}


async def countries(tx: AsyncConnection) -> Mapping[UUID, str]:
    """Return each known company's country."""
    table = tables.legal_entity
    rows = await tx.execute(select(table.c.legal_entity_id, table.c.country))
    return {row.legal_entity_id: row.country for row in rows}


def entity_from(row: Row[Any]) -> LegalEntity:
    return LegalEntity(
        legal_entity_id=row.legal_entity_id,
        version=row.version,
        code=row.code,
        currency=row.currency,
        time_zone=row.time_zone,
        country=row.country,
        holiday_country=row.holiday_country,
        holiday_subdivision=row.holiday_subdivision,
        working_days=tuple(row.working_days),
        name=row.name,
        closed_through=row.closed_through,
    )
