"""Purchases, listed and written."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event import tables
from billing_event.domain.proposal import ProposalStatus
from billing_event.domain.purchase import Purchase, PurchaseId, PurchaseNotFound
from billing_event.domain.source import ContractId, ContractLineId
from billing_event.queries.keys import page_by_time
from billing_event.repository import purchase as repository
from billing_event.repository.purchase import purchase_from
from throughline.billing_event.v1 import purchase_service_pb2 as pb
from throughline.common.v1 import source_pb2
from throughline_runtime.fields import EnumMap, write_date, write_instant, write_money
from throughline_runtime.identity import require_entity
from throughline_runtime.page import Page

STATUSES: Final = EnumMap(pb.PurchaseStatus, ProposalStatus)

_TABLE = tables.purchase


@dataclass(frozen=True, slots=True)
class PurchaseFilter:
    """Which purchases are wanted; None or empty does not limit."""

    legal_entity_ids: Collection[UUID] | None = None
    contract_id: ContractId | None = None
    contract_line_id: ContractLineId | None = None
    status: ProposalStatus | None = None
    category: str = ""
    source_system: str = ""


async def purchases(
    tx: AsyncConnection, wanted: PurchaseFilter, page: Page
) -> pb.ListPurchasesResponse:
    """Return a page of purchases in the order they came."""
    query = select(_TABLE)
    for column, value in (
        (_TABLE.c.contract_id, wanted.contract_id),
        (_TABLE.c.contract_line_id, wanted.contract_line_id),
        (_TABLE.c.status, wanted.status),
        (_TABLE.c.category, wanted.category or None),
        (_TABLE.c.source_system, wanted.source_system or None),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.legal_entity_ids is not None:
        query = query.where(_TABLE.c.legal_entity_id.in_(wanted.legal_entity_ids))
    keys = (_TABLE.c.recorded_at, _TABLE.c.purchase_id)
    rows, token = await page_by_time(tx, query, keys, page)
    return pb.ListPurchasesResponse(
        purchases=[write_purchase(purchase_from(row)) for row in rows], next_page_token=token
    )


async def purchase(tx: AsyncConnection, purchase_id: PurchaseId) -> pb.Purchase:
    """Return a purchase.

    Raises:
        PurchaseNotFound, EntityForbidden: it is not there, or not for the caller.
    """
    found = (await repository.known(tx, [purchase_id])).get(purchase_id)
    if found is None:
        raise PurchaseNotFound(f"purchase {purchase_id} does not exist")
    require_entity(found.legal_entity_id)
    return write_purchase(found)


def write_purchase(found: Purchase) -> pb.Purchase:
    """Return a purchase as it is replied."""
    bought = found.bought
    return pb.Purchase(
        purchase_id=str(found.purchase_id),
        version=found.version,
        contract_id=str(bought.contract_id),
        contract_line_id=str(bought.contract_line_id),
        legal_entity_id=str(found.legal_entity_id),
        status=STATUSES.write(found.status),
        category=bought.category,
        supplier=bought.supplier,
        document_number=bought.document_number,
        description=bought.description,
        incurred_on=write_date(bought.incurred_on),
        cost=write_money(bought.cost),
        source=source_pb2.SourceRef(
            system=bought.source.system,
            object_type=bought.source.object_type,
            object_id=bought.source.object_id,
        ),
        recorded_by=found.recorded_by,
        recorded_at=write_instant(found.recorded_at),
        decided_by=found.decided_by,
        decided_at=write_instant(found.decided_at),
        decision_reason=found.decision_reason,
    )
