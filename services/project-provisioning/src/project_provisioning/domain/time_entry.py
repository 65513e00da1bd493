"""Time entries: the rules of recording time, applied to many entries at once.

This is the hot path. Entries come as columns, facts about people and tasks are shared by all rows
that name them, and ids stay text as they are sent and stored: nothing is made for each row but the
entry itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, NamedTuple

from project_provisioning.domain import time_refusal as refusal
from project_provisioning.domain.time_facts import (
    Content,
    Facts,
    Recorded,
    Stretch,
    Worker,
    WorkTask,
)
from project_provisioning.domain.time_refusal import (
    ACTIVITIES,
    DAY_MINUTES_MAX,
    MALFORMED,
    RULE_BROKEN,
    Broken,
)
from project_provisioning.domain.timesheet import week_start_of
from throughline_core.errors import NotFound, PermissionDenied

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
    activities: Sequence[str]
    allowed_duplicates: Sequence[bool]


class NewEntry(NamedTuple):
    """An entry that keeps all rules, with everything it takes over from person and task.

    A reversal has negative minutes.
    """

    entry_id: str
    worker: Worker
    stretch: Stretch
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
    activity: str = ""
    reverses: str | None = None
    replaces: str | None = None


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


SheetKey = tuple[str, str, date]
"""Person, company that employs in that part of the week, and Monday."""

Sheets = Mapping[SheetKey, str]
"""The sheet that took the entries of each person, company and week."""

Day = tuple[date, date]
"""A work date and the Monday of its week."""

_DATE_LENGTH: Final = 10


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
    activity: str
    allows_duplicate: bool


def read_days(columns: EntryColumns) -> Mapping[str, Day | None]:
    """Return each work date that was sent, None where the text is no `YYYY-MM-DD`."""
    return {text: _read_day(text) for text in set(columns.work_dates)}


def judge(columns: EntryColumns, facts: Facts) -> Ruling:
    """Decide row by row, in order; the rows before it count towards a row's day limit."""
    ruling = Ruling()
    days = read_days(columns)
    known = _Known(facts)
    for index, row in enumerate(map(_Row._make, _rows(columns))):
        entry = _admit(row, facts, days)
        if not isinstance(entry, NewEntry):
            ruling.refusals.append(RowRefusal(index, *entry))
        elif known.has_same(entry):
            ruling.duplicates[index] = entry.entry_id
        elif broken := known.conflict(entry, allows_duplicate=row.allows_duplicate):
            ruling.refusals.append(RowRefusal(index, *broken))
        else:
            known.add(entry)
            ruling.entries.append(entry)
            ruling.places.append(index)
    return ruling


def stop(ruling: Ruling, stops: Mapping[str, str]) -> None:
    """Refuse entries that a working-time rule stops; `stops` has the words by the entry's id."""
    kept_entries, kept_places = [], []
    for entry, place in zip(ruling.entries, ruling.places, strict=True):
        words = stops.get(entry.entry_id)
        if words is None:
            kept_entries.append(entry)
            kept_places.append(place)
        else:
            ruling.refusals.append(RowRefusal(place, "work_date", RULE_BROKEN, words))
    ruling.entries, ruling.places = kept_entries, kept_places
    ruling.refusals.sort()


class _Known:
    """What is stored and what the rows before brought: the rest of the rules looks at both."""

    def __init__(self, facts: Facts) -> None:
        self._recorded = dict(facts.recorded)
        self._contents = dict(facts.contents)
        self._totals: dict[tuple[str, date], int] = {}

    def has_same(self, entry: NewEntry) -> bool:
        """Whether the same source said the same before."""
        if entry.source is None:
            return False
        return self._recorded.get(entry.entry_id) == _said(entry)

    def conflict(self, entry: NewEntry, *, allows_duplicate: bool) -> Broken | None:
        """Return the rule the entry breaks together with what is known."""
        if entry.source is not None and entry.entry_id in self._recorded:
            return refusal.SOURCE_DIFFERS
        if not allows_duplicate and self._looks_known(entry):
            return refusal.LOOKS_DUPLICATE
        return refusal.DAY_LIMIT if self._total(entry) > DAY_MINUTES_MAX else None

    def add(self, entry: NewEntry) -> None:
        """Count an entry that is taken."""
        said = _said(entry)
        self._totals[said.person_id, said.work_date] = self._total(entry)
        self._recorded[entry.entry_id] = said
        content = content_of(entry)
        systems = self._contents.get(content, frozenset())
        self._contents[content] = systems | {_system(entry)}

    def _total(self, entry: NewEntry) -> int:
        worker, day = entry.worker, entry.work_date
        before = self._totals.get((worker.person_id, day), worker.day_minutes.get(day, 0))
        return before + entry.minutes

    def _looks_known(self, entry: NewEntry) -> bool:
        """Whether an entry says the same that its own system did not tell apart from this one."""
        systems = self._contents.get(content_of(entry))
        if systems is None:
            return False
        return entry.source is None or bool(systems - {entry.source.system})


