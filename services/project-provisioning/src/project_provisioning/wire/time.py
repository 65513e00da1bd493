"""Time entries and timesheets as messages; the hot path makes nothing it does not need."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

import uuid_utils
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import Row

from project_provisioning.domain.time_entry import (
    EntryColumns,
    NewEntry,
    RowRefusal,
    Ruling,
    Sheets,
    Source,
)
from project_provisioning.domain.timesheet import TimesheetStatus
from throughline.common.v1 import source_pb2
from throughline.project_provisioning.events.v1 import project_provisioning_events_pb2 as events_pb
from throughline.project_provisioning.v1 import time_service_pb2 as pb
from throughline.project_provisioning.v1 import work_pb2
from throughline_core.ids import derived_id
from throughline_runtime.events import Outgoing
from throughline_runtime.fields import EnumMap, write_instant
from throughline_runtime.outbox import PAYLOAD_BYTES_MAX

STATUSES: Final = EnumMap(pb.TimesheetStatus, TimesheetStatus)

EVENT_ENTRIES_MAX: Final = 500
# Ids of entries are text from the start: the library's own type is made and written in a fifth of
# the time of Python's.
_SOURCES: Final = uuid_utils.UUID(str(derived_id("time_entry_source")))
_SEPARATOR: Final = "\x1f"
# The rest of the event: ids, who and when.
_EVENT_BYTES_MAX: Final = PAYLOAD_BYTES_MAX - 4096
# Tag and length of an entry within the event.
_FRAME_BYTES: Final = 5


class EntryMessage(Protocol):
    """What a row of an import and the request for one entry have in common."""

    person_id: str
    task_id: str
    work_date: str
    minutes: int
    role: str
    level: str
    region: str
    billable: bool
    note: str
    activity: str
    allow_duplicate: bool

    @property
    def source(self) -> source_pb2.SourceRef: ...

    def HasField(self, field_name: Any) -> bool: ...


def read_columns(rows: Iterable[EntryMessage]) -> EntryColumns:
    """Return the rows column by column, each with its id: derived from the source, else fresh."""
    rows = list(rows)
    sources = [_read_source(row.source) if row.HasField("source") else None for row in rows]
    return EntryColumns(
        entry_ids=[
            str(uuid_utils.uuid7() if source is None else _id_of(source)) for source in sources
        ],
        person_ids=[row.person_id for row in rows],
        task_ids=[row.task_id for row in rows],
        work_dates=[row.work_date for row in rows],
        minutes=[row.minutes for row in rows],
        roles=[row.role if row.HasField("role") else None for row in rows],
        levels=[row.level if row.HasField("level") else None for row in rows],
        regions=[row.region if row.HasField("region") else None for row in rows],
        billables=[row.billable if row.HasField("billable") else None for row in rows],
        notes=[row.note for row in rows],
        sources=sources,
        activities=[row.activity for row in rows],
        allowed_duplicates=[row.allow_duplicate for row in rows],
    )


def _id_of(source: Source) -> uuid_utils.UUID:
    return uuid_utils.uuid5(_SOURCES, _SEPARATOR.join(source))


def _read_source(source: source_pb2.SourceRef) -> Source:
    return Source(source.system, source.object_type, source.object_id)


def write_entry(entry: NewEntry, sheets: Sheets) -> work_pb2.TimeEntry:
    """Return an entry that was just recorded."""
    worker, task, source = entry.worker, entry.task, entry.source
    legal_entity_id = entry.stretch.legal_entity_id
    return work_pb2.TimeEntry(
        time_entry_id=entry.entry_id,
        person_id=worker.person_id,
        person_name=worker.name,
        legal_entity_id=legal_entity_id,
        project_id=task.project_id,
        task_id=task.task_id,
        contract_id=task.contract_id,
        contract_line_id=task.contract_line_id,
        engagement_id=task.engagement_id,
        work_date=entry.work_date.isoformat(),
        minutes=entry.minutes,
        role=entry.role,
        level=entry.level,
        region=entry.region,
        billable=entry.billable,
        note=entry.note,
        timesheet_id=sheets[worker.person_id, legal_entity_id, entry.week_start],
        source=None if source is None else source_pb2.SourceRef(**source._asdict()),
        activity=entry.activity,
        reverses_time_entry_id=entry.reverses,
        replaces_time_entry_id=entry.replaces,
    )


def write_stored_entry(row: Row[Any]) -> work_pb2.TimeEntry:
    """Return an entry from its row, in which ids and dates are text already."""
    entry = work_pb2.TimeEntry(
        time_entry_id=row.time_entry_id,
        person_id=row.person_id,
        person_name=row.person_name,
        legal_entity_id=row.legal_entity_id,
        project_id=row.project_id,
        task_id=row.task_id,
        contract_id=row.contract_id,
        contract_line_id=row.contract_line_id,
        engagement_id=row.engagement_id,
        work_date=row.work_date,
        minutes=row.minutes,
        role=row.role,
        level=row.level,
        region=row.region,
        billable=row.billable,
        note=row.note,
        timesheet_id=row.timesheet_id,
        activity=row.activity,
        reverses_time_entry_id=row.reverses_time_entry_id,
        replaces_time_entry_id=row.replaces_time_entry_id,
    )
    if row.source_system is not None:
        entry.source.system = row.source_system
        entry.source.object_type = row.source_object_type
        entry.source.object_id = row.source_object_id
    return entry


def write_new_entry(entry: NewEntry, sheets: Sheets, at: datetime) -> pb.RecordedTimeEntry:
    """Return an entry that was just put on the draft of its week."""
    return pb.RecordedTimeEntry(
        entry=write_entry(entry, sheets),
        status=pb.TIMESHEET_STATUS_DRAFT,
        recorded_at=write_instant(at),
    )


def write_recorded_entry(row: Row[Any]) -> pb.RecordedTimeEntry:
    """Return a stored entry with the status of its sheet."""
    return pb.RecordedTimeEntry(
        entry=write_stored_entry(row),
        status=STATUSES.write(TimesheetStatus(row.status)),
        recorded_at=write_instant(row.recorded_at),
        reversed_by_time_entry_id=row.reversed_by_time_entry_id,
    )


def write_ruling(ruling: Ruling, *, is_partial: bool) -> pb.ImportTimeEntriesResponse:
    """Return what became of the rows: one result for each if partial, else for duplicates only."""
    results = {
        place: pb.TimeEntryResult(
            index=place, outcome=pb.TIME_ENTRY_OUTCOME_DUPLICATE, time_entry_id=entry_id
        )
        for place, entry_id in ruling.duplicates.items()
    }
    if is_partial:
        for refusal in ruling.refusals:
            results[refusal.place] = _write_refusal(refusal)
        for place, entry in zip(ruling.places, ruling.entries, strict=True):
            results[place] = pb.TimeEntryResult(
                index=place,
                outcome=pb.TIME_ENTRY_OUTCOME_RECORDED,
                time_entry_id=entry.entry_id,
            )
    return pb.ImportTimeEntriesResponse(
        recorded_count=len(ruling.entries),
        duplicate_count=len(ruling.duplicates),
        refused_count=len(ruling.refusals),
        recorded_minutes=sum(entry.minutes for entry in ruling.entries),
        results=[results[place] for place in sorted(results)],
    )


def _write_refusal(refusal: RowRefusal) -> pb.TimeEntryResult:
    """Return the result of a row that was refused."""
    return pb.TimeEntryResult(
        index=refusal.place,
        outcome=pb.TIME_ENTRY_OUTCOME_REFUSED,
        field=refusal.field,
        rule=refusal.rule,
        message=refusal.text,
    )


def write_time_approved(
    decision_id: UUID,
    entries: Sequence[work_pb2.TimeEntry],
    *,
    by: str,
    at: datetime,
    together: int = 1,
) -> list[Outgoing]:
    """Return the events of one decision: as few as 500 entries and the size of an event allow.

    Each has an id of its own, derived from the decision's. So many entries in a row stay
    `together`: what takes an entry back and what replaces it arrive as one.
    """
    approved_at = Timestamp()
    approved_at.FromDatetime(at)
    events = []
    for number, chunk in enumerate(_chunks(entries, together)):
        approval_id = derived_id("time_approval", decision_id, number)
        message = events_pb.TimeApproved(
            approval_id=str(approval_id),
            version=1,
            entries=chunk,
            approved_by=by,
            approved_at=approved_at,
        )
        events.append(Outgoing(message, approval_id, 1))
    return events


def _chunks(
    entries: Sequence[work_pb2.TimeEntry], together: int
) -> Iterator[list[work_pb2.TimeEntry]]:
    chunk: list[work_pb2.TimeEntry] = []
    chunk_bytes = 0
    for start in range(0, len(entries), together):
        group = entries[start : start + together]
        group_bytes = sum(entry.ByteSize() + _FRAME_BYTES for entry in group)
        is_full = len(chunk) + len(group) > EVENT_ENTRIES_MAX
        if chunk and (is_full or chunk_bytes + group_bytes > _EVENT_BYTES_MAX):
            yield chunk
            chunk, chunk_bytes = [], 0
        chunk += group
        chunk_bytes += group_bytes
    if chunk:
        yield chunk
