"""Corrections as rows, and the entries they are about."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, Select, String, cast, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.correction import Correction, CorrectionKind, Standing
from project_provisioning.domain.time_entry import TimeEntryNotFound
from project_provisioning.domain.time_facts import WorkTask
from project_provisioning.domain.timesheet import TimesheetStatus
from project_provisioning.repository.time_entry import ENTRY_COLUMNS
from throughline_runtime import audit

_entry, _sheet, _person = tables.time_entry, tables.timesheet, tables.person
_task, _table = tables.task, tables.time_correction
_reversal = _entry.alias("reversal")

_STANDING: Final[Select[Any]] = (
    select(
        *ENTRY_COLUMNS,
        _person.c.subject,
        _sheet.c.status,
        _task.c.billable.label("task_billable"),
        cast(_reversal.c.time_entry_id, String).label("reversed_by"),
    )
    .join(_person, _person.c.person_id == _entry.c.person_id)
    .join(_sheet, _sheet.c.timesheet_id == _entry.c.timesheet_id)
    .join(_task, _task.c.task_id == _entry.c.task_id)
    .outerjoin(_reversal, _reversal.c.reverses_time_entry_id == _entry.c.time_entry_id)
    .order_by(_entry.c.time_entry_id)
)


async def standing(
    tx: AsyncConnection, entry_ids: Sequence[UUID], *, is_locked: bool = True
) -> list[tuple[Standing, Row[Any]]]:
    """Return entries with their rows, in the order asked; nobody corrects them meanwhile.

    Raises:
        TimeEntryNotFound: one of them does not exist.
    """
    query = _STANDING.where(_entry.c.time_entry_id.in_(entry_ids))
    if is_locked:
        query = query.with_for_update(of=_entry)
    found = {UUID(row.time_entry_id): row for row in await tx.execute(query)}
    missing = set(entry_ids) - found.keys()
    if missing:
        raise TimeEntryNotFound(f"no time entry {min(missing)}", field="time_entry_id")
    return [(_standing_from(found[entry_id]), found[entry_id]) for entry_id in entry_ids]


async def add(tx: AsyncConnection, correction: Correction) -> None:
    """Write the record of a correction."""
    await tx.execute(
        insert(_table).values(
            time_correction_id=correction.time_correction_id,
            kind=correction.kind,
            reason=correction.reason,
            corrected_by=correction.corrected_by,
            corrected_at=correction.corrected_at,
            reversed_count=correction.reversed_count,
            reversed_minutes=correction.reversed_minutes,
            entered_minutes=correction.entered_minutes,
            legal_entity_ids=list(correction.legal_entity_ids),
        )
    )
    audit.touch(tx, correction.time_correction_id)


def correction_from(row: Row[Any]) -> Correction:
    """Return the correction a row holds."""
    return Correction(
        time_correction_id=row.time_correction_id,
        kind=CorrectionKind(row.kind),
        reason=row.reason,
        corrected_by=row.corrected_by,
        corrected_at=row.corrected_at,
        reversed_count=row.reversed_count,
        reversed_minutes=row.reversed_minutes,
        entered_minutes=row.entered_minutes,
        legal_entity_ids=tuple(row.legal_entity_ids),
    )


def _standing_from(row: Row[Any]) -> Standing:
    return Standing(
        entry_id=row.time_entry_id,
        person_id=row.person_id,
        person_name=row.person_name,
        person_subject=row.subject or "",
        legal_entity_id=row.legal_entity_id,
        task=WorkTask(
            task_id=row.task_id,
            project_id=row.project_id,
            contract_id=row.contract_id,
            contract_line_id=row.contract_line_id,
            engagement_id=row.engagement_id,
            billable=row.task_billable,
            closed=False,
        ),
        work_date=date.fromisoformat(row.work_date),
        minutes=row.minutes,
        role=row.role,
        level=row.level,
        region=row.region,
        billable=row.billable,
        note=row.note,
        activity=row.activity,
        status=TimesheetStatus(row.status),
        is_reversed=row.reversed_by is not None,
    )
