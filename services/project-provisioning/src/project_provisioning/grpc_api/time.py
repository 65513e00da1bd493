"""TimeService."""

from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.bulk.time import Decision
from project_provisioning.commands import time as commands
from project_provisioning.commands import timesheet as timesheet_commands
from project_provisioning.domain.time_entry import ApprovalNotAllowed
from project_provisioning.domain.timesheet import Selection, SelectionUnclear
from project_provisioning.grpc_api.caller import is_pmo_caller, sight_of_caller, subject_of_caller
from project_provisioning.queries import time as queries
from project_provisioning.queries import timesheet as sheet_queries
from project_provisioning.repository import time_entry as repository
from project_provisioning.wire import time as wire
from project_provisioning.wire import timesheet as sheet_wire
from throughline.project_provisioning.v1 import time_service_pb2 as pb
from throughline.project_provisioning.v1.time_service_pb2_grpc import TimeServiceServicer
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import (
    read_date,
    read_optional_date,
    read_optional_enum,
    read_optional_uuid,
    read_uuid,
)
from throughline_runtime.identity import current_caller
from throughline_runtime.ids import new_id
from throughline_runtime.once import once
from throughline_runtime.page import read_page

_ENTRIES_MAX: Final = 1000
_SHEETS_MAX: Final = 500
# Approvals and what stands in for them count in days of the firm, not of one company.
_ZONE: Final = "UTC"
_APPROVING_ROLES: Final = frozenset({"ROLE_ADMIN", "ROLE_INTEGRATION", "ROLE_PMO"})


