"""Commands on rate cards."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract.domain import rate_card as domain
from customer_contract.domain.rate_card import CardScope, RateCard, RateEntry
from customer_contract.domain.values import RateCardId
from customer_contract.repository import customer as customers
from customer_contract.repository import legal_entity as legal_entities
from customer_contract.repository import rate_card as repository
from throughline_core.ids import derived_id
from throughline_runtime.identity import current_caller, require_entity, require_every_entity


async def publish(
    tx: AsyncConnection,
    *,
    code: str,
    name: str,
    scope: CardScope,
    entries: Sequence[RateEntry],
    at: datetime,
) -> RateCard:
    """Publish the next version of the card and announce `RateCardPublished`.

    Raises:
        LegalEntityNotFound, CustomerNotFound, EntityForbidden: its owner.
        InvalidArgument, ScopeChanged: see `domain.publish`.
        StaleVersion: another writer published this version first; safe to retry.
    """
    if scope.legal_entity_id is None:
        require_every_entity()
    else:
        require_entity(scope.legal_entity_id)
        await legal_entities.get(tx, scope.legal_entity_id)
    if scope.customer_id is not None:
        await customers.get(tx, scope.customer_id)
    rate_card_id = RateCardId(derived_id("rate_card", code))
    change = domain.publish(
        await repository.find(tx, rate_card_id),
        rate_card_id=rate_card_id,
        code=code,
        name=name,
        scope=scope,
        entries=entries,
        at=at,
    )
    await repository.add(tx, change, published_by=current_caller().subject)
    return change.state
