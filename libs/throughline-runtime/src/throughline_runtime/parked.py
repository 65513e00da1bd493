"""Messages no retry would heal: set aside with their reason until a person decides.

A replay hands the stored message to its consumer again as `<event id>.r<n>`, from the database: a
service may not publish under the subject of another, and the other consumers have taken it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from throughline_core.errors import FailedPrecondition, NotFound
from throughline_runtime import audit, exceptions, inbox
from throughline_runtime.delivery import Delivery
from throughline_runtime.exceptions import Halt
from throughline_runtime.ids import new_id
from throughline_runtime.intake import Verdict
from throughline_runtime.schema import parked_event

OWNER: Final = "integration"
EXCEPTION_KIND: Final = "event.parked"
# How long a consumer that took over a replay may be silent before another one takes it.
_LEASE_SECONDS: Final = 60

_PARK: Final = text("""
    INSERT INTO parked_event (parked_id, durable, event_id, subject, stream, stream_sequence,
                              headers, payload, reason_code, reason, owner, attempts, status)
    SELECT parked_id, :durable, event_id, subject, stream, stream_sequence, headers, payload,
           reason_code, reason, :owner, attempts, 'parked'
    FROM unnest(
        CAST(:parked_ids AS uuid[]), CAST(:event_ids AS uuid[]), CAST(:subjects AS text[]),
        CAST(:streams AS text[]), CAST(:sequences AS bigint[]), CAST(:headers AS jsonb[]),
        CAST(:payloads AS bytea[]), CAST(:codes AS text[]), CAST(:reasons AS text[]),
        CAST(:attempts AS int[])
    ) AS delivery (parked_id, event_id, subject, stream, stream_sequence, headers, payload,
                   reason_code, reason, attempts)
    ON CONFLICT (durable, event_id) DO UPDATE SET
        status = 'parked', reason_code = EXCLUDED.reason_code, reason = EXCLUDED.reason,
        attempts = EXCLUDED.attempts, parked_at = now(), redeliver_at = NULL,
        resolved_at = NULL, resolved_by = NULL, resolution = NULL
    RETURNING parked_id, event_id
""")

_LOCK: Final = text("""
    SELECT parked_id, durable, event_id, status FROM parked_event
    WHERE parked_id = ANY(CAST(:parked_ids AS uuid[])) ORDER BY parked_id FOR UPDATE
""")

_REPLAY: Final = text("""
    UPDATE parked_event SET
        status = 'replayed', attempts = 0, replays = replays + 1, redeliver_at = now(),
        resolved_at = now(), resolved_by = :by,
        resolution = 'replayed as ' || event_id || '.r' || replays + 1
    WHERE parked_id = ANY(CAST(:parked_ids AS uuid[]))
""")

_DISCARD: Final = text("""
    UPDATE parked_event SET
        status = 'discarded', resolved_at = now(), resolved_by = :by, resolution = :reason
    WHERE parked_id = ANY(CAST(:parked_ids AS uuid[]))
