"""Exposure of customers, and billable items, over gRPC."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment.commands import item as commands
from invoice_payment.domain.invoice import InvoiceStatus
from invoice_payment.queries import items as item_queries
from invoice_payment.queries import receivables as queries
from invoice_payment.queries.items import ITEM_STATUSES, ItemFilter
from throughline.invoice_payment.v1 import billable_item_service_pb2 as items_pb
from throughline.invoice_payment.v1 import receivable_service_pb2 as pb
from throughline.invoice_payment.v1.billable_item_service_pb2_grpc import (
    BillableItemServiceServicer,
)
from throughline.invoice_payment.v1.receivable_service_pb2_grpc import ReceivableServiceServicer
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import (
    read_instant,
    read_optional_enum,
    read_optional_uuid,
    read_uuid,
    write_instant,
)
from throughline_runtime.identity import current_caller, require_entity, visible_entities
from throughline_runtime.once import once
from throughline_runtime.page import read_page

_ITEMS_MAX = 500


class ReceivableServicer(ReceivableServiceServicer):
    """`ReceivableService`."""

    def __init__(self, context: Context) -> None:
        self._clock = context.clock
        self._engine = context.engine

    async def GetExposure(
        self, request: pb.GetExposureRequest, context: object
    ) -> pb.GetExposureResponse:
        customer_ids = [read_uuid("customer_ids", each) for each in request.customer_ids]
        # A customer owes the whole firm: a service that asks for a person sees all entities.
        entities = None if current_caller().actor else visible_entities()
        async with read(self._engine) as tx:
            customers = await queries.exposure(tx, customer_ids, legal_entity_ids=entities)
        return pb.GetExposureResponse(customers=customers, as_of=write_instant(self._clock.now()))


class BillableItemServicer(BillableItemServiceServicer):
    """`BillableItemService`."""

    def __init__(self, context: Context) -> None:
        self._clock = context.clock
        self._engine = context.engine

    async def ListBillableItems(
        self, request: items_pb.ListBillableItemsRequest, context: object
    ) -> items_pb.ListBillableItemsResponse:
        entity_id = read_optional_uuid("legal_entity_id", request.legal_entity_id)
        entities: Collection[UUID] | None = visible_entities()
        if entity_id is not None:
            require_entity(entity_id)
            entities = [entity_id]
        wanted = ItemFilter(
            contract_id=read_optional_uuid("contract_id", request.contract_id),
            legal_entity_ids=entities,
            status=read_optional_enum("status", request.status, ITEM_STATUSES),
            negative_only=request.negative_only,
            net_negative_only=request.net_negative_only,
        )
        page = read_page(request, keys=4, max=_ITEMS_MAX)
        async with read(self._engine) as tx:
            return await item_queries.items(tx, wanted, page)

    async def SetItemsAside(
        self, request: items_pb.SetItemsAsideRequest, context: object
    ) -> items_pb.SetItemsAsideResponse:
        item_ids = sorted(
            read_uuid("billing_event_ids", each) for each in request.billing_event_ids
        )

        async def handle(tx: AsyncConnection) -> items_pb.SetItemsAsideResponse:
            until = await commands.set_items_aside(tx, item_ids)
            return items_pb.SetItemsAsideResponse(until=write_instant(until))

        return await once(self._engine, request, items_pb.SetItemsAsideResponse, handle)

    async def PutItemsBack(
        self, request: items_pb.PutItemsBackRequest, context: object
    ) -> items_pb.PutItemsBackResponse:
        item_ids = [read_uuid("billing_event_ids", each) for each in request.billing_event_ids]
        until = read_instant("until", request.until)

        async def handle(tx: AsyncConnection) -> items_pb.PutItemsBackResponse:
            await commands.put_items_back(tx, item_ids, until=until)
            return items_pb.PutItemsBackResponse()

        return await once(self._engine, request, items_pb.PutItemsBackResponse, handle)

    async def WithdrawItems(
        self, request: items_pb.WithdrawItemsRequest, context: object
    ) -> items_pb.WithdrawItemsResponse:
        versions: dict[UUID, int] = {}
        for item in request.items:
            item_id = read_uuid("items.billing_event_id", item.billing_event_id)
            versions[item_id] = max(item.version, versions.get(item_id, 0))

        async def handle(tx: AsyncConnection) -> items_pb.WithdrawItemsResponse:
            changed = await commands.withdraw_items(
                tx, versions, reason=request.reason, at=self._clock.now()
            )
            return items_pb.WithdrawItemsResponse(drafts=map(_write_changed, changed))

        return await once(self._engine, request, items_pb.WithdrawItemsResponse, handle)

    async def LocateItems(
        self, request: items_pb.LocateItemsRequest, context: object
    ) -> items_pb.LocateItemsResponse:
        item_ids = [read_uuid("billing_event_ids", each) for each in request.billing_event_ids]
        async with read(self._engine) as tx:
            return await item_queries.locate(tx, item_ids)


def _write_changed(changed: commands.ChangedDraft) -> items_pb.ChangedDraft:
    return items_pb.ChangedDraft(
        invoice_id=str(changed.invoice.invoice_id),
        version=changed.invoice.version,
        voided=changed.invoice.status is InvoiceStatus.VOIDED,
        billing_event_ids=map(str, changed.left),
    )
