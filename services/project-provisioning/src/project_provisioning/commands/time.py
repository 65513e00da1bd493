"""Recording time: one entry or ten thousand, by the same rules and the same statements."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.bulk import costing, time_facts
from project_provisioning.bulk import time as bulk
from project_provisioning.bulk.time import Decision
from project_provisioning.commands import working_time
from project_provisioning.commands.working_time import WeekKey
from project_provisioning.domain import time_entry as domain
from project_provisioning.domain.person import Sight
from project_provisioning.domain.time_entry import EntryColumns, NotOwn, RowRefusal, Ruling, Sheets
from project_provisioning.domain.time_rules import Finding
from project_provisioning.domain.timesheet import Finding as SheetFinding
from project_provisioning.domain.timesheet import Timesheet, require_open
from project_provisioning.repository import time_entry as repository
from project_provisioning.repository import timesheet as timesheet_repository
from project_provisioning.wire import time as wire
from throughline_runtime import audit, outbox
from throughline_runtime.identity import require_entity
from throughline_runtime.rpc.errors import InvalidRequest, Violation

VIOLATIONS_MAX: Final = 100
FIELD: Final = "{field}"
"""How a refusal names the field of a request for one entry."""
ROW_FIELD: Final = "rows[{place}].{field}"
"""How it names the field of a row."""


async def record_time(
    tx: AsyncConnection,
    columns: EntryColumns,
    *,
    sight: Sight,
    at: datetime,
    decision: Decision | None = None,
    is_partial: bool = False,
    field_pattern: str = ROW_FIELD,
) -> tuple[Ruling, Sheets]:
    """Store the entries that keep all rules; with a decision they are approved and announced.

    Returns what became of each row, and the sheets that were written to. Refusals name fields by
    `field_pattern`.

    Raises:
        InvalidRequest: a row breaks a rule, and it is all or nothing; names every bad row.
        Contended: another writer was faster; safe to retry.
    """
    days = [day for day in domain.read_days(columns).values() if day is not None]
    facts = await time_facts.load_facts(
        tx, columns, days, entities=sight.entities, own_subject=sight.own_subject
    )
    ruling = domain.judge(columns, facts)
    warnings: Mapping[WeekKey, Sequence[Finding]] = {}
    if facts.has_rules and ruling.entries:
        judgement = await working_time.judge_entries(tx, ruling.entries, today=at.date())
        domain.stop(ruling, judgement.stops)
        warnings = judgement.warnings
    if ruling.refusals and not is_partial:
        raise InvalidRequest(_violations(ruling.refusals, field_pattern))
    if not ruling.entries:
        return ruling, {}
    sheets = await bulk.save_entries(tx, ruling.entries, decision, at=at)
    if decision is not None:
        entries = [wire.write_entry(entry, sheets) for entry in ruling.entries]
        events = wire.write_time_approved(
            decision.decision_id, entries, by=decision.by, at=decision.at
        )
        await outbox.append(tx, events)
        await costing.record(tx, [entry.entry_id for entry in ruling.entries])
        if warnings:
            await timesheet_repository.put_findings(tx, _of_sheets(warnings, sheets))
    return ruling, sheets


async def delete_time_entry(tx: AsyncConnection, time_entry_id: UUID, sight: Sight) -> None:
    """Take an entry off a sheet that is not handed in, or was sent back.

    Raises:
        TimeEntryNotFound, TimesheetNotOpen, NotOwn, EntityForbidden.
    """
    timesheet_id = await repository.sheet_of(tx, time_entry_id)
    [sheet] = await timesheet_repository.get_all(tx, [timesheet_id])
    require_sight(sheet, sight)
    require_open(sheet)
    audit.touch(tx, timesheet_id)
    await repository.delete(tx, time_entry_id)


def require_sight(sheet: Timesheet, sight: Sight) -> None:
    """Refuse to touch a sheet of another entity, or of another person for one limited to own time.

    Raises:
        EntityForbidden, NotOwn.
    """
    require_entity(sheet.legal_entity_id)
    if sight.own_subject is not None and sheet.person_subject != sight.own_subject:
        raise NotOwn(
            "this is the time of somebody else",
            advice="ask that person, or somebody of the PMO",
        )


def _of_sheets(
    warnings: Mapping[WeekKey, Sequence[Finding]], sheets: Sheets
) -> Mapping[UUID, Sequence[SheetFinding]]:
    return {
        UUID(timesheet_id): [
            SheetFinding(each.rule, each.text, each.work_date)
            for each in warnings[UUID(person_id), week_start]
        ]
        for (person_id, _, week_start), timesheet_id in sheets.items()
    }


def _violations(refusals: Sequence[RowRefusal], field_pattern: str) -> list[Violation]:
    return [
        Violation(
            field_pattern.format(place=refusal.place, field=refusal.field),
            refusal.rule,
            refusal.text,
        )
        for refusal in refusals[:VIOLATIONS_MAX]
    ]
