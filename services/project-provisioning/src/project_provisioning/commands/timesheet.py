"""Handing time in, and judging it: one sheet or many, set-based."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.bulk import Decision
from project_provisioning.commands.time import require_sight
from project_provisioning.domain import timesheet as domain
from project_provisioning.domain.person import Sight
from project_provisioning.domain.timesheet import Approval, Selection, Timesheet
from project_provisioning.repository import time_entry as entry_repository
from project_provisioning.repository import timesheet as repository
from project_provisioning.wire import time as wire
from throughline_runtime import outbox
from throughline_runtime.identity import require_entity

SHEETS_MAX: Final = 500


async def submit_timesheet(
    tx: AsyncConnection, timesheet_id: UUID, *, sight: Sight, by: str, at: datetime
) -> None:
    """Hand a sheet in.

    Raises:
        TimesheetNotFound, EntityForbidden, NotOwn, IllegalTransition, TimesheetEmpty.
    """
    [sheet] = await repository.get_all(tx, [timesheet_id])
    require_sight(sheet, sight)
    entries = await entry_repository.of_sheets(tx, [sheet])
    submitted = domain.submit(sheet, by=by, at=at, entry_count=len(entries))
    await repository.save_all(tx, [submitted])


async def reject_timesheet(
    tx: AsyncConnection, timesheet_id: UUID, *, by: str, at: datetime, reason: str
) -> None:
    """Send a sheet back.

    Raises:
        TimesheetNotFound, EntityForbidden, IllegalTransition, OwnTime.
    """
    [sheet] = await repository.get_all(tx, [timesheet_id])
    require_entity(sheet.legal_entity_id)
    await repository.save_all(tx, [domain.reject(sheet, by=by, at=at, reason=reason)])


async def approve_timesheets(
    tx: AsyncConnection, timesheet_ids: Sequence[UUID], decision: Decision
) -> Approval:
    """Approve these sheets, all of them or none, and announce their entries.

    Raises:
        TimesheetNotFound, EntityForbidden, IllegalTransition, OwnTime.
    """
    sheets = await repository.get_all(tx, timesheet_ids)
    for sheet in sheets:
        require_entity(sheet.legal_entity_id)
    return await _approve(tx, sheets, decision)


async def approve_selection(
    tx: AsyncConnection, selection: Selection, decision: Decision, *, sight: Sight
) -> Approval:
    """Approve up to `SHEETS_MAX` submitted sheets of the selection that the caller may judge.

    The others are left out; so are those of entities the caller may not see.
    """
    found = await repository.get_submitted(
        tx, selection, approver=decision.by, entities=sight.entities, size=SHEETS_MAX + 1
    )
    judged = [sheet for sheet in found if domain.may_judge(sheet, decision.by)]
    others = (sheet for sheet in found if not domain.may_judge(sheet, decision.by))
    left_out = tuple(sheet.timesheet_id for sheet in others)
    if not judged:
        return Approval(left_out=left_out)
    approval = await _approve(tx, judged[:SHEETS_MAX], decision)
    return replace(approval, left_out=left_out, more=len(judged) > SHEETS_MAX)


async def _approve(
    tx: AsyncConnection, sheets: Sequence[Timesheet], decision: Decision
) -> Approval:
    """Approve locked sheets: three statements, whatever the number of sheets and entries."""
    approved = [
        domain.approve(sheet, by=decision.by, at=decision.at, decision_id=decision.decision_id)
        for sheet in sheets
    ]
    rows = await entry_repository.of_sheets(tx, approved)
    entries = list(map(wire.write_stored_entry, rows))
    await repository.save_all(tx, approved)
    events = wire.write_time_approved(decision.decision_id, entries, by=decision.by, at=decision.at)
    await outbox.append(tx, events)
    return Approval(
        timesheet_ids=tuple(sheet.timesheet_id for sheet in approved),
        entry_count=len(entries),
        minutes=sum(entry.minutes for entry in entries),
    )
