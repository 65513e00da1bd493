"""Runs a command at most once for each request id, and remembers its reply.

One transaction holds the memory, the effect, the audit row and the outbox rows. A refused command
leaves none of them, so that it may be sent again once the cause is gone.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, TypeVar

from google.protobuf.message import Message
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from throughline_core.errors import InvalidArgument
from throughline_runtime import audit, database
from throughline_runtime.identity import Caller, current_caller
from throughline_runtime.schema import RETENTION_DAYS
from throughline_runtime.telemetry.metrics import ONCE_REPLAYS

ATTEMPTS: Final = 4
_RETRY_SECONDS: Final = 0.02

_CLAIM: Final = """
    INSERT INTO once_request (caller, method, request_id, digest)
    VALUES ($1, $2, $3, $4)
    ON CONFLICT DO NOTHING
    RETURNING request_id
"""

_RECALL: Final = """
    SELECT digest, reply FROM once_request WHERE caller = $1 AND method = $2 AND request_id = $3
"""

# The audit entry names the caller, the method and the request id as well: its $2, $3 and $5.
_REMEMBER: Final = f"""
    WITH remembered AS (
        UPDATE once_request SET reply = $10 WHERE caller = $3 AND method = $2 AND request_id = $5
    )
    {audit.INSERT}
"""

_FORGET: Final = text("""
    DELETE FROM once_request WHERE (caller, method, request_id) IN (
        SELECT caller, method, request_id FROM once_request
        WHERE created_at < now() - make_interval(days => :days)
        LIMIT :limit
    )
""")

Reply = TypeVar("Reply", bound=Message)


class IdempotencyKeyReused(InvalidArgument):
    """The request id was used before, by the same caller and method, for something else."""

    code = "request.idempotency_key_reused"


class RequestIdMissing(InvalidArgument):
    """A mutation came without a request id."""

    code = "request.id_missing"


@dataclass(frozen=True, slots=True)
class _Command:
    """What a request is known by, and what it asked."""

    method: str
    caller: Caller
    request_id: str
    digest: bytes

    @property
    def key(self) -> tuple[str, str, str]:
        """Caller, method and request id."""
        return self.caller.subject, self.method, self.request_id


async def once(
    engine: AsyncEngine,
    request: Message,
    reply_type: type[Reply],
    handle: Callable[[AsyncConnection], Awaitable[Reply]],
) -> Reply:
    """Return the reply of `handle`, or the first reply when this request was answered before.

    Keys belong to a caller and a method. A twin that arrives while the first one works waits for
    it. `handle` may be run again after a deadlock, so it does nothing outside its transaction.

    Raises:
        IdempotencyKeyReused: the key stands for a request with other content.
        RequestIdMissing: there is no key.
        Contended, DatabaseUnavailable, DatabaseOverloaded: see `database.write`.
    """
    command = _read_command(request)
    for attempt in range(1, ATTEMPTS):
        try:
            return await _attempt(engine, command, reply_type, handle)
        except database.Contended:
            await asyncio.sleep(_RETRY_SECONDS * attempt * (1 + random.random()))
    return await _attempt(engine, command, reply_type, handle)


async def forget(engine: AsyncEngine) -> None:
    """Delete the memory of requests older than the retention, in chunks."""
    await database.delete_in_chunks(engine, _FORGET, days=RETENTION_DAYS)


def _read_command(request: Message) -> _Command:
    request_id = getattr(request, "request_id", "")
    if not request_id:
        raise RequestIdMissing(
            "a request id is required",
            field="request_id",
            advice="send one id for each intention, and the same one on each retry",
        )
    method = request.DESCRIPTOR.full_name.removesuffix("Request")
    content = request.SerializeToString(deterministic=True)
    digest = sha256(method.encode() + b"\0" + content).digest()
    return _Command(method, current_caller(), request_id, digest)


async def _attempt(
    engine: AsyncEngine,
    command: _Command,
    reply_type: type[Reply],
    handle: Callable[[AsyncConnection], Awaitable[Reply]],
) -> Reply:
    async with database.write(engine) as tx:
        if not await database.fetch(tx, _CLAIM, *command.key, command.digest):
            return reply_type.FromString(await _recall(tx, command))
        reply = await handle(tx)
        await _remember(tx, command, reply.SerializeToString())
    return reply


async def _recall(tx: AsyncConnection, command: _Command) -> bytes:
    [memory] = await database.fetch(tx, _RECALL, *command.key)
    if memory["digest"] != command.digest:
        raise IdempotencyKeyReused(
            "this request id was used for a request with other content",
            field="request_id",
            advice="repeat the first request unchanged, or send this one under a new id",
        )
    ONCE_REPLAYS.inc()
    reply: bytes = memory["reply"]
    return reply


async def _remember(tx: AsyncConnection, command: _Command, reply: bytes) -> None:
    entry = audit.values_of(
        method=command.method,
        caller=command.caller.subject,
        actor=command.caller.actor,
        request_id=command.request_id,
        digest=command.digest,
        touched=audit.touched(tx),
    )
    await database.fetch(tx, _REMEMBER, *entry, reply)
