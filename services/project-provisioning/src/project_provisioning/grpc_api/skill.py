"""SkillService."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.commands import skill as commands
from project_provisioning.grpc_api.caller import sight_of_caller
from project_provisioning.queries import skill as queries
from project_provisioning.wire import skill as wire
from throughline.project_provisioning.v1 import skill_service_pb2 as pb
from throughline.project_provisioning.v1.skill_service_pb2_grpc import SkillServiceServicer
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import read_optional_date, read_optional_uuid, read_uuid
from throughline_runtime.once import once
from throughline_runtime.page import read_page

_PAGE_SIZE_MAX: Final = 500


class SkillServicer(SkillServiceServicer):
    """What people can do."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._engine = context.engine

    async def PutSkill(self, request: pb.PutSkillRequest, context: object) -> pb.PutSkillResponse:
        skill = wire.read_skill(request)

        async def handle(tx: AsyncConnection) -> pb.PutSkillResponse:
            return pb.PutSkillResponse(skill=wire.write_skill(await commands.put_skill(tx, skill)))

        return await once(self._engine, request, pb.PutSkillResponse, handle)

    async def ListSkills(
        self, request: pb.ListSkillsRequest, context: object
    ) -> pb.ListSkillsResponse:
        page = read_page(request, max=_PAGE_SIZE_MAX)
        async with read(self._engine) as tx:
            skills, token = await queries.skills(
                tx, category=request.category, with_retired=request.retired, page=page
            )
        return pb.ListSkillsResponse(skills=map(wire.write_skill, skills), next_page_token=token)

    async def PutPersonSkill(
        self, request: pb.PutPersonSkillRequest, context: object
    ) -> pb.PutPersonSkillResponse:
        held = wire.read_person_skill(request)

        async def handle(tx: AsyncConnection) -> pb.PutPersonSkillResponse:
            given = await commands.give_skill(tx, held)
            return pb.PutPersonSkillResponse(person_skill=wire.write_person_skill(given))

        return await once(self._engine, request, pb.PutPersonSkillResponse, handle)

    async def RemovePersonSkill(
        self, request: pb.RemovePersonSkillRequest, context: object
    ) -> pb.RemovePersonSkillResponse:
        person_id = read_uuid("person_id", request.person_id)

        async def handle(tx: AsyncConnection) -> pb.RemovePersonSkillResponse:
            await commands.take_skill(tx, person_id, request.skill_code)
            return pb.RemovePersonSkillResponse()

        return await once(self._engine, request, pb.RemovePersonSkillResponse, handle)

    async def ListPersonSkills(
        self, request: pb.ListPersonSkillsRequest, context: object
    ) -> pb.ListPersonSkillsResponse:
        person_id = read_uuid("person_id", request.person_id)
        page = read_page(request, max=_PAGE_SIZE_MAX)
        async with read(self._engine) as tx:
            held, token = await queries.skills_of(tx, person_id, sight=sight_of_caller(), page=page)
        return pb.ListPersonSkillsResponse(
            person_skills=map(wire.write_person_skill, held), next_page_token=token
        )

    async def ListSkilledPersons(
        self, request: pb.ListSkilledPersonsRequest, context: object
    ) -> pb.ListSkilledPersonsResponse:
        page = read_page(request, max=_PAGE_SIZE_MAX)
        held_on = read_optional_date("held_on", request.held_on)
        legal_entity_id = read_optional_uuid("legal_entity_id", request.legal_entity_id)
        async with read(self._engine) as tx:
            found, token = await queries.skilled_persons(
                tx,
                wire.read_needed(request.skills),
                held_on=held_on or self._context.clock.today("UTC"),
                legal_entity_id=legal_entity_id,
                role=request.role,
                region=request.region,
                sight=sight_of_caller(),
                page=page,
            )
        return pb.ListSkilledPersonsResponse(
            persons=[wire.write_skilled_person(person, held) for person, held in found],
            next_page_token=token,
        )