""")

_CLAIM: Final = text("""
    UPDATE parked_event SET redeliver_at = now() + make_interval(secs => :lease)
    WHERE parked_id IN (
        SELECT parked_id FROM parked_event
        WHERE durable = ANY(CAST(:durables AS text[])) AND redeliver_at <= now()
        ORDER BY redeliver_at, stream_sequence LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    RETURNING *
""")

_SETTLE: Final = text("""
    UPDATE parked_event SET
        attempts = attempts + 1,
        redeliver_at = now() + make_interval(secs => delay.seconds)
    FROM unnest(CAST(:event_ids AS uuid[]), CAST(:delays AS float8[])) AS delay (event_id, seconds)
    WHERE parked_event.durable = :durable AND parked_event.event_id = delay.event_id
      AND redeliver_at IS NOT NULL
""")

_COUNT: Final = text("""
    SELECT durable, count(*) AS rows FROM parked_event WHERE status = 'parked' GROUP BY durable
""")


class ParkedMessageNotFound(NotFound):
    """No message is parked under this id."""

    code = "parked.not_found"


class AlreadySettled(FailedPrecondition):
    """The message was replayed or discarded before."""

    code = "parked.already_settled"


@dataclass(frozen=True, slots=True)
class Parked:
    """A parked message as it is listed: all but its payload."""

    parked_id: UUID
    durable: str
    event_id: UUID
    subject: str
    headers: Mapping[str, str]
    reason_code: str
    reason: str
    owner: str
    attempts: int
    replays: int
    status: str
    parked_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    resolution: str | None


async def park(tx: AsyncConnection, durable: str, verdicts: Mapping[Delivery, Verdict]) -> None:
    """Set deliveries aside, each with the reason in its verdict, and put them into the queue.

    One that was parked before, and comes again, is parked again with the new reason.
    """
    by_event = {delivery.event_id: delivery for delivery in verdicts}
    deliveries = [by_event[event_id] for event_id in sorted(by_event)]
    if not deliveries:
        return
    rows = await tx.execute(
        _PARK,
        {
            "durable": durable,
            "owner": OWNER,
            "parked_ids": [new_id() for _ in deliveries],
            "event_ids": [delivery.event_id for delivery in deliveries],
            "subjects": [delivery.subject for delivery in deliveries],
            "streams": [delivery.stream for delivery in deliveries],
            "sequences": [delivery.stream_sequence for delivery in deliveries],
            "headers": [json.dumps(dict(delivery.headers)) for delivery in deliveries],
            "payloads": [delivery.payload for delivery in deliveries],
            "codes": [verdicts[delivery].code for delivery in deliveries],
            "reasons": [verdicts[delivery].reason for delivery in deliveries],
            "attempts": [delivery.attempt for delivery in deliveries],
        },
    )
    await exceptions.open_all(
        tx,
        [
            _halt(row.parked_id, durable, by_event[row.event_id], verdicts[by_event[row.event_id]])
            for row in rows
        ],
    )


async def replay(tx: AsyncConnection, parked_ids: Iterable[UUID], *, by: str) -> int:
    """Hand messages to their consumers again, all or none, and return how many.

    Raises:
        ParkedMessageNotFound, AlreadySettled: one of them is not there, or not parked any more.
    """
    rows = await _lock(tx, parked_ids)
    await tx.execute(_REPLAY, {"parked_ids": [row.parked_id for row in rows], "by": by})
    await exceptions.close(tx, EXCEPTION_KIND, [row.parked_id for row in rows])
    return len(rows)


async def discard(tx: AsyncConnection, parked_ids: Iterable[UUID], *, by: str, reason: str) -> int:
    """Give messages up, all or none, and return how many; a redelivery is ignored from now on.

    Raises:
        ParkedMessageNotFound, AlreadySettled: one of them is not there, or not parked any more.
    """
    rows = await _lock(tx, parked_ids)
    ids = [row.parked_id for row in rows]
    await tx.execute(_DISCARD, {"parked_ids": ids, "by": by, "reason": reason})
    for durable in sorted({row.durable for row in rows}):
        await inbox.take(tx, durable, [row.event_id for row in rows if row.durable == durable])
    await exceptions.close(tx, EXCEPTION_KIND, ids)
    return len(rows)


async def page(
    tx: AsyncConnection,
    *,
    after: UUID | None,
    size: int,
    durable: str | None = None,
    status: str = "parked",
) -> Sequence[Parked]:
    """Return messages of a status in order of their ids, at most `size` past `after`."""
    table = parked_event
    columns = [table.c[name] for name in Parked.__dataclass_fields__]
    query = select(*columns).where(table.c.status == status)
    if durable is not None:
        query = query.where(table.c.durable == durable)
    if after is not None:
        query = query.where(table.c.parked_id > after)
    rows = await tx.execute(query.order_by(table.c.parked_id).limit(size))
    return [Parked(**row._mapping) for row in rows]


async def counts(tx: AsyncConnection) -> Mapping[str, int]:
    """Return how many messages are parked, by durable; those without any are left out."""
    return {row.durable: row.rows for row in await tx.execute(_COUNT)}


async def claim(
    tx: AsyncConnection, durables: Sequence[str], *, limit: int
) -> Mapping[str, Sequence[Delivery]]:
    """Return replayed messages that are due, by durable; nobody else gets them for a minute."""
    values = {"durables": list(durables), "limit": limit, "lease": _LEASE_SECONDS}
    found: dict[str, list[Delivery]] = {}
    for row in await tx.execute(_CLAIM, values):
        found.setdefault(row.durable, []).append(Delivery.from_parked(row))
    return found


async def settle(tx: AsyncConnection, durable: str, delays: Mapping[UUID, float | None]) -> None:
    """End the replay of events that were taken (None), or put it off by seconds."""
    await tx.execute(
        _SETTLE,
        {
            "durable": durable,
            "event_ids": sorted(delays),
            "delays": [delays[k] for k in sorted(delays)],
        },
    )


async def _lock(tx: AsyncConnection, parked_ids: Iterable[UUID]) -> Sequence[Row[Any]]:
    wanted = sorted(set(parked_ids))
    rows = (await tx.execute(_LOCK, {"parked_ids": wanted})).all()
    if missing := set(wanted) - {row.parked_id for row in rows}:
        raise ParkedMessageNotFound(
            f"no message is parked as {min(missing)}",
            field="parked_ids",
            advice="list the parked messages of this service; each has its own",
        )
    for row in rows:
        if row.status != "parked":
            raise AlreadySettled(
                f"{row.parked_id} is {row.status} already",
                field="parked_ids",
                advice="leave it out, and send the others again",
            )
    audit.touch(tx, *wanted)
    return rows


def _halt(parked_id: UUID, durable: str, delivery: Delivery, verdict: Verdict) -> Halt:
    return Halt(
        kind=EXCEPTION_KIND,
        subject_id=parked_id,
        reason=f"{durable}: {verdict.reason}",
        owner=OWNER,
        advice="remove the cause and replay the message, or discard it with a reason",
        engagement_id=delivery.engagement_id,
        detail={"durable": durable, "subject": delivery.subject, "code": verdict.code},
    )
