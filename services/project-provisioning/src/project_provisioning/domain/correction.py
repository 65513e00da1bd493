"""Corrections of approved time: an entry is reversed, and what should stand is entered anew.

What was approved is never touched. A correction of a correction goes on from the entry that stands.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from project_provisioning.domain import time_refusal as refusal
from project_provisioning.domain.time_entry import NewEntry, employment_broken, work_broken
from project_provisioning.domain.time_facts import Facts, Stretch, Worker, WorkTask
from project_provisioning.domain.time_refusal import ACTIVITIES, DAY_MINUTES_MAX, Broken
from project_provisioning.domain.timesheet import TimesheetStatus, week_start_of
from throughline_core.errors import FailedPrecondition, InvalidArgument, NotFound
from throughline_core.ids import derived_id


class CorrectionKind(StrEnum):
    """What a correction does."""

    REVERSAL = "reversal"
    REENTRY = "reentry"
    MOVE = "move"


class CorrectionNotFound(NotFound):
    """There is no such correction, or none the caller may see."""

    code = "time_correction.not_found"


class CorrectionRefused(FailedPrecondition):
    """The entry cannot be corrected so; the code names the rule."""

    code = "time_entry.cannot_correct"


class NothingToCorrect(InvalidArgument):
    """The correction would enter the same again."""

    code = "time_entry.nothing_to_correct"


NOT_APPROVED: Final[Broken] = (
    "time_entry_id",
    "time_entry.not_approved",
    "the entry is not approved: take it off its sheet instead",
)
ALREADY_REVERSED: Final[Broken] = (
    "time_entry_id",
    "time_entry.already_reversed",
    "the entry was taken back before: correct what replaces it",
)
IS_REVERSAL: Final[Broken] = (
    "time_entry_id",
    "time_entry.is_reversal",
    "a reversal is never taken back: record the time again",
)
OWN_TIME: Final[Broken] = (
    "time_entry_id",
    "timesheet.own_time",
    "nobody corrects own time: ask a second person",
)
LOCKED: Final[Broken] = (
    "time_entry_id",
    "period.locked",
    "the day is locked: ask finance to correct it, or to reopen the period",
)
SAME_TASK: Final[Broken] = ("task_id", "time_entry.same_task", "the entry is on this task already")


@dataclass(frozen=True, slots=True)
class Standing:
    """An entry as it is stored, with the status of its sheet and what took it back, if anything."""

    entry_id: str
    person_id: str
    person_name: str
    person_subject: str
    legal_entity_id: str
    task: WorkTask
    work_date: date
    minutes: int
    role: str
    level: str
    region: str
    billable: bool
    note: str
    activity: str
    status: TimesheetStatus
    is_reversed: bool


@dataclass(frozen=True, slots=True)
class Reentry:
    """What the new entry says; None keeps what the old one says. `task_id` moves it."""

    minutes: int | None = None
    activity: str | None = None
    note: str | None = None
    billable: bool | None = None
    role: str | None = None
    level: str | None = None
    region: str | None = None
    task_id: str | None = None


class Corrector(NamedTuple):
    """Who corrects: a subject, and whether locked days are open to it."""

    subject: str
    may_touch_locked: bool


class Corrected(NamedTuple):
    """The entry that takes another back, and the one that stands for it, if any."""

    reversal: NewEntry
    replacement: NewEntry | None


class Move(NamedTuple):
    """What moving does to an entry: the task it goes to, and what comes of it, or why nothing."""

    task: WorkTask
    outcome: Corrected | Broken


@dataclass(frozen=True, slots=True)
class Correction:
    """One decision that corrected approved time."""

    time_correction_id: UUID
    kind: CorrectionKind
    reason: str
    corrected_by: str
    corrected_at: datetime
    reversed_count: int
    reversed_minutes: int
    entered_minutes: int
    legal_entity_ids: tuple[UUID, ...]


def correct(
    entry: Standing, reentry: Reentry | None, facts: Facts, corrector: Corrector
) -> Corrected | Broken:
    """Return what corrects an entry, or the first rule that stands against it.

    Without a `reentry` the entry is only taken back. The employment on the work date as it is known
    now gives the company of the new entry.
    """
    broken = _reversal_broken(entry, facts.open_from, corrector)
    if broken is not None:
        return broken
    if reentry is None:
        return Corrected(_reversal(entry), None)
    worker = facts.workers[entry.person_id]
    task = entry.task if reentry.task_id is None else facts.tasks[reentry.task_id]
    stretch = worker.employed_on(entry.work_date)
    if stretch is None:
        return employment_broken(worker, entry.work_date)
    if _is_locked(stretch.legal_entity_id, entry.work_date, facts.open_from, corrector):
        return LOCKED
    replacement = _replacement(entry, reentry, worker, stretch, task)
    broken = _replacement_broken(entry, reentry, replacement)
    return broken or Corrected(_reversal(entry), replacement)


def in_order(corrected: Sequence[Corrected]) -> Iterator[NewEntry]:
    """Yield the entries of corrections: each reversal, then what replaces it."""
    for each in corrected:
        yield each.reversal
        if each.replacement is not None:
            yield each.replacement


def record(
    time_correction_id: UUID,
    kind: CorrectionKind,
    corrected: Sequence[Corrected],
    *,
    reason: str,
    by: str,
    at: datetime,
) -> Correction:
    """Return the record of a decision that made these corrections."""
    entries = list(in_order(corrected))
    return Correction(
        time_correction_id=time_correction_id,
        kind=kind,
        reason=reason,
        corrected_by=by,
        corrected_at=at,
        reversed_count=len(corrected),
        reversed_minutes=-sum(each.reversal.minutes for each in corrected),
        entered_minutes=sum(entry.minutes for entry in entries if entry.minutes > 0),
        legal_entity_ids=tuple(sorted({UUID(entry.stretch.legal_entity_id) for entry in entries})),
    )


def _reversal_broken(
    entry: Standing, open_from: Mapping[str, date], corrector: Corrector
) -> Broken | None:
    if entry.minutes < 0:
        return IS_REVERSAL
    if entry.status is not TimesheetStatus.APPROVED:
        return NOT_APPROVED
    if entry.is_reversed:
        return ALREADY_REVERSED
    if entry.person_subject and entry.person_subject == corrector.subject:
        return OWN_TIME
    if _is_locked(entry.legal_entity_id, entry.work_date, open_from, corrector):
        return LOCKED
    return None


def _is_locked(
    legal_entity_id: str, day: date, open_from: Mapping[str, date], corrector: Corrector
) -> bool:
    first_open = open_from.get(legal_entity_id)
    return first_open is not None and day < first_open and not corrector.may_touch_locked


def _replacement_broken(entry: Standing, reentry: Reentry, replacement: NewEntry) -> Broken | None:
    task, worker = replacement.task, replacement.worker
    if reentry.task_id is not None:
        if task.task_id == entry.task.task_id:
            return SAME_TASK
        if task.closed:
            return refusal.TASK_CLOSED
        if broken := work_broken(worker, task, entry.work_date):
            return broken
    if replacement.billable and not task.billable:
        return refusal.TASK_NOT_BILLABLE
    if replacement.activity not in ACTIVITIES:
        return refusal.ACTIVITY_UNKNOWN
    total = worker.day_minutes.get(entry.work_date, 0) - entry.minutes + replacement.minutes
    return refusal.DAY_LIMIT if total > DAY_MINUTES_MAX else None


def _reversal(entry: Standing) -> NewEntry:
    """Return the negative of an entry: everything else of it is like it."""
    stretch = Stretch(
        entry.legal_entity_id, entry.work_date, None, entry.role, entry.level, entry.region
    )
    return NewEntry(
        entry_id=str(derived_id("time_reversal", entry.entry_id)),
        worker=Worker(entry.person_id, entry.person_name, entry.person_subject, (stretch,), {}),
        stretch=stretch,
        task=entry.task,
        work_date=entry.work_date,
        week_start=week_start_of(entry.work_date),
        minutes=-entry.minutes,
        role=entry.role,
        level=entry.level,
        region=entry.region,
        billable=entry.billable,
        note=entry.note,
        source=None,
        activity=entry.activity,
        reverses=entry.entry_id,
    )


def _replacement(
    entry: Standing, reentry: Reentry, worker: Worker, stretch: Stretch, task: WorkTask
) -> NewEntry:
    billable = entry.billable if reentry.billable is None else reentry.billable
    is_moved = reentry.task_id is not None
    return NewEntry(
        entry_id=str(derived_id("time_replacement", entry.entry_id)),
        worker=worker,
        stretch=stretch,
        task=task,
        work_date=entry.work_date,
        week_start=week_start_of(entry.work_date),
        minutes=entry.minutes if reentry.minutes is None else reentry.minutes,
        role=entry.role if reentry.role is None else reentry.role,
        level=entry.level if reentry.level is None else reentry.level,
        region=entry.region if reentry.region is None else reentry.region,
        # What cannot be billed where it goes is not billed; what was not billed stays so.
        billable=billable and task.billable if is_moved else billable,
        note=entry.note if reentry.note is None else reentry.note,
        source=None,
        activity=entry.activity if reentry.activity is None else reentry.activity,
        replaces=entry.entry_id,
    )
