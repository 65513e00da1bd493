"""Timesheets as rows, one or many at a time."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, insert, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.delegation import Judge
from project_provisioning.domain.timesheet import (
    Finding,
    Selection,
    TimeApprover,
    Timesheet,
    TimesheetNotFound,
    TimesheetStatus,
)
from throughline_runtime import audit
from throughline_runtime.database import Contended

# A sheet with who is to approve it. Its project manager is the one who leads all its projects: a
# sheet of several was handed in before the policy held.
_SHEET: Final = """
    SELECT sheet.*, coalesce(person.subject, '') AS person_subject,
           coalesce(policy.approver, 'pmo') AS approver,
           CASE policy.approver
           WHEN 'line_manager' THEN (
               SELECT manager.subject
               FROM employment JOIN person AS manager
                   ON manager.person_id = employment.manager_person_id
               WHERE employment.person_id = sheet.person_id
                 AND employment.legal_entity_id = sheet.legal_entity_id
                 AND employment.valid_from < sheet.week_start + 7
                 AND (employment.valid_to IS NULL OR employment.valid_to > sheet.week_start)
               ORDER BY employment.valid_from DESC LIMIT 1)
           WHEN 'project_manager' THEN (
               SELECT CASE WHEN count(DISTINCT entry.project_id) = count(DISTINCT entry.project_id)
                                    FILTER (WHERE manager.subject IS NOT NULL)
                            AND count(DISTINCT manager.subject) = 1 THEN min(manager.subject) END
               FROM time_entry AS entry JOIN project USING (project_id)
               LEFT JOIN person AS manager ON manager.person_id = project.manager_person_id
               WHERE entry.timesheet_id = sheet.timesheet_id)
           END AS manager
    FROM timesheet AS sheet JOIN person USING (person_id)
    LEFT JOIN time_approval_policy AS policy ON policy.legal_entity_id = sheet.legal_entity_id
"""

_SHEETS: Final = text(f"""
    {_SHEET}
    WHERE sheet.timesheet_id = ANY(CAST(:timesheet_ids AS uuid[]))
    ORDER BY sheet.timesheet_id
    FOR UPDATE OF sheet
""")

# What the judge may not decide on comes last, so that it never crowds out what waits for it.
_SUBMITTED: Final = text(f"""
    SELECT locked.*, found.person_subject, found.approver, found.manager
    FROM (
        {_SHEET}
        WHERE sheet.status = 'submitted'
          AND sheet.week_start >= :week_from AND sheet.week_start < :week_before
          AND (CAST(:entities AS uuid[]) IS NULL OR sheet.legal_entity_id = ANY(:entities))
          AND EXISTS (
              SELECT FROM time_entry AS entry
              WHERE entry.timesheet_id = sheet.timesheet_id AND entry.project_id = :project_id
          )
    ) AS found
    JOIN timesheet AS locked ON locked.timesheet_id = found.timesheet_id
    WHERE locked.status = 'submitted'
    ORDER BY coalesce(:subject IN (found.submitted_by, found.person_subject), false),
             NOT coalesce(found.manager = ANY(CAST(:places AS text[])), CAST(:is_pmo AS boolean)),
             locked.timesheet_id
    LIMIT :size
    FOR UPDATE OF locked
""")

_DRAFTS: Final = text(f"""
    {_SHEET}
    WHERE sheet.status = 'draft'
      AND sheet.week_start >= :week_from AND sheet.week_start < :week_before
      AND (CAST(:entities AS uuid[]) IS NULL OR sheet.legal_entity_id = ANY(:entities))
      AND (CAST(:own_subject AS text) IS NULL OR person.subject = :own_subject)
      AND (CAST(:person_id AS uuid) IS NULL OR sheet.person_id = :person_id)
      AND EXISTS (SELECT FROM time_entry WHERE time_entry.timesheet_id = sheet.timesheet_id)
    ORDER BY sheet.timesheet_id
    LIMIT :size
    FOR UPDATE OF sheet
""")

_SAVE_SHEETS: Final = text("""
    UPDATE timesheet AS sheet
    SET version = fresh.version, status = fresh.status,
        submitted_by = fresh.submitted_by, submitted_at = fresh.submitted_at,
        decided_by = fresh.decided_by, decided_at = fresh.decided_at,
        decision_id = fresh.decision_id, rejection_reason = fresh.rejection_reason,
        decided_for = fresh.decided_for, takes_entries = fresh.takes_entries
    FROM unnest(
        CAST(:timesheet_ids AS uuid[]), CAST(:versions AS bigint[]), CAST(:statuses AS text[]),
        CAST(:submitted_bys AS text[]), CAST(:submitted_ats AS timestamptz[]),
        CAST(:decided_bys AS text[]), CAST(:decided_ats AS timestamptz[]),
        CAST(:decision_ids AS uuid[]), CAST(:rejection_reasons AS text[]),
        CAST(:decided_fors AS text[]), CAST(:takings AS boolean[])
    ) AS fresh (timesheet_id, version, status, submitted_by, submitted_at, decided_by, decided_at,
                decision_id, rejection_reason, decided_for, takes_entries)
    WHERE sheet.timesheet_id = fresh.timesheet_id
