"""Leave as rows."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, Select, insert, select, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning import tables
from project_provisioning.domain.leave import (
    Leave,
    LeaveKind,
    LeaveNotFound,
    LeaveOverlap,
    LeaveStatus,
)
from project_provisioning.domain.time_entry import Source
from throughline_core.errors import StaleVersion
from throughline_runtime import audit

_leave, _person = tables.leave, tables.person
_OVERLAP: Final = "leave_overlap"
_SOURCE: Final = (_leave.c.source_system, _leave.c.source_object_type, _leave.c.source_object_id)

LEAVES: Final[Select[Any]] = select(_leave, _person.c.subject).join(_person)
"""Leave with the sign-in of the person."""


async def add(tx: AsyncConnection, leaves: Sequence[Leave], *, field: str) -> None:
    """Write new leave in one statement.

    Raises:
        LeaveOverlap: a person is away already, by leave that was written meanwhile.
    """
    if not leaves:
        return
    rows = [
        {
            "leave_id": leave.leave_id,
            "person_id": leave.person_id,
            "legal_entity_id": leave.legal_entity_id,
            "requested_by": leave.requested_by,
            "requested_at": leave.requested_at,
            "source_system": leave.source.system if leave.source else None,
            "source_object_type": leave.source.object_type if leave.source else None,
            "source_object_id": leave.source.object_id if leave.source else None,
            **_values(leave),
        }
        for leave in leaves
    ]
    try:
        await tx.execute(insert(_leave), rows)
    except IntegrityError as error:
        raise _overlap_of(error, field) from error
    audit.touch(tx, *(leave.leave_id for leave in leaves))


async def save(tx: AsyncConnection, leave: Leave, *, field: str = "starts_on") -> None:
    """Write the new state of a leave.

    Raises:
        StaleVersion: the stored row is not exactly one version behind.
        LeaveOverlap: the person is away already on some of its days.
    """
    statement = (
        update(_leave)
        .where(_leave.c.leave_id == leave.leave_id, _leave.c.version == leave.version - 1)
        .values(_values(leave))
    )
    try:
        written = await tx.execute(statement)
    except IntegrityError as error:
        raise _overlap_of(error, field) from error
    if written.rowcount != 1:
        raise StaleVersion(f"leave {leave.leave_id} is not at {leave.version - 1}")
    audit.touch(tx, leave.leave_id)


async def get(tx: AsyncConnection, leave_id: UUID) -> Leave:
    """Return a leave, locked until the transaction ends.

    Raises:
        LeaveNotFound: there is none.
    """
    query = LEAVES.where(_leave.c.leave_id == leave_id).with_for_update(of=_leave)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise LeaveNotFound(f"no leave {leave_id}", field="leave_id")
    return leave_from(row)


async def of_sources(tx: AsyncConnection, sources: Collection[Source]) -> Mapping[Source, Leave]:
    """Return leave that came in from these records, locked until the transaction ends."""
    query = LEAVES.where(tuple_(*_SOURCE).in_(sources)).order_by(_leave.c.leave_id)
    rows = await tx.execute(query.with_for_update(of=_leave))
    found = [leave_from(row) for row in rows]
    return {leave.source: leave for leave in found if leave.source is not None}


async def standing(
    tx: AsyncConnection, person_ids: Iterable[UUID], first: date, before: date
) -> list[Leave]:
    """Return requested and approved leave of these people with a day in `[first, before)`."""
    query = LEAVES.where(
        _leave.c.person_id.in_(set(person_ids)),
        _leave.c.status.in_([LeaveStatus.REQUESTED, LeaveStatus.APPROVED]),
        _leave.c.starts_on < before,
        _leave.c.ends_on > first,
    )
    return [leave_from(row) for row in await tx.execute(query.order_by(_leave.c.starts_on))]


async def approved(
    tx: AsyncConnection, person_ids: Iterable[UUID], first: date, before: date
) -> Mapping[UUID, Sequence[Leave]]:
    """Return approved leave of these people with a day in `[first, before)`: one query."""
    found: defaultdict[UUID, list[Leave]] = defaultdict(list)
    for leave in await standing(tx, person_ids, first, before):
        if leave.status is LeaveStatus.APPROVED:
            found[leave.person_id].append(leave)
    return found


def leave_from(row: Row[Any]) -> Leave:
    """Return the leave a row of `LEAVES` holds."""
    return Leave(
        leave_id=row.leave_id,
        version=row.version,
        person_id=row.person_id,
        person_subject=row.subject or "",
        legal_entity_id=row.legal_entity_id,
        kind=LeaveKind(row.kind),
        starts_on=row.starts_on,
        ends_on=row.ends_on,
        half_days=row.half_days,
        status=LeaveStatus(row.status),
        requested_by=row.requested_by,
        requested_at=row.requested_at,
        decided_by=row.decided_by or "",
        decided_at=row.decided_at,
        decision_reason=row.decision_reason or "",
        source=(
            None
            if row.source_system is None
            else Source(row.source_system, row.source_object_type, row.source_object_id)
        ),
    )


def _values(leave: Leave) -> dict[str, Any]:
    return {
        "version": leave.version,
        "kind": leave.kind,
        "starts_on": leave.starts_on,
        "ends_on": leave.ends_on,
        "half_days": leave.half_days,
        "status": leave.status,
        "decided_by": leave.decided_by or None,
        "decided_at": leave.decided_at,
        "decision_reason": leave.decision_reason or None,
    }


def _overlap_of(error: IntegrityError, field: str) -> Exception:
    cause = error.orig.__cause__ if error.orig else None
    if getattr(cause, "constraint_name", None) != _OVERLAP:
        return error
    return LeaveOverlap(
        "the person is away on some of these days already",
        field=field,
        advice="cancel the other leave first, or leave these days out",
    )
