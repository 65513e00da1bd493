"""PersonService."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.commands import person as commands
from project_provisioning.grpc_api.caller import sight_of_caller
from project_provisioning.queries import time as queries
from project_provisioning.wire import person as wire
from throughline.project_provisioning.v1 import person_service_pb2 as pb
from throughline.project_provisioning.v1.person_service_pb2_grpc import PersonServiceServicer
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import read_optional_uuid, read_uuid
from throughline_runtime.ids import new_id
from throughline_runtime.once import once
from throughline_runtime.page import read_page

_PAGE_SIZE_MAX: Final = 500


class PersonServicer(PersonServiceServicer):
    """People who deliver."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._engine = context.engine

    async def CreatePerson(
        self, request: pb.CreatePersonRequest, context: object
    ) -> pb.CreatePersonResponse:
        person = wire.read_person(request, new_id())

        async def handle(tx: AsyncConnection) -> pb.CreatePersonResponse:
            created = await commands.create_person(
                tx, person, today=self._context.clock.today("UTC")
            )
            return pb.CreatePersonResponse(person=wire.write_person(created))

        return await once(self._engine, request, pb.CreatePersonResponse, handle)

    async def GetPerson(
        self, request: pb.GetPersonRequest, context: object
    ) -> pb.GetPersonResponse:
        person_id = read_uuid("person_id", request.person_id)
        async with read(self._engine) as tx:
            person = await queries.get_person(tx, person_id, sight_of_caller())
        return pb.GetPersonResponse(person=wire.write_person(person))

    async def ListPersons(
        self, request: pb.ListPersonsRequest, context: object
    ) -> pb.ListPersonsResponse:
        page = read_page(request, max=_PAGE_SIZE_MAX)
        legal_entity_id = read_optional_uuid("legal_entity_id", request.legal_entity_id)
        async with read(self._engine) as tx:
            persons, token = await queries.persons(
                tx,
                legal_entity_id=legal_entity_id,
                role=request.role,
                sight=sight_of_caller(),
                page=page,
            )
        return pb.ListPersonsResponse(
            persons=map(wire.write_person, persons), next_page_token=token
        )
