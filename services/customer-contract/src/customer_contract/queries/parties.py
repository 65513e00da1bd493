"""Lists of legal entities and customers."""

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract import tables
from customer_contract.domain.tax_registration import TaxStatus
from customer_contract.queries.paging import after_id, cut, filtered, limited, page_of
from customer_contract.repository import (
    customer,
    legal_entity,
)
from customer_contract.wire.customer import write_customer
from customer_contract.wire.legal_entity import write_legal_entity
from throughline.customer_contract.v1 import (
    customer_pb2,
    legal_entity_pb2,
)
from throughline_runtime.page import Page


async def legal_entities(
    tx: AsyncConnection, page: Page, *, code: str, country: str
) -> tuple[list[legal_entity_pb2.LegalEntity], str]:
    """Return the legal entities the caller may see, by id, and the token of the next page."""
    table = tables.legal_entity
    query = page_of(select(table), table.c.legal_entity_id, after_id(page), page)
    query = limited(query, table.c.legal_entity_id)
    query = filtered(query, {table.c.code: code, table.c.country: country})
    rows = (await tx.execute(query)).all()
    messages = [write_legal_entity(legal_entity.legal_entity_from(row)) for row in rows]
    return cut(messages, [row.legal_entity_id for row in rows], page)


async def customers(
    tx: AsyncConnection,
    page: Page,
    *,
    tax_status: TaxStatus | None,
    country: str,
    name_prefix: str,
    parent_customer_id: UUID | None,
    on_credit_hold: bool,
    not_ended: bool,
) -> tuple[list[customer_pb2.Customer], str]:
    """Return the customers by id, and the token of the next page."""
    table = tables.customer
    query = page_of(select(table), table.c.customer_id, after_id(page), page)
    query = filtered(
        query,
        {
            table.c.tax_status: tax_status,
            table.c.country: country,
            table.c.parent_customer_id: parent_customer_id,
        },
    )
    if on_credit_hold:
        query = query.where(table.c.credit_hold_reason.is_not(None))
    if not_ended:
        query = query.where(table.c.ended_on.is_(None))
    if name_prefix:
        name = func.lower(table.c.name)
        query = query.where(name.startswith(name_prefix.lower(), autoescape=True))
    rows = (await tx.execute(query)).all()
    messages = [write_customer(customer.customer_from(row)) for row in rows]
    return cut(messages, [row.customer_id for row in rows], page)
