"""TimesheetService."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.bulk.time import Decision
from project_provisioning.commands import suggestion
from project_provisioning.commands import time as time_commands
from project_provisioning.commands import timesheet as commands
from project_provisioning.commands.reminder import MISSING_WEEKS
from project_provisioning.commands.suggestion import Wanted
from project_provisioning.commands.timesheet import Weeks
from project_provisioning.domain.timesheet import (
    ApprovalPolicy,
    SelectionUnclear,
    week_start_of,
)
from project_provisioning.grpc_api.caller import is_pmo_caller, sight_of_caller, subject_of_caller
from project_provisioning.grpc_api.time import timesheet_of
from project_provisioning.queries import timesheet as queries
from project_provisioning.repository import time_policy as policy_repository
from project_provisioning.wire import time as time_wire
from project_provisioning.wire import timesheet as wire
from throughline.project_provisioning.v1 import timesheet_service_pb2 as pb
from throughline.project_provisioning.v1.timesheet_service_pb2_grpc import TimesheetServiceServicer
from throughline_runtime.context import Context
from throughline_runtime.database import read, write
from throughline_runtime.fields import (
    read_date,
    read_enum,
    read_optional_date,
    read_optional_uuid,
    read_uuid,
)
from throughline_runtime.identity import require_entity
from throughline_runtime.ids import new_id
from throughline_runtime.once import once
from throughline_runtime.page import read_page

_MISSING_MAX: Final = 500
_ZONE: Final = "UTC"


class TimesheetServicer(TimesheetServiceServicer):
    """Weeks, filled, handed in, judged entry by entry, and missed."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._engine = context.engine

    async def ListSuggestedTimeEntries(
        self, request: pb.ListSuggestedTimeEntriesRequest, context: object
    ) -> pb.ListSuggestedTimeEntriesResponse:
        wanted = _read_wanted(request)
        # It holds lock dates as an import does, which a read-only transaction may not.
        async with write(self._engine) as tx:
            columns = await suggestion.suggest(tx, wanted, sight_of_caller())
        return pb.ListSuggestedTimeEntriesResponse(rows=wire.write_suggestions(columns))

    async def FillTimesheet(
        self, request: pb.FillTimesheetRequest, context: object
    ) -> pb.FillTimesheetResponse:
        wanted = _read_wanted(request)
        minutes = request.minutes if request.HasField("minutes") else None
        sight = sight_of_caller()

        async def handle(tx: AsyncConnection) -> pb.FillTimesheetResponse:
            columns = await suggestion.gather(tx, wanted, sight, minutes=minutes)
            suggestion.require_some(columns)
            at = self._context.clock.now()
            ruling, _ = await time_commands.record_time(
                tx, columns, sight=sight, at=at, is_partial=True
            )
            written = time_wire.write_ruling(ruling, is_partial=True)
            return pb.FillTimesheetResponse(
                recorded_count=written.recorded_count,
                recorded_minutes=written.recorded_minutes,
                results=written.results,
            )

        return await once(self._engine, request, pb.FillTimesheetResponse, handle)

    async def SubmitTimesheets(
        self, request: pb.SubmitTimesheetsRequest, context: object
    ) -> pb.SubmitTimesheetsResponse:
        timesheet_ids = [read_uuid("timesheet_ids", value) for value in request.timesheet_ids]
        weeks = _read_weeks(request)
        if bool(timesheet_ids) == (weeks is not None):
            raise SelectionUnclear(
                "the timesheets to hand in are not clear",
                advice="send timesheet_ids, or week_from and week_before",
            )
        sight, by, at = sight_of_caller(), subject_of_caller(), self._context.clock.now()

        async def handle(tx: AsyncConnection) -> pb.SubmitTimesheetsResponse:
            if weeks is None:
                made = await commands.submit_timesheets(
                    tx, timesheet_ids, sight=sight, by=by, at=at
                )
            else:
                made = await commands.submit_weeks(tx, weeks, sight=sight, by=by, at=at)
            return pb.SubmitTimesheetsResponse(
                submitted_timesheet_ids=map(str, made.timesheet_ids),
                left_out=wire.write_left_out(made.left_out),
                more=made.more,
            )

        return await once(self._engine, request, pb.SubmitTimesheetsResponse, handle)

    async def RecallTimesheet(
        self, request: pb.RecallTimesheetRequest, context: object
    ) -> pb.RecallTimesheetResponse:
        timesheet_id = read_uuid("timesheet_id", request.timesheet_id)

        async def handle(tx: AsyncConnection) -> pb.RecallTimesheetResponse:
            await commands.recall_timesheet(tx, timesheet_id, by=subject_of_caller())
            sheet = await timesheet_of(tx, timesheet_id, self._context)
            return pb.RecallTimesheetResponse(timesheet=sheet)

        return await once(self._engine, request, pb.RecallTimesheetResponse, handle)

    async def RejectTimeEntries(
        self, request: pb.RejectTimeEntriesRequest, context: object
    ) -> pb.RejectTimeEntriesResponse:
        timesheet_id = read_uuid("timesheet_id", request.timesheet_id)
        reasons = {
            read_uuid(f"rejections[{place}].time_entry_id", each.time_entry_id): each.reason
            for place, each in enumerate(request.rejections)
        }
        decision = Decision(new_id(), subject_of_caller(), self._context.clock.now())
        is_pmo = is_pmo_caller()

        async def handle(tx: AsyncConnection) -> pb.RejectTimeEntriesResponse:
            draft_id = await commands.reject_entries(
                tx, timesheet_id, reasons, decision, is_pmo=is_pmo
            )
            return pb.RejectTimeEntriesResponse(
                timesheet=await timesheet_of(tx, timesheet_id, self._context),
                draft=await timesheet_of(tx, draft_id, self._context),
            )

        return await once(self._engine, request, pb.RejectTimeEntriesResponse, handle)

    async def ListMissingTimesheets(
        self, request: pb.ListMissingTimesheetsRequest, context: object
    ) -> pb.ListMissingTimesheetsResponse:
        page = read_page(request, keys=2, max=_MISSING_MAX)
        this_week = week_start_of(self._context.clock.today(_ZONE))
        week_from = read_optional_date("week_from", request.week_from)
        week_before = read_optional_date("week_before", request.week_before)
        async with read(self._engine) as tx:
            rows, token = await queries.missing(
                tx,
                legal_entity_id=read_optional_uuid("legal_entity_id", request.legal_entity_id),
                person_id=read_optional_uuid("person_id", request.person_id),
                week_from=week_from or this_week - MISSING_WEEKS,
                # A week that goes on is not missing yet.
                week_before=min(week_before or this_week, this_week),
                sight=sight_of_caller(),
                page=page,
            )
        return pb.ListMissingTimesheetsResponse(
            missing=map(wire.write_missing, rows), next_page_token=token
        )

    async def PutTimeApprovalPolicy(
        self, request: pb.PutTimeApprovalPolicyRequest, context: object
    ) -> pb.PutTimeApprovalPolicyResponse:
        policy = ApprovalPolicy(
            legal_entity_id=read_uuid("legal_entity_id", request.legal_entity_id),
            approver=read_enum("approver", request.approver, wire.APPROVERS),
            reminder_days=request.reminder_days,
        )

        async def handle(tx: AsyncConnection) -> pb.PutTimeApprovalPolicyResponse:
            put = await commands.put_policy(tx, policy)
            return pb.PutTimeApprovalPolicyResponse(policy=wire.write_policy(put))

        return await once(self._engine, request, pb.PutTimeApprovalPolicyResponse, handle)

    async def GetTimeApprovalPolicy(
        self, request: pb.GetTimeApprovalPolicyRequest, context: object
    ) -> pb.GetTimeApprovalPolicyResponse:
        legal_entity_id = read_uuid("legal_entity_id", request.legal_entity_id)
        require_entity(legal_entity_id)
        async with read(self._engine) as tx:
            policy = await policy_repository.get(tx, legal_entity_id)
        return pb.GetTimeApprovalPolicyResponse(policy=wire.write_policy(policy))


def _read_wanted(
    request: pb.ListSuggestedTimeEntriesRequest | pb.FillTimesheetRequest,
) -> Wanted:
    return Wanted(
        person_id=read_uuid("person_id", request.person_id),
        week_start=read_date("week_start", request.week_start),
        basis=read_enum("basis", request.basis, wire.BASES),
        copied=read_optional_date("copied_week_start", request.copied_week_start),
    )


def _read_weeks(request: pb.SubmitTimesheetsRequest) -> Weeks | None:
    """Return whose weeks, None where none are named."""
    if not request.week_from and not request.week_before:
        return None
    return Weeks(
        person_id=read_optional_uuid("person_id", request.person_id),
        week_from=read_date("week_from", request.week_from),
        week_before=read_date("week_before", request.week_before),
    )
