"""Lists, keyset-paged, and totals: what is read and never decided on."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, TypeVar
from uuid import UUID

from google.protobuf.message import Message
from sqlalchemy import ColumnElement, Select, func, select, text
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract import tables
from customer_contract.domain.contract import as_of as on_day
from customer_contract.domain.contract_terms import Contract, ContractStatus
from customer_contract.domain.quote import QuoteStatus
from customer_contract.domain.rate_card import Hour, resolve
from customer_contract.domain.readiness import Facts, deal_of, judge
from customer_contract.domain.service_line import BillingModel
from customer_contract.domain.tax_registration import TaxStatus
from customer_contract.domain.values import ContractId, ContractLineId
from customer_contract.repository import (
    catalogue,
    contract,
    customer,
    legal_entity,
    quote,
    rate_card,
)
from customer_contract.wire.catalogue import write_entry
from customer_contract.wire.contract import write_contract, write_readiness
from customer_contract.wire.customer import write_customer
from customer_contract.wire.legal_entity import write_legal_entity
from customer_contract.wire.quote import write_quote
from customer_contract.wire.rate_card import write_rate_card, write_resolved
from throughline.customer_contract.v1 import (
    catalogue_service_pb2,
    contract_pb2,
    contract_service_pb2,
    customer_pb2,
    legal_entity_pb2,
    quote_pb2,
    rate_card_pb2,
    rate_card_service_pb2,
)
from throughline_core.errors import InvalidArgument
from throughline_runtime.fields import read_uuid
from throughline_runtime.identity import require_entity, visible_entities
from throughline_runtime.page import Page, next_token
from throughline_runtime.totals import ControlTotal

_CONTRACTED: Final = text("""
    SELECT contract.currency, count(*) AS lines, sum(line.net_total) AS contracted
    FROM contract JOIN contract_line AS line USING (contract_id, contract_version)
    WHERE contract.status = 'active'
    GROUP BY contract.currency
