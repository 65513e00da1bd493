"""What a caller may ask of connections."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from connectors import domain, repository
from connectors.domain import Callback, Connection, ConnectionDisabled, SyncState


async def put_connection(
    tx: AsyncConnection, wanted: Connection, *, is_production: bool
) -> Connection:
    """Create or replace a connection; the version of `wanted` is set here.

    Raises:
        VendorUnknown, AddressUnsafe: see `domain.check_connection`.
        StaleVersion: another writer changed it first; safe to retry.
    """
    domain.check_connection(wanted, is_production=is_production)
    known = await repository.connections(tx, name=wanted.name)
    version = known[0][0].version + 1 if known else 1
    connection = domain.with_version(wanted, version)
    await repository.put(tx, connection)
    return connection


async def request_sync(tx: AsyncConnection, name: str, *, at: datetime) -> SyncState:
    """Ask for a connection to be read as soon as possible.

    Raises:
        ConnectionNotFound, ConnectionDisabled.
    """
    connection, state = await repository.get(tx, name)
    if not connection.enabled:
        raise ConnectionDisabled(f"{name} is switched off", advice="enable it first")
    await repository.mark_sync(tx, name, requested_at=at)
    return state


async def store_callback(tx: AsyncConnection, callback: Callback, *, at: datetime) -> bool:
    """Store a verified callback; return whether it had been stored before."""
    return await repository.store(tx, callback, at=at)
