"""Timesheets as rows, one or many at a time."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.domain.timesheet import (
    Selection,
    Timesheet,
    TimesheetNotFound,
    TimesheetStatus,
)
from throughline_runtime import audit

_SHEETS: Final = text("""
    SELECT sheet.*, coalesce(person.subject, '') AS person_subject
    FROM timesheet AS sheet JOIN person USING (person_id)
    WHERE sheet.timesheet_id = ANY(CAST(:timesheet_ids AS uuid[]))
    ORDER BY sheet.timesheet_id
    FOR UPDATE OF sheet
""")

# What the approver may not judge comes last, so that it never crowds out what waits for a decision.
_SUBMITTED: Final = text("""
    SELECT sheet.*, coalesce(person.subject, '') AS person_subject
    FROM timesheet AS sheet JOIN person USING (person_id)
    WHERE sheet.status = 'submitted'
      AND sheet.week_start >= :week_from AND sheet.week_start < :week_before
      AND (CAST(:entities AS uuid[]) IS NULL OR sheet.legal_entity_id = ANY(:entities))
      AND EXISTS (
          SELECT FROM time_entry AS entry
          WHERE entry.timesheet_id = sheet.timesheet_id AND entry.project_id = :project_id
      )
    ORDER BY coalesce(:approver IN (sheet.submitted_by, person.subject), false), sheet.timesheet_id
    LIMIT :size
    FOR UPDATE OF sheet
""")

_SAVE_SHEETS: Final = text("""
    UPDATE timesheet AS sheet
    SET version = fresh.version, status = fresh.status,
        submitted_by = fresh.submitted_by, submitted_at = fresh.submitted_at,
        decided_by = fresh.decided_by, decided_at = fresh.decided_at,
        decision_id = fresh.decision_id, rejection_reason = fresh.rejection_reason
    FROM unnest(
        CAST(:timesheet_ids AS uuid[]), CAST(:versions AS bigint[]), CAST(:statuses AS text[]),
        CAST(:submitted_bys AS text[]), CAST(:submitted_ats AS timestamptz[]),
        CAST(:decided_bys AS text[]), CAST(:decided_ats AS timestamptz[]),
        CAST(:decision_ids AS uuid[]), CAST(:rejection_reasons AS text[])
    ) AS fresh (timesheet_id, version, status, submitted_by, submitted_at, decided_by, decided_at,
                decision_id, rejection_reason)
    WHERE sheet.timesheet_id = fresh.timesheet_id
""")


async def get_all(tx: AsyncConnection, timesheet_ids: Sequence[UUID]) -> list[Timesheet]:
    """Return sheets, locked until the transaction ends, in order of id.

    Raises:
        TimesheetNotFound: one of them does not exist.
    """
    rows = (await tx.execute(_SHEETS, {"timesheet_ids": list(timesheet_ids)})).all()
    missing = set(timesheet_ids) - {row.timesheet_id for row in rows}
    if missing:
        raise TimesheetNotFound(f"no timesheet {min(missing)}", field="timesheet_ids")
    return list(map(_sheet_from, rows))


async def get_submitted(
    tx: AsyncConnection,
    selection: Selection,
    *,
    approver: str,
    entities: frozenset[UUID] | None,
    size: int,
) -> list[Timesheet]:
    """Return submitted sheets of the selection, locked until the transaction ends.

    At most `size`, of entities the caller may see, those first that `approver` may judge.
    """
    rows = await tx.execute(
        _SUBMITTED,
        {
            "project_id": selection.project_id,
            "week_from": selection.week_from,
            "week_before": selection.week_before,
            "approver": approver,
            "entities": None if entities is None else list(entities),
            "size": size,
        },
    )
    return list(map(_sheet_from, rows))


async def save_all(tx: AsyncConnection, sheets: Sequence[Timesheet]) -> None:
    """Write the new states of sheets that are locked by this transaction: one statement."""
    audit.touch(tx, *(sheet.timesheet_id for sheet in sheets))
    await tx.execute(
        _SAVE_SHEETS,
        {
            "timesheet_ids": [sheet.timesheet_id for sheet in sheets],
            "versions": [sheet.version for sheet in sheets],
            "statuses": [sheet.status for sheet in sheets],
            "submitted_bys": [sheet.submitted_by or None for sheet in sheets],
            "submitted_ats": [sheet.submitted_at for sheet in sheets],
            "decided_bys": [sheet.decided_by or None for sheet in sheets],
            "decided_ats": [sheet.decided_at for sheet in sheets],
            "decision_ids": [sheet.decision_id for sheet in sheets],
            "rejection_reasons": [sheet.rejection_reason or None for sheet in sheets],
        },
    )


def _sheet_from(row: Row[Any]) -> Timesheet:
    return Timesheet(
        timesheet_id=row.timesheet_id,
        version=row.version,
        person_id=row.person_id,
        person_subject=row.person_subject,
        legal_entity_id=row.legal_entity_id,
        week_start=row.week_start,
        status=TimesheetStatus(row.status),
        submitted_by=row.submitted_by or "",
        submitted_at=row.submitted_at,
        decided_by=row.decided_by or "",
        decided_at=row.decided_at,
        decision_id=row.decision_id,
        rejection_reason=row.rejection_reason or "",
    )
