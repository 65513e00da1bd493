"""LockService."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.commands import lock as commands
from project_provisioning.grpc_api.caller import sight_of_caller, subject_of_caller
from project_provisioning.queries import lock as queries
from project_provisioning.wire import lock as wire
from throughline.project_provisioning.v1 import lock_service_pb2 as pb
from throughline.project_provisioning.v1.lock_service_pb2_grpc import LockServiceServicer
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import read_date, read_uuid
from throughline_runtime.identity import require_entity
from throughline_runtime.once import once
from throughline_runtime.page import read_page

_PAGE_SIZE_MAX: Final = 500


class LockServicer(LockServiceServicer):
    """Lock dates of time and expenses."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._engine = context.engine

    async def SetLockDate(
        self, request: pb.SetLockDateRequest, context: object
    ) -> pb.SetLockDateResponse:
        legal_entity_id = read_uuid("legal_entity_id", request.legal_entity_id)
        open_from = read_date("open_from", request.open_from)

        async def handle(tx: AsyncConnection) -> pb.SetLockDateResponse:
            lock = await commands.set_lock_date(
                tx,
                legal_entity_id,
                open_from=open_from,
                reason=request.reason,
                by=subject_of_caller(),
                at=self._context.clock.now(),
            )
            return pb.SetLockDateResponse(lock_date=wire.write_lock(lock))

        return await once(self._engine, request, pb.SetLockDateResponse, handle)

    async def ReopenPeriod(
        self, request: pb.ReopenPeriodRequest, context: object
    ) -> pb.ReopenPeriodResponse:
        legal_entity_id = read_uuid("legal_entity_id", request.legal_entity_id)
        open_from = read_date("open_from", request.open_from)

        async def handle(tx: AsyncConnection) -> pb.ReopenPeriodResponse:
            lock = await commands.reopen_period(
                tx,
                legal_entity_id,
                open_from=open_from,
                reason=request.reason,
                by=subject_of_caller(),
                at=self._context.clock.now(),
            )
            return pb.ReopenPeriodResponse(lock_date=wire.write_lock(lock))

        return await once(self._engine, request, pb.ReopenPeriodResponse, handle)

    async def GetLockDate(
        self, request: pb.GetLockDateRequest, context: object
    ) -> pb.GetLockDateResponse:
        legal_entity_id = read_uuid("legal_entity_id", request.legal_entity_id)
        require_entity(legal_entity_id)
        async with read(self._engine) as tx:
            lock = await queries.get_lock(tx, legal_entity_id)
        return pb.GetLockDateResponse(lock_date=wire.write_lock(lock))

    async def ListLockDates(
        self, request: pb.ListLockDatesRequest, context: object
    ) -> pb.ListLockDatesResponse:
        page = read_page(request, max=_PAGE_SIZE_MAX)
        async with read(self._engine) as tx:
            locks, token = await queries.locks(tx, sight=sight_of_caller(), page=page)
        return pb.ListLockDatesResponse(
            lock_dates=map(wire.write_lock, locks), next_page_token=token
        )

    async def ListLockChanges(
        self, request: pb.ListLockChangesRequest, context: object
    ) -> pb.ListLockChangesResponse:
        legal_entity_id = read_uuid("legal_entity_id", request.legal_entity_id)
        require_entity(legal_entity_id)
        page = read_page(request, max=_PAGE_SIZE_MAX)
        async with read(self._engine) as tx:
            moves, token = await queries.changes(tx, legal_entity_id, page=page)
        return pb.ListLockChangesResponse(
            changes=map(wire.write_change, moves), next_page_token=token
        )
