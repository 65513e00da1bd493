"""The catalogue and the rate cards: lists, versions, differences, and which rate an hour has."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract import tables
from customer_contract.domain.contract_limit import LineNotFound
from customer_contract.domain.rate_card import CardPurpose, RateCard
from customer_contract.domain.rate_difference import compare
from customer_contract.domain.rate_resolution import Hour, resolve
from customer_contract.domain.readiness import deal_of
from customer_contract.domain.service_line import BillingModel
from customer_contract.domain.values import ContractLineId, RateCardId
from customer_contract.queries.paging import after_id, after_number, cut, filtered, page_of
from customer_contract.queries.sight import require_sight
from customer_contract.repository import (
    catalogue,
    contract,
    rate_card,
)
from customer_contract.wire.catalogue import write_entry
from customer_contract.wire.rate_card import (
    write_card_terms,
    write_differences,
    write_rate_card,
    write_resolved,
)
from throughline.customer_contract.v1 import (
    catalogue_service_pb2,
    rate_card_pb2,
    rate_card_service_pb2,
)
from throughline_runtime.identity import visible_entities
from throughline_runtime.page import Page


async def services(
    tx: AsyncConnection, page: Page, *, billing_model: BillingModel | None, include_retired: bool
) -> tuple[list[catalogue_service_pb2.CatalogueEntry], str]:
    """Return the catalogue by code, and the token of the next page."""
    table = tables.catalogue_entry
    after = None if page.after is None else page.after[0]
    query = page_of(select(table), table.c.code, after, page)
    query = filtered(query, {table.c.billing_model: billing_model})
    if not include_retired:
        query = query.where(~table.c.retired)
    rows = (await tx.execute(query)).all()
    messages = [write_entry(catalogue.entry_from(row)) for row in rows]
    return cut(messages, [row.code for row in rows], page)


async def service_versions(
    tx: AsyncConnection, page: Page, *, code: str
) -> tuple[list[catalogue_service_pb2.CatalogueEntry], str]:
    """Return the versions of a service, the first one first, and the token of the next page.

    Raises:
        ServiceNotFound: there is no such service.
    """
    await catalogue.get(tx, code)
    table = tables.catalogue_version
    query = page_of(select(table), table.c.version, after_number(page), page)
    rows = (await tx.execute(query.where(table.c.code == code))).all()
    messages = [write_entry(catalogue.entry_from(row)) for row in rows]
    return cut(messages, [row.version for row in rows], page)


async def rate_cards(
    tx: AsyncConnection,
    page: Page,
    *,
    code: str,
    currency: str,
    legal_entity_id: UUID | None,
    customer_id: UUID | None,
    purpose: CardPurpose | None,
    borrowing_legal_entity_id: UUID | None,
) -> tuple[list[rate_card_pb2.RateCard], str]:
    """Return the latest version of each card by id, and the token of the next page."""
    table = tables.rate_card
    query = select(table).ext(distinct_on(table.c.rate_card_id)).order_by(table.c.rate_card_id)
    query = query.order_by(table.c.version.desc()).limit(page.size + 1)
    if (after := after_id(page)) is not None:
        query = query.where(table.c.rate_card_id > after)
    entities = visible_entities()
    if entities is not None:
        entity = table.c.legal_entity_id
        query = query.where(entity.is_(None) | entity.in_(entities))
    query = filtered(
        query,
        {
            table.c.code: code,
            table.c.currency: currency,
            table.c.legal_entity_id: legal_entity_id,
            table.c.customer_id: customer_id,
            table.c.purpose: purpose,
            table.c.borrowing_legal_entity_id: borrowing_legal_entity_id,
        },
    )
    cards = await rate_card.load(tx, query)
    return cut([write_rate_card(card) for card in cards], [c.rate_card_id for c in cards], page)


async def rate_card_versions(
    tx: AsyncConnection, page: Page, *, rate_card_id: RateCardId
) -> tuple[list[rate_card_pb2.RateCard], str]:
    """Return the versions of a card, the first one first, and the token of the next page.

    Raises:
        RateCardNotFound: there is no such card for the caller.
    """
    await visible_card(tx, rate_card_id)
    table = tables.rate_card
    query = page_of(select(table), table.c.version, after_number(page), page)
    cards = await rate_card.load(tx, query.where(table.c.rate_card_id == rate_card_id))
    return cut([write_rate_card(card) for card in cards], [c.version for c in cards], page)


async def visible_card(
    tx: AsyncConnection, rate_card_id: RateCardId, *, version: int | None = None
) -> RateCard:
    """Return a version of a card the caller may see, the latest unless told.

    Raises:
        RateCardNotFound: there is no such card for the caller.
    """
    card = await rate_card.get(tx, rate_card_id, version=version)
    require_sight(
        card.scope.legal_entity_id,
        rate_card.RateCardNotFound(f"there is no rate card {rate_card_id}", field="rate_card_id"),
    )
    return card


async def compared_cards(
    tx: AsyncConnection, rate_card_id: RateCardId, *, from_version: int, to_version: int
) -> rate_card_service_pb2.CompareRateCardVersionsResponse:
    """Return what differs between two versions: 0 is the latest, and the one before it.

    The first version differs from nothing by all it says.

    Raises:
        RateCardNotFound: the card, or one of the versions.
    """
    after = await visible_card(tx, rate_card_id, version=to_version or None)
    earlier = from_version or after.version - 1
    before = None
    if earlier:
        before = (await rate_card.get(tx, rate_card_id, version=earlier)).content
    return rate_card_service_pb2.CompareRateCardVersionsResponse(
        from_version=earlier,
        to_version=after.version,
        rates=write_differences(compare(before, after.content)),
        terms=write_card_terms(before, after.content),
    )


async def resolved_rate(
    tx: AsyncConnection,
    contract_line_id: ContractLineId,
    hour: Hour,
    *,
    known_at: datetime | None,
) -> rate_card_service_pb2.ResolveRateResponse:
    """Return the rate of an hour under a contract line, and how it was found.

    With `known_at` only what had been published and recorded by then counts.

    Raises:
        LineNotFound: there is no such contract line for the caller.
        NoRate: nothing matches.
    """
    agreed = await contract.get_by_line(tx, contract_line_id, known_at=known_at)
    require_sight(
        agreed.legal_entity_id,
        LineNotFound(f"there is no contract line {contract_line_id}", field="contract_line_id"),
    )
    line = next(one for one in agreed.lines if one.contract_line_id == contract_line_id)
    deal = deal_of(agreed)
    cards = await rate_card.in_scope(tx, deal, known_at=known_at)
    return write_resolved(resolve(hour, line.terms, deal, cards), agreed.contract_version)
