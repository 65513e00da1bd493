"""Cost rates: lists, versions, and what an hour costs."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract import tables
from customer_contract.domain.cost_rate import CostHour, CostRateCard, resolve
from customer_contract.domain.proposal import ProposalStatus
from customer_contract.domain.values import CostRateCardId, LegalEntityId
from customer_contract.queries.paging import (
    after_id,
    after_number,
    cut,
    filtered,
    limited,
    page_of,
)
from customer_contract.queries.proposals import latest_first
from customer_contract.queries.sight import require_sight
from customer_contract.repository import cost_rate
from customer_contract.repository.proposal import COSTS
from customer_contract.wire.cost_rate import write_card, write_proposal, write_resolved
from throughline.customer_contract.v1 import cost_rate_pb2
from throughline.customer_contract.v1 import cost_rate_service_pb2 as pb
from throughline_runtime.identity import require_entity
from throughline_runtime.page import Page


async def proposals(
    tx: AsyncConnection,
    page: Page,
    *,
    status: ProposalStatus | None,
    legal_entity_id: UUID | None,
) -> tuple[list[pb.CostRateProposal], str]:
    """Return proposals, the latest first, and the token of the next page."""
    table = tables.cost_rate_proposal
    query = filtered(
        latest_first(table, page),
        {table.c.status: status, table.c.legal_entity_id: legal_entity_id},
    )
    found = await COSTS.load(tx, query)
    return cut([write_proposal(one) for one in found], [one.proposal_id for one in found], page)


async def visible_card(
    tx: AsyncConnection, cost_rate_card_id: CostRateCardId, *, version: int | None = None
) -> CostRateCard:
    """Return a version of a card the caller may see, the latest unless told.

    Raises:
        CostRateCardNotFound: there is no such card for the caller.
    """
    card = await cost_rate.get(tx, cost_rate_card_id, version=version)
    require_sight(
        card.legal_entity_id,
        cost_rate.CostRateCardNotFound(
            f"there are no costs {cost_rate_card_id}", field="cost_rate_card_id"
        ),
    )
    return card


async def cards(
    tx: AsyncConnection, page: Page, *, legal_entity_id: UUID | None
) -> tuple[list[cost_rate_pb2.CostRateCard], str]:
    """Return the latest version of each card by id, and the token of the next page."""
    table = tables.cost_rate_card
    key = table.c.cost_rate_card_id
    query = select(table).ext(distinct_on(key)).order_by(key, table.c.version.desc())
    query = limited(query.limit(page.size + 1), table.c.legal_entity_id)
    if (after := after_id(page)) is not None:
        query = query.where(key > after)
    found = await cost_rate.load(tx, filtered(query, {table.c.legal_entity_id: legal_entity_id}))
    return cut([write_card(one) for one in found], [one.cost_rate_card_id for one in found], page)


async def card_versions(
    tx: AsyncConnection, page: Page, *, cost_rate_card_id: CostRateCardId
) -> tuple[list[cost_rate_pb2.CostRateCard], str]:
    """Return the versions of a card, the first one first, and the token of the next page.

    Raises:
        CostRateCardNotFound: the card.
    """
    await visible_card(tx, cost_rate_card_id)
    table = tables.cost_rate_card
    query = page_of(select(table), table.c.version, after_number(page), page)
    found = await cost_rate.load(tx, query.where(table.c.cost_rate_card_id == cost_rate_card_id))
    return cut([write_card(one) for one in found], [one.version for one in found], page)


async def resolved_cost(
    tx: AsyncConnection,
    legal_entity_id: LegalEntityId,
    hour: CostHour,
    *,
    known_at: datetime | None,
) -> pb.ResolveCostRateResponse:
    """Return what an hour costs the legal entity; with `known_at` as it was known then.

    Raises:
        EntityForbidden, CostRateCardNotFound: the entity, or its costs.
        NoCost: nothing matches.
    """
    require_entity(legal_entity_id)
    card = await cost_rate.get(tx, cost_rate.id_of(legal_entity_id), known_at=known_at)
    return write_resolved(resolve(hour, card), card)