""")

# A sheet that is a draft again takes entries where no other one of its week does.
_TAKE_ENTRIES: Final = text("""
    UPDATE timesheet AS sheet SET takes_entries = true
    WHERE timesheet_id = :timesheet_id AND NOT EXISTS (
        SELECT FROM timesheet AS other
        WHERE other.person_id = sheet.person_id AND other.week_start = sheet.week_start
          AND other.legal_entity_id = sheet.legal_entity_id AND other.takes_entries
    )
""")

_MOVE: Final = text("""
    UPDATE time_entry SET timesheet_id = moved.timesheet_id
    FROM unnest(CAST(:entry_ids AS uuid[]), CAST(:timesheet_ids AS uuid[]))
        AS moved (time_entry_id, timesheet_id)
    WHERE time_entry.time_entry_id = moved.time_entry_id
""")

_FORGET_FINDINGS: Final = text("""
    DELETE FROM timesheet_finding WHERE timesheet_id = ANY(CAST(:timesheet_ids AS uuid[]))
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
    judge: Judge,
    entities: frozenset[UUID] | None,
    size: int,
) -> list[Timesheet]:
    """Return submitted sheets of the selection, locked until the transaction ends.

    At most `size`, of entities the caller may see, those first that `judge` may decide on.
    """
    rows = await tx.execute(
        _SUBMITTED,
        {
            "project_id": selection.project_id,
            "week_from": selection.week_from,
            "week_before": selection.week_before,
            "subject": judge.subject,
            "places": [judge.subject, *(each.delegator for each in judge.delegations)],
            "is_pmo": judge.is_pmo or any(each.by_pmo for each in judge.delegations),
            "entities": None if entities is None else list(entities),
            "size": size,
        },
    )
    return list(map(_sheet_from, rows))


async def get_drafts(
    tx: AsyncConnection,
    *,
    person_id: UUID | None,
    week_from: date,
    week_before: date,
    own_subject: str | None,
    entities: frozenset[UUID] | None,
    size: int,
) -> list[Timesheet]:
    """Return drafts with time on them, locked until the transaction ends: at most `size`."""
    rows = await tx.execute(
        _DRAFTS,
        {
            "person_id": person_id,
            "week_from": week_from,
            "week_before": week_before,
            "own_subject": own_subject,
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
            "decided_fors": [sheet.decided_for or None for sheet in sheets],
            "takings": [sheet.takes_entries for sheet in sheets],
        },
    )


async def let_take_entries(tx: AsyncConnection, timesheet_id: UUID) -> None:
    """Let a draft take what is recorded for its week, where no other one does.

    Raises:
        Contended: another writer opened one just now.
    """
    try:
        await tx.execute(_TAKE_ENTRIES, {"timesheet_id": timesheet_id})
    except IntegrityError as error:
        raise Contended("others record time for the same week", advice="try again") from error


async def add_split(
    tx: AsyncConnection, sheets: Sequence[Timesheet], moves: Mapping[UUID, UUID]
) -> None:
    """Write sheets made of others, and the sheet of each entry that moves: two statements."""
    if not sheets:
        return
    audit.touch(tx, *(sheet.timesheet_id for sheet in sheets))
    rows = [
        {
            "timesheet_id": sheet.timesheet_id,
            "version": sheet.version,
            "person_id": sheet.person_id,
            "legal_entity_id": sheet.legal_entity_id,
            "week_start": sheet.week_start,
            "status": sheet.status,
            "submitted_by": sheet.submitted_by or None,
            "submitted_at": sheet.submitted_at,
            "takes_entries": sheet.takes_entries,
            "split_from_timesheet_id": sheet.split_from,
        }
        for sheet in sheets
    ]
    await tx.execute(insert(tables.timesheet), rows)
    await tx.execute(
        _MOVE, {"entry_ids": list(moves), "timesheet_ids": [moves[each] for each in moves]}
    )


async def put_findings(tx: AsyncConnection, findings: Mapping[UUID, Sequence[Finding]]) -> None:
    """Write what the working-time rules warn of, in place of what they did: two statements."""
    await tx.execute(_FORGET_FINDINGS, {"timesheet_ids": list(findings)})
    rows = [
        {
            "timesheet_id": timesheet_id,
            "position": position,
            "rule": finding.rule,
            "message": finding.message,
            "work_date": finding.work_date,
        }
        for timesheet_id, found in findings.items()
        for position, finding in enumerate(found, start=1)
    ]
    if rows:
        await tx.execute(insert(tables.timesheet_finding), rows)


async def add_rejections(
    tx: AsyncConnection, timesheet_id: UUID, reasons: Mapping[UUID, str], *, by: str, at: datetime
) -> None:
    """Write which entries a sheet was not approved with, and why."""
    audit.touch(tx, *reasons)
    rows = [
        {
            "time_entry_id": entry_id,
            "timesheet_id": timesheet_id,
            "reason": reason,
            "rejected_by": by,
            "rejected_at": at,
        }
        for entry_id, reason in reasons.items()
    ]
    await tx.execute(insert(tables.time_entry_rejection), rows)


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
        takes_entries=row.takes_entries,
        decided_for=row.decided_for or "",
        split_from=row.split_from_timesheet_id,
        rule=TimeApprover(row.approver),
        manager=row.manager or "",
    )
