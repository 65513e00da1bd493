"""The exceptions queue: what stopped and waits for a person, with reason, owner and advice."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, Select, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from throughline_core.errors import NotFound
from throughline_runtime import audit
from throughline_runtime.ids import new_id
from throughline_runtime.schema import exception_item, exception_note

_OPEN: Final = text("""
    INSERT INTO exception_item (exception_id, kind, subject_id, reason, owner, advice,
                                legal_entity_id, engagement_id, detail)
    SELECT * FROM unnest(
        CAST(:exception_ids AS uuid[]), CAST(:kinds AS text[]), CAST(:subject_ids AS uuid[]),
        CAST(:reasons AS text[]), CAST(:owners AS text[]), CAST(:advices AS text[]),
        CAST(:legal_entity_ids AS uuid[]), CAST(:engagement_ids AS uuid[]),
        CAST(:details AS jsonb[])
    )
    ON CONFLICT (kind, subject_id) WHERE closed_at IS NULL DO UPDATE SET
        reason = EXCLUDED.reason, owner = EXCLUDED.owner, advice = EXCLUDED.advice,
        detail = EXCLUDED.detail, occurrences = exception_item.occurrences + 1
""")

_CLOSE: Final = text("""
    UPDATE exception_item SET closed_at = now()
    WHERE kind = :kind AND subject_id = ANY(CAST(:subject_ids AS uuid[])) AND closed_at IS NULL
""")


@dataclass(frozen=True, slots=True)
class Halt:
    """Why one thing stopped, who has to act and what to do."""

    kind: str
    subject_id: UUID
    reason: str
    owner: str
    advice: str
    legal_entity_id: UUID | None = None
    engagement_id: UUID | None = None
    detail: Mapping[str, str | int | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Note:
    """What somebody found out or did about an exception."""

    text: str
    author: str
    written_at: datetime


@dataclass(frozen=True, slots=True)
class Item:
    """An entry of the queue with its notes, oldest first; closed when its cause is gone."""

    exception_id: UUID
    halt: Halt
    occurrences: int
    opened_at: datetime
    closed_at: datetime | None
    notes: tuple[Note, ...]


class ExceptionNotFound(NotFound):
    """There is no exception of this id."""

    code = "exception.not_found"


async def open_(
    tx: AsyncConnection,
    kind: str,
    subject_id: UUID,
    reason: str,
    owner: str,
    advice: str,
    legal_entity_id: UUID | None = None,
    engagement_id: UUID | None = None,
    detail: Mapping[str, str | int | None] | None = None,
) -> None:
    """Put one thing into the queue; see `open_all`."""
    halt = Halt(
        kind, subject_id, reason, owner, advice, legal_entity_id, engagement_id, detail or {}
    )
    await open_all(tx, [halt])


async def open_all(tx: AsyncConnection, halts: Iterable[Halt]) -> None:
    """Put things into the queue in one statement.

    What is in it already keeps its place and takes the new reason; of several halts of one kind
    and subject the last one counts.
    """
    by_subject = {(halt.kind, halt.subject_id): halt for halt in halts}
    if not by_subject:
        return
    distinct = [by_subject[key] for key in sorted(by_subject)]
    await tx.execute(
        _OPEN,
        {
            "exception_ids": [new_id() for _ in distinct],
            "kinds": [halt.kind for halt in distinct],
            "subject_ids": [halt.subject_id for halt in distinct],
            "reasons": [halt.reason for halt in distinct],
            "owners": [halt.owner for halt in distinct],
            "advices": [halt.advice for halt in distinct],
            "legal_entity_ids": [halt.legal_entity_id for halt in distinct],
            "engagement_ids": [halt.engagement_id for halt in distinct],
            "details": [json.dumps(dict(halt.detail)) for halt in distinct],
        },
    )


async def close(tx: AsyncConnection, kind: str, subject_ids: Iterable[UUID]) -> None:
    """Take things out of the queue in one statement; those not in it are passed over."""
    await tx.execute(_CLOSE, {"kind": kind, "subject_ids": sorted(set(subject_ids))})


async def note(tx: AsyncConnection, exception_id: UUID, *, text: str, author: str) -> None:
    """Write a note on an exception; it stays open until its cause is gone.

    Raises:
        ExceptionNotFound: there is no such exception.
    """
    halt = (await get(tx, exception_id)).halt
    audit.touch(tx, exception_id, halt.subject_id, engagement_id=halt.engagement_id)
    await tx.execute(
        insert(exception_note).values(
            note_id=new_id(), exception_id=exception_id, text=text, author=author
        )
    )


async def get(tx: AsyncConnection, exception_id: UUID) -> Item:
    """Return one exception, open or closed.

    Raises:
        ExceptionNotFound: there is no such exception.
    """
    query = select(exception_item).where(exception_item.c.exception_id == exception_id)
    for item in await _items(tx, query):
        return item
    raise ExceptionNotFound(f"there is no exception {exception_id}", field="exception_id")


async def page(
    tx: AsyncConnection,
    *,
    after: UUID | None,
    size: int,
    kind: str | None = None,
    subject_id: UUID | None = None,
    legal_entity_id: UUID | None = None,
    engagement_id: UUID | None = None,
    visible_entities: Collection[UUID] | None = None,
    include_closed: bool = False,
) -> Sequence[Item]:
    """Return items in order of opening, at most `size` past `after`.

    `visible_entities` limits the list to these legal entities and to items that belong to none;
    None does not limit it.
    """
    table = exception_item
    query = select(table).order_by(table.c.exception_id).limit(size)
    if after is not None:
        query = query.where(table.c.exception_id > after)
    for column, wanted in (
        (table.c.kind, kind),
        (table.c.subject_id, subject_id),
        (table.c.legal_entity_id, legal_entity_id),
        (table.c.engagement_id, engagement_id),
    ):
        if wanted is not None:
            query = query.where(column == wanted)
    if visible_entities is not None:
        entity = table.c.legal_entity_id
        query = query.where(entity.is_(None) | entity.in_(visible_entities))
    if not include_closed:
        query = query.where(table.c.closed_at.is_(None))
    return await _items(tx, query)


async def _items(tx: AsyncConnection, query: Select[Any]) -> Sequence[Item]:
    rows = (await tx.execute(query)).all()
    ids = [row.exception_id for row in rows]
    notes: defaultdict[UUID, list[Note]] = defaultdict(list)
    table = exception_note
    written = select(table).where(table.c.exception_id.in_(ids)).order_by(table.c.note_id)
    for row in await tx.execute(written):
        notes[row.exception_id].append(Note(row.text, row.author, row.written_at))
    return [_item_from(row, tuple(notes[row.exception_id])) for row in rows]


def _item_from(row: Row[Any], notes: tuple[Note, ...]) -> Item:
    halt = Halt(
        kind=row.kind,
        subject_id=row.subject_id,
        reason=row.reason,
        owner=row.owner,
        advice=row.advice,
        legal_entity_id=row.legal_entity_id,
        engagement_id=row.engagement_id,
        detail=row.detail,
    )
    return Item(row.exception_id, halt, row.occurrences, row.opened_at, row.closed_at, notes)
