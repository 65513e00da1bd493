"""Commands on rate cards: one person proposes a version, another one publishes it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract import tables
from customer_contract.domain import proposal as proposals
from customer_contract.domain import rate_card as domain
from customer_contract.domain.proposal import Act, Proposal, ProposalStatus
from customer_contract.domain.rate_card import (
    CardContent,
    CardDraft,
    CardScope,
    NotProposed,
    RateCard,
)
from customer_contract.domain.rate_difference import retroactive_from
from customer_contract.domain.values import ProposalId, RateCardId
from customer_contract.repository import customer as customers
from customer_contract.repository import legal_entity as legal_entities
from customer_contract.repository import rate_card as repository
from customer_contract.repository.proposal import PRICES
from customer_contract.wire.proposal import Content
from customer_contract.wire.rate_card import require_publishable
from throughline_core.ids import derived_id
from throughline_runtime.identity import require_entity, require_every_entity
from throughline_runtime.ids import new_id

Today = Callable[[str], date]
"""Tells the business date in a time zone."""

_FIRM_ZONE = "UTC"


@dataclass(frozen=True, slots=True)
class Published:
    """The version in force now; `retroactive` is the first day gone by that it prices otherwise."""

    card: RateCard
    proposal: Proposal[Content]
    retroactive: date | None


async def propose(
    tx: AsyncConnection, content: CardContent, *, proposed: Act, today: Today
) -> tuple[Proposal[Content], date | None]:
    """Propose the next version of the card, and tell from which past day it prices otherwise.

    Raises:
        LegalEntityNotFound, CustomerNotFound, EntityForbidden: its owner.
        InvalidArgument, ScopeChanged, CardUnchanged: see `domain.draft`.
        RateCardTooLarge: it does not fit into an event.
    """
    zone = await _require_owner(tx, content.scope)
    rate_card_id = RateCardId(derived_id("rate_card", content.code))
    latest = await repository.find(tx, rate_card_id)
    draft = domain.draft(latest, content, rate_card_id=rate_card_id)
    require_publishable(draft)
    proposal: Proposal[Content] = proposals.propose(
        ProposalId(new_id()),
        draft,
        subject=content.code,
        legal_entity_id=content.scope.legal_entity_id,
        base_version=0 if latest is None else latest.version,
        proposed=proposed,
    )
    await PRICES.add(tx, proposal)
    return proposal, _retroactive(latest, content, today(zone))


async def publish(
    tx: AsyncConnection,
    proposal: Proposal[Content],
    draft: CardDraft,
    decided: Act,
    *,
    today: Today,
) -> Published:
    """Put a proposed version into force and announce `RateCardPublished`.

    Raises:
        PublishedByProposer, Overtaken, IllegalTransition: see `proposals.publish`.
        LegalEntityNotFound, CustomerNotFound, EntityForbidden: its owner.
        InvalidArgument, ScopeChanged: see `domain.draft`.
        StaleVersion: another writer was faster; safe to retry.
    """
    zone = await _require_owner(tx, draft.content.scope)
    latest = await repository.find(tx, draft.rate_card_id)
    published = proposals.publish(
        proposal, decided, latest_version=0 if latest is None else latest.version
    )
    change = domain.publish(
        domain.draft(latest, draft.content, rate_card_id=draft.rate_card_id),
        proposed_by=proposal.proposed.by,
        published_by=decided.by,
        at=decided.at,
    )
    await PRICES.save(tx, published)
    await repository.add(tx, change)
    return Published(change.state, published, _retroactive(latest, draft.content, today(zone)))


async def publish_as_proposed(
    tx: AsyncConnection, content: CardContent, decided: Act, *, today: Today
) -> Published:
    """Put the version into force that somebody else has proposed with exactly this content.

    Raises:
        NotProposed: nobody has.
        Everything `publish` does.
    """
    table = tables.price_proposal
    waiting = await PRICES.load(
        tx,
        select(table)
        .where(table.c.kind == "rate_card", table.c.subject == content.code)
        .where(table.c.status == ProposalStatus.PROPOSED)
        .order_by(table.c.proposal_id.desc()),
    )
    same = [
        (proposal, proposal.content)
        for proposal in waiting
        if isinstance(proposal.content, CardDraft) and proposal.content.content == content
    ]
    if not same:
        raise NotProposed(
            f"no proposal for {content.code} with this content waits to be published",
            field="code",
            advice="have it proposed by somebody else, or publish what was proposed",
        )
    # Of several by different persons one that is somebody else's will do.
    proposal, draft = min(same, key=lambda pair: pair[0].proposed.by == decided.by)
    return await publish(tx, proposal, draft, decided, today=today)


async def _require_owner(tx: AsyncConnection, scope: CardScope) -> str:
    """Check that the caller may set this owner's prices, and return the owner's time zone."""
    zone = _FIRM_ZONE
    if scope.legal_entity_id is None:
        require_every_entity()
    else:
        require_entity(scope.legal_entity_id)
        zone = (await legal_entities.get(tx, scope.legal_entity_id)).profile.time_zone
    if scope.customer_id is not None:
        await customers.get(tx, scope.customer_id)
    if scope.borrowing_legal_entity_id is not None:
        await legal_entities.get(tx, scope.borrowing_legal_entity_id)
    return zone


def _retroactive(latest: RateCard | None, content: CardContent, today: date) -> date | None:
    return retroactive_from(None if latest is None else latest.content, content, today=today)
