"""Corrections of approved time as messages."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Row

from project_provisioning.domain.correction import Corrected, Correction, CorrectionKind, Move
from project_provisioning.wire.time import write_stored_entry
from throughline.project_provisioning.v1 import correction_service_pb2 as pb
from throughline_runtime.fields import EnumMap, write_instant

KINDS: Final = EnumMap(pb.TimeCorrectionKind, CorrectionKind)


def write_correction(correction: Correction) -> pb.TimeCorrection:
    """Return the record of a correction."""
    return pb.TimeCorrection(
        time_correction_id=str(correction.time_correction_id),
        kind=KINDS.write(correction.kind),
        reason=correction.reason,
        corrected_by=correction.corrected_by,
        corrected_at=write_instant(correction.corrected_at),
        reversed_count=correction.reversed_count,
        reversed_minutes=correction.reversed_minutes,
        entered_minutes=correction.entered_minutes,
        legal_entity_ids=map(str, correction.legal_entity_ids),
    )


def write_preview(moves: Sequence[tuple[Row[Any], Move]]) -> pb.PreviewMoveTimeEntriesResponse:
    """Return what moving would change, entry by entry."""
    minutes = [row.minutes for row, move in moves if isinstance(move.outcome, Corrected)]
    return pb.PreviewMoveTimeEntriesResponse(
        moves=[_write_move(row, move) for row, move in moves],
        minutes=sum(minutes),
        refused_count=len(moves) - len(minutes),
    )


def _write_move(row: Row[Any], move: Move) -> pb.TimeMove:
    task, outcome = move
    message = pb.TimeMove(
        entry=write_stored_entry(row),
        to_project_id=task.project_id,
        to_task_id=task.task_id,
        to_contract_id=task.contract_id,
        to_contract_line_id=task.contract_line_id,
        to_engagement_id=task.engagement_id,
    )
    if isinstance(outcome, Corrected):
        assert outcome.replacement is not None, "a move enters the time anew"
        message.to_legal_entity_id = outcome.replacement.stretch.legal_entity_id
        message.to_billable = outcome.replacement.billable
    else:
        _, message.code, message.message = outcome
    return message
