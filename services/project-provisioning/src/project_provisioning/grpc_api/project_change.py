"""ProjectChangeService."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.commands import handover as commands
from project_provisioning.domain.handover import Wish
from project_provisioning.grpc_api.caller import sight_of_caller, subject_of_caller
from project_provisioning.queries import handover as queries
from project_provisioning.queries.provisioning import get_project
from project_provisioning.repository.handover import remaining
from project_provisioning.upkeep import HAND_OVER
from project_provisioning.wire import handover as wire
from throughline.project_provisioning.v1 import project_change_service_pb2 as pb
from throughline.project_provisioning.v1.project_change_service_pb2_grpc import (
    ProjectChangeServiceServicer,
)
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import (
    read_optional_date,
    read_optional_enum,
    read_optional_uuid,
    read_uuid,
)
from throughline_runtime.identity import visible_entities
from throughline_runtime.once import once
from throughline_runtime.page import read_page

_PAGE_SIZE_MAX: Final = 200


class ProjectChangeServicer(ProjectChangeServiceServicer):
    """What open projects follow."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._engine = context.engine

    async def ReassignProjects(
        self, request: pb.ReassignProjectsRequest, context: object
    ) -> pb.ReassignProjectsResponse:
        today = self._context.clock.today("UTC")
        wish = Wish(
            from_person_id=read_uuid("from_person_id", request.from_person_id),
            to_person_id=read_uuid("to_person_id", request.to_person_id),
            effective_on=read_optional_date("effective_on", request.effective_on) or today,
            legal_entity_id=read_optional_uuid("legal_entity_id", request.legal_entity_id),
            customer_id=read_optional_uuid("customer_id", request.customer_id),
            project_ids=tuple(read_uuid("project_ids", each) for each in request.project_ids),
            entities=visible_entities(),
            reason=request.reason,
        )

        async def handle(tx: AsyncConnection) -> pb.ReassignProjectsResponse:
            standing = await commands.reassign(
                tx,
                wish,
                by=subject_of_caller(),
                at=self._context.clock.now(),
                today=today,
                is_dry_run=request.dry_run,
            )
            return pb.ReassignProjectsResponse(
                handover=wire.write_handover(standing.handover, remaining=standing.remaining),
                project_numbers=standing.numbers,
            )

        reply = await once(self._engine, request, pb.ReassignProjectsResponse, handle)
        self._context.wake(HAND_OVER)
        return reply

    async def GetManagerHandover(
        self, request: pb.GetManagerHandoverRequest, context: object
    ) -> pb.GetManagerHandoverResponse:
        handover_id = read_uuid("handover_id", request.handover_id)
        async with read(self._engine) as tx:
            handover = await queries.get_handover(tx, handover_id, visible_entities())
            left = (await remaining(tx, [handover])).get(handover_id, 0)
        return pb.GetManagerHandoverResponse(handover=wire.write_handover(handover, remaining=left))

    async def ListManagerHandovers(
        self, request: pb.ListManagerHandoversRequest, context: object
    ) -> pb.ListManagerHandoversResponse:
        page = read_page(request, max=_PAGE_SIZE_MAX)
        status = read_optional_enum("status", request.status, wire.STATUSES)
        person_id = read_optional_uuid("person_id", request.person_id)
        async with read(self._engine) as tx:
            found, token = await queries.handovers(
                tx, status=status, person_id=person_id, entities=visible_entities(), page=page
            )
            left = await remaining(tx, found)
        return pb.ListManagerHandoversResponse(
            handovers=[
                wire.write_handover(each, remaining=left.get(each.handover_id, 0))
                for each in found
                if each.handover_id is not None
            ],
            next_page_token=token,
        )

    async def CancelManagerHandover(
        self, request: pb.CancelManagerHandoverRequest, context: object
    ) -> pb.CancelManagerHandoverResponse:
        handover_id = read_uuid("handover_id", request.handover_id)

        async def handle(tx: AsyncConnection) -> pb.CancelManagerHandoverResponse:
            handover = await commands.cancel(
                tx, handover_id, entities=visible_entities(), at=self._context.clock.now()
            )
            return pb.CancelManagerHandoverResponse(
                handover=wire.write_handover(handover, remaining=0)
            )

        return await once(self._engine, request, pb.CancelManagerHandoverResponse, handle)

    async def ListProjectChanges(
        self, request: pb.ListProjectChangesRequest, context: object
    ) -> pb.ListProjectChangesResponse:
        project_id = read_uuid("project_id", request.project_id)
        page = read_page(request, max=_PAGE_SIZE_MAX)
        kind = read_optional_enum("kind", request.kind, wire.KINDS)
        subject_id = read_optional_uuid("subject_id", request.subject_id)
        async with read(self._engine) as tx:
            await get_project(tx, project_id, sight_of_caller())
            rows, token = await queries.changes(
                tx, project_id, kind=kind, subject_id=subject_id, page=page
            )
        return pb.ListProjectChangesResponse(
            changes=map(wire.write_change, rows), next_page_token=token
        )
