"""What a caller may ask of connections."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from connectors import domain, repository
from connectors.domain import Callback, Connection, ConnectionDisabled, SyncState
from throughline_runtime.identity import require_entity, require_every_entity, visible_entities


async def put_connection(
    tx: AsyncConnection, wanted: Connection, *, is_production: bool
) -> Connection:
    """Create or replace a connection; the version of `wanted` is set here.

    What another system says is read again from the beginning when the connection now means another
    system, or the same one otherwise: what it brought in already does not change by that.

    Raises:
        VendorUnknown, AddressUnsafe: see `domain.check_connection`.
        EntityForbidden: it brings things in for legal entities the caller may not act for.
        StaleVersion: another writer changed it first; safe to retry.
    """
    domain.check_connection(wanted, is_production=is_production)
    found = await repository.connections(tx, name=wanted.name)
    known = found[0][0] if found else None
    for connection in filter(None, (known, wanted)):
        _require_reach(connection)
    connection = domain.with_version(wanted, known.version + 1 if known else 1)
    await repository.put(tx, connection)
    if known is not None and not domain.is_same_source(known, wanted):
        await repository.mark_sync(tx, wanted.name, read_up_to=None)
    return connection


async def request_sync(tx: AsyncConnection, name: str, *, at: datetime) -> SyncState:
    """Ask for a connection to be read as soon as possible.

    Raises:
        ConnectionNotFound, ConnectionDisabled.
    """
    connection, state = await repository.get(tx, name, entities=visible_entities())
    if not connection.enabled:
        raise ConnectionDisabled(f"{name} is switched off", advice="enable it first")
    await repository.mark_sync(tx, name, requested_at=at)
    repository.touch(tx, name)
    return state


def _require_reach(connection: Connection) -> None:
    """Refuse a caller that may not act for every legal entity the connection brings things in for.

    One that names none may bring in for all of them.
    """
    if connection.legal_entity_id is None:
        require_every_entity()
    else:
        require_entity(connection.legal_entity_id)
    for legal_entity_id in connection.mapping.get("legal_entities", {}).values():
        require_entity(legal_entity_id)


async def store_callback(tx: AsyncConnection, callback: Callback, *, at: datetime) -> bool:
    """Store a verified callback; return whether it had been stored before."""
    return await repository.store(tx, callback, at=at)
