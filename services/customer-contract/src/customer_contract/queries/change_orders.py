"""Change orders: one, lists, and the comparison with the contract."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract import tables
from customer_contract.domain import change_order as domain
from customer_contract.domain.change_order_record import ChangeOrder, ChangeOrderStatus
from customer_contract.domain.values import ChangeOrderId
from customer_contract.queries.paging import after_id, cut, filtered, limited, page_of
from customer_contract.repository import change_order as repository
from customer_contract.repository import contract as contracts
from customer_contract.wire.change_order import write_change_order, write_comparison
from throughline.customer_contract.v1 import change_order_service_pb2 as pb
from throughline_runtime.page import Page


async def visible(tx: AsyncConnection, change_order_id: ChangeOrderId) -> ChangeOrder:
    """Return the change order, where the caller may see its legal entity.

    Raises:
        ChangeOrderNotFound: there is none, or none for the caller.
    """
    table = tables.change_order
    query = select(table).where(table.c.change_order_id == change_order_id)
    found = await repository.load(tx, limited(query, table.c.legal_entity_id))
    if not found:
        raise repository.ChangeOrderNotFound(
            f"there is no change order {change_order_id}", field="change_order_id"
        )
    return found[0]


async def change_orders(
    tx: AsyncConnection,
    page: Page,
    *,
    contract_id: UUID | None,
    status: ChangeOrderStatus | None,
    legal_entity_id: UUID | None,
    number: str,
) -> tuple[list[pb.ChangeOrder], str]:
    """Return change orders by id, and the token of the next page."""
    table = tables.change_order
    query = page_of(select(table), table.c.change_order_id, after_id(page), page)
    query = filtered(
        limited(query, table.c.legal_entity_id),
        {
            table.c.contract_id: contract_id,
            table.c.status: status,
            table.c.legal_entity_id: legal_entity_id,
            table.c.number: number,
        },
    )
    found = await repository.load(tx, query)
    return cut(
        [write_change_order(one) for one in found], [one.change_order_id for one in found], page
    )


async def comparison(
    tx: AsyncConnection, change_order_id: ChangeOrderId
) -> pb.CompareChangeOrderResponse:
    """Return what the change order makes, or made, of the contract; changes nothing.

    Raises:
        ChangeOrderNotFound: there is no such change order for the caller.
        ChangesNothing, InvalidArgument, FailedPrecondition: it does not fit the contract any more.
    """
    change_order = await visible(tx, change_order_id)
    history = await contracts.history(tx, change_order.contract_id)
    if change_order.application is not None:
        first = change_order.application.contract_versions[0]
        history = tuple(one for one in history if one.contract_version < first)
    compared = domain.compare(change_order, history)
    return write_comparison(change_order, compared, domain.conflicts(change_order, history))
