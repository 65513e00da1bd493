"""Commands on proposals of prices, whatever they are about."""

from datetime import date

from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract.commands import catalogue, price_policy, rate_card
from customer_contract.commands.rate_card import Today
from customer_contract.domain import proposal as domain
from customer_contract.domain.catalogue import CatalogueEntry
from customer_contract.domain.price_policy import PricePolicy
from customer_contract.domain.proposal import Act, Proposal
from customer_contract.domain.rate_card import CardDraft
from customer_contract.domain.values import ProposalId
from customer_contract.repository.proposal import PRICES
from customer_contract.wire.proposal import Content
from throughline_runtime.identity import require_entity, require_every_entity


async def publish(
    tx: AsyncConnection, proposal_id: ProposalId, decided: Act, *, today: Today
) -> tuple[Proposal[Content], date | None]:
    """Put a proposal into force, and tell from which past day it prices otherwise.

    Raises:
        ProposalNotFound: there is none.
        Everything that publishing a rate card, a service or a price policy refuses.
    """
    proposal = await PRICES.get(tx, proposal_id)
    match proposal.content:
        case CardDraft() as card:
            published = await rate_card.publish(tx, proposal, card, decided, today=today)
            return published.proposal, published.retroactive
        case CatalogueEntry() as entry:
            return await catalogue.publish(tx, proposal, entry, decided), None
        case PricePolicy() as policy:
            return await price_policy.publish(tx, proposal, policy, decided), None


async def reject(tx: AsyncConnection, proposal_id: ProposalId, decided: Act) -> Proposal[Content]:
    """Turn a proposal down.

    Raises:
        ProposalNotFound, EntityForbidden: the proposal.
        RejectedByProposer, IllegalTransition: see `domain.reject`.
        StaleVersion: somebody else decided first.
    """
    rejected = domain.reject(await _get(tx, proposal_id), decided)
    await PRICES.save(tx, rejected)
    return rejected


async def withdraw(tx: AsyncConnection, proposal_id: ProposalId, decided: Act) -> Proposal[Content]:
    """Take one's own proposal back.

    Raises:
        ProposalNotFound, EntityForbidden: the proposal.
        NotTheProposer, IllegalTransition: see `domain.withdraw`.
        StaleVersion: somebody else decided first.
    """
    withdrawn = domain.withdraw(await _get(tx, proposal_id), decided)
    await PRICES.save(tx, withdrawn)
    return withdrawn


async def _get(tx: AsyncConnection, proposal_id: ProposalId) -> Proposal[Content]:
    proposal = await PRICES.get(tx, proposal_id)
    if proposal.legal_entity_id is None:
        require_every_entity()
    else:
        require_entity(proposal.legal_entity_id)
    return proposal
