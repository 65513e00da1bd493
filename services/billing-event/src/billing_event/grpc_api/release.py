"""Releases in bulk, releases that are taken back, and write-offs."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_event.commands import release_run, withdraw_release, write_off
from billing_event.commands.settle import set_aside, settle_withdrawal
from billing_event.domain.job import RunStatus
from billing_event.domain.position import BillingEventId
from billing_event.domain.release import MostNegative, NothingNamed
from billing_event.domain.release_run import (
    ReleaseRunId,
    ReleaseScope,
    WithdrawalId,
)
from billing_event.domain.write_off import NothingNamed as NoRowsNamed
from billing_event.domain.write_off import OnADraft, WriteOff, WriteOffId
from billing_event.grpc_api.fields import read_contract_id, read_entities, read_entity_id
from billing_event.queries import release as queries
from billing_event.queries import write_off as write_off_queries
from billing_event.repository import release as repository
from billing_event.repository import write_off as write_off_repository
from billing_event.wire.published import REASONS, TYPES
from throughline.billing_event.v1 import release_service_pb2 as pb
from throughline.billing_event.v1 import write_off_service_pb2 as write_off_pb
from throughline.billing_event.v1.release_service_pb2_grpc import ReleaseServiceServicer
from throughline.billing_event.v1.write_off_service_pb2_grpc import WriteOffServiceServicer
from throughline_core.errors import FailedPrecondition
from throughline_runtime import database
from throughline_runtime.context import Context
from throughline_runtime.fields import (
    read_enum,
    read_money,
    read_optional_date,
    read_optional_decimal,
    read_optional_enum,
    read_optional_uuid,
    read_uuid,
)
from throughline_runtime.identity import current_caller, require_entity, visible_entities
from throughline_runtime.once import once
from throughline_runtime.page import read_page

RUNS: Final = "billing-event.drive-releases"
_LIST_MAX: Final = 500
# Each names up to 500 rows, and a page is one message.
_WITHDRAWALS_MAX: Final = 100
_PART_PLACES: Final = 4


class ReleaseServicer(ReleaseServiceServicer):
    """The approval checkpoint in bulk."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._engine = context.engine
        self._clock = context.clock

    async def PreviewRelease(
        self, request: pb.PreviewReleaseRequest, context: object
    ) -> pb.PreviewReleaseResponse:
        scope = _read_scope(request.scope)
        page = read_page(request, keys=3, max=_LIST_MAX)
        by = current_caller().subject
        async with database.read(self._engine) as tx:
            found = await release_run.preview(tx, scope, page, by=by)
        return queries.write_preview(found, page)

    async def StartReleaseRun(
        self, request: pb.StartReleaseRunRequest, context: object
    ) -> pb.StartReleaseRunResponse:
        scope = _read_scope(request.scope)
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> pb.StartReleaseRunResponse:
            run = await release_run.start(tx, scope, by=by, at=at)
            return pb.StartReleaseRunResponse(release_run=queries.write_run(run))

        response = await once(self._engine, request, pb.StartReleaseRunResponse, handle)
        self._context.wake(RUNS)
        return response

    async def GetReleaseRun(
        self, request: pb.GetReleaseRunRequest, context: object
    ) -> pb.GetReleaseRunResponse:
        run_id = ReleaseRunId(read_uuid("release_run_id", request.release_run_id))
        async with database.read(self._engine) as tx:
            run = await repository.get_run(tx, run_id)
        release_run.require_visible(run)
        return pb.GetReleaseRunResponse(release_run=queries.write_run(run))

    async def ListReleaseRuns(
        self, request: pb.ListReleaseRunsRequest, context: object
    ) -> pb.ListReleaseRunsResponse:
        status = read_optional_enum("status", request.status, queries.RUN_STATUSES)
        contract_id = read_contract_id(request.contract_id)
        entity_id = read_entity_id(request.legal_entity_id)
        page = read_page(request)
        async with database.read(self._engine) as tx:
            return await queries.runs(
                tx,
                page,
                status=status,
                contract_id=contract_id,
                legal_entity_id=entity_id,
                visible=visible_entities(),
            )

    async def StopReleaseRun(
        self, request: pb.StopReleaseRunRequest, context: object
    ) -> pb.StopReleaseRunResponse:
        run_id = ReleaseRunId(read_uuid("release_run_id", request.release_run_id))
        at = self._clock.now()

        async def handle(tx: AsyncConnection) -> pb.StopReleaseRunResponse:
            run = await release_run.steer(tx, run_id, RunStatus.STOPPED, at=at)
            return pb.StopReleaseRunResponse(release_run=queries.write_run(run))

        return await once(self._engine, request, pb.StopReleaseRunResponse, handle)

    async def ResumeReleaseRun(
        self, request: pb.ResumeReleaseRunRequest, context: object
    ) -> pb.ResumeReleaseRunResponse:
        run_id = ReleaseRunId(read_uuid("release_run_id", request.release_run_id))
        at = self._clock.now()

        async def handle(tx: AsyncConnection) -> pb.ResumeReleaseRunResponse:
            run = await release_run.steer(tx, run_id, RunStatus.RUNNING, at=at)
            return pb.ResumeReleaseRunResponse(release_run=queries.write_run(run))

        response = await once(self._engine, request, pb.ResumeReleaseRunResponse, handle)
        self._context.wake(RUNS)
        return response

    async def WithdrawRelease(
        self, request: pb.WithdrawReleaseRequest, context: object
    ) -> pb.WithdrawReleaseResponse:
        named = _read_row_ids(request.billing_event_ids)
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> pb.WithdrawReleaseResponse:
            withdrawal = await withdraw_release.request(
                tx, named, request.reason, places_hold=request.hold, by=by, at=at
            )
            return pb.WithdrawReleaseResponse(
                release_withdrawal=queries.write_withdrawal(withdrawal)
            )

        asked = await once(self._engine, request, pb.WithdrawReleaseResponse, handle)
        withdrawal_id = WithdrawalId(
            read_uuid("release_withdrawal_id", asked.release_withdrawal.release_withdrawal_id)
        )
        await settle_withdrawal(self._context, withdrawal_id)
        async with database.read(self._engine) as tx:
            withdrawal = await repository.get_withdrawal(tx, withdrawal_id)
        return pb.WithdrawReleaseResponse(release_withdrawal=queries.write_withdrawal(withdrawal))

    async def GetReleaseWithdrawal(
        self, request: pb.GetReleaseWithdrawalRequest, context: object
    ) -> pb.GetReleaseWithdrawalResponse:
        withdrawal_id = WithdrawalId(
            read_uuid("release_withdrawal_id", request.release_withdrawal_id)
        )
        async with database.read(self._engine) as tx:
            withdrawal = await repository.get_withdrawal(tx, withdrawal_id)
            await withdraw_release.require_visible(tx, withdrawal)
        return pb.GetReleaseWithdrawalResponse(
            release_withdrawal=queries.write_withdrawal(withdrawal)
        )

    async def ListReleaseWithdrawals(
        self, request: pb.ListReleaseWithdrawalsRequest, context: object
    ) -> pb.ListReleaseWithdrawalsResponse:
        wanted = queries.WithdrawalFilter(
            visible=visible_entities(),
            legal_entity_id=read_entity_id(request.legal_entity_id),
            contract_id=read_contract_id(request.contract_id),
            status=read_optional_enum("status", request.status, queries.WITHDRAWAL_STATUSES),
        )
        page = read_page(request, max=_WITHDRAWALS_MAX)
        async with database.read(self._engine) as tx:
            return await queries.withdrawals(tx, wanted, page)


