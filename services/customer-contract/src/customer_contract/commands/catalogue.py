"""Commands on the service catalogue."""

from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract.domain import catalogue as domain
from customer_contract.domain.catalogue import CatalogueEntry
from customer_contract.domain.service_line import LineDefaults
from customer_contract.repository import catalogue as repository


async def put(
    tx: AsyncConnection, code: str, defaults: LineDefaults, *, retired: bool
) -> CatalogueEntry:
    """Add the service, or bring it to this content.

    Raises:
        InvalidArgument: see `domain.put`.
        StaleVersion: another writer changed it first; safe to retry.
    """
    current = (await repository.entries(tx, [code])).get(code)
    entry = domain.put(current, code=code, defaults=defaults, retired=retired)
    if current is None:
        await repository.add(tx, entry)
    elif entry is not current:
        await repository.save(tx, entry)
    return entry
