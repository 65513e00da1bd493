"""Corrections of approved time, and the entries they made."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Row, Select, Uuid, any_, bindparam, exists, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.correction import (
    Correction,
    CorrectionKind,
    CorrectionNotFound,
)
from project_provisioning.domain.person import Sight
from project_provisioning.queries.paging import cut, latest_first
from project_provisioning.repository.correction import correction_from
from project_provisioning.repository.time_entry import ENTRY_COLUMNS
from throughline_runtime.page import Page

_table, _entry, _person = tables.time_correction, tables.time_entry, tables.person


async def get_correction(
    tx: AsyncConnection, time_correction_id: UUID, sight: Sight
) -> tuple[Correction, Sequence[Row[Any]]]:
    """Return a correction with its entries: each reversal, then what replaces it.

    Raises:
        CorrectionNotFound: there is none the caller may see.
    """
    query = _seen(select(_table), sight).where(_table.c.time_correction_id == time_correction_id)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise CorrectionNotFound(
            f"no time correction {time_correction_id}", field="time_correction_id"
        )
    corrected = func.coalesce(_entry.c.reverses_time_entry_id, _entry.c.replaces_time_entry_id)
    entries = (
        select(*ENTRY_COLUMNS)
        .join(_person, _person.c.person_id == _entry.c.person_id)
        .where(_entry.c.time_correction_id == time_correction_id)
        .order_by(corrected, _entry.c.minutes)
    )
    return correction_from(row), (await tx.execute(entries)).all()


async def corrections(
    tx: AsyncConnection,
    *,
    legal_entity_id: UUID | None,
    kind: CorrectionKind | None,
    person_id: UUID | None,
    project_id: UUID | None,
    sight: Sight,
    page: Page,
) -> tuple[list[Correction], str]:
    """Return corrections, latest first, and the next page's token."""
    query = _seen(select(_table), sight)
    if legal_entity_id is not None:
        query = query.where(literal(legal_entity_id, Uuid) == any_(_table.c.legal_entity_ids))
    if kind is not None:
        query = query.where(_table.c.kind == kind)
    for column, wanted in ((_entry.c.person_id, person_id), (_entry.c.project_id, project_id)):
        if wanted is not None:
            query = query.where(
                exists().where(
                    _entry.c.time_correction_id == _table.c.time_correction_id, column == wanted
                )
            )
    rows = await tx.execute(
        latest_first(query, _table.c.corrected_at, _table.c.time_correction_id, page)
    )
    kept, token = cut(rows.all(), page, lambda row: row.time_correction_id)
    return list(map(correction_from, kept)), token


def _seen(query: Select[Any], sight: Sight) -> Select[Any]:
    """Limit a query to corrections that concern none but the companies the caller may see."""
    if sight.entities is None:
        return query
    entities = bindparam("entities", sorted(sight.entities), type_=ARRAY(Uuid))
    return query.where(_table.c.legal_entity_ids.bool_op("<@")(entities))