class WriteOffServicer(WriteOffServiceServicer):
    """Rated work that is given up."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._engine = context.engine
        self._clock = context.clock

    async def ProposeWriteOff(
        self, request: write_off_pb.ProposeWriteOffRequest, context: object
    ) -> write_off_pb.ProposeWriteOffResponse:
        named = _read_row_ids(request.billing_event_ids)
        contract_id = read_contract_id(request.contract_id)
        hold_reason = read_optional_enum("hold_reason", request.hold_reason, REASONS)
        quantity = read_optional_decimal("quantity", request.quantity, places=_PART_PLACES)
        kind = read_enum("kind", request.kind, write_off_queries.KINDS)
        code = read_enum("reason_code", request.reason_code, write_off_queries.REASON_CODES)
        by, at = current_caller().subject, self._clock.now()
        if not named and contract_id is None:
            raise NoRowsNamed(
                "the request names nothing to write off",
                field="billing_event_ids",
                advice="name rows, or a contract whose held rows are meant",
            )

        async def handle(tx: AsyncConnection) -> write_off_pb.ProposeWriteOffResponse:
            rows: Sequence[BillingEventId] = named
            if not rows and contract_id is not None:
                rows = await write_off.held_rows(tx, contract_id, hold_reason)
            proposed = await write_off.propose(
                tx,
                rows,
                kind=kind,
                reason_code=code,
                reason=request.reason,
                quantity=quantity,
                by=by,
                at=at,
            )
            return write_off_pb.ProposeWriteOffResponse(
                write_off=write_off_queries.write(proposed),
                effects=await write_off_queries.effects(tx, proposed),
            )

        return await once(self._engine, request, write_off_pb.ProposeWriteOffResponse, handle)

    async def ApproveWriteOff(
        self, request: write_off_pb.ApproveWriteOffRequest, context: object
    ) -> write_off_pb.ApproveWriteOffResponse:
        write_off_id = _read_write_off_id(request.write_off_id)
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> write_off_pb.ApproveWriteOffResponse:
            approved = await write_off.approve(tx, write_off_id, by=by, at=at)
            return write_off_pb.ApproveWriteOffResponse(write_off=write_off_queries.write(approved))

        async with self._set_aside(write_off_id, by=by, at=at) as left:
            response = await once(
                self._engine, request, write_off_pb.ApproveWriteOffResponse, handle
            )
            left.clear()
        return response

    async def RejectWriteOff(
        self, request: write_off_pb.RejectWriteOffRequest, context: object
    ) -> write_off_pb.RejectWriteOffResponse:
        write_off_id = _read_write_off_id(request.write_off_id)
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> write_off_pb.RejectWriteOffResponse:
            rejected = await write_off.reject(tx, write_off_id, request.reason, by=by, at=at)
            return write_off_pb.RejectWriteOffResponse(write_off=write_off_queries.write(rejected))

        return await once(self._engine, request, write_off_pb.RejectWriteOffResponse, handle)

    async def UndoWriteOff(
        self, request: write_off_pb.UndoWriteOffRequest, context: object
    ) -> write_off_pb.UndoWriteOffResponse:
        write_off_id = _read_write_off_id(request.write_off_id)
        by, at = current_caller().subject, self._clock.now()

        async def handle(tx: AsyncConnection) -> write_off_pb.UndoWriteOffResponse:
            undone = await write_off.undo(tx, write_off_id, request.reason, by=by, at=at)
            return write_off_pb.UndoWriteOffResponse(write_off=write_off_queries.write(undone))

        return await once(self._engine, request, write_off_pb.UndoWriteOffResponse, handle)

    async def GetWriteOff(
        self, request: write_off_pb.GetWriteOffRequest, context: object
    ) -> write_off_pb.GetWriteOffResponse:
        write_off_id = _read_write_off_id(request.write_off_id)
        async with database.read(self._engine) as tx:
            found: WriteOff = await write_off_repository.get(tx, write_off_id)
            require_entity(found.legal_entity_id)
            return write_off_pb.GetWriteOffResponse(
                write_off=write_off_queries.write(found),
                effects=await write_off_queries.effects(tx, found),
            )

    async def ListWriteOffs(
        self, request: write_off_pb.ListWriteOffsRequest, context: object
    ) -> write_off_pb.ListWriteOffsResponse:
        row_id = read_optional_uuid("billing_event_id", request.billing_event_id)
        wanted = write_off_queries.WriteOffFilter(
            legal_entity_ids=read_entities(request.legal_entity_id),
            status=read_optional_enum("status", request.status, write_off_queries.STATUSES),
            kind=read_optional_enum("kind", request.kind, write_off_queries.KINDS),
            billing_event_id=None if row_id is None else BillingEventId(row_id),
        )
        page = read_page(request)
        async with database.read(self._engine) as tx:
            return await write_off_queries.write_offs(tx, wanted, page)

    @asynccontextmanager
    async def _set_aside(
        self, write_off_id: WriteOffId, *, by: str, at: datetime
    ) -> AsyncIterator[set[BillingEventId]]:
        """Have invoicing keep its hands off what is released, while it is given up here.

        Raises:
            OnADraft: a draft or an invoice claims some of it.
        """
        async with database.read(self._engine) as tx:
            released = await write_off.released_rows(tx, write_off_id, by=by, at=at)
        async with AsyncExitStack() as stack:
            try:
                left = await stack.enter_async_context(set_aside(self._context, released))
            except FailedPrecondition as refusal:
                raise OnADraft(
                    refusal.message,
                    field="write_off_id",
                    advice="withdraw the release of what is on a draft; credit what is invoiced",
                ) from refusal
            yield left


def _read_scope(message: pb.ReleaseScope) -> ReleaseScope:
    contract_id = read_contract_id(message.contract_id)
    entity_id = read_optional_uuid("scope.legal_entity_id", message.legal_entity_id)
    if contract_id is None and entity_id is None:
        raise NothingNamed(
            "the scope names nothing to release",
            field="scope",
            advice="name a contract or a legal entity",
        )
    entities = read_entities(message.legal_entity_id)
    has_most = message.HasField("max_amount")
    most = read_money("scope.max_amount", message.max_amount) if has_most else None
    if most is not None and most.amount < 0:
        raise MostNegative(
            "the greatest amount cannot be negative",
            field="scope.max_amount.amount",
            advice="send the amount without its sign: it is for credits as well",
        )
    return ReleaseScope(
        contract_id=contract_id,
        legal_entity_id=entity_id,
        legal_entity_ids=None if entities is None else tuple(entities),
        through=read_optional_date("scope.through_date", message.through_date),
        types=tuple(read_enum("scope.types", each, TYPES) for each in message.types),
        max_amount=most,
    )


def _read_row_ids(named: Sequence[str]) -> list[BillingEventId]:
    return [BillingEventId(read_uuid("billing_event_ids", each)) for each in named]


def _read_write_off_id(value: str) -> WriteOffId:
    return WriteOffId(read_uuid("write_off_id", value))
