"""CalendarService."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.commands import calendar as commands
from project_provisioning.grpc_api.caller import sight_of_caller
from project_provisioning.queries import calendar as queries
from project_provisioning.wire import calendar as wire
from throughline.project_provisioning.v1 import calendar_service_pb2 as pb
from throughline.project_provisioning.v1.calendar_service_pb2_grpc import CalendarServiceServicer
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import read_date, read_optional_uuid, read_uuid
from throughline_runtime.once import once
from throughline_runtime.page import read_page

_PAGE_SIZE_MAX: Final = 500


class CalendarServicer(CalendarServiceServicer):
    """When people work."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine

    async def PutWorkCalendar(
        self, request: pb.PutWorkCalendarRequest, context: object
    ) -> pb.PutWorkCalendarResponse:
        calendar = wire.read_calendar(request)

        async def handle(tx: AsyncConnection) -> pb.PutWorkCalendarResponse:
            put = await commands.put_calendar(tx, calendar)
            return pb.PutWorkCalendarResponse(work_calendar=wire.write_calendar(put))

        return await once(self._engine, request, pb.PutWorkCalendarResponse, handle)

    async def GetWorkCalendar(
        self, request: pb.GetWorkCalendarRequest, context: object
    ) -> pb.GetWorkCalendarResponse:
        async with read(self._engine) as tx:
            calendar = await queries.get_calendar(tx, request.code)
        return pb.GetWorkCalendarResponse(work_calendar=wire.write_calendar(calendar))

    async def ListWorkCalendars(
        self, request: pb.ListWorkCalendarsRequest, context: object
    ) -> pb.ListWorkCalendarsResponse:
        page = read_page(request, max=_PAGE_SIZE_MAX)
        async with read(self._engine) as tx:
            calendars, token = await queries.calendars(tx, page=page)
        return pb.ListWorkCalendarsResponse(
            work_calendars=map(wire.write_calendar, calendars), next_page_token=token
        )

    async def ListWorkingDays(
        self, request: pb.ListWorkingDaysRequest, context: object
    ) -> pb.ListWorkingDaysResponse:
        person_id = read_uuid("person_id", request.person_id)
        first = read_date("first_on", request.first_on)
        before = read_date("before", request.before)
        async with read(self._engine) as tx:
            person, days = await queries.working_days(
                tx, person_id, first, before, sight_of_caller()
            )
        return pb.ListWorkingDaysResponse(
            days=map(wire.write_day, days), capacity=wire.write_capacity(person, days)
        )

    async def ListCapacities(
        self, request: pb.ListCapacitiesRequest, context: object
    ) -> pb.ListCapacitiesResponse:
        page = read_page(request, max=_PAGE_SIZE_MAX)
        first = read_date("first_on", request.first_on)
        before = read_date("before", request.before)
        legal_entity_id = read_optional_uuid("legal_entity_id", request.legal_entity_id)
        async with read(self._engine) as tx:
            found, token = await queries.capacities(
                tx,
                first,
                before,
                legal_entity_id=legal_entity_id,
                role=request.role,
                sight=sight_of_caller(),
                page=page,
            )
        return pb.ListCapacitiesResponse(
            capacities=[wire.write_capacity(person, days) for person, days in found],
            next_page_token=token,
        )