class TimeServicer(TimeServiceServicer):
    """Time entries and timesheets."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._engine = context.engine

    async def ImportTimeEntries(
        self, request: pb.ImportTimeEntriesRequest, context: object
    ) -> pb.ImportTimeEntriesResponse:
        columns = wire.read_columns(request.rows)
        sight = sight_of_caller()
        decision = self._decision() if request.approved else None
        if decision is not None and current_caller().roles.isdisjoint(_APPROVING_ROLES):
            raise ApprovalNotAllowed(
                "only integration and PMO bring in time that was approved elsewhere",
                field="approved",
                advice="send the entries without `approved` and have them approved here",
            )

        async def handle(tx: AsyncConnection) -> pb.ImportTimeEntriesResponse:
            ruling, _ = await commands.record_time(
                tx,
                columns,
                sight=sight,
                at=self._context.clock.now(),
                decision=decision,
                is_partial=request.partial,
            )
            return wire.write_ruling(ruling, is_partial=request.partial)

        return await once(self._engine, request, pb.ImportTimeEntriesResponse, handle)

    async def CreateTimeEntry(
        self, request: pb.CreateTimeEntryRequest, context: object
    ) -> pb.CreateTimeEntryResponse:
        columns = wire.read_columns([request])
        sight = sight_of_caller()

        async def handle(tx: AsyncConnection) -> pb.CreateTimeEntryResponse:
            at = self._context.clock.now()
            ruling, sheets = await commands.record_time(
                tx, columns, sight=sight, at=at, field_pattern=commands.FIELD
            )
            if ruling.entries:
                recorded = wire.write_new_entry(ruling.entries[0], sheets, at)
            else:
                recorded = wire.write_recorded_entry(
                    await repository.get(tx, UUID(ruling.duplicates[0]))
                )
            return pb.CreateTimeEntryResponse(
                time_entry=recorded, duplicate=bool(ruling.duplicates)
            )

        return await once(self._engine, request, pb.CreateTimeEntryResponse, handle)

    async def DeleteTimeEntry(
        self, request: pb.DeleteTimeEntryRequest, context: object
    ) -> pb.DeleteTimeEntryResponse:
        time_entry_id = read_uuid("time_entry_id", request.time_entry_id)
        sight = sight_of_caller()

        async def handle(tx: AsyncConnection) -> pb.DeleteTimeEntryResponse:
            await commands.delete_time_entry(tx, time_entry_id, sight)
            return pb.DeleteTimeEntryResponse()

        return await once(self._engine, request, pb.DeleteTimeEntryResponse, handle)

    async def ListTimeEntries(
        self, request: pb.ListTimeEntriesRequest, context: object
    ) -> pb.ListTimeEntriesResponse:
        page = read_page(request, max=_ENTRIES_MAX)
        filters = {
            "person_id": read_optional_uuid("person_id", request.person_id),
            "project_id": read_optional_uuid("project_id", request.project_id),
            "contract_id": read_optional_uuid("contract_id", request.contract_id),
            "timesheet_id": read_optional_uuid("timesheet_id", request.timesheet_id),
        }
        worked_from = read_optional_date("worked_from", request.worked_from)
        worked_before = read_optional_date("worked_before", request.worked_before)
        status = read_optional_enum("status", request.status, wire.STATUSES)
        async with read(self._engine) as tx:
            rows, token = await queries.time_entries(
                tx,
                **filters,
                worked_from=worked_from,
                worked_before=worked_before,
                status=status,
                sight=sight_of_caller(),
                on=self._context.clock.today(_ZONE),
                page=page,
            )
        return pb.ListTimeEntriesResponse(
            time_entries=map(wire.write_recorded_entry, rows), next_page_token=token
        )

    async def GetTimesheet(
        self, request: pb.GetTimesheetRequest, context: object
    ) -> pb.GetTimesheetResponse:
        timesheet_id = read_uuid("timesheet_id", request.timesheet_id)
        async with read(self._engine) as tx:
            return pb.GetTimesheetResponse(
                timesheet=await timesheet_of(tx, timesheet_id, self._context)
            )

    async def ListTimesheets(
        self, request: pb.ListTimesheetsRequest, context: object
    ) -> pb.ListTimesheetsResponse:
        page = read_page(request, max=_SHEETS_MAX)
        person_id = read_optional_uuid("person_id", request.person_id)
        status = read_optional_enum("status", request.status, wire.STATUSES)
        week_from = read_optional_date("week_from", request.week_from)
        week_before = read_optional_date("week_before", request.week_before)
        async with read(self._engine) as tx:
            rows, token = await sheet_queries.timesheets(
                tx,
                person_id=person_id,
                status=status,
                week_from=week_from,
                week_before=week_before,
                sight=sight_of_caller(),
                on=self._context.clock.today(_ZONE),
                page=page,
            )
        return pb.ListTimesheetsResponse(
            timesheets=map(sheet_wire.write_timesheet, rows), next_page_token=token
        )

    async def SubmitTimesheet(
        self, request: pb.SubmitTimesheetRequest, context: object
    ) -> pb.SubmitTimesheetResponse:
        timesheet_id = read_uuid("timesheet_id", request.timesheet_id)

        async def handle(tx: AsyncConnection) -> pb.SubmitTimesheetResponse:
            await timesheet_commands.submit_timesheets(
                tx,
                [timesheet_id],
                sight=sight_of_caller(),
                by=subject_of_caller(),
                at=self._context.clock.now(),
            )
            return pb.SubmitTimesheetResponse(
                timesheet=await timesheet_of(tx, timesheet_id, self._context)
            )

        return await once(self._engine, request, pb.SubmitTimesheetResponse, handle)

    async def ApproveTimesheet(
        self, request: pb.ApproveTimesheetRequest, context: object
    ) -> pb.ApproveTimesheetResponse:
        timesheet_id = read_uuid("timesheet_id", request.timesheet_id)
        decision, is_pmo = self._decision(), is_pmo_caller()

        async def handle(tx: AsyncConnection) -> pb.ApproveTimesheetResponse:
            await timesheet_commands.approve_timesheets(tx, [timesheet_id], decision, is_pmo=is_pmo)
            return pb.ApproveTimesheetResponse(
                timesheet=await timesheet_of(tx, timesheet_id, self._context)
            )

        return await once(self._engine, request, pb.ApproveTimesheetResponse, handle)

    async def RejectTimesheet(
        self, request: pb.RejectTimesheetRequest, context: object
    ) -> pb.RejectTimesheetResponse:
        timesheet_id = read_uuid("timesheet_id", request.timesheet_id)
        decision, is_pmo = self._decision(), is_pmo_caller()

        async def handle(tx: AsyncConnection) -> pb.RejectTimesheetResponse:
            await timesheet_commands.reject_timesheet(
                tx, timesheet_id, decision, is_pmo=is_pmo, reason=request.reason
            )
            return pb.RejectTimesheetResponse(
                timesheet=await timesheet_of(tx, timesheet_id, self._context)
            )

        return await once(self._engine, request, pb.RejectTimesheetResponse, handle)

    async def ApproveTimesheets(
        self, request: pb.ApproveTimesheetsRequest, context: object
    ) -> pb.ApproveTimesheetsResponse:
        timesheet_ids = [read_uuid("timesheet_ids", value) for value in request.timesheet_ids]
        selection = _read_selection(request)
        if bool(timesheet_ids) == (selection is not None):
            raise SelectionUnclear(
                "the timesheets to approve are not clear",
                advice="send timesheet_ids, or project_id with week_from and week_before",
            )
        decision, is_pmo = self._decision(), is_pmo_caller()

        async def handle(tx: AsyncConnection) -> pb.ApproveTimesheetsResponse:
            if selection is None:
                approval = await timesheet_commands.approve_timesheets(
                    tx, timesheet_ids, decision, is_pmo=is_pmo
                )
            else:
                approval = await timesheet_commands.approve_selection(
                    tx, selection, decision, is_pmo=is_pmo, sight=sight_of_caller()
                )
            return sheet_wire.write_approval(approval)

        return await once(self._engine, request, pb.ApproveTimesheetsResponse, handle)

    def _decision(self) -> Decision:
        return Decision(new_id(), subject_of_caller(), self._context.clock.now())


async def timesheet_of(tx: AsyncConnection, timesheet_id: UUID, context: Context) -> pb.Timesheet:
    """Return a sheet as the caller may see it, with what is said of it."""
    sight, on = sight_of_caller(), context.clock.today(_ZONE)
    row = await sheet_queries.get_timesheet(tx, timesheet_id, sight, on=on)
    findings = await sheet_queries.findings_of(tx, timesheet_id)
    rejections = await sheet_queries.rejections_of(tx, timesheet_id)
    return sheet_wire.write_timesheet(row, findings, rejections)


def _read_selection(request: pb.ApproveTimesheetsRequest) -> Selection | None:
    """Return the project and the weeks, None where no project is named.

    Raises:
        MalformedField: a week is missing.
    """
    project_id = read_optional_uuid("project_id", request.project_id)
    if project_id is None:
        return None
    return Selection(
        project_id=project_id,
        week_from=read_date("week_from", request.week_from),
        week_before=read_date("week_before", request.week_before),
    )
