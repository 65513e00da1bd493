"""Time entries: the rules of recording time, applied to many entries at once.

This is the hot path. Entries come as columns, facts about people and tasks are shared by all rows
that name them, and ids stay text as they are sent and stored: nothing is made for each row but the
entry itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, NamedTuple

from project_provisioning.domain.timesheet import week_start_of
from throughline_core.errors import NotFound, PermissionDenied

DAY_MINUTES_MAX: Final = 24 * 60
NOTE_LENGTH_MAX: Final = 500
ROLE_LENGTH_MAX: Final = 60
LEVEL_LENGTH_MAX: Final = 40
REGION_LENGTH_MAX: Final = 40
# As `throughline.common.v1.SourceRef` says.
_SOURCE_LENGTHS_MAX: Final = (40, 80, 120)


class TimeEntryNotFound(NotFound):
    """There is no such entry, or none the caller may see."""

    code = "time_entry.not_found"


class NotOwn(PermissionDenied):
    """The caller records, submits and sees own time only."""

    code = "time_entry.not_own"


class ApprovalNotAllowed(PermissionDenied):
    """Only integration and PMO may bring in time that was approved elsewhere."""

    code = "time_entry.approval_not_allowed"


class Source(NamedTuple):
    """Where an entry came from: system, type and identifier there."""

    system: str
    object_type: str
    object_id: str


@dataclass(frozen=True, slots=True)
class EntryColumns:
    """Entries as they were sent, column by column; None where the person or the task decides.

    `entry_ids` are derived from the source where there is one, so the same source is the same id.
    """

    entry_ids: Sequence[str]
    person_ids: Sequence[str]
    task_ids: Sequence[str]
    work_dates: Sequence[str]
    minutes: Sequence[int]
    roles: Sequence[str | None]
    levels: Sequence[str | None]
    regions: Sequence[str | None]
    billables: Sequence[bool | None]
    notes: Sequence[str]
    sources: Sequence[Source | None]


@dataclass(frozen=True, slots=True)
class Worker:
    """A person, with the minutes stored already for the days in question."""

    person_id: str
    name: str
    legal_entity_id: str
    role: str
    level: str
    region: str
    employed_from: date
    subject: str
    day_minutes: Mapping[date, int]


@dataclass(frozen=True, slots=True)
class WorkTask:
    """A task, with what its project and contract line put on each entry."""

    task_id: str
    project_id: str
    contract_id: str
    contract_line_id: str
    engagement_id: str
    billable: bool
    closed: bool


class Recorded(NamedTuple):
    """What an entry says, as far as a second one from the same source has to agree."""

    person_id: str
    task_id: str
    work_date: date
    minutes: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known: people and tasks by id as the rows spell it, stored entries by their id.

    `own_subject` limits the caller to the time of the person who signs in so; None does not.
    """

    workers: Mapping[str, Worker]
    tasks: Mapping[str, WorkTask]
    recorded: Mapping[str, Recorded]
    own_subject: str | None


class NewEntry(NamedTuple):
    """An entry that keeps all rules, with everything it takes over from person and task."""

    entry_id: str
    worker: Worker
    task: WorkTask
    work_date: date
    week_start: date
    minutes: int
    role: str
    level: str
    region: str
    billable: bool
    note: str
    source: Source | None


class RowRefusal(NamedTuple):
    """A row that breaks a rule: its place, the field, the rule's stable code and its words."""

    place: int
    field: str
    rule: str
    text: str


@dataclass(slots=True)
class Ruling:
    """What becomes of each row: recorded, the same as one stored (its id by place), or refused."""

    entries: list[NewEntry] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    duplicates: dict[int, str] = field(default_factory=dict)
    refusals: list[RowRefusal] = field(default_factory=list)


Sheets = Mapping[tuple[str, date], str]
"""The sheet that took the entries of each person and week, by the Monday."""

_Broken = tuple[str, str, str]
"""Field, rule and words of a rule that a row breaks."""

Day = tuple[date, date]
"""A work date and the Monday of its week."""

_DATE_LENGTH: Final = 10
_MALFORMED: Final = "time_entry.malformed"

_PERSON_UNKNOWN: Final[_Broken] = (
    "person_id",
    "time_entry.person_unknown",
    "no such person, or none you may record time for",
)
_TASK_UNKNOWN: Final[_Broken] = ("task_id", "time_entry.task_unknown", "no such task")
_TASK_CLOSED: Final[_Broken] = ("task_id", "time_entry.task_closed", "the task is closed")
_NOT_OWN: Final[_Broken] = ("person_id", NotOwn.code, "you may record your own time only")
_DATE_MALFORMED: Final[_Broken] = (
    "work_date",
    _MALFORMED,
    "send a calendar date such as 2026-09-07",
)
_BEFORE_EMPLOYMENT: Final[_Broken] = (
    "work_date",
    "time_entry.before_employment",
    "the person was not employed yet",
)
_MINUTES: Final[_Broken] = (
    "minutes",
    "time_entry.minutes_out_of_range",
    f"send 1 to {DAY_MINUTES_MAX} minutes",
)
_DAY_LIMIT: Final[_Broken] = (
    "minutes",
    "time_entry.day_limit",
    "more than 24 hours for this person and day, with what is recorded already",
)
_TASK_NOT_BILLABLE: Final[_Broken] = (
    "billable",
    "time_entry.task_not_billable",
    "time on this task is never billed",
)
_SOURCE_DIFFERS: Final[_Broken] = (
    "source",
    "time_entry.source_differs",
    "recorded before with another person, task, date or duration: reverse it and send the new one"
    " under an id of its own",
)


