"""Hand-overs, and what projects followed."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Row, Uuid, and_, cast, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.following import ChangeKind
from project_provisioning.domain.handover import Handover, HandoverNotFound, HandoverStatus
from project_provisioning.queries.paging import after, cut
from project_provisioning.repository.handover import handover_from
from throughline_runtime.page import Page

_handover, _change = tables.manager_handover, tables.project_change


async def get_handover(
    tx: AsyncConnection, handover_id: UUID, entities: frozenset[UUID] | None
) -> Handover:
    """Return a hand-over.

    Raises:
        HandoverNotFound: there is none the caller may see.
    """
    query = select(_handover).where(_handover.c.handover_id == handover_id)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise HandoverNotFound(f"no hand-over {handover_id}", field="handover_id")
    found = handover_from(row)
    require_visible(found, entities)
    return found


async def handovers(
    tx: AsyncConnection,
    *,
    status: HandoverStatus | None,
    person_id: UUID | None,
    entities: frozenset[UUID] | None,
    page: Page,
) -> tuple[list[Handover], str]:
    """Return hand-overs, latest first, and the next page's token."""
    query = select(_handover)
    if status is not None:
        query = query.where(_handover.c.status == status)
    if person_id is not None:
        query = query.where(
            or_(_handover.c.from_person_id == person_id, _handover.c.to_person_id == person_id)
        )
    if entities is not None:
        query = query.where(_is_within(entities))
    if page.after is not None:
        query = query.where(_handover.c.handover_id < after(page))
    query = query.order_by(_handover.c.handover_id.desc()).limit(page.size + 1)
    kept, token = cut((await tx.execute(query)).all(), page, lambda row: row.handover_id)
    return list(map(handover_from, kept)), token


async def changes(
    tx: AsyncConnection,
    project_id: UUID,
    *,
    kind: ChangeKind | None,
    subject_id: UUID | None,
    page: Page,
) -> tuple[Sequence[Row[Any]], str]:
    """Return what a project followed, latest first, and the next page's token."""
    query = select(_change).where(_change.c.project_id == project_id)
    if kind is not None:
        query = query.where(_change.c.kind == kind)
    if subject_id is not None:
        query = query.where(_change.c.subject_id == subject_id)
    if page.after is not None:
        query = query.where(_change.c.project_change_id < after(page))
    query = query.order_by(_change.c.project_change_id.desc()).limit(page.size + 1)
    return cut((await tx.execute(query)).all(), page, lambda row: row.project_change_id)


def require_visible(handover: Handover, entities: frozenset[UUID] | None) -> None:
    """Refuse a hand-over that reaches beyond the legal entities the caller is limited to.

    Raises:
        HandoverNotFound: as if there were none.
    """
    if entities is None or handover.wish.legal_entity_id in entities:
        return
    asked = handover.wish.entities
    if asked is None or not asked <= entities:
        raise HandoverNotFound(f"no hand-over {handover.handover_id}", field="handover_id")


def _is_within(entities: frozenset[UUID]) -> ColumnElement[bool]:
    return or_(
        _handover.c.legal_entity_id.in_(entities),
        and_(
            _handover.c.entities.is_not(None),
            _handover.c.entities.op("<@")(cast(sorted(entities), ARRAY(Uuid))),
        ),
    )