""")

# A reply holds at most 4 MiB; a single quote or card stays far below.
_PAGE_BYTES_MAX: Final = 3 * 1024 * 1024

M = TypeVar("M", bound=Message)


class TwoPointsInTime(InvalidArgument):
    """A contract is asked for at two points in time at once."""

    code = "contract.two_points_in_time"


async def legal_entities(
    tx: AsyncConnection, page: Page, *, code: str, country: str
) -> tuple[list[legal_entity_pb2.LegalEntity], str]:
    """Return the legal entities the caller may see, by id, and the token of the next page."""
    table = tables.legal_entity
    query = _page(select(table), table.c.legal_entity_id, _after_id(page), page)
    query = _limited(query, table.c.legal_entity_id)
    query = _filtered(query, {table.c.code: code, table.c.country: country})
    rows = (await tx.execute(query)).all()
    messages = [write_legal_entity(legal_entity.legal_entity_from(row)) for row in rows]
    return _cut(messages, [row.legal_entity_id for row in rows], page)


async def customers(
    tx: AsyncConnection,
    page: Page,
    *,
    tax_status: TaxStatus | None,
    country: str,
    name_prefix: str,
) -> tuple[list[customer_pb2.Customer], str]:
    """Return the customers by id, and the token of the next page."""
    table = tables.customer
    query = _page(select(table), table.c.customer_id, _after_id(page), page)
    query = _filtered(query, {table.c.tax_status: tax_status, table.c.country: country})
    if name_prefix:
        name = func.lower(table.c.name)
        query = query.where(name.startswith(name_prefix.lower(), autoescape=True))
    rows = (await tx.execute(query)).all()
    messages = [write_customer(customer.customer_from(row)) for row in rows]
    return _cut(messages, [row.customer_id for row in rows], page)


async def services(
    tx: AsyncConnection, page: Page, *, billing_model: BillingModel | None, include_retired: bool
) -> tuple[list[catalogue_service_pb2.CatalogueEntry], str]:
    """Return the catalogue by code, and the token of the next page."""
    table = tables.catalogue_entry
    after = None if page.after is None else page.after[0]
    query = _page(select(table), table.c.code, after, page)
    query = _filtered(query, {table.c.billing_model: billing_model})
    if not include_retired:
        query = query.where(~table.c.retired)
    rows = (await tx.execute(query)).all()
    messages = [write_entry(catalogue.entry_from(row)) for row in rows]
    return _cut(messages, [row.code for row in rows], page)


async def rate_cards(
    tx: AsyncConnection,
    page: Page,
    *,
    code: str,
    currency: str,
    legal_entity_id: UUID | None,
    customer_id: UUID | None,
) -> tuple[list[rate_card_pb2.RateCard], str]:
    """Return the latest version of each card by id, and the token of the next page."""
    table = tables.rate_card
    query = select(table).ext(distinct_on(table.c.rate_card_id)).order_by(table.c.rate_card_id)
    query = query.order_by(table.c.version.desc()).limit(page.size + 1)
    if (after := _after_id(page)) is not None:
        query = query.where(table.c.rate_card_id > after)
    entities = visible_entities()
    if entities is not None:
        entity = table.c.legal_entity_id
        query = query.where(entity.is_(None) | entity.in_(entities))
    query = _filtered(
        query,
        {
            table.c.code: code,
            table.c.currency: currency,
            table.c.legal_entity_id: legal_entity_id,
            table.c.customer_id: customer_id,
        },
    )
    cards = await rate_card.load(tx, query)
    return _cut([write_rate_card(card) for card in cards], [c.rate_card_id for c in cards], page)


async def quotes(
    tx: AsyncConnection,
    page: Page,
    *,
    customer_id: UUID | None,
    legal_entity_id: UUID | None,
    status: QuoteStatus | None,
    number: str,
) -> tuple[list[quote_pb2.Quote], str]:
    """Return the latest version of each quote by id, and the token of the next page."""
    table = tables.quote
    query = _page(select(table), table.c.quote_id, _after_id(page), page).where(table.c.is_latest)
    query = _limited(query, table.c.legal_entity_id)
    query = _filtered(
        query,
        {
            table.c.customer_id: customer_id,
            table.c.legal_entity_id: legal_entity_id,
            table.c.status: status,
            table.c.number: number,
        },
    )
    found = await quote.load(tx, query)
    return _cut([write_quote(one) for one in found], [one.quote_id for one in found], page)


async def contracts(
    tx: AsyncConnection,
    page: Page,
    *,
    customer_id: UUID | None,
    legal_entity_id: UUID | None,
    status: ContractStatus | None,
    number: str,
) -> tuple[list[contract_pb2.Contract], str]:
    """Return contracts as they stand by id, and the token of the next page."""
    table = tables.contract
    query = _page(contract.current(), table.c.contract_id, _after_id(page), page)
    query = _limited(query, table.c.legal_entity_id)
    query = _filtered(
        query,
        {
            table.c.customer_id: customer_id,
            table.c.legal_entity_id: legal_entity_id,
            table.c.status: status,
            table.c.number: number,
        },
    )
    found = await contract.load(tx, query)
    return _cut([write_contract(one) for one in found], [one.contract_id for one in found], page)


async def contract_at(
    tx: AsyncConnection,
    contract_id: ContractId,
    *,
    contract_version: int | None,
    as_of: date | None,
) -> Contract:
    """Return the contract as it stands, with one version of its terms, or as of a past day.

    Raises:
        TwoPointsInTime: both a version and a day are asked for.
        ContractNotFound, EntityForbidden: the contract.
        VersionNotFound, NoTermsYet: there are no such terms.
    """
    if contract_version is not None and as_of is not None:
        raise TwoPointsInTime(
            "contract_version and as_of are two ways to ask for a point in time",
            field="as_of",
            advice="send one of them",
        )
    found = await contract.get(tx, contract_id)
    require_entity(found.legal_entity_id)
    if contract_version is not None:
        return await contract.get_version(tx, contract_id, contract_version)
    if as_of is not None:
        return on_day(await contract.get_on(tx, contract_id, as_of), as_of)
    return found


async def readiness(
    tx: AsyncConnection, contract_id: ContractId, *, today: Callable[[str], date]
) -> contract_service_pb2.CheckReadinessResponse:
    """Return every check of whether work under the contract can start; changes nothing.

    Raises:
        ContractNotFound, EntityForbidden: the contract.
    """
    judged = await contract.get(tx, contract_id)
    require_entity(judged.legal_entity_id)
    lines = [line.terms for line in judged.lines]
    sold_to = await customer.get(tx, judged.customer_id)
    bill_to_id = judged.billing.bill_to_customer_id
    facts = Facts(
        customer=sold_to,
        bill_to=sold_to
        if bill_to_id == sold_to.customer_id
        else await customer.get(tx, bill_to_id),
        entity_currency=(await legal_entity.get(tx, judged.legal_entity_id)).currency,
        catalogue=await catalogue.entries(tx, (line.service_code for line in lines)),
        templates=await catalogue.templates(tx, (line.template_code for line in lines)),
        cards=await rate_card.in_scope(tx, deal_of(judged)),
        today=today(judged.time_zone),
    )
    return write_readiness(judged, judge(judged, facts))


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
        LineNotFound, EntityForbidden: the contract line.
        NoRate: nothing matches.
    """
    agreed = await contract.get_by_line(tx, contract_line_id, known_at=known_at)
    require_entity(agreed.legal_entity_id)
    line = next(one for one in agreed.lines if one.contract_line_id == contract_line_id)
    deal = deal_of(agreed)
    cards = await rate_card.in_scope(tx, deal, known_at=known_at)
    return write_resolved(resolve(hour, line.terms, deal, cards), agreed.contract_version)


