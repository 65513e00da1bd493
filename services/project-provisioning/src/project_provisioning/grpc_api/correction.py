"""TimeCorrectionService."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.bulk.time import Decision
from project_provisioning.commands import correction as commands
from project_provisioning.domain.correction import Corrector, NothingToCorrect, Reentry
from project_provisioning.grpc_api.caller import sight_of_caller, subject_of_caller
from project_provisioning.queries import correction as queries
from project_provisioning.wire import correction as wire
from project_provisioning.wire.time import write_stored_entry
from throughline.project_provisioning.v1 import correction_service_pb2 as pb
from throughline.project_provisioning.v1.correction_service_pb2_grpc import (
    TimeCorrectionServiceServicer,
)
from throughline_runtime.context import Context
from throughline_runtime.database import read, write
from throughline_runtime.fields import read_optional_enum, read_optional_uuid, read_uuid
from throughline_runtime.identity import current_caller
from throughline_runtime.ids import new_id
from throughline_runtime.once import once
from throughline_runtime.page import read_page

_CORRECTIONS_MAX: Final = 500
# Locked days are theirs to correct; everybody else has them reopened.
_MAY_TOUCH_LOCKED: Final = frozenset({"ROLE_FINANCE", "ROLE_ADMIN"})
_CORRECTABLE: Final = ("minutes", "activity", "note", "billable", "role", "level", "region")


class CorrectionServicer(TimeCorrectionServiceServicer):
    """Reversals, corrections and moves of approved time."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._engine = context.engine

    async def ReverseTimeEntry(
        self, request: pb.ReverseTimeEntryRequest, context: object
    ) -> pb.ReverseTimeEntryResponse:
        time_entry_id = read_uuid("time_entry_id", request.time_entry_id)
        decision, may_touch_locked = self._decision(), _may_touch_locked()

        async def handle(tx: AsyncConnection) -> pb.ReverseTimeEntryResponse:
            made = await commands.correct_entry(
                tx,
                time_entry_id,
                None,
                decision,
                may_touch_locked=may_touch_locked,
                reason=request.reason,
            )
            return pb.ReverseTimeEntryResponse(
                correction=wire.write_correction(made.correction), reversal=made.entries[0]
            )

        return await once(self._engine, request, pb.ReverseTimeEntryResponse, handle)

    async def CorrectTimeEntry(
        self, request: pb.CorrectTimeEntryRequest, context: object
    ) -> pb.CorrectTimeEntryResponse:
        time_entry_id = read_uuid("time_entry_id", request.time_entry_id)
        reentry = _read_reentry(request)
        decision, may_touch_locked = self._decision(), _may_touch_locked()

        async def handle(tx: AsyncConnection) -> pb.CorrectTimeEntryResponse:
            made = await commands.correct_entry(
                tx,
                time_entry_id,
                reentry,
                decision,
                may_touch_locked=may_touch_locked,
                reason=request.reason,
            )
            reversal, replacement = made.entries
            return pb.CorrectTimeEntryResponse(
                correction=wire.write_correction(made.correction),
                reversal=reversal,
                replacement=replacement,
            )

        return await once(self._engine, request, pb.CorrectTimeEntryResponse, handle)

    async def PreviewMoveTimeEntries(
        self, request: pb.PreviewMoveTimeEntriesRequest, context: object
    ) -> pb.PreviewMoveTimeEntriesResponse:
        entry_ids = [read_uuid("time_entry_ids", value) for value in request.time_entry_ids]
        task_id = read_uuid("task_id", request.task_id)
        corrector = Corrector(subject_of_caller(), _may_touch_locked())
        # It holds lock dates as the move itself does, which a read-only transaction may not.
        async with write(self._engine) as tx:
            return wire.write_preview(
                await commands.preview_move(tx, entry_ids, task_id, corrector)
            )

    async def MoveTimeEntries(
        self, request: pb.MoveTimeEntriesRequest, context: object
    ) -> pb.MoveTimeEntriesResponse:
        entry_ids = [read_uuid("time_entry_ids", value) for value in request.time_entry_ids]
        task_id = read_uuid("task_id", request.task_id)
        decision, may_touch_locked = self._decision(), _may_touch_locked()

        async def handle(tx: AsyncConnection) -> pb.MoveTimeEntriesResponse:
            made = await commands.move_entries(
                tx,
                entry_ids,
                task_id,
                decision,
                may_touch_locked=may_touch_locked,
                reason=request.reason,
            )
            return pb.MoveTimeEntriesResponse(
                correction=wire.write_correction(made.correction), replacements=made.entries[1::2]
            )

        return await once(self._engine, request, pb.MoveTimeEntriesResponse, handle)

    async def GetTimeCorrection(
        self, request: pb.GetTimeCorrectionRequest, context: object
    ) -> pb.GetTimeCorrectionResponse:
        time_correction_id = read_uuid("time_correction_id", request.time_correction_id)
        async with read(self._engine) as tx:
            correction, rows = await queries.get_correction(
                tx, time_correction_id, sight_of_caller()
            )
        return pb.GetTimeCorrectionResponse(
            correction=wire.write_correction(correction), entries=map(write_stored_entry, rows)
        )

    async def ListTimeCorrections(
        self, request: pb.ListTimeCorrectionsRequest, context: object
    ) -> pb.ListTimeCorrectionsResponse:
        page = read_page(request, max=_CORRECTIONS_MAX)
        filters = {
            "legal_entity_id": read_optional_uuid("legal_entity_id", request.legal_entity_id),
            "person_id": read_optional_uuid("person_id", request.person_id),
            "project_id": read_optional_uuid("project_id", request.project_id),
        }
        kind = read_optional_enum("kind", request.kind, wire.KINDS)
        async with read(self._engine) as tx:
            found, token = await queries.corrections(
                tx, **filters, kind=kind, sight=sight_of_caller(), page=page
            )
        return pb.ListTimeCorrectionsResponse(
            corrections=map(wire.write_correction, found), next_page_token=token
        )

    def _decision(self) -> Decision:
        return Decision(new_id(), subject_of_caller(), self._context.clock.now())


def _may_touch_locked() -> bool:
    return not current_caller().roles.isdisjoint(_MAY_TOUCH_LOCKED)


def _read_reentry(request: pb.CorrectTimeEntryRequest) -> Reentry:
    """Return what the new entry says.

    Raises:
        NothingToCorrect: the request says nothing of it.
    """
    said = {name: getattr(request, name) for name in _CORRECTABLE if request.HasField(name)}
    if not said:
        raise NothingToCorrect(
            "the correction says nothing that should be different",
            advice="send minutes, activity, note, billable, role, level or region; or reverse it",
        )
    return Reentry(**said)
