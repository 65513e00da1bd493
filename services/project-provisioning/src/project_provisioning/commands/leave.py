"""Leave: asked for, decided, taken back, and brought in from the system that keeps it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.domain import leave as domain
from project_provisioning.domain import lock as lock_domain
from project_provisioning.domain.employment import Employments, NotEmployed, employment_on
from project_provisioning.domain.leave import (
    Leave,
    LeaveKind,
    LeaveOverlap,
    LeaveSourceDiffers,
    LeaveStatus,
    NotOwnLeave,
)
from project_provisioning.domain.person import Person, PersonNotFound, Sight
from project_provisioning.domain.time_entry import Source
from project_provisioning.repository import employment as employment_repository
from project_provisioning.repository import leave as repository
from project_provisioning.repository import lock as lock_repository
from project_provisioning.repository import person as person_repository
from throughline_core.errors import Refusal
from throughline_runtime.identity import require_entity
from throughline_runtime.ids import new_id
from throughline_runtime.rpc.errors import InvalidRequest, Violation


class Asked(NamedTuple):
    """A leave as it was asked for, or as another system has it."""

    person_id: UUID
    kind: LeaveKind
    starts_on: date
    ends_on: date
    half_days: bool
    source: Source | None = None
    cancelled: bool = False


class RowRefused(NamedTuple):
    """A row that breaks a rule."""

    row: int
    field: str
    rule: str
    text: str


@dataclass(slots=True)
class Imported:
    """What became of the rows of an import."""

    fresh: list[Leave] = field(default_factory=list)
    changed: list[Leave] = field(default_factory=list)
    duplicates: int = 0
    refused: list[RowRefused] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Facts:
    people: Mapping[UUID, Person]
    employments: Mapping[UUID, Employments]
    open_from: Mapping[UUID, date]
    known: Mapping[Source, Leave]


async def request_leave(
    tx: AsyncConnection, asked: Asked, *, sight: Sight, by: str, at: datetime
) -> Leave:
    """Ask for leave.

    Raises:
        PersonNotFound, EntityForbidden, NotOwnLeave, NotEmployed, LeavePeriodInvalid,
        LeaveOverlap, PeriodLocked.
    """
    person = await person_repository.get(tx, asked.person_id)
    _require_own(person.subject, sight)
    facts = await _load(tx, [asked])
    leave = _new(asked, facts, by=by, at=at)
    await repository.add(tx, [leave], field="starts_on")
    return leave


async def decide_leave(
    tx: AsyncConnection,
    leave_id: UUID,
    target: LeaveStatus,
    *,
    by: str,
    at: datetime,
    reason: str = "",
) -> Leave:
    """Approve or reject leave.

    Raises:
        LeaveNotFound, EntityForbidden, IllegalTransition, OwnLeave, StaleVersion.
    """
    leave = await repository.get(tx, leave_id)
    require_entity(leave.legal_entity_id)
    decided = domain.decide(leave, target, by=by, at=at, reason=reason)
    await repository.save(tx, decided)
    return decided


async def cancel_leave(
    tx: AsyncConnection, leave_id: UUID, *, sight: Sight, by: str, at: datetime, reason: str
) -> Leave:
    """Take a leave back.

    Raises:
        LeaveNotFound, EntityForbidden, NotOwnLeave, IllegalTransition, PeriodLocked, StaleVersion.
    """
    leave = await repository.get(tx, leave_id)
    require_entity(leave.legal_entity_id)
    _require_own(leave.person_subject, sight)
    await lock_repository.require_open(
        tx, [(leave.legal_entity_id, leave.starts_on)], field="leave_id"
    )
    cancelled = domain.cancel(leave, by=by, at=at, reason=reason)
    await repository.save(tx, cancelled)
    return cancelled


async def import_leaves(
    tx: AsyncConnection, rows: Sequence[Asked], *, is_partial: bool, by: str, at: datetime
) -> Imported:
    """Bring in leave approved elsewhere; five queries and one insert, however many are new.

    Raises:
        InvalidRequest: a row breaks a rule, and it is all or nothing; names every bad row.
    """
    facts = await _load(tx, rows)
    taken = await _taken(tx, rows)
    imported = Imported()
    for index, row in enumerate(rows):
        try:
            _take(imported, row, facts, taken, by=by, at=at)
        except Refusal as refusal:
            imported.refused.append(
                RowRefused(index, refusal.field or "", refusal.stable_code, refusal.message)
            )
    if imported.refused and not is_partial:
        raise InvalidRequest(
            [
                Violation(f"rows[{each.row}].{each.field}", each.rule, each.text)
                for each in imported.refused
            ]
        )
    for leave in imported.changed:
        await repository.save(tx, leave)
    await repository.add(tx, imported.fresh, field="rows")
    return imported


def _take(
    imported: Imported,
    row: Asked,
    facts: _Facts,
    taken: dict[UUID, list[Leave]],
    *,
    by: str,
    at: datetime,
) -> None:
    """Decide one row; what it takes up is taken for the rows after it."""
    leave = _new(row, facts, by=by, at=at, approved=True)
    before = facts.known.get(row.source) if row.source else None
    if before is None:
        before = next((each for each in imported.fresh if each.source == row.source), None)
    if before is not None and before.person_id != row.person_id:
        raise LeaveSourceDiffers(
            "the record came in before, for somebody else",
            field="source",
            advice="cancel the first one, and send this one under an id of its own",
        )
    standing = taken.setdefault(row.person_id, [])
    if before is not None:
        if before.says(leave) and (before.status is LeaveStatus.CANCELLED) == row.cancelled:
            imported.duplicates += 1
            return
        standing[:] = [each for each in standing if each.leave_id != before.leave_id]
        leave = replace(leave, leave_id=before.leave_id, version=before.version + 1)
    if not row.cancelled:
        _require_free(leave, standing)
        standing.append(leave)
    if before is None:
        imported.fresh.append(leave)
    else:
        imported.changed.append(leave)


def _new(row: Asked, facts: _Facts, *, by: str, at: datetime, approved: bool = False) -> Leave:
    domain.check_period(row.starts_on, row.ends_on, field="ends_on")
    person = facts.people.get(row.person_id)
    if person is None:
        raise PersonNotFound(f"no person {row.person_id}", field="person_id")
    stretch = employment_on(facts.employments.get(row.person_id, ()), row.starts_on)
    if stretch is None:
        raise NotEmployed(
            "nobody employs the person on the first day",
            field="starts_on",
            advice="send days within an employment",
        )
    require_entity(stretch.legal_entity_id)
    lock_domain.require_open(
        facts.open_from, [(stretch.legal_entity_id, row.starts_on)], field="starts_on"
    )
    status = LeaveStatus.APPROVED if approved else LeaveStatus.REQUESTED
    return Leave(
        leave_id=new_id(),
        version=1,
        person_id=row.person_id,
        person_subject=person.subject,
        legal_entity_id=stretch.legal_entity_id,
        kind=row.kind,
        starts_on=row.starts_on,
        ends_on=row.ends_on,
        half_days=row.half_days,
        status=LeaveStatus.CANCELLED if row.cancelled else status,
        requested_by=by,
        requested_at=at,
        decided_by=by if approved else "",
        decided_at=at if approved else None,
        source=row.source,
    )


def _require_free(leave: Leave, standing: Sequence[Leave]) -> None:
    for other in standing:
        if leave.starts_on < other.ends_on and other.starts_on < leave.ends_on:
            raise LeaveOverlap(
                f"the person is away from {other.starts_on} to {other.ends_on} already",
                field="starts_on",
                advice="cancel the other leave first, or leave these days out",
            )


async def _load(tx: AsyncConnection, rows: Sequence[Asked]) -> _Facts:
    person_ids = {row.person_id for row in rows}
    people = await person_repository.get_all(tx, person_ids)
    employments = await employment_repository.of_people(tx, person_ids)
    entities = {each.legal_entity_id for found in employments.values() for each in found}
    sources = [row.source for row in rows if row.source is not None]
    return _Facts(
        people=people,
        employments=employments,
        open_from=await lock_repository.open_from(tx, entities),
        known=await repository.of_sources(tx, sources) if sources else {},
    )


async def _taken(tx: AsyncConnection, rows: Sequence[Asked]) -> dict[UUID, list[Leave]]:
    first, before = min(row.starts_on for row in rows), max(row.ends_on for row in rows)
    taken: dict[UUID, list[Leave]] = {}
    person_ids = {row.person_id for row in rows}
    for leave in await repository.standing(tx, person_ids, first, before):
        taken.setdefault(leave.person_id, []).append(leave)
    return taken


def _require_own(person_subject: str, sight: Sight) -> None:
    if sight.own_subject is not None and person_subject != sight.own_subject:
        raise NotOwnLeave(
            "this is the leave of somebody else",
            field="person_id",
            advice="ask that person, or somebody of the PMO",
        )
