"""ChangeOrderService."""

from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract.commands import change_order as commands
from customer_contract.domain.values import ChangeOrderId, ContractId
from customer_contract.grpc_api.cost_figures import for_caller
from customer_contract.queries import change_orders as queries
from customer_contract.wire.change_order import (
    CHANGE_ORDER_STATUS,
    read_content_offer,
    read_signature,
    write_change_order,
)
from customer_contract.wire.contract import write_contract
from throughline.customer_contract.v1 import change_order_service_pb2 as pb
from throughline.customer_contract.v1.change_order_service_pb2_grpc import (
    ChangeOrderServiceServicer,
)
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import (
    read_date,
    read_optional_enum,
    read_optional_uuid,
    read_uuid,
)
from throughline_runtime.identity import current_caller
from throughline_runtime.once import once
from throughline_runtime.page import read_page


class ChangeOrderServicer(ChangeOrderServiceServicer):
    """Agreed changes to signed contracts."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine
        self._clock = context.clock

    async def CreateChangeOrder(
        self, request: pb.CreateChangeOrderRequest, context: object
    ) -> pb.CreateChangeOrderResponse:
        contract_id = ContractId(read_uuid("contract_id", request.contract_id))
        wanted = _read_wanted(request)

        async def handle(tx: AsyncConnection) -> pb.CreateChangeOrderResponse:
            change_order = await commands.create(
                tx,
                contract_id,
                wanted,
                by=current_caller().subject,
                today=self._clock.today,
            )
            return pb.CreateChangeOrderResponse(change_order=write_change_order(change_order))

        return await once(self._engine, request, pb.CreateChangeOrderResponse, handle)

    async def UpdateChangeOrder(
        self, request: pb.UpdateChangeOrderRequest, context: object
    ) -> pb.UpdateChangeOrderResponse:
        change_order_id = _read_id(request.change_order_id)
        wanted = _read_wanted(request)

        async def handle(tx: AsyncConnection) -> pb.UpdateChangeOrderResponse:
            change_order = await commands.update(
                tx,
                change_order_id,
                wanted,
                version=request.version,
                by=current_caller().subject,
                today=self._clock.today,
            )
            return pb.UpdateChangeOrderResponse(change_order=write_change_order(change_order))

        return await once(self._engine, request, pb.UpdateChangeOrderResponse, handle)

    async def GetChangeOrder(
        self, request: pb.GetChangeOrderRequest, context: object
    ) -> pb.GetChangeOrderResponse:
        change_order_id = _read_id(request.change_order_id)
        async with read(self._engine) as tx:
            change_order = await queries.visible(tx, change_order_id)
        return for_caller(pb.GetChangeOrderResponse(change_order=write_change_order(change_order)))

    async def ListChangeOrders(
        self, request: pb.ListChangeOrdersRequest, context: object
    ) -> pb.ListChangeOrdersResponse:
        page = read_page(request, max=100)
        contract = read_optional_uuid("contract_id", request.contract_id)
        entity = read_optional_uuid("legal_entity_id", request.legal_entity_id)
        status = read_optional_enum("status", request.status, CHANGE_ORDER_STATUS)
        async with read(self._engine) as tx:
            change_orders, token = await queries.change_orders(
                tx,
                page,
                contract_id=contract,
                status=status,
                legal_entity_id=entity,
                number=request.number,
            )
        return for_caller(
            pb.ListChangeOrdersResponse(change_orders=change_orders, next_page_token=token)
        )

    async def CompareChangeOrder(
        self, request: pb.CompareChangeOrderRequest, context: object
    ) -> pb.CompareChangeOrderResponse:
        change_order_id = _read_id(request.change_order_id)
        async with read(self._engine) as tx:
            comparison = await queries.comparison(tx, change_order_id)
        return for_caller(comparison)

    async def ProposeChangeOrder(
        self, request: pb.ProposeChangeOrderRequest, context: object
    ) -> pb.ProposeChangeOrderResponse:
        change_order_id = _read_id(request.change_order_id)

        async def handle(tx: AsyncConnection) -> pb.ProposeChangeOrderResponse:
            change_order = await commands.propose(
                tx,
                change_order_id,
                version=request.version,
                by=current_caller().subject,
                today=self._clock.today,
            )
            return pb.ProposeChangeOrderResponse(change_order=write_change_order(change_order))

        return await once(self._engine, request, pb.ProposeChangeOrderResponse, handle)

    async def ApproveChangeOrder(
        self, request: pb.ApproveChangeOrderRequest, context: object
    ) -> pb.ApproveChangeOrderResponse:
        change_order_id = _read_id(request.change_order_id)
        signature = read_signature(request.signature)

        async def handle(tx: AsyncConnection) -> pb.ApproveChangeOrderResponse:
            change_order = await commands.approve(
                tx,
                change_order_id,
                signature,
                version=request.version,
                by=current_caller().subject,
                at=self._clock.now(),
                today=self._clock.today,
            )
            return pb.ApproveChangeOrderResponse(change_order=write_change_order(change_order))

        return await once(self._engine, request, pb.ApproveChangeOrderResponse, handle)

    async def RejectChangeOrder(
        self, request: pb.RejectChangeOrderRequest, context: object
    ) -> pb.RejectChangeOrderResponse:
        change_order_id = _read_id(request.change_order_id)

        async def handle(tx: AsyncConnection) -> pb.RejectChangeOrderResponse:
            change_order = await commands.reject(
                tx, change_order_id, version=request.version, reason=request.reason
            )
            return pb.RejectChangeOrderResponse(change_order=write_change_order(change_order))

        return await once(self._engine, request, pb.RejectChangeOrderResponse, handle)

    async def WithdrawChangeOrder(
        self, request: pb.WithdrawChangeOrderRequest, context: object
    ) -> pb.WithdrawChangeOrderResponse:
        change_order_id = _read_id(request.change_order_id)

        async def handle(tx: AsyncConnection) -> pb.WithdrawChangeOrderResponse:
            change_order = await commands.withdraw(
                tx, change_order_id, version=request.version, reason=request.reason
            )
            return pb.WithdrawChangeOrderResponse(change_order=write_change_order(change_order))

        return await once(self._engine, request, pb.WithdrawChangeOrderResponse, handle)

    async def ApplyChangeOrder(
        self, request: pb.ApplyChangeOrderRequest, context: object
    ) -> pb.ApplyChangeOrderResponse:
        change_order_id = _read_id(request.change_order_id)

        async def handle(tx: AsyncConnection) -> pb.ApplyChangeOrderResponse:
            change_order, contract = await commands.apply(
                tx,
                change_order_id,
                version=request.version,
                by=current_caller().subject,
                at=self._clock.now(),
                today=self._clock.today,
            )
            return pb.ApplyChangeOrderResponse(
                change_order=write_change_order(change_order), contract=write_contract(contract)
            )

        return await once(self._engine, request, pb.ApplyChangeOrderResponse, handle)


def _read_id(value: str) -> ChangeOrderId:
    return ChangeOrderId(read_uuid("change_order_id", value))


def _read_wanted(
    request: pb.CreateChangeOrderRequest | pb.UpdateChangeOrderRequest,
) -> commands.Wanted:
    return commands.Wanted(
        reason=request.reason,
        effective_on=read_date("effective_on", request.effective_on),
        offer=read_content_offer(request.content),
    )
