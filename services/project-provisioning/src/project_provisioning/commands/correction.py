"""Correcting approved time: one entry or hundreds, by the same rules and the same statements."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.bulk import costing
from project_provisioning.bulk import time as bulk
from project_provisioning.bulk.time import Decision
from project_provisioning.bulk.time_facts import load_facts
from project_provisioning.domain import correction as domain
from project_provisioning.domain.correction import (
    Corrected,
    Correction,
    CorrectionKind,
    CorrectionRefused,
    Corrector,
    Move,
    Reentry,
    Standing,
)
from project_provisioning.domain.project import TaskNotFound
from project_provisioning.domain.time_entry import EntryColumns
from project_provisioning.domain.time_facts import Facts
from project_provisioning.domain.time_refusal import Broken
from project_provisioning.domain.timesheet import OwnTime, week_start_of
from project_provisioning.repository import correction as repository
from project_provisioning.wire import time as wire
from throughline.project_provisioning.v1 import work_pb2
from throughline_core.ids import derived_id
from throughline_runtime import outbox
from throughline_runtime.identity import require_entity
from throughline_runtime.rpc.errors import InvalidRequest, Violation

_VIOLATIONS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Made:
    """What a correction made: its record, and its entries as they were announced."""

    correction: Correction
    entries: Sequence[work_pb2.TimeEntry]


async def correct_entry(
    tx: AsyncConnection,
    entry_id: UUID,
    reentry: Reentry | None,
    decision: Decision,
    *,
    may_touch_locked: bool,
    reason: str,
) -> Made:
    """Take an approved entry back and, with a `reentry`, enter it anew.

    Raises:
        TimeEntryNotFound, EntityForbidden, CorrectionRefused, OwnTime.
        Contended: another writer was faster; safe to retry.
    """
    [(entry, _)] = await repository.standing(tx, [entry_id])
    corrector = Corrector(decision.by, may_touch_locked)
    facts = await _facts(tx, [entry], reentry)
    _require_entities([entry], facts)
    outcome = domain.correct(entry, reentry, facts, corrector)
    if not isinstance(outcome, Corrected):
        raise _refusal(outcome)
    kind = CorrectionKind.REVERSAL if reentry is None else CorrectionKind.REENTRY
    return await _save(tx, kind, [outcome], decision, reason=reason)


async def preview_move(
    tx: AsyncConnection, entry_ids: Sequence[UUID], task_id: UUID, corrector: Corrector
) -> list[tuple[Row[Any], Move]]:
    """Return what moving would do to each entry, with its row, in the order asked.

    Raises:
        TimeEntryNotFound, TaskNotFound, EntityForbidden.
    """
    return await _moves(tx, entry_ids, task_id, corrector, is_locked=False)


async def move_entries(
    tx: AsyncConnection,
    entry_ids: Sequence[UUID],
    task_id: UUID,
    decision: Decision,
    *,
    may_touch_locked: bool,
    reason: str,
) -> Made:
    """Move approved entries to a task, all of them or none.

    Raises:
        TimeEntryNotFound, TaskNotFound, EntityForbidden.
        InvalidRequest: an entry cannot be moved; names every such entry.
        Contended: another writer was faster; safe to retry.
    """
    corrector = Corrector(decision.by, may_touch_locked)
    moves = await _moves(tx, entry_ids, task_id, corrector, is_locked=True)
    violations = [
        Violation(f"time_entry_ids[{place}]", move.outcome[1], move.outcome[2])
        for place, (_, move) in enumerate(moves)
        if not isinstance(move.outcome, Corrected)
    ]
    if violations:
        raise InvalidRequest(violations[:_VIOLATIONS_MAX], total=len(violations))
    corrected = [move.outcome for _, move in moves if isinstance(move.outcome, Corrected)]
    return await _save(tx, CorrectionKind.MOVE, corrected, decision, reason=reason)


async def _moves(
    tx: AsyncConnection,
    entry_ids: Sequence[UUID],
    task_id: UUID,
    corrector: Corrector,
    *,
    is_locked: bool,
) -> list[tuple[Row[Any], Move]]:
    found = await repository.standing(tx, entry_ids, is_locked=is_locked)
    entries = [entry for entry, _ in found]
    reentry = Reentry(task_id=str(task_id))
    facts = await _facts(tx, entries, reentry)
    task = facts.tasks.get(str(task_id))
    if task is None:
        raise TaskNotFound(f"no task {task_id}", field="task_id", advice="check the id")
    _require_entities(entries, facts)
    return [
        (row, Move(task, domain.correct(entry, reentry, facts, corrector))) for entry, row in found
    ]


async def _facts(
    tx: AsyncConnection, entries: Sequence[Standing], reentry: Reentry | None
) -> Facts:
    """Return what the rules ask about entries, about the task they go to, and the lock dates."""
    task_id = None if reentry is None else reentry.task_id
    nothing = [None] * len(entries)
    columns = EntryColumns(
        entry_ids=[entry.entry_id for entry in entries],
        person_ids=[entry.person_id for entry in entries],
        task_ids=[task_id or entry.task.task_id for entry in entries],
        work_dates=[entry.work_date.isoformat() for entry in entries],
        minutes=[0] * len(entries),
        roles=nothing,
        levels=nothing,
        regions=nothing,
        billables=nothing,
        notes=[""] * len(entries),
        sources=nothing,
        activities=[""] * len(entries),
        allowed_duplicates=[True] * len(entries),
    )
    days = {(entry.work_date, week_start_of(entry.work_date)) for entry in entries}
    return await load_facts(tx, columns, days, entities=None, own_subject=None)


def _require_entities(entries: Sequence[Standing], facts: Facts) -> None:
    """Refuse to touch entries of companies the caller may not act for, now or then."""
    for entry in entries:
        require_entity(entry.legal_entity_id)
        stretch = facts.workers[entry.person_id].employed_on(entry.work_date)
        if stretch is not None:
            require_entity(stretch.legal_entity_id)


async def _save(
    tx: AsyncConnection,
    kind: CorrectionKind,
    corrected: Sequence[Corrected],
    decision: Decision,
    *,
    reason: str,
) -> Made:
    """Write corrections and announce them: five statements, however many."""
    correction = domain.record(
        derived_id("time_correction", decision.decision_id),
        kind,
        corrected,
        reason=reason,
        by=decision.by,
        at=decision.at,
    )
    new = list(domain.in_order(corrected))
    await repository.add(tx, correction)
    sheets = await bulk.save_correction(
        tx, new, decision, time_correction_id=correction.time_correction_id
    )
    entries = [wire.write_entry(entry, sheets) for entry in new]
    events = wire.write_time_approved(
        decision.decision_id,
        entries,
        by=decision.by,
        at=decision.at,
        together=1 if kind is CorrectionKind.REVERSAL else 2,
    )
    await outbox.append(tx, events)
    await costing.record(tx, [entry.entry_id for entry in new])
    return Made(correction, entries)


def _refusal(broken: Broken) -> CorrectionRefused | OwnTime:
    field, rule, words = broken
    if rule == OwnTime.code:
        return OwnTime(words, field=field, advice="ask a second person")
    return CorrectionRefused(words, field=field, code=rule)