def content_of(entry: NewEntry) -> Content:
    """Return all that an entry says of the work."""
    return Content(
        entry.worker.person_id,
        entry.task.task_id,
        entry.work_date,
        entry.minutes,
        entry.activity,
        entry.note,
    )


def _said(entry: NewEntry) -> Recorded:
    return Recorded(entry.worker.person_id, entry.task.task_id, entry.work_date, entry.minutes)


def _system(entry: NewEntry) -> str:
    return "" if entry.source is None else entry.source.system


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
        columns.activities,
        columns.allowed_duplicates,
        strict=True,
    )


def _admit(row: _Row, facts: Facts, days: Mapping[str, Day | None]) -> NewEntry | Broken:
    """Return the entry, or the first rule the row breaks by itself."""
    worker = facts.workers.get(row.person_id)
    if worker is None:
        return refusal.PERSON_UNKNOWN
    task = facts.tasks.get(row.task_id)
    if task is None:
        return refusal.TASK_UNKNOWN
    day = days[row.work_date]
    if day is None:
        return refusal.DATE_MALFORMED
    if facts.own_subject is not None and worker.subject != facts.own_subject:
        return refusal.NOT_OWN
    if task.closed:
        return refusal.TASK_CLOSED
    stretch = _stretch(worker, day[0], facts.open_from)
    if not isinstance(stretch, Stretch):
        return stretch
    broken = work_broken(worker, task, day[0]) or _broken(row, task)
    return broken or _entry(row, worker, stretch, task, day)


def _stretch(worker: Worker, day: date, open_from: Mapping[str, date]) -> Stretch | Broken:
    """Return the employment of a day that is open, or the rule that stands against it."""
    stretch = worker.employed_on(day)
    if stretch is None:
        return employment_broken(worker, day)
    if not stretch.is_visible:
        return refusal.PERSON_UNKNOWN
    first_open = open_from.get(stretch.legal_entity_id)
    return stretch if first_open is None or day >= first_open else refusal.LOCKED


def employment_broken(worker: Worker, day: date) -> Broken:
    """Return the rule that time on a day without employment breaks."""
    has_begun = any(stretch.valid_from <= day for stretch in worker.stretches)
    return refusal.NOT_EMPLOYED if has_begun else refusal.BEFORE_EMPLOYMENT


def work_broken(worker: Worker, task: WorkTask, day: date) -> Broken | None:
    """Return the rule about when the task takes whose time that a day breaks."""
    if task.work_ends_on is not None and day >= task.work_ends_on:
        return refusal.WORK_ENDED
    if not task.requires_assignment:
        return None
    bookings = [booking for booking in worker.bookings if booking.task_id == task.task_id]
    if any(booking.starts_on <= day < booking.ends_on for booking in bookings):
        return None
    begins_later = bookings and all(day < booking.starts_on for booking in bookings)
    return refusal.BEFORE_ASSIGNMENT if begins_later else refusal.NOT_ASSIGNED


def _broken(row: _Row, task: WorkTask) -> Broken | None:
    if not 1 <= row.minutes <= DAY_MINUTES_MAX:
        return refusal.MINUTES
    if row.billable and not task.billable:
        return refusal.TASK_NOT_BILLABLE
    if row.activity not in ACTIVITIES:
        return refusal.ACTIVITY_UNKNOWN
    return _broken_text(row)


def _broken_text(row: _Row) -> Broken | None:
    texts = (
        ("note", row.note, NOTE_LENGTH_MAX),
        ("role", row.role, ROLE_LENGTH_MAX),
        ("level", row.level, LEVEL_LENGTH_MAX),
        ("region", row.region, REGION_LENGTH_MAX),
    )
    for name, text, length_max in texts:
        if text is not None and len(text) > length_max:
            return name, MALFORMED, f"at most {length_max} characters"
    if row.role == "":
        return "role", MALFORMED, "leave it out, or name a role"
    if row.source is not None:
        for part, length_max in zip(row.source, _SOURCE_LENGTHS_MAX, strict=True):
            if not 1 <= len(part) <= length_max:
                return "source", MALFORMED, "send system, object_type and object_id"
    return None


def _entry(row: _Row, worker: Worker, stretch: Stretch, task: WorkTask, day: Day) -> NewEntry:
    return NewEntry(
        entry_id=row.entry_id,
        worker=worker,
        stretch=stretch,
        task=task,
        work_date=day[0],
        week_start=day[1],
        minutes=row.minutes,
        role=stretch.role if row.role is None else row.role,
        level=stretch.level if row.level is None else row.level,
        region=stretch.region if row.region is None else row.region,
        billable=task.billable if row.billable is None else row.billable,
        note=row.note,
        source=row.source,
        activity=row.activity,
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
