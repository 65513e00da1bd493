"""Connections, their cursors, the crosswalk and stored callbacks, one row at a time."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, delete, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from connectors import domain, tables, wire
from connectors.domain import (
    LEASE,
    Callback,
    Connection,
    ConnectionNotFound,
    Link,
    Outcome,
    SyncState,
)
from throughline_core.errors import StaleVersion
from throughline_core.ids import derived_id
from throughline_runtime import audit, outbox

_LINK: Final = text("""
    INSERT INTO crosswalk_link (crosswalk_link_id, system, object_type, source_object_id,
                                object_kind, object_id, linked_at)
    SELECT *, now() FROM unnest(
        CAST(:ids AS uuid[]), CAST(:systems AS text[]), CAST(:types AS text[]),
        CAST(:source_ids AS text[]), CAST(:kinds AS text[]), CAST(:object_ids AS uuid[])
    )
    ON CONFLICT DO NOTHING
    RETURNING crosswalk_link_id
""")

# Leasing hands a callback to one worker; one that dies with it leaves it to the next after a while.
_LEASE: Final = text("""
    UPDATE webhook SET attempts = attempts + 1, due_at = :now + CAST(:lease AS interval)
    WHERE webhook_id IN (
        SELECT webhook_id FROM webhook WHERE status = 'received' AND due_at <= :now
        ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    RETURNING webhook_id, connection, body, attempts
""")

# One that could not be worked on is tried again when somebody has the vendor send it again.
_STORE: Final = text("""
    INSERT INTO webhook (webhook_id, provider, connection, event_id, event_type, body, status,
                         deliveries, due_at, received_at)
    VALUES (:webhook_id, :provider, :connection, :event_id, :event_type, :body, 'received', 1,
            :at, :at)
    ON CONFLICT (provider, event_id) DO UPDATE SET
        deliveries = webhook.deliveries + 1,
        status = CASE webhook.status WHEN 'failed' THEN 'received' ELSE webhook.status END,
        attempts = CASE webhook.status WHEN 'failed' THEN 0 ELSE webhook.attempts END,
        due_at = CASE webhook.status WHEN 'failed' THEN :at ELSE webhook.due_at END
    RETURNING deliveries
""")


async def get(
    tx: AsyncConnection, name: str, *, entities: frozenset[UUID] | None
) -> tuple[Connection, SyncState]:
    """Return a connection and how far it was read.

    Raises:
        ConnectionNotFound: there is none of this name that the caller may see.
    """
    found = await connections(tx, name=name, entities=entities)
    if not found:
        raise ConnectionNotFound(
            f"there is no connection {name}", field="name", advice="list them at /v1/connections"
        )
    return found[0]


async def connections(
    tx: AsyncConnection,
    *,
    name: str | None = None,
    vendor: str | None = None,
    after: str | None = None,
    limit: int | None = None,
    entities: frozenset[UUID] | None = None,
) -> list[tuple[Connection, SyncState]]:
    """Return connections by name.

    `entities` leaves those of other legal entities out; what belongs to none is everybody's.
    """
    table = tables.connection
    query = (
        select(table, tables.sync_state)
        .outerjoin_from(table, tables.sync_state, table.c.name == tables.sync_state.c.name)
        .order_by(table.c.name)
        .limit(limit)
    )
    if name is not None:
        query = query.where(table.c.name == name)
    if vendor is not None:
        query = query.where(table.c.vendor == vendor)
    if after is not None:
        query = query.where(table.c.name > after)
    if entities is not None:
        entity = table.c.legal_entity_id
        query = query.where(entity.is_(None) | entity.in_(entities))
    return [(connection_from(row), state_from(row)) for row in await tx.execute(query)]


def connection_from(row: Row[Any]) -> Connection:
    return Connection(
        name=row.name,
        vendor=row.vendor,
        base_url=row.base_url,
        client_id=row.client_id,
        secret_ref=row.secret_ref,
        enabled=row.enabled,
        legal_entity_id=row.legal_entity_id,
        mapping=row.mapping,
        poll_seconds=row.poll_seconds,
        version=row.version,
    )


def state_from(row: Row[Any]) -> SyncState:
    return SyncState(
        read_up_to=row.read_up_to,
        requested_at=row.requested_at,
        last_started_at=row.last_started_at,
        last_finished_at=row.last_finished_at,
        imported=row.imported or 0,
        unchanged=row.unchanged or 0,
        refused=row.refused or 0,
        last_error=row.last_error or "",
    )


async def put(tx: AsyncConnection, connection: Connection) -> None:
    """Write a connection that is one version ahead of the stored one, or new.

    Raises:
        StaleVersion: another writer was faster.
    """
    values = {
        "name": connection.name,
        "vendor": connection.vendor,
        "base_url": connection.base_url,
        "client_id": connection.client_id,
        "secret_ref": connection.secret_ref,
        "enabled": connection.enabled,
        "legal_entity_id": connection.legal_entity_id,
        "mapping": dict(connection.mapping),
        "poll_seconds": connection.poll_seconds,
        "version": connection.version,
    }
    statement = insert(tables.connection).values(values)
    written = await tx.execute(
        statement.on_conflict_do_update(
            index_elements=[tables.connection.c.name],
            set_={name: statement.excluded[name] for name in values if name != "name"},
            where=tables.connection.c.version == connection.version - 1,
        )
    )
    if written.rowcount != 1:
        raise StaleVersion(f"connection {connection.name} was changed by somebody else")
    await tx.execute(
        insert(tables.sync_state).values(name=connection.name).on_conflict_do_nothing()
    )
    touch(tx, connection.name)


def touch(tx: AsyncConnection, name: str) -> None:
    """Name a connection in the audit of what this transaction does."""
    audit.touch(tx, derived_id("connection", name))


async def mark_sync(tx: AsyncConnection, name: str, **values: Any) -> None:
    """Set columns of a connection's sync state."""
    table = tables.sync_state
    await tx.execute(update(table).where(table.c.name == name).values(**values))


async def link(tx: AsyncConnection, links: Sequence[Link]) -> None:
    """Record links and announce those that are new; known ones stay as they are."""
    found = {link.link_id: link for link in links}
    rows = await tx.execute(
        _LINK,
        {
            "ids": list(found),
            "systems": [link.system for link in found.values()],
            "types": [link.object_type for link in found.values()],
            "source_ids": [link.source_object_id for link in found.values()],
            "kinds": [link.object_kind for link in found.values()],
            "object_ids": [link.object_id for link in found.values()],
        },
    )
    await outbox.append(tx, [wire.write_linked(found[row.crosswalk_link_id]) for row in rows])


async def store(tx: AsyncConnection, callback: Callback, *, at: datetime) -> bool:
    """Store a callback; return whether it had been stored before."""
    stored = await tx.execute(
        _STORE,
        {
            "webhook_id": derived_id("webhook", callback.provider, callback.event_id),
            "connection": callback.connection,
            "provider": callback.provider,
            "event_id": callback.event_id,
            "event_type": callback.event_type,
            "body": callback.body,
            "at": at,
        },
    )
    return bool(stored.scalar_one() > 1)


async def lease(tx: AsyncConnection, *, now: datetime, limit: int) -> Sequence[Row[Any]]:
    """Take due callbacks for one worker, for a while."""
    rows = await tx.execute(_LEASE, {"now": now, "lease": LEASE, "limit": limit})
    return rows.all()


async def settle(tx: AsyncConnection, webhook_id: UUID, outcome: Outcome) -> None:
    """Write what became of a callback."""
    table = tables.webhook
    await tx.execute(
        update(table)
        .where(table.c.webhook_id == webhook_id)
        .values(status=outcome.status, reason=outcome.reason)
    )


async def postpone(tx: AsyncConnection, webhook_id: UUID, *, until: datetime, reason: str) -> None:
    """Leave a callback for later."""
    table = tables.webhook
    await tx.execute(
        update(table).where(table.c.webhook_id == webhook_id).values(due_at=until, reason=reason)
    )


async def refused_due(
    tx: AsyncConnection, connection: str, *, now: datetime | None, limit: int
) -> Sequence[str]:
    """Return the source ids of refused records that are due, the longest waiting first.

    `now` None: all of them, because somebody asked.
    """
    table = tables.refused_record
    query = select(table.c.source_id).where(table.c.connection == connection)
    if now is not None:
        query = query.where(table.c.due_at <= now)
    query = query.order_by(table.c.due_at, table.c.source_id).limit(limit)
    return (await tx.execute(query)).scalars().all()


async def note_refused(
    tx: AsyncConnection, connection: str, source_id: str, *, code: str, now: datetime
) -> None:
    """Keep that a record was refused, and when it is tried again."""
    table = tables.refused_record
    known = (
        await tx.scalar(
            select(table.c.attempts)
            .where(table.c.connection == connection, table.c.source_id == source_id)
            .with_for_update()
        )
    ) or 0
    state = {
        "code": code,
        "attempts": known + 1,
        "due_at": domain.retry_refused_at(known + 1, now=now),
    }
    await tx.execute(
        insert(table)
        .values(connection=connection, source_id=source_id, **state)
        .on_conflict_do_update(index_elements=["connection", "source_id"], set_=state)
    )


async def forget_refused(tx: AsyncConnection, connection: str, source_ids: Collection[str]) -> None:
    """Stop trying records: they came in, or are not there any more."""
    table = tables.refused_record
    await tx.execute(
        delete(table).where(table.c.connection == connection, table.c.source_id.in_(source_ids))
    )
