"""WorkforceService."""

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.commands import person as commands
from project_provisioning.grpc_api.caller import sight_of_caller
from project_provisioning.queries import employment as queries
from project_provisioning.wire import employment as wire
from project_provisioning.wire import person as person_wire
from throughline.project_provisioning.v1 import workforce_service_pb2 as pb
from throughline.project_provisioning.v1.workforce_service_pb2_grpc import (
    WorkforceServiceServicer,
)
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import read_date, read_uuid
from throughline_runtime.once import once


class WorkforceServicer(WorkforceServiceServicer):
    """Employment over time."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._engine = context.engine

    async def GetEmployments(
        self, request: pb.GetEmploymentsRequest, context: object
    ) -> pb.GetEmploymentsResponse:
        person_id = read_uuid("person_id", request.person_id)
        async with read(self._engine) as tx:
            employee = await queries.get_employee(tx, person_id, sight_of_caller())
        return pb.GetEmploymentsResponse(
            person=person_wire.write_person(employee.person),
            employments=map(wire.write_employment, employee.employments),
        )

    async def EmployPerson(
        self, request: pb.EmployPersonRequest, context: object
    ) -> pb.EmployPersonResponse:
        person_id = read_uuid("person_id", request.person_id)
        stretch = wire.read_employment("employment", request.employment)

        async def handle(tx: AsyncConnection) -> pb.EmployPersonResponse:
            employee = await commands.employ(
                tx, person_id, stretch, today=self._context.clock.today("UTC")
            )
            return pb.EmployPersonResponse(
                person=person_wire.write_person(employee.person),
                employments=map(wire.write_employment, employee.employments),
            )

        return await once(self._engine, request, pb.EmployPersonResponse, handle)

    async def TransferPerson(
        self, request: pb.TransferPersonRequest, context: object
    ) -> pb.TransferPersonResponse:
        person_id = read_uuid("person_id", request.person_id)
        effective_on = read_date("effective_on", request.effective_on)
        legal_entity_id = read_uuid("legal_entity_id", request.legal_entity_id)
        terms = wire.read_terms("terms", request.terms, legal_entity_id=legal_entity_id)

        async def handle(tx: AsyncConnection) -> pb.TransferPersonResponse:
            moved = await commands.transfer(
                tx,
                person_id,
                on=effective_on,
                terms=terms,
                today=self._context.clock.today("UTC"),
            )
            return pb.TransferPersonResponse(
                person=person_wire.write_person(moved.employee.person),
                employments=map(wire.write_employment, moved.employee.employments),
                recorded_time=map(wire.write_recorded, moved.recorded),
                assignments=map(wire.write_followed, moved.followed),
            )

        return await once(self._engine, request, pb.TransferPersonResponse, handle)

    async def ChangeEmployment(
        self, request: pb.ChangeEmploymentRequest, context: object
    ) -> pb.ChangeEmploymentResponse:
        person_id = read_uuid("person_id", request.person_id)
        effective_on = read_date("effective_on", request.effective_on)
        terms = wire.read_terms("terms", request.terms)

        async def handle(tx: AsyncConnection) -> pb.ChangeEmploymentResponse:
            moved = await commands.change_terms(
                tx,
                person_id,
                on=effective_on,
                terms=terms,
                today=self._context.clock.today("UTC"),
            )
            return pb.ChangeEmploymentResponse(
                person=person_wire.write_person(moved.employee.person),
                employments=map(wire.write_employment, moved.employee.employments),
                recorded_time=map(wire.write_recorded, moved.recorded),
            )

        return await once(self._engine, request, pb.ChangeEmploymentResponse, handle)

    async def EndEmployment(
        self, request: pb.EndEmploymentRequest, context: object
    ) -> pb.EndEmploymentResponse:
        person_id = read_uuid("person_id", request.person_id)
        ends_on = read_date("ends_on", request.ends_on)

        async def handle(tx: AsyncConnection) -> pb.EndEmploymentResponse:
            moved = await commands.end_employment(
                tx, person_id, on=ends_on, today=self._context.clock.today("UTC")
            )
            return pb.EndEmploymentResponse(
                person=person_wire.write_person(moved.employee.person),
                employments=map(wire.write_employment, moved.employee.employments),
                recorded_time=map(wire.write_recorded, moved.recorded),
                assignments=map(wire.write_followed, moved.followed),
            )

        return await once(self._engine, request, pb.EndEmploymentResponse, handle)

    async def RevokeEmployment(
        self, request: pb.RevokeEmploymentRequest, context: object
    ) -> pb.RevokeEmploymentResponse:
        person_id = read_uuid("person_id", request.person_id)
        valid_from = read_date("valid_from", request.valid_from)

        async def handle(tx: AsyncConnection) -> pb.RevokeEmploymentResponse:
            employee = await commands.revoke(
                tx, person_id, valid_from=valid_from, today=self._context.clock.today("UTC")
            )
            return pb.RevokeEmploymentResponse(
                person=person_wire.write_person(employee.person),
                employments=map(wire.write_employment, employee.employments),
            )

        return await once(self._engine, request, pb.RevokeEmploymentResponse, handle)
