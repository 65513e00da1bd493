"""Commands on price policies: one person proposes a version, another one publishes it."""

from dataclasses import replace
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract.domain import price_policy as domain
from customer_contract.domain import proposal as proposals
from customer_contract.domain.price_policy import PolicyRules, PricePolicy
from customer_contract.domain.proposal import Act, Proposal
from customer_contract.domain.values import LegalEntityId, ProposalId
from customer_contract.repository import legal_entity as legal_entities
from customer_contract.repository import price_policy as repository
from customer_contract.repository.proposal import PRICES
from customer_contract.wire.proposal import Content
from throughline_runtime.identity import require_entity, require_every_entity
from throughline_runtime.ids import new_id

_FIRM: Final = "firm"


async def propose(
    tx: AsyncConnection,
    rules: PolicyRules,
    *,
    legal_entity_id: LegalEntityId | None,
    proposed: Act,
) -> Proposal[Content]:
    """Propose the next version of the legal entity's policy, or of the firm's.

    Raises:
        LegalEntityNotFound, EntityForbidden: whose it is.
        InvalidArgument, PolicyUnchanged: see `domain.next_version`.
    """
    subject = await _require_owner(tx, legal_entity_id)
    price_policy_id = repository.id_of(legal_entity_id)
    latest = await repository.find(tx, price_policy_id)
    draft = domain.next_version(
        latest,
        rules,
        price_policy_id=price_policy_id,
        legal_entity_id=legal_entity_id,
        proposed_by=proposed.by,
    )
    proposal: Proposal[Content] = proposals.propose(
        ProposalId(new_id()),
        draft,
        subject=subject,
        legal_entity_id=legal_entity_id,
        base_version=0 if latest is None else latest.version,
        proposed=proposed,
    )
    await PRICES.add(tx, proposal)
    return proposal


async def publish(
    tx: AsyncConnection, proposal: Proposal[Content], draft: PricePolicy, decided: Act
) -> Proposal[Content]:
    """Put a proposed version into force; offers written from now on are judged by it.

    Raises:
        PublishedByProposer, Overtaken, IllegalTransition: see `proposals.publish`.
        LegalEntityNotFound, EntityForbidden: whose it is.
        StaleVersion: another writer was faster; safe to retry.
    """
    await _require_owner(tx, draft.legal_entity_id)
    latest = await repository.find(tx, draft.price_policy_id)
    published = proposals.publish(
        proposal, decided, latest_version=0 if latest is None else latest.version
    )
    await PRICES.save(tx, published)
    await repository.add(tx, replace(draft, published_by=decided.by, published_at=decided.at))
    return published


async def _require_owner(tx: AsyncConnection, legal_entity_id: LegalEntityId | None) -> str:
    """Check that the caller may set this owner's policy, and return what people call the owner."""
    if legal_entity_id is None:
        require_every_entity()
        return _FIRM
    require_entity(legal_entity_id)
    return (await legal_entities.get(tx, legal_entity_id)).code
