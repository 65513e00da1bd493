"""Lock dates: what is dated before a company's first open day stands, until finance reopens it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID

from throughline_core.change import Change
from throughline_core.errors import FailedPrecondition, InvalidArgument, NotFound


class PeriodLocked(FailedPrecondition):
    """The day lies before the first open day of the company."""

    code = "period.locked"


class LockNotAhead(InvalidArgument):
    """Locking moves the first open day forward; going back is reopening."""

    code = "period.not_ahead"


class LockNotBack(InvalidArgument):
    """Reopening moves the first open day back."""

    code = "period.not_back"


class LockNotFound(NotFound):
    """Nothing was ever locked for the company."""

    code = "period.lock_not_found"


@dataclass(frozen=True, slots=True)
class PeriodLock:
    """The first open day of a company; `version` 0 stands for one that was never locked."""

    legal_entity_id: UUID
    version: int
    open_from: date
    changed_by: str
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class LockMoved:
    """The lock date was moved, forward or, `reopened`, back."""

    lock: PeriodLock
    reopened: bool
    reason: str


LockChange = Change[PeriodLock, LockMoved]


def close_before(
    lock: PeriodLock | None,
    legal_entity_id: UUID,
    *,
    open_from: date,
    reason: str,
    by: str,
    at: datetime,
) -> LockChange:
    """Lock what is dated before `open_from`.

    Raises:
        LockNotAhead: it is locked as far, or further.
    """
    if lock is not None and open_from <= lock.open_from:
        raise LockNotAhead(
            f"everything before {lock.open_from} is locked already",
            field="open_from",
            advice="send a later day, or reopen the period",
        )
    version = 1 if lock is None else lock.version + 1
    moved = PeriodLock(legal_entity_id, version, open_from, by, at)
    return Change(moved, (LockMoved(moved, reopened=False, reason=reason),))


def reopen_from(
    lock: PeriodLock, *, open_from: date, reason: str, by: str, at: datetime
) -> LockChange:
    """Open again what is dated from `open_from` on.

    Raises:
        LockNotBack: it is open already.
    """
    if open_from >= lock.open_from:
        raise LockNotBack(
            f"it is open from {lock.open_from} on already",
            field="open_from",
            advice="send an earlier day",
        )
    moved = replace(
        lock, version=lock.version + 1, open_from=open_from, changed_by=by, changed_at=at
    )
    return Change(moved, (LockMoved(moved, reopened=True, reason=reason),))


def is_locked(open_from: Mapping[UUID, date], legal_entity_id: UUID, day: date) -> bool:
    """Whether a day is locked for a company; `open_from` holds the companies that lock at all."""
    first = open_from.get(legal_entity_id)
    return first is not None and day < first


def require_open(
    open_from: Mapping[UUID, date], days: Iterable[tuple[UUID, date]], *, field: str
) -> None:
    """Refuse if a day of a company is locked.

    Raises:
        PeriodLocked: names the first such day.
    """
    for legal_entity_id, day in days:
        if is_locked(open_from, legal_entity_id, day):
            raise PeriodLocked(
                f"{day} is locked: the books of legal entity {legal_entity_id} are open from"
                f" {open_from[legal_entity_id]} on",
                field=field,
                advice="use an open day, or ask finance to reopen the period",
            )