async def control_totals(tx: AsyncConnection) -> Sequence[ControlTotal]:
    """Return what is in force: contracts, their lines, and the agreed amounts by currency."""
    table = tables.contract
    active = select(func.count()).select_from(table).where(table.c.status == ContractStatus.ACTIVE)
    figures: defaultdict[str, Decimal | int] = defaultdict(int)
    figures["active"] = (await tx.execute(active)).scalar_one()
    figures["lines"] = 0
    for row in await tx.execute(_CONTRACTED):
        figures["lines"] += row.lines
        figures[f"contracted.{row.currency}"] = row.contracted
    return [ControlTotal("contracts", figures)]


def _after_id(page: Page) -> UUID | None:
    return None if page.after is None else read_uuid("page_token", page.after[0])


def _page(query: Select[Any], key: ColumnElement[Any], after: object, page: Page) -> Select[Any]:
    """Return the query for one row more than the page holds, which tells whether it is the last."""
    query = query.order_by(key).limit(page.size + 1)
    return query if after is None else query.where(key > after)


def _limited(query: Select[Any], entity: ColumnElement[Any]) -> Select[Any]:
    entities = visible_entities()
    return query if entities is None else query.where(entity.in_(entities))


def _filtered(query: Select[Any], wanted: dict[Any, object]) -> Select[Any]:
    """Return the query with an equality for each filter that was given."""
    for column, value in wanted.items():
        if value:
            query = query.where(column == value)
    return query


def _cut(messages: list[M], keys: Sequence[object], page: Page) -> tuple[list[M], str]:
    """Return what the page and one reply hold, and the token of the page after it, if any."""
    kept, size = 0, 0
    for message in messages[: page.size]:
        size += message.ByteSize()
        if kept and size > _PAGE_BYTES_MAX:
            break
        kept += 1
    if kept == len(messages):
        return messages, ""
    return messages[:kept], next_token(keys[kept - 1])
