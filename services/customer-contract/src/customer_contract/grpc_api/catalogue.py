"""CatalogueService."""

from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract.commands import catalogue as commands
from customer_contract.grpc_api.caller import read_act
from customer_contract.queries import price_lists as queries
from customer_contract.repository import catalogue as repository
from customer_contract.wire.catalogue import read_defaults, write_entry
from customer_contract.wire.service_line import BILLING_MODEL
from throughline.customer_contract.v1 import catalogue_service_pb2 as pb
from throughline.customer_contract.v1.catalogue_service_pb2_grpc import CatalogueServiceServicer
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import read_optional_enum
from throughline_runtime.once import once
from throughline_runtime.page import read_page


class CatalogueServicer(CatalogueServiceServicer):
    """What the firm sells."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine
        self._clock = context.clock

    async def PutService(
        self, request: pb.PutServiceRequest, context: object
    ) -> pb.PutServiceResponse:
        defaults = read_defaults(request)
        act = read_act(self._clock.now())

        async def handle(tx: AsyncConnection) -> pb.PutServiceResponse:
            entry = await commands.put(
                tx, request.code, defaults, retired=request.retired, by=act.by, at=act.at
            )
            return pb.PutServiceResponse(service=write_entry(entry))

        return await once(self._engine, request, pb.PutServiceResponse, handle)

    async def GetService(
        self, request: pb.GetServiceRequest, context: object
    ) -> pb.GetServiceResponse:
        async with read(self._engine) as tx:
            entry = await repository.get(tx, request.code)
        return pb.GetServiceResponse(service=write_entry(entry))

    async def ListServiceVersions(
        self, request: pb.ListServiceVersionsRequest, context: object
    ) -> pb.ListServiceVersionsResponse:
        page = read_page(request)
        async with read(self._engine) as tx:
            services, token = await queries.service_versions(tx, page, code=request.code)
        return pb.ListServiceVersionsResponse(services=services, next_page_token=token)

    async def ListServices(
        self, request: pb.ListServicesRequest, context: object
    ) -> pb.ListServicesResponse:
        page = read_page(request)
        model = read_optional_enum("billing_model", request.billing_model, BILLING_MODEL)
        async with read(self._engine) as tx:
            services, token = await queries.services(
                tx, page, billing_model=model, include_retired=request.include_retired
            )
        return pb.ListServicesResponse(services=services, next_page_token=token)
