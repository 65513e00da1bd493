"""Lists of quotes."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract import tables
from customer_contract.domain.quote import QuoteStatus
from customer_contract.queries.paging import after_id, cut, filtered, limited, page_of
from customer_contract.repository import (
    quote,
)
from customer_contract.wire.quote import write_quote
from throughline.customer_contract.v1 import (
    quote_pb2,
)
from throughline_runtime.page import Page


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
    query = page_of(select(table), table.c.quote_id, after_id(page), page).where(table.c.is_latest)
    query = limited(query, table.c.legal_entity_id)
    query = filtered(
        query,
        {
            table.c.customer_id: customer_id,
            table.c.legal_entity_id: legal_entity_id,
            table.c.status: status,
            table.c.number: number,
        },
    )
    found = await quote.load(tx, query)
    return cut([write_quote(one) for one in found], [one.quote_id for one in found], page)
