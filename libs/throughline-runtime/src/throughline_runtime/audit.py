"""The audit log: one row for each command that took effect, sealed into a chain of hashes.

Entries are written by the transactions they tell of and sealed shortly after by one job, because
appending to a chain directly would make every command wait for the one before it.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID
from weakref import WeakKeyDictionary

from sqlalchemy import Row, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from throughline_runtime import database
from throughline_runtime.identity import current_caller
from throughline_runtime.ids import new_id
from throughline_runtime.schema import audit_entry, audit_seal

INSERT: Final = """
    INSERT INTO audit_entry (audit_id, method, caller, actor, request_id, request_digest,
                             aggregate_ids, correlation_id, engagement_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
"""Writes one entry from `values_of`; public so that `once` can join it to its own statement."""

GENESIS: Final = bytes(32)
_CHUNK: Final = 1_000
# Entries are found by their time-ordered ids, counted back this far from the last one sealed: many
# times longer than any transaction lives.
_LATE: Final = timedelta(minutes=15)

_UNSEALED: Final = text("""
    SELECT entry.* FROM audit_entry AS entry
    WHERE entry.audit_id >= :from_id
      AND NOT EXISTS (SELECT FROM audit_seal AS seal WHERE seal.audit_id = entry.audit_id)
    ORDER BY entry.audit_id LIMIT :limit
""")

_SEAL: Final = text("""
    INSERT INTO audit_seal (seq, audit_id, hash, previous_hash)
    SELECT * FROM unnest(CAST(:seqs AS bigint[]), CAST(:audit_ids AS uuid[]),
                         CAST(:hashes AS bytea[]), CAST(:previous_hashes AS bytea[]))
""")

_FORGOTTEN: Final = text("""
    SELECT audit_id FROM audit_entry AS entry
    WHERE audit_id < :before
      AND NOT EXISTS (SELECT FROM audit_seal AS seal WHERE seal.audit_id = entry.audit_id)
    ORDER BY audit_id LIMIT 1
""")


@dataclass(frozen=True, slots=True)
class Entry:
    """A command that took effect; its content is known by digest only."""

    audit_id: UUID
    at: datetime
    method: str
    caller: str
    actor: str | None
    request_id: str
    request_digest: bytes
    aggregate_ids: tuple[UUID, ...]
    correlation_id: UUID | None
    engagement_id: UUID | None


@dataclass(frozen=True, slots=True)
class Break:
    """The first place where the chain does not hold, and why."""

    seq: int
    audit_id: UUID
    reason: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` found: how many seals hold, the last hash of them, and the first break."""

    sealed: int
    head: bytes
    first_break: Break | None


@dataclass(frozen=True, slots=True)
class Touched:
    """What one transaction changes, as far as it was told."""

    aggregate_ids: set[UUID] = field(default_factory=set)
    correlation_ids: set[UUID] = field(default_factory=set)
    engagement_ids: set[UUID] = field(default_factory=set)


_TOUCHED: Final[WeakKeyDictionary[AsyncConnection, Touched]] = WeakKeyDictionary()


def touch(tx: AsyncConnection, *aggregate_ids: UUID, engagement_id: UUID | None = None) -> None:
    """Name what this transaction changes, for the audit entry of its command; runs no statement.

    Events name their aggregates by themselves; what changes without one is named here. A thing
    without a UUID goes by `derived_id(kind, name)`.
    """
    found = touched(tx)
    found.aggregate_ids.update(aggregate_ids)
    if engagement_id is not None:
        found.engagement_ids.add(engagement_id)


def touched(tx: AsyncConnection) -> Touched:
    """Return what this transaction has named so far; what is added to it counts as named."""
    return _TOUCHED.setdefault(tx, Touched())


def values_of(
    *,
    method: str,
    caller: str,
    actor: str | None,
    request_id: str,
    digest: bytes,
    touched: Touched,
) -> tuple[object, ...]:
    """Return the values of `INSERT` for a command.

    The correlation and the engagement are named when the command touched exactly one.
    """
    return (
        new_id(),
        method,
        caller,
        actor,
        request_id,
        digest,
        sorted(touched.aggregate_ids),
        _only(touched.correlation_ids),
        _only(touched.engagement_ids),
    )


async def note(tx: AsyncConnection, method: str) -> None:
    """Write the entry of what a job does by the clock, to whatever the transaction has touched.

    `method` names it in the manner of a request's, under a request id of its own. A job that
    makes a request uses `once` instead.
    """
    caller = current_caller()
    request_id = str(new_id())
    entry = values_of(
        method=method,
        caller=caller.subject,
        actor=caller.actor,
        request_id=request_id,
        digest=sha256(f"{method}\0{request_id}".encode()).digest(),
        touched=touched(tx),
    )
    await database.fetch(tx, INSERT, *entry)


async def seal(engine: AsyncEngine) -> int:
    """Extend the chain over the entries not in it yet, and return how many there were."""
    total = 0
    while True:
        async with database.write(engine) as tx:
            sealed = await _seal_chunk(tx)
        total += sealed
        if sealed < _CHUNK:
            return total


async def verify(engine: AsyncEngine) -> Verification:
    """Walk the whole chain in one snapshot and report the first break, if any.

    The head it returns is worth keeping elsewhere: a chain rewritten as a whole holds in itself.
    """
    async with database.read(engine) as tx:
        seq, head = 0, GENESIS
        async for row in _chain(tx):
            reason = _flaw(row, seq=seq, head=head)
            if reason is not None:
                return Verification(seq, head, Break(row.seq, row.sealed_id, reason))
            seq, head = row.seq, row.hash
        forgotten = await _unsealed_before_head(tx)
    if forgotten is not None:
        return Verification(seq, head, Break(seq + 1, forgotten, "the entry was never sealed"))
    return Verification(seq, head, None)


async def page(
    tx: AsyncConnection,
    *,
    before: UUID | None,
    size: int,
    aggregate_id: UUID | None = None,
    engagement_id: UUID | None = None,
) -> Sequence[Entry]:
    """Return entries, latest first, at most `size` older than `before`."""
    query = select(audit_entry).order_by(audit_entry.c.audit_id.desc()).limit(size)
    if before is not None:
        query = query.where(audit_entry.c.audit_id < before)
    if aggregate_id is not None:
        query = query.where(audit_entry.c.aggregate_ids.contains([aggregate_id]))
    if engagement_id is not None:
        query = query.where(audit_entry.c.engagement_id == engagement_id)
    return [_entry_from(row) for row in await tx.execute(query)]


async def _seal_chunk(tx: AsyncConnection) -> int:
    last = (
        await tx.execute(select(audit_seal).order_by(audit_seal.c.seq.desc()).limit(1))
    ).one_or_none()
    from_id = UUID(int=0) if last is None else _earliest_id(last.audit_id)
    rows = (await tx.execute(_UNSEALED, {"from_id": from_id, "limit": _CHUNK})).all()
    if not rows:
        return 0
    seq, head = (0, GENESIS) if last is None else (last.seq, last.hash)
    hashes = _hashes(head, map(_entry_from, rows))
    await tx.execute(
        _SEAL,
        {
            "seqs": list(range(seq + 1, seq + 1 + len(rows))),
            "audit_ids": [row.audit_id for row in rows],
            "hashes": hashes,
            "previous_hashes": [head, *hashes[:-1]],
        },
    )
    return len(rows)


def _earliest_id(head_id: UUID) -> UUID:
    """Return the least UUIDv7 an entry not yet sealed can have, given the last one sealed."""
    milliseconds = (head_id.int >> 80) - int(_LATE.total_seconds() * 1000)
    return UUID(int=max(milliseconds, 0) << 80)


def _hashes(head: bytes, entries: Iterable[Entry]) -> list[bytes]:
    hashes = []
    for entry in entries:
        head = hash_of(head, entry)
        hashes.append(head)
    return hashes


def hash_of(previous: bytes, entry: Entry) -> bytes:
    """Return SHA-256 over the previous hash and the entry's fields, each led by its length."""
    digest = sha256(previous)
    for value in _canonical(entry):
        digest.update(len(value).to_bytes(8, "big"))
        digest.update(value)
    return digest.digest()


def _canonical(entry: Entry) -> tuple[bytes, ...]:
    microseconds = (entry.at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return (
        entry.audit_id.bytes,
        str(microseconds).encode(),
        entry.method.encode(),
        entry.caller.encode(),
        (entry.actor or "").encode(),
        entry.request_id.encode(),
        entry.request_digest,
        b"".join(aggregate_id.bytes for aggregate_id in entry.aggregate_ids),
        entry.correlation_id.bytes if entry.correlation_id else b"",
        entry.engagement_id.bytes if entry.engagement_id else b"",
    )


async def _chain(tx: AsyncConnection) -> AsyncIterator[Row[Any]]:
    """Yield each seal with the entry it names, in order, a chunk at a time."""
    query = (
        select(
            audit_seal.c.seq,
            audit_seal.c.audit_id.label("sealed_id"),
            audit_seal.c.hash,
            audit_seal.c.previous_hash,
            audit_entry,
        )
        .outerjoin(audit_entry, audit_entry.c.audit_id == audit_seal.c.audit_id)
        .order_by(audit_seal.c.seq)
        .limit(_CHUNK)
    )
    seq = 0
    while rows := (await tx.execute(query.where(audit_seal.c.seq > seq))).all():
        for row in rows:
            yield row
        seq = rows[-1].seq


def _flaw(row: Row[Any], *, seq: int, head: bytes) -> str | None:
    if row.seq != seq + 1:
        return f"the chain goes from seal {seq} to seal {row.seq}"
    if row.previous_hash != head:
        return "the seal does not follow the one before it"
    if row.audit_id is None:
        return "the sealed entry is gone"
    if row.hash != hash_of(head, _entry_from(row)):
        return "the entry is not what was sealed"
    return None


async def _unsealed_before_head(tx: AsyncConnection) -> UUID | None:
    last = select(audit_seal.c.audit_id).order_by(audit_seal.c.seq.desc()).limit(1)
    head_id = await tx.scalar(last)
    if head_id is None:
        return None
    found: UUID | None = await tx.scalar(_FORGOTTEN, {"before": _earliest_id(head_id)})
    return found


def _entry_from(row: Row[Any]) -> Entry:
    return Entry(
        audit_id=row.audit_id,
        at=row.at,
        method=row.method,
        caller=row.caller,
        actor=row.actor,
        request_id=row.request_id,
        request_digest=row.request_digest,
        aggregate_ids=tuple(row.aggregate_ids),
        correlation_id=row.correlation_id,
        engagement_id=row.engagement_id,
    )


def _only(ids: set[UUID]) -> UUID | None:
    return next(iter(ids)) if len(ids) == 1 else None