class _Row(NamedTuple):
    """One entry across the columns, in their order."""

    entry_id: str
    person_id: str
    task_id: str
    work_date: str
    minutes: int
    role: str | None
    level: str | None
    region: str | None
    billable: bool | None
    note: str
    source: Source | None


def read_days(columns: EntryColumns) -> Mapping[str, Day | None]:
    """Return each work date that was sent, None where the text is no `YYYY-MM-DD`."""
    return {text: _read_day(text) for text in set(columns.work_dates)}


def judge(columns: EntryColumns, facts: Facts) -> Ruling:
    """Decide row by row, in order; the rows before it count towards a row's day limit."""
    ruling = Ruling()
    days = read_days(columns)
    totals: dict[tuple[str, date], int] = {}
    recorded = dict(facts.recorded)
    for index, row in enumerate(map(_Row._make, _rows(columns))):
        entry = _admit(row, facts, days)
        if not isinstance(entry, NewEntry):
            ruling.refusals.append(RowRefusal(index, *entry))
            continue
        said = Recorded(entry.worker.person_id, entry.task.task_id, entry.work_date, entry.minutes)
        before = recorded.get(entry.entry_id) if entry.source is not None else None
        key = (said.person_id, said.work_date)
        total = totals.get(key, entry.worker.day_minutes.get(said.work_date, 0)) + said.minutes
        if before == said:
            ruling.duplicates[index] = entry.entry_id
        elif before is not None:
            ruling.refusals.append(RowRefusal(index, *_SOURCE_DIFFERS))
        elif total > DAY_MINUTES_MAX:
            ruling.refusals.append(RowRefusal(index, *_DAY_LIMIT))
        else:
            totals[key] = total
            recorded[entry.entry_id] = said
            ruling.entries.append(entry)
            ruling.places.append(index)
    return ruling


def _rows(columns: EntryColumns) -> Iterator[tuple[object, ...]]:
    return zip(
        columns.entry_ids,
        columns.person_ids,
        columns.task_ids,
        columns.work_dates,
        columns.minutes,
        columns.roles,
        columns.levels,
        columns.regions,
        columns.billables,
        columns.notes,
        columns.sources,
        strict=True,
    )


def _admit(row: _Row, facts: Facts, days: Mapping[str, Day | None]) -> NewEntry | _Broken:
    """Return the entry, or the first rule the row breaks by itself."""
    worker = facts.workers.get(row.person_id)
    if worker is None:
        return _PERSON_UNKNOWN
    task = facts.tasks.get(row.task_id)
    if task is None:
        return _TASK_UNKNOWN
    day = days[row.work_date]
    if day is None:
        return _DATE_MALFORMED
    if facts.own_subject is not None and worker.subject != facts.own_subject:
        return _NOT_OWN
    return _broken(row, worker, task, day[0]) or _entry(row, worker, task, day)


def _broken(row: _Row, worker: Worker, task: WorkTask, work_date: date) -> _Broken | None:
    if task.closed:
        return _TASK_CLOSED
    if work_date < worker.employed_from:
        return _BEFORE_EMPLOYMENT
    if not 1 <= row.minutes <= DAY_MINUTES_MAX:
        return _MINUTES
    if row.billable and not task.billable:
        return _TASK_NOT_BILLABLE
    return _broken_text(row)


def _broken_text(row: _Row) -> _Broken | None:
    texts = (
        ("note", row.note, NOTE_LENGTH_MAX),
        ("role", row.role, ROLE_LENGTH_MAX),
        ("level", row.level, LEVEL_LENGTH_MAX),
        ("region", row.region, REGION_LENGTH_MAX),
    )
    for name, text, length_max in texts:
        if text is not None and len(text) > length_max:
            return name, _MALFORMED, f"at most {length_max} characters"
    if row.role == "":
        return "role", _MALFORMED, "leave it out, or name a role"
    if row.source is not None:
        for part, length_max in zip(row.source, _SOURCE_LENGTHS_MAX, strict=True):
            if not 1 <= len(part) <= length_max:
                return "source", _MALFORMED, "send system, object_type and object_id"
    return None


def _entry(row: _Row, worker: Worker, task: WorkTask, day: Day) -> NewEntry:
    return NewEntry(
        entry_id=row.entry_id,
        worker=worker,
        task=task,
        work_date=day[0],
        week_start=day[1],
        minutes=row.minutes,
        role=worker.role if row.role is None else row.role,
        level=worker.level if row.level is None else row.level,
        region=worker.region if row.region is None else row.region,
        billable=task.billable if row.billable is None else row.billable,
        note=row.note,
        source=row.source,
    )


def _read_day(text: str) -> Day | None:
    """Return the day and the Monday of its week, None when the text is no `YYYY-MM-DD`."""
    if len(text) != _DATE_LENGTH:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    # The other notations of ISO 8601 that Python reads have ten characters in one case: 2026-W36-1.
    return (day, week_start_of(day)) if day.isoformat() == text else None
