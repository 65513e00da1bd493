"""Lists of callbacks and crosswalk links, and the control totals."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from connectors import tables
from throughline.common.v1 import source_pb2
from throughline.connectors.v1 import crosswalk_pb2
from throughline.connectors.v1 import webhook_service_pb2 as webhook_pb
from throughline_runtime.fields import write_instant
from throughline_runtime.totals import ControlTotal


async def webhooks(
    tx: AsyncConnection,
    *,
    after: tuple[datetime, UUID] | None,
    page_size: int,
    provider: str,
    status: str | None,
    entities: frozenset[UUID] | None,
) -> list[tuple[tuple[datetime, UUID], webhook_pb.Webhook]]:
    """Return callbacks with their keys, newest first, at most `page_size` past `after`."""
    table = tables.webhook
    query = select(table).order_by(table.c.received_at.desc(), table.c.webhook_id.desc())
    if after is not None:
        query = query.where(tuple_(table.c.received_at, table.c.webhook_id) < after)
    if provider:
        query = query.where(table.c.provider == provider)
    if status is not None:
        query = query.where(table.c.status == status)
    query = _limited(query, table.c.connection, entities)
    return [
        (
            (row.received_at, row.webhook_id),
            webhook_pb.Webhook(
                provider=row.provider,
                event_id=row.event_id,
                event_type=row.event_type,
                status=webhook_pb.WebhookStatus.Value(f"WEBHOOK_STATUS_{row.status.upper()}"),
                deliveries=row.deliveries,
                received_at=write_instant(row.received_at),
                reason=row.reason,
            ),
        )
        for row in await tx.execute(query.limit(page_size))
    ]


async def crosswalk_links(
    tx: AsyncConnection,
    *,
    after: tuple[datetime, UUID] | None,
    page_size: int,
    system: str,
    source_object_id: str,
    object_id: UUID | None,
    entities: frozenset[UUID] | None,
) -> list[tuple[tuple[datetime, UUID], crosswalk_pb2.CrosswalkLink]]:
    """Return links with their keys, newest first, at most `page_size` past `after`."""
    table = tables.crosswalk_link
    query = select(table).order_by(table.c.linked_at.desc(), table.c.crosswalk_link_id.desc())
    if after is not None:
        query = query.where(tuple_(table.c.linked_at, table.c.crosswalk_link_id) < after)
    if system:
        query = query.where(table.c.system == system)
    if source_object_id:
        query = query.where(table.c.source_object_id == source_object_id)
    if object_id is not None:
        query = query.where(table.c.object_id == object_id)
    query = _limited(query, table.c.system, entities)
    return [
        (
            (row.linked_at, row.crosswalk_link_id),
            crosswalk_pb2.CrosswalkLink(
                crosswalk_link_id=str(row.crosswalk_link_id),
                source=source_pb2.SourceRef(
                    system=row.system,
                    object_type=row.object_type,
                    object_id=row.source_object_id,
                ),
                object_kind=row.object_kind,
                object_id=str(row.object_id),
                linked_at=write_instant(row.linked_at),
            ),
        )
        for row in await tx.execute(query.limit(page_size))
    ]


def _limited(
    query: Select[Any], name: ColumnElement[str], entities: frozenset[UUID] | None
) -> Select[Any]:
    """Leave out what came through connections of other legal entities."""
    if entities is None:
        return query
    table = tables.connection
    others = select(table.c.name).where(table.c.legal_entity_id.not_in(entities))
    return query.where(name.not_in(others))


async def control_totals(tx: AsyncConnection) -> list[ControlTotal]:
    """Return how many links and callbacks there are, by what became of them."""
    links = await tx.scalar(select(func.count()).select_from(tables.crosswalk_link))
    table = tables.webhook
    states = await tx.execute(
        select(table.c.status, func.count().label("callbacks")).group_by(table.c.status)
    )
    return [
        ControlTotal("crosswalk", {"links": links or 0}),
        ControlTotal("webhooks", {row.status: row.callbacks for row in states}),
    ]
