"""Proposals of prices and price policies: lists, versions, differences."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Table, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract import tables
from customer_contract.domain.price_policy import PricePolicy
from customer_contract.domain.proposal import Proposal, ProposalKind, ProposalStatus
from customer_contract.domain.rate_card import CardContent, CardDraft
from customer_contract.domain.rate_difference import compare, retroactive_from
from customer_contract.domain.values import PricePolicyId, ProposalId
from customer_contract.queries.paging import after_id, after_number, cut, filtered, page_of
from customer_contract.queries.sight import require_sight
from customer_contract.repository import catalogue, price_policy, rate_card
from customer_contract.repository.proposal import PRICES, ProposalNotFound
from customer_contract.wire.price_policy import write_policy
from customer_contract.wire.proposal import Content, write_proposal
from customer_contract.wire.proposal_difference import write_terms
from customer_contract.wire.rate_card import write_differences, write_retroactive
from throughline.customer_contract.v1 import price_policy_service_pb2 as policy_pb
from throughline.customer_contract.v1 import proposal_service_pb2 as pb
from throughline_runtime.identity import visible_entities
from throughline_runtime.page import Page


async def proposals(
    tx: AsyncConnection,
    page: Page,
    *,
    kind: ProposalKind | None,
    status: ProposalStatus | None,
    subject: str,
    legal_entity_id: UUID | None,
) -> tuple[list[pb.Proposal], str]:
    """Return proposals, the latest first, and the token of the next page."""
    table = tables.price_proposal
    query = latest_first(table, page)
    query = filtered(
        query,
        {
            table.c.kind: kind,
            table.c.status: status,
            table.c.subject: subject,
            table.c.legal_entity_id: legal_entity_id,
        },
    )
    found = await PRICES.load(tx, query)
    return cut([write_proposal(one) for one in found], [one.proposal_id for one in found], page)


def latest_first(table: Table, page: Page) -> Select[Any]:
    """Return the query for a page of proposals that the caller may see, the latest first."""
    key = table.c.proposal_id
    query = select(table).order_by(key.desc()).limit(page.size + 1)
    if (after := after_id(page)) is not None:
        query = query.where(key < after)
    return visible(query, table.c.legal_entity_id)


def visible(query: Select[Any], entity: ColumnElement[Any]) -> Select[Any]:
    """Leave out what concerns legal entities the caller may not see; the firm's is everybody's."""
    entities = visible_entities()
    if entities is None:
        return query
    return query.where(entity.is_(None) | entity.in_(entities))


async def visible_proposal(tx: AsyncConnection, proposal_id: ProposalId) -> Proposal[Content]:
    """Return a proposal the caller may see.

    Raises:
        ProposalNotFound: there is no such proposal for the caller.
    """
    proposal = await PRICES.get(tx, proposal_id)
    require_sight(
        proposal.legal_entity_id,
        ProposalNotFound(f"there is no proposal {proposal_id}", field="proposal_id"),
    )
    return proposal


async def compared_proposal(
    tx: AsyncConnection, proposal_id: ProposalId, *, today: date
) -> pb.CompareProposalResponse:
    """Return what a proposal would change against the version in force.

    Raises:
        ProposalNotFound: the proposal.
    """
    content = (await visible_proposal(tx, proposal_id)).content
    before = await _in_force(tx, content)
    reply = pb.CompareProposalResponse(
        from_version=0 if before is None else before.version,
        terms=write_terms(before, content),
    )
    if isinstance(content, CardDraft):
        old: CardContent | None = before.content if isinstance(before, CardDraft) else None
        reply.rates.extend(write_differences(compare(old, content.content)))
        day = retroactive_from(old, content.content, today=today)
        warning = write_retroactive(day, content.content.scope)
        if warning is not None:
            reply.retroactive.CopyFrom(warning)
    return reply


async def _in_force(tx: AsyncConnection, content: Content) -> Content | None:
    if isinstance(content, CardDraft):
        card = await rate_card.find(tx, content.rate_card_id)
        return None if card is None else CardDraft(card.rate_card_id, card.version, card.content)
    if isinstance(content, PricePolicy):
        return await price_policy.find(tx, content.price_policy_id)
    return (await catalogue.entries(tx, [content.code])).get(content.code)


async def visible_policy(
    tx: AsyncConnection, price_policy_id: PricePolicyId, *, version: int | None = None
) -> PricePolicy:
    """Return a version of a policy the caller may see, the latest unless told.

    Raises:
        PricePolicyNotFound: there is no such policy for the caller.
    """
    policy = await price_policy.get(tx, price_policy_id, version=version)
    require_sight(
        policy.legal_entity_id,
        price_policy.PricePolicyNotFound(
            f"there is no price policy {price_policy_id}", field="price_policy_id"
        ),
    )
    return policy


async def price_policies(
    tx: AsyncConnection, page: Page, *, legal_entity_id: UUID | None
) -> tuple[list[policy_pb.PricePolicy], str]:
    """Return the policies in force by id, and the token of the next page."""
    table = tables.price_policy
    key = table.c.price_policy_id
    query = select(table).ext(distinct_on(key)).order_by(key, table.c.version.desc())
    query = query.limit(page.size + 1)
    if (after := after_id(page)) is not None:
        query = query.where(key > after)
    query = visible(query, table.c.legal_entity_id)
    found = await price_policy.load(tx, filtered(query, {table.c.legal_entity_id: legal_entity_id}))
    return cut([write_policy(one) for one in found], [one.price_policy_id for one in found], page)


async def price_policy_versions(
    tx: AsyncConnection, page: Page, *, price_policy_id: PricePolicyId
) -> tuple[list[policy_pb.PricePolicy], str]:
    """Return the versions of a policy, the first one first, and the token of the next page.

    Raises:
        PricePolicyNotFound: the policy.
    """
    await visible_policy(tx, price_policy_id)
    table = tables.price_policy
    query = page_of(select(table), table.c.version, after_number(page), page)
    found = await price_policy.load(tx, query.where(table.c.price_policy_id == price_policy_id))
    return cut([write_policy(one) for one in found], [one.version for one in found], page)
