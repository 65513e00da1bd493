"""Quotes: lists, versions, approvals, documents, differences."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract import tables
from customer_contract.domain.price_policy import ApproverRole
from customer_contract.domain.quote import Quote, QuoteStatus
from customer_contract.domain.quote_difference import compare, rise
from customer_contract.domain.values import QuoteId
from customer_contract.queries.paging import (
    after_digest,
    after_id,
    after_number,
    after_numbers,
    cut,
    filtered,
    limited,
    page_of,
)
from customer_contract.queries.sight import require_sight
from customer_contract.repository import quote, quote_document, quote_review
from customer_contract.wire.quote import write_differences, write_quote
from customer_contract.wire.quote_document import write_document
from customer_contract.wire.quote_review import write_approval
from throughline.customer_contract.v1 import quote_pb2, quote_service_pb2
from throughline_runtime.fields import write_money, write_optional_money
from throughline_runtime.page import Page


async def quotes(
    tx: AsyncConnection,
    page: Page,
    *,
    customer_id: UUID | None,
    legal_entity_id: UUID | None,
    status: QuoteStatus | None,
    number: str,
    awaiting_role: ApproverRole | None,
    breaching: bool,
) -> tuple[list[quote_pb2.Quote], str]:
    """Return the latest version of each quote by id, and the token of the next page."""
    table = tables.quote
    query = page_of(select(table), table.c.quote_id, after_id(page), page).where(table.c.is_latest)
    query = limited(query, table.c.legal_entity_id)
    query = filtered(
        query,
        {
            table.c.customer_id: customer_id,
            table.c.legal_entity_id: legal_entity_id,
            table.c.status: status,
            table.c.number: number,
            table.c.awaiting_role: awaiting_role,
        },
    )
    if breaching:
        query = query.where(table.c.is_breaching)
    found = await quote.load(tx, query)
    return cut([write_quote(one) for one in found], [one.quote_id for one in found], page)


async def visible_quote(
    tx: AsyncConnection, quote_id: QuoteId, *, quote_version: int | None = None
) -> Quote:
    """Return a version of a quote the caller may see, the latest unless told.

    Raises:
        QuoteNotFound: there is no such quote for the caller.
    """
    found = await quote.get(tx, quote_id, quote_version=quote_version)
    require_sight(
        found.legal_entity_id,
        quote.QuoteNotFound(f"there is no quote {quote_id}", field="quote_id"),
    )
    return found


async def quote_versions(
    tx: AsyncConnection, page: Page, *, quote_id: QuoteId
) -> tuple[list[quote_pb2.Quote], str]:
    """Return the versions of a quote, the first one first, and the token of the next page.

    Raises:
        QuoteNotFound: the quote.
    """
    await visible_quote(tx, quote_id)
    table = tables.quote
    query = page_of(select(table), table.c.quote_version, after_number(page), page)
    query = limited(query.where(table.c.quote_id == quote_id), table.c.legal_entity_id)
    found = await quote.load(tx, query)
    return cut([write_quote(one) for one in found], [one.quote_version for one in found], page)


async def quote_approvals(
    tx: AsyncConnection, page: Page, *, quote_id: QuoteId
) -> tuple[list[quote_service_pb2.QuoteApprovalRecord], str]:
    """Return who took which step over all versions, and the token of the next page.

    Raises:
        QuoteNotFound: the quote.
    """
    await visible_quote(tx, quote_id)
    table = tables.quote_approval
    query = (
        select(table)
        .where(table.c.quote_id == quote_id)
        .order_by(table.c.quote_version, table.c.step)
        .limit(page.size + 1)
    )
    if (after := after_numbers(page)) is not None:
        version, step = after
        is_later = (table.c.quote_version == version) & (table.c.step > step)
        query = query.where((table.c.quote_version > version) | is_later)
    taken = await quote_review.load(tx, query)
    keys = [(version, step.step) for version, step in taken]
    return cut([write_approval(version, step) for version, step in taken], keys, page)


async def quote_documents(
    tx: AsyncConnection, page: Page, *, quote_id: QuoteId, quote_version: int
) -> tuple[list[quote_service_pb2.QuoteDocument], str]:
    """Return the documents of a quote, version by version, and the token of the next page.

    Raises:
        QuoteNotFound: the quote.
    """
    await visible_quote(tx, quote_id)
    table = tables.quote_document
    query = (
        select(table)
        .where(table.c.quote_id == quote_id)
        .order_by(table.c.quote_version, table.c.sha256)
        .limit(page.size + 1)
    )
    if quote_version:
        query = query.where(table.c.quote_version == quote_version)
    if (after := after_digest(page)) is not None:
        version, digest = after
        is_later = (table.c.quote_version == version) & (table.c.sha256 > digest)
        query = query.where((table.c.quote_version > version) | is_later)
    found = await quote_document.load(tx, query)
    keys = [(one.quote_version, one.sha256.hex()) for one in found]
    return cut([write_document(one) for one in found], keys, page)


async def compared(
    tx: AsyncConnection, quote_id: QuoteId, *, from_version: int, to_version: int
) -> quote_service_pb2.CompareQuoteVersionsResponse:
    """Return what differs between two versions: 0 is the latest, and the one before it.

    Raises:
        QuoteNotFound: the quote, or one of its versions.
    """
    after = await visible_quote(tx, quote_id, quote_version=to_version or None)
    earlier = from_version or max(after.quote_version - 1, 1)
    before = await visible_quote(tx, quote_id, quote_version=earlier)
    return quote_service_pb2.CompareQuoteVersionsResponse(
        from_version=before.quote_version,
        to_version=after.quote_version,
        differences=write_differences(compare(before, after)),
        old_net_total=write_money(before.net_total),
        new_net_total=write_money(after.net_total),
        rise=write_optional_money(rise(before, after)),
    )
