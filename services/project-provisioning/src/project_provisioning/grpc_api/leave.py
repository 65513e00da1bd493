"""LeaveService."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.commands import leave as commands
from project_provisioning.commands.leave import Asked
from project_provisioning.domain.leave import LeaveStatus
from project_provisioning.grpc_api.caller import sight_of_caller, subject_of_caller
from project_provisioning.queries import leave as queries
from project_provisioning.wire import leave as wire
from throughline.project_provisioning.v1 import calendar_service_pb2 as pb
from throughline.project_provisioning.v1.calendar_service_pb2_grpc import LeaveServiceServicer
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import (
    read_date,
    read_enum,
    read_optional_date,
    read_optional_enum,
    read_optional_uuid,
    read_uuid,
)
from throughline_runtime.once import once
from throughline_runtime.page import read_page

_PAGE_SIZE_MAX: Final = 500


class LeaveServicer(LeaveServiceServicer):
    """Leave."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._engine = context.engine

    async def RequestLeave(
        self, request: pb.RequestLeaveRequest, context: object
    ) -> pb.RequestLeaveResponse:
        asked = Asked(
            person_id=read_uuid("person_id", request.person_id),
            kind=read_enum("kind", request.kind, wire.KINDS),
            starts_on=read_date("starts_on", request.starts_on),
            ends_on=read_date("ends_on", request.ends_on),
            half_days=request.half_days,
        )

        async def handle(tx: AsyncConnection) -> pb.RequestLeaveResponse:
            leave = await commands.request_leave(
                tx,
                asked,
                sight=sight_of_caller(),
                by=subject_of_caller(),
                at=self._context.clock.now(),
            )
            return pb.RequestLeaveResponse(leave=wire.write_leave(leave))

        return await once(self._engine, request, pb.RequestLeaveResponse, handle)

    async def ApproveLeave(
        self, request: pb.ApproveLeaveRequest, context: object
    ) -> pb.ApproveLeaveResponse:
        leave_id = read_uuid("leave_id", request.leave_id)

        async def handle(tx: AsyncConnection) -> pb.ApproveLeaveResponse:
            leave = await commands.decide_leave(
                tx,
                leave_id,
                LeaveStatus.APPROVED,
                by=subject_of_caller(),
                at=self._context.clock.now(),
            )
            return pb.ApproveLeaveResponse(leave=wire.write_leave(leave))

        return await once(self._engine, request, pb.ApproveLeaveResponse, handle)

    async def RejectLeave(
        self, request: pb.RejectLeaveRequest, context: object
    ) -> pb.RejectLeaveResponse:
        leave_id = read_uuid("leave_id", request.leave_id)

        async def handle(tx: AsyncConnection) -> pb.RejectLeaveResponse:
            leave = await commands.decide_leave(
                tx,
                leave_id,
                LeaveStatus.REJECTED,
                by=subject_of_caller(),
                at=self._context.clock.now(),
                reason=request.reason,
            )
            return pb.RejectLeaveResponse(leave=wire.write_leave(leave))

        return await once(self._engine, request, pb.RejectLeaveResponse, handle)

    async def CancelLeave(
        self, request: pb.CancelLeaveRequest, context: object
    ) -> pb.CancelLeaveResponse:
        leave_id = read_uuid("leave_id", request.leave_id)

        async def handle(tx: AsyncConnection) -> pb.CancelLeaveResponse:
            leave = await commands.cancel_leave(
                tx,
                leave_id,
                sight=sight_of_caller(),
                by=subject_of_caller(),
                at=self._context.clock.now(),
                reason=request.reason,
            )
            return pb.CancelLeaveResponse(leave=wire.write_leave(leave))

        return await once(self._engine, request, pb.CancelLeaveResponse, handle)

    async def ListLeaves(
        self, request: pb.ListLeavesRequest, context: object
    ) -> pb.ListLeavesResponse:
        page = read_page(request, max=_PAGE_SIZE_MAX)
        async with read(self._engine) as tx:
            leaves, token = await queries.leaves(
                tx,
                person_id=read_optional_uuid("person_id", request.person_id),
                status=read_optional_enum("status", request.status, wire.STATUSES),
                kind=read_optional_enum("kind", request.kind, wire.KINDS),
                first_on=read_optional_date("first_on", request.first_on),
                before=read_optional_date("before", request.before),
                sight=sight_of_caller(),
                page=page,
            )
        return pb.ListLeavesResponse(leaves=map(wire.write_leave, leaves), next_page_token=token)

    async def ImportLeaves(
        self, request: pb.ImportLeavesRequest, context: object
    ) -> pb.ImportLeavesResponse:
        rows = [
            Asked(
                person_id=read_uuid(f"rows[{index}].person_id", row.person_id),
                kind=read_enum(f"rows[{index}].kind", row.kind, wire.KINDS),
                starts_on=read_date(f"rows[{index}].starts_on", row.starts_on),
                ends_on=read_date(f"rows[{index}].ends_on", row.ends_on),
                half_days=row.half_days,
                source=wire.read_source(row.source),
                cancelled=row.cancelled,
            )
            for index, row in enumerate(request.rows)
        ]

        async def handle(tx: AsyncConnection) -> pb.ImportLeavesResponse:
            imported = await commands.import_leaves(
                tx,
                rows,
                is_partial=request.partial,
                by=subject_of_caller(),
                at=self._context.clock.now(),
            )
            return pb.ImportLeavesResponse(
                recorded=len(imported.fresh),
                duplicates=imported.duplicates,
                changed=len(imported.changed),
                refused=[
                    pb.RefusedRow(row=each.row, field=each.field, rule=each.rule, message=each.text)
                    for each in imported.refused
                ],
            )

        return await once(self._engine, request, pb.ImportLeavesResponse, handle)
