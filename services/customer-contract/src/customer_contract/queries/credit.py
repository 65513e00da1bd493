"""Lists of overrides of credit limits."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract import tables
from customer_contract.domain.credit import OverrideStatus
from customer_contract.queries.paging import after_id, cut, filtered, page_of
from customer_contract.repository import credit
from customer_contract.wire.credit import write_override
from throughline.customer_contract.v1 import credit_service_pb2
from throughline_runtime.page import Page


async def overrides(
    tx: AsyncConnection, page: Page, *, customer_id: UUID | None, status: OverrideStatus | None
) -> tuple[list[credit_service_pb2.CreditOverride], str]:
    """Return overrides by id, and the token of the next page."""
    table = tables.credit_override
    query = page_of(select(table), table.c.credit_override_id, after_id(page), page)
    query = filtered(query, {table.c.customer_id: customer_id, table.c.status: status})
    rows = (await tx.execute(query)).all()
    messages = [write_override(credit.override_from(row)) for row in rows]
    return cut(messages, [row.credit_override_id for row in rows], page)
