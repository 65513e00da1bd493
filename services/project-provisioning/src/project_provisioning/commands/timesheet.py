"""Handing time in, and judging it: one sheet or many, set-based."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.bulk import costing
from project_provisioning.bulk.time import Decision
from project_provisioning.commands import working_time
from project_provisioning.commands.time import require_sight
from project_provisioning.domain import timesheet as domain
from project_provisioning.domain.delegation import DelegationScope, Judge
from project_provisioning.domain.person import Sight
from project_provisioning.domain.time_entry import TimeEntryNotFound
from project_provisioning.domain.timesheet import (
    Approval,
    ApprovalPolicy,
    LeftOut,
    Selection,
    Submission,
    TimeApprover,
    Timesheet,
)
from project_provisioning.repository import delegation as delegation_repository
from project_provisioning.repository import lock as lock_repository
from project_provisioning.repository import time_entry as entry_repository
from project_provisioning.repository import time_policy as policy_repository
from project_provisioning.repository import timesheet as repository
from project_provisioning.wire import time as wire
from throughline_core.errors import Refusal
from throughline_core.ids import derived_id
from throughline_runtime import exceptions, outbox
from throughline_runtime.identity import require_entity
from throughline_runtime.ids import new_id

SHEETS_MAX: Final = 500
OVERDUE: Final = "timesheet.approval_overdue"
MISSING: Final = "timesheet.missing"

Entries = Mapping[str, Sequence[Row[Any]]]
"""Entries as rows, by the sheet they are on."""


@dataclass(frozen=True, slots=True)
class Weeks:
    """Drafts of weeks that start in `[week_from, week_before)`, of one person or of everybody."""

    person_id: UUID | None
    week_from: date
    week_before: date


async def put_policy(tx: AsyncConnection, policy: ApprovalPolicy) -> ApprovalPolicy:
    """Set who approves the time of a legal entity's people.

    Raises:
        EntityForbidden.
    """
    require_entity(policy.legal_entity_id)
    return await policy_repository.put(tx, policy)


async def submit_timesheets(
    tx: AsyncConnection, timesheet_ids: Sequence[UUID], *, sight: Sight, by: str, at: datetime
) -> Submission:
    """Hand sheets in, all of them or none.

    Raises:
        TimesheetNotFound, EntityForbidden, NotOwn, IllegalTransition, TimesheetEmpty, RuleBroken.
    """
    sheets = await repository.get_all(tx, timesheet_ids)
    for sheet in sheets:
        require_sight(sheet, sight)
    submission, refusals = await _submit(tx, sheets, by=by, at=at)
    if refusals:
        raise refusals[min(refusals)]
    return submission


async def submit_weeks(
    tx: AsyncConnection, weeks: Weeks, *, sight: Sight, by: str, at: datetime
) -> Submission:
    """Hand in up to `SHEETS_MAX` drafts with time on them that the caller may touch.

    Those that a working-time rule stops are left out.
    """
    drafts = await repository.get_drafts(
        tx,
        person_id=weeks.person_id,
        week_from=weeks.week_from,
        week_before=weeks.week_before,
        own_subject=sight.own_subject,
        entities=sight.entities,
        size=SHEETS_MAX + 1,
    )
    submission, refusals = await _submit(tx, drafts[:SHEETS_MAX], by=by, at=at)
    left_out = tuple(
        LeftOut(timesheet_id, refusal.stable_code, refusal.message)
        for timesheet_id, refusal in sorted(refusals.items())
    )
    return replace(submission, left_out=left_out, more=len(drafts) > SHEETS_MAX)


async def recall_timesheet(tx: AsyncConnection, timesheet_id: UUID, *, by: str) -> None:
    """Take a submitted sheet back; it is a draft again.

    Raises:
        TimesheetNotFound, EntityForbidden, NotSubmitter, IllegalTransition.
        Contended: somebody opened a draft of the week just now; safe to retry.
    """
    [sheet] = await repository.get_all(tx, [timesheet_id])
    require_entity(sheet.legal_entity_id)
    await repository.save_all(tx, [domain.recall(sheet, by=by)])
    await repository.let_take_entries(tx, timesheet_id)
    await exceptions.close(tx, OVERDUE, [timesheet_id])


async def reject_timesheet(
    tx: AsyncConnection, timesheet_id: UUID, decision: Decision, *, is_pmo: bool, reason: str
) -> None:
    """Send a sheet back.

    Raises:
        TimesheetNotFound, EntityForbidden, IllegalTransition, OwnTime, NotApprover.
    """
    judge = await _judge(tx, decision, is_pmo=is_pmo)
    [sheet] = await repository.get_all(tx, [timesheet_id])
    require_entity(sheet.legal_entity_id)
    rejected = domain.reject(sheet, judge=judge, at=decision.at, reason=reason)
    await repository.save_all(tx, [rejected])
    await exceptions.close(tx, OVERDUE, [timesheet_id])


async def reject_entries(
    tx: AsyncConnection,
    timesheet_id: UUID,
    reasons: Mapping[UUID, str],
    decision: Decision,
    *,
    is_pmo: bool,
) -> UUID:
    """Send entries of a sheet back and approve the rest; return the draft that holds them.

    Raises:
        TimesheetNotFound, TimeEntryNotFound, NothingLeft, EntityForbidden, IllegalTransition,
        OwnTime, NotApprover, PeriodLocked.
        Contended: the person records time for the same week at this moment.
    """
    judge = await _judge(tx, decision, is_pmo=is_pmo)
    [sheet] = await repository.get_all(tx, [timesheet_id])
    require_entity(sheet.legal_entity_id)
    entry_ids = {UUID(row.time_entry_id) for row in await entry_repository.of_sheets(tx, [sheet])}
    unknown = reasons.keys() - entry_ids
    if unknown:
        raise TimeEntryNotFound(
            f"no time entry {min(unknown)} on this sheet", field="rejections", advice="check the id"
        )
    draft = domain.send_back(
        sheet,
        entry_ids=entry_ids,
        rejected_ids=reasons.keys(),
        draft_id=derived_id("timesheet_correction", timesheet_id, sheet.version),
    )
    await repository.add_split(tx, [draft], dict.fromkeys(reasons, draft.timesheet_id))
    await repository.let_take_entries(tx, draft.timesheet_id)
    await repository.add_rejections(tx, timesheet_id, reasons, by=decision.by, at=decision.at)
    await _approve(tx, [sheet], judge, decision)
    return draft.timesheet_id


async def approve_timesheets(
    tx: AsyncConnection, timesheet_ids: Sequence[UUID], decision: Decision, *, is_pmo: bool
) -> Approval:
    """Approve these sheets, all of them or none, and announce their entries.

    Raises:
        TimesheetNotFound, EntityForbidden, IllegalTransition, OwnTime, NotApprover, PeriodLocked.
    """
    judge = await _judge(tx, decision, is_pmo=is_pmo)
    sheets = await repository.get_all(tx, timesheet_ids)
    for sheet in sheets:
        require_entity(sheet.legal_entity_id)
    return await _approve(tx, sheets, judge, decision)


async def approve_selection(
    tx: AsyncConnection, selection: Selection, decision: Decision, *, is_pmo: bool, sight: Sight
) -> Approval:
    """Approve up to `SHEETS_MAX` submitted sheets of the selection that the caller may judge.

    The others are left out; so are those of entities the caller may not see.

    Raises:
        PeriodLocked.
    """
    judge = await _judge(tx, decision, is_pmo=is_pmo)
    found = await repository.get_submitted(
        tx, selection, judge=judge, entities=sight.entities, size=SHEETS_MAX + 1
    )
    judged = [sheet for sheet in found if domain.may_judge(sheet, judge)]
    others = (sheet for sheet in found if not domain.may_judge(sheet, judge))
    left_out = tuple(sheet.timesheet_id for sheet in others)
    if not judged:
        return Approval(left_out=left_out)
    approval = await _approve(tx, judged[:SHEETS_MAX], judge, decision)
    return replace(approval, left_out=left_out, more=len(judged) > SHEETS_MAX)


async def _judge(tx: AsyncConnection, decision: Decision, *, is_pmo: bool) -> Judge:
    return await delegation_repository.judge_of(
        tx, decision.by, is_pmo=is_pmo, scope=DelegationScope.TIME, on=decision.at.date()
    )


async def _submit(
    tx: AsyncConnection, sheets: Sequence[Timesheet], *, by: str, at: datetime
) -> tuple[Submission, Mapping[UUID, Refusal]]:
    """Hand in what can be; a constant number of statements, whatever the number of sheets.

    Returns what stands against the others, by their ids.
    """
    if not sheets:
        return Submission(), {}
    entries = _by_sheet(await entry_repository.of_sheets(tx, sheets))
    refusals: dict[UUID, Refusal] = {}
    submitted: list[Timesheet] = []
    findings = await working_time.judge_sheets(tx, sheets, entries, today=at.date())
    for sheet in sheets:
        own = entries.get(str(sheet.timesheet_id), ())
        try:
            handed_in = domain.submit(sheet, by=by, at=at, entry_count=len(own))
            domain.require_kept(sheet, findings[sheet.timesheet_id].stops)
        except Refusal as refusal:
            refusals[sheet.timesheet_id] = refusal
        else:
            submitted.append(handed_in)
    split, moves = _split(submitted, entries)
    await repository.save_all(tx, submitted)
    await repository.add_split(tx, split, moves)
    warnings = {
        sheet.timesheet_id: findings[sheet.split_from or sheet.timesheet_id].warnings
        for sheet in [*submitted, *split]
        if (sheet.split_from or sheet.timesheet_id) in findings
    }
    await repository.put_findings(tx, warnings)
    ids = tuple(sheet.timesheet_id for sheet in [*submitted, *split])
    await exceptions.close(
        tx, MISSING, {missing_id(sheet.person_id, sheet.week_start) for sheet in submitted}
    )
    return Submission(timesheet_ids=ids), refusals


def missing_id(person_id: UUID, week_start: date) -> UUID:
    """Return what the exceptions queue knows a week by that nobody handed in."""
    return derived_id("missing_timesheet", person_id, week_start)


def _split(
    sheets: Collection[Timesheet], entries: Entries
) -> tuple[list[Timesheet], dict[UUID, UUID]]:
    """Return a further sheet for each further project, where project managers approve."""
    split: list[Timesheet] = []
    moves: dict[UUID, UUID] = {}
    for sheet in sheets:
        if sheet.rule is not TimeApprover.PROJECT_MANAGER:
            continue
        projects: defaultdict[str, list[UUID]] = defaultdict(list)
        for row in entries[str(sheet.timesheet_id)]:
            projects[row.project_id].append(UUID(row.time_entry_id))
        for project_id in sorted(projects)[1:]:
            part = replace(sheet, timesheet_id=new_id(), version=1, split_from=sheet.timesheet_id)
            split.append(part)
            moves.update(dict.fromkeys(projects[project_id], part.timesheet_id))
    return split, moves


async def _approve(
    tx: AsyncConnection, sheets: Sequence[Timesheet], judge: Judge, decision: Decision
) -> Approval:
    """Approve locked sheets: a few statements, whatever the number of sheets and entries."""
    approved = [
        domain.approve(sheet, judge=judge, at=decision.at, decision_id=decision.decision_id)
        for sheet in sheets
    ]
    rows = await entry_repository.of_sheets(tx, approved)
    days = {(UUID(row.legal_entity_id), date.fromisoformat(row.work_date)) for row in rows}
    await lock_repository.require_open(tx, days, field="timesheet_ids")
    entries = list(map(wire.write_stored_entry, rows))
    await repository.save_all(tx, approved)
    events = wire.write_time_approved(decision.decision_id, entries, by=decision.by, at=decision.at)
    await outbox.append(tx, events)
    await costing.record(tx, [entry.time_entry_id for entry in entries])
    await exceptions.close(tx, OVERDUE, [sheet.timesheet_id for sheet in approved])
    return Approval(
        timesheet_ids=tuple(sheet.timesheet_id for sheet in approved),
        entry_count=len(entries),
        minutes=sum(entry.minutes for entry in entries),
    )


def _by_sheet(rows: Sequence[Row[Any]]) -> Entries:
    found: defaultdict[str, list[Row[Any]]] = defaultdict(list)
    for row in rows:
        found[row.timesheet_id].append(row)
    return found
