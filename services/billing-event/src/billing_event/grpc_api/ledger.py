"""The billing calendar."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.commands import rate
from billing_event.domain.recurring import require_near
from billing_event.grpc_api.fields import read_contract_id, read_entities, read_line_id
from billing_event.queries import catalogue
from billing_event.repository import recurring
from throughline.billing_event.v1 import (
    recurring_service_pb2 as recurring_pb,
)
from throughline.billing_event.v1.recurring_service_pb2_grpc import RecurringServiceServicer
from throughline_runtime import database
from throughline_runtime.context import Context
from throughline_runtime.fields import (
    read_date,
    read_optional_date,
    read_optional_enum,
)
from throughline_runtime.identity import visible_entities
from throughline_runtime.once import once
from throughline_runtime.page import read_page

_LIST_MAX: Final = 500


class RecurringServicer(RecurringServiceServicer):
    """The billing calendar."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine
        self._clock = context.clock

    async def ListRecurringPeriods(
        self, request: recurring_pb.ListRecurringPeriodsRequest, context: object
    ) -> recurring_pb.ListRecurringPeriodsResponse:
        wanted = catalogue.PeriodFilter(
            legal_entity_ids=read_entities(request.legal_entity_id),
            contract_id=read_contract_id(request.contract_id),
            contract_line_id=read_line_id(request.contract_line_id),
            status=read_optional_enum("status", request.status, catalogue.PERIOD_STATUSES),
            due_through=read_optional_date("due_through", request.due_through),
        )
        page = read_page(request, keys=2, max=_LIST_MAX)
        async with database.read(self._engine) as tx:
            return await catalogue.recurring_periods(tx, wanted, page)

    async def GenerateRecurringCharges(
        self, request: recurring_pb.GenerateRecurringChargesRequest, context: object
    ) -> recurring_pb.GenerateRecurringChargesResponse:
        through = read_date("through_date", request.through_date)
        contract_id = read_contract_id(request.contract_id)
        entities, at = visible_entities(), self._clock.now()
        require_near(through, today=at.date())

        async def handle(
            tx: AsyncConnection,
        ) -> recurring_pb.GenerateRecurringChargesResponse:
            zones = await recurring.load_zones(tx)
            charged, has_more = await rate.charge(
                tx,
                dict.fromkeys(zones, through),
                at=at,
                limit=rate.CHARGED_MAX,
                contract_id=contract_id,
                legal_entity_ids=entities,
            )
            return recurring_pb.GenerateRecurringChargesResponse(charged=charged, has_more=has_more)

        return await once(
            self._engine, request, recurring_pb.GenerateRecurringChargesResponse, handle
        )
