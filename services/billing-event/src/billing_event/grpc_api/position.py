"""Sums over the ledger, and what is taken back from it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.commands import withdraw
from billing_event.commands.settle import set_aside
from billing_event.domain.position import BillingEventId
from billing_event.domain.source import ContractId, SourceItemId
from billing_event.domain.step import AlreadyBilled
from billing_event.grpc_api.fields import read_contract_id, read_entities, read_line_id
from billing_event.queries import position
from billing_event.queries.wip import GROUPINGS, WipFilter, WipGrouping, wip
from throughline.billing_event.v1 import (
    position_service_pb2 as position_pb,
)
from throughline.billing_event.v1.position_service_pb2_grpc import PositionServiceServicer
from throughline_core.errors import FailedPrecondition
from throughline_runtime import database
from throughline_runtime.context import Context
from throughline_runtime.fields import (
    read_date,
    read_optional_enum,
    read_optional_uuid,
    read_uuid,
)
from throughline_runtime.once import once
from throughline_runtime.page import read_page

_WIP_MAX: Final = 1_000
# Longer than any transaction lives: rows rated on a day are visible once it is over by this much.
_SETTLING: Final = timedelta(minutes=15)


class PositionServicer(PositionServiceServicer):
    """Sums over the ledger."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._engine = context.engine
        self._clock = context.clock

    async def GetContractPosition(
        self, request: position_pb.GetContractPositionRequest, context: object
    ) -> position_pb.GetContractPositionResponse:
        contract_id = ContractId(read_uuid("contract_id", request.contract_id))
        async with database.read(self._engine) as tx:
            return await position.contract_position(tx, contract_id)

    async def GetWip(
        self, request: position_pb.GetWipRequest, context: object
    ) -> position_pb.GetWipResponse:
        as_of = read_date("as_of", request.as_of)
        wanted = WipFilter(
            legal_entity_ids=read_entities(request.legal_entity_id),
            contract_id=read_contract_id(request.contract_id),
            contract_line_id=read_line_id(request.contract_line_id),
            project_id=read_optional_uuid("project_id", request.project_id),
            person_id=read_optional_uuid("person_id", request.person_id),
        )
        grouping = read_optional_enum("group_by", request.group_by, GROUPINGS)
        page = read_page(request, keys=3, max=_WIP_MAX)
        settled = self._clock.now() - _SETTLING
        async with database.read(self._engine) as tx:
            zones = await position.zones(tx)
            position.require_over(as_of, settled=settled, zones=zones)
            return await wip(tx, as_of, wanted, grouping or WipGrouping.CONTRACT_LINE, page)

    async def WithdrawSource(
        self, request: position_pb.WithdrawSourceRequest, context: object
    ) -> position_pb.WithdrawSourceResponse:
        item_id = SourceItemId(read_uuid("source_item_id", request.source_item_id))

        async def handle(tx: AsyncConnection) -> position_pb.WithdrawSourceResponse:
            done = await withdraw.withdraw(
                tx,
                item_id,
                source_version=request.source_version,
                reason=request.reason,
                at=self._clock.now(),
            )
            return position_pb.WithdrawSourceResponse(
                source_item_id=str(item_id),
                reversed_billing_event_ids=map(str, done.billing_event_ids),
                ahead_of_acceptance=done.is_ahead,
            )

        async with self._set_aside(item_id) as left:
            response = await once(self._engine, request, position_pb.WithdrawSourceResponse, handle)
            left -= {BillingEventId(UUID(each)) for each in response.reversed_billing_event_ids}
        return response

    @asynccontextmanager
    async def _set_aside(self, item_id: SourceItemId) -> AsyncIterator[set[BillingEventId]]:
        """Have invoicing keep its hands off what is released, while it is taken back here.

        Raises:
            AlreadyBilled: some of it is on a draft or an issued invoice.
        """
        async with database.read(self._engine) as tx:
            released = await withdraw.released(tx, item_id)
        async with AsyncExitStack() as stack:
            try:
                left = await stack.enter_async_context(set_aside(self._context, released))
            except FailedPrecondition as refusal:
                raise AlreadyBilled(
                    refusal.message, field="source_item_id", advice=refusal.advice
                ) from refusal
            yield left
