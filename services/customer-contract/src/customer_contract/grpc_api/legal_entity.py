"""LegalEntityService."""

from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract.commands import legal_entity as commands
from customer_contract.domain.legal_entity import calendar_days
from customer_contract.domain.values import LegalEntityId
from customer_contract.queries import parties as queries
from customer_contract.queries.sight import require_sight
from customer_contract.repository import legal_entity as repository
from customer_contract.wire.legal_entity import (
    read_profile,
    write_calendar,
    write_legal_entity,
)
from throughline.customer_contract.v1 import legal_entity_service_pb2 as pb
from throughline.customer_contract.v1.legal_entity_service_pb2_grpc import (
    LegalEntityServiceServicer,
)
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import read_date, read_optional_date, read_uuid
from throughline_runtime.once import once
from throughline_runtime.page import read_page


class LegalEntityServicer(LegalEntityServiceServicer):
    """The companies of the firm."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine
        self._clock = context.clock

    async def CreateLegalEntity(
        self, request: pb.CreateLegalEntityRequest, context: object
    ) -> pb.CreateLegalEntityResponse:
        profile = read_profile(request)

        async def handle(tx: AsyncConnection) -> pb.CreateLegalEntityResponse:
            entity = await commands.create(
                tx, code=request.code, currency=request.currency, profile=profile
            )
            return pb.CreateLegalEntityResponse(legal_entity=write_legal_entity(entity))

        return await once(self._engine, request, pb.CreateLegalEntityResponse, handle)

    async def UpdateLegalEntity(
        self, request: pb.UpdateLegalEntityRequest, context: object
    ) -> pb.UpdateLegalEntityResponse:
        entity_id = LegalEntityId(read_uuid("legal_entity_id", request.legal_entity_id))
        profile = read_profile(request)

        async def handle(tx: AsyncConnection) -> pb.UpdateLegalEntityResponse:
            entity = await commands.update(
                tx,
                entity_id,
                profile,
                version=request.version,
                keeps_details=not request.HasField("details"),
            )
            return pb.UpdateLegalEntityResponse(legal_entity=write_legal_entity(entity))

        return await once(self._engine, request, pb.UpdateLegalEntityResponse, handle)

    async def ClosePeriod(
        self, request: pb.ClosePeriodRequest, context: object
    ) -> pb.ClosePeriodResponse:
        entity_id = LegalEntityId(read_uuid("legal_entity_id", request.legal_entity_id))
        closed_through = read_optional_date("closed_through", request.closed_through)

        async def handle(tx: AsyncConnection) -> pb.ClosePeriodResponse:
            entity = await commands.close_period(
                tx,
                entity_id,
                closed_through,
                reason=request.reason,
                version=request.version,
                today=self._clock.today,
            )
            return pb.ClosePeriodResponse(legal_entity=write_legal_entity(entity))

        return await once(self._engine, request, pb.ClosePeriodResponse, handle)

    async def GetCalendar(
        self, request: pb.GetCalendarRequest, context: object
    ) -> pb.GetCalendarResponse:
        entity_id = LegalEntityId(read_uuid("legal_entity_id", request.legal_entity_id))
        from_on = read_date("from_on", request.from_on)
        to_on = read_date("to_on", request.to_on)
        require_sight(entity_id, repository.missing(entity_id))
        async with read(self._engine) as tx:
            entity = await repository.get(tx, entity_id)
        return write_calendar(calendar_days(entity, from_on=from_on, to_on=to_on))

    async def GetLegalEntity(
        self, request: pb.GetLegalEntityRequest, context: object
    ) -> pb.GetLegalEntityResponse:
        entity_id = LegalEntityId(read_uuid("legal_entity_id", request.legal_entity_id))
        require_sight(entity_id, repository.missing(entity_id))
        async with read(self._engine) as tx:
            entity = await repository.get(tx, entity_id)
        return pb.GetLegalEntityResponse(legal_entity=write_legal_entity(entity))

    async def ListLegalEntities(
        self, request: pb.ListLegalEntitiesRequest, context: object
    ) -> pb.ListLegalEntitiesResponse:
        page = read_page(request)
        async with read(self._engine) as tx:
            entities, token = await queries.legal_entities(
                tx, page, code=request.code, country=request.country
            )
        return pb.ListLegalEntitiesResponse(legal_entities=entities, next_page_token=token)
