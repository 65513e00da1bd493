"""Commands on cost rates: one person proposes a version, another one publishes it."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract.domain import cost_rate as domain
from customer_contract.domain import proposal as proposals
from customer_contract.domain.cost_rate import CostEntry, CostRateCard
from customer_contract.domain.proposal import Act, Proposal
from customer_contract.domain.values import LegalEntityId, ProposalId
from customer_contract.repository import cost_rate as repository
from customer_contract.repository import legal_entity as legal_entities
from customer_contract.repository.proposal import COSTS
from customer_contract.wire.cost_rate import require_publishable
from throughline_runtime.identity import require_entity
from throughline_runtime.ids import new_id


async def propose(
    tx: AsyncConnection,
    legal_entity_id: LegalEntityId,
    entries: Sequence[CostEntry],
    *,
    proposed: Act,
) -> Proposal[CostRateCard]:
    """Propose the next version of the legal entity's costs.

    Raises:
        LegalEntityNotFound, EntityForbidden: the entity.
        InvalidArgument, CostsUnchanged: see `domain.draft`.
        CostRateCardTooLarge: it does not fit into an event.
    """
    require_entity(legal_entity_id)
    entity = await legal_entities.get(tx, legal_entity_id)
    card_id = repository.id_of(legal_entity_id)
    latest = await repository.find(tx, card_id)
    draft = domain.draft(
        latest,
        entries,
        cost_rate_card_id=card_id,
        legal_entity_id=legal_entity_id,
        currency=entity.currency,
    )
    require_publishable(draft)
    proposal = proposals.propose(
        ProposalId(new_id()),
        draft,
        subject=entity.code,
        legal_entity_id=legal_entity_id,
        base_version=0 if latest is None else latest.version,
        proposed=proposed,
    )
    await COSTS.add(tx, proposal)
    return proposal


async def publish(
    tx: AsyncConnection, proposal_id: ProposalId, decided: Act
) -> Proposal[CostRateCard]:
    """Put a proposed version into force and announce `CostRateCardPublished`.

    Raises:
        ProposalNotFound, EntityForbidden: the proposal.
        PublishedByProposer, Overtaken, IllegalTransition: see `proposals.publish`.
        StaleVersion: another writer was faster; safe to retry.
    """
    proposal = await _get(tx, proposal_id)
    latest = await repository.find(tx, proposal.content.cost_rate_card_id)
    published = proposals.publish(
        proposal, decided, latest_version=0 if latest is None else latest.version
    )
    change = domain.publish(proposal.content, at=decided.at)
    await COSTS.save(tx, published)
    await repository.add(tx, change, proposed_by=proposal.proposed.by, published_by=decided.by)
    return published


async def reject(
    tx: AsyncConnection, proposal_id: ProposalId, decided: Act
) -> Proposal[CostRateCard]:
    """Turn a proposal down.

    Raises:
        ProposalNotFound, EntityForbidden: the proposal.
        RejectedByProposer, IllegalTransition: see `proposals.reject`.
        StaleVersion: somebody else decided first.
    """
    rejected = proposals.reject(await _get(tx, proposal_id), decided)
    await COSTS.save(tx, rejected)
    return rejected


async def withdraw(
    tx: AsyncConnection, proposal_id: ProposalId, decided: Act
) -> Proposal[CostRateCard]:
    """Take one's own proposal back.

    Raises:
        ProposalNotFound, EntityForbidden: the proposal.
        NotTheProposer, IllegalTransition: see `proposals.withdraw`.
        StaleVersion: somebody else decided first.
    """
    withdrawn = proposals.withdraw(await _get(tx, proposal_id), decided)
    await COSTS.save(tx, withdrawn)
    return withdrawn


async def _get(tx: AsyncConnection, proposal_id: ProposalId) -> Proposal[CostRateCard]:
    proposal = await COSTS.get(tx, proposal_id)
    require_entity(proposal.content.legal_entity_id)
    return proposal
