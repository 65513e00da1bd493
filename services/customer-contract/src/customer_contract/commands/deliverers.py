"""The legal entities that are to deliver lines."""

from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract.domain.values import LegalEntityId
from customer_contract.repository import legal_entity as legal_entities


async def require_deliverers(
    tx: AsyncConnection, named: Mapping[str, LegalEntityId | None]
) -> None:
    """Refuse lines that nobody could deliver; None is the seller.

    `named` are the entities by the path of the line in the request. Whoever sells may let a
    company deliver that it does not see itself.

    Raises:
        LegalEntityNotFound: one of them does not exist.
    """
    wanted = {path: one for path, one in named.items() if one is not None}
    if not wanted:
        return
    known = await legal_entities.known(tx, set(wanted.values()))
    for path, one in wanted.items():
        if one not in known:
            raise legal_entities.missing(one, field=f"{path}.delivering_legal_entity_id")
