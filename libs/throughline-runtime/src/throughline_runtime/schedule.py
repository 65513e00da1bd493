"""Periodic jobs: each runs in one process of a service at a time, and at once when woken."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from zlib import crc32

import structlog
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from throughline_core.errors import Refusal
from throughline_runtime import audit, database, inbox, once, outbox
from throughline_runtime.context import Context
from throughline_runtime.identity import Caller, acting_as
from throughline_runtime.pace import Backoff, wait_for_any

_LOCK_CLASS: Final = 0x6A6F_6273  # Any number all schedulers of a database agree on.

_BUSY_SECONDS: Final = 0.5

_log: Final = structlog.get_logger(__name__)

_LOCK: Final = text("SELECT pg_try_advisory_lock(:class, :key)")
_UNLOCK: Final = text("SELECT pg_advisory_unlock(:class, :key)")

# A run that never finished was cut off: nobody else can hold the lock by now, so it is due. The
# tolerance keeps a timer that rings a little early from skipping every other run.
_BEGIN: Final = text("""
    INSERT INTO schedule_run (name, started_at) VALUES (:name, now())
    ON CONFLICT (name) DO UPDATE SET started_at = now(), finished_at = NULL, failure = NULL
    WHERE CAST(:is_woken AS boolean) OR schedule_run.finished_at IS NULL
       OR schedule_run.started_at <= now() - make_interval(secs => 0.9 * :every_seconds)
    RETURNING name
""")

_END: Final = text("""
    UPDATE schedule_run SET finished_at = now(), failure = :failure WHERE name = :name
""")


@dataclass(frozen=True, slots=True)
class Schedule:
    """A job that runs every so often; it has to bear being cut off and run again."""

    name: str
    every_seconds: float
    function: Callable[[Context], Awaitable[None]]


async def _seal_audit(context: Context) -> None:
    await audit.seal(context.engine)


async def _forget(context: Context) -> None:
    await outbox.forget(context.engine)
    await inbox.forget(context.engine)
    await once.forget(context.engine)


HOUSEKEEPING: Final = (
    Schedule("runtime.seal-audit", 5, _seal_audit),
    Schedule("runtime.forget", 3600, _forget),
)
"""What the runtime itself does in every service; a scheduler adds it to the service's own."""


class Scheduler:
    """Runs the jobs of a service; one of several replicas runs each of them.

    All locks are held by one session, which does nothing else: a job could otherwise starve
    waiting for a connection that another job's lock occupies. If it is lost, so are the locks, and
    the jobs under way are cut off.
    """

    def __init__(self, context: Context, schedules: Sequence[Schedule]) -> None:
        self._context = context
        self._schedules = (*schedules, *HOUSEKEEPING)
        self._wakes = {schedule.name: asyncio.Event() for schedule in self._schedules}
        self._caller = Caller.service(context.settings.service)

    def wake(self, name: str) -> None:
        """Let the job run now, or once more when it is running; another service's is ignored."""
        if (wake := self._wakes.get(name)) is not None:
            wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Run jobs until `stop` is set; return when those under way are done."""
        backoff = Backoff()
        while not stop.is_set():
            try:
                async with database.session(self._context.engine) as connection:
                    backoff.reset()
                    try:
                        await self._run_jobs(_Locks(connection), stop)
                    finally:
                        # The locks belong to the session, which goes back to the pool.
                        await connection.invalidate()
            except Exception as error:
                _log.warning(
                    "scheduler_interrupted",
                    error=type(error).__name__,
                    exc_info=None if isinstance(error, Refusal) else error,
                )
                await backoff.wait(stop)

    async def _run_jobs(self, locks: "_Locks", stop: asyncio.Event) -> None:
        with acting_as(self._caller):
            async with asyncio.TaskGroup() as tasks:
                for schedule in self._schedules:
                    tasks.create_task(self._repeat(schedule, locks, stop), name=schedule.name)

    async def _repeat(self, schedule: Schedule, locks: "_Locks", stop: asyncio.Event) -> None:
        wake = self._wakes[schedule.name]
        while not stop.is_set():
            is_woken = wake.is_set()
            wake.clear()
            if await locks.begin(schedule, is_woken=is_woken):
                await locks.end(schedule, failure=await self._run(schedule))
            elif is_woken:
                # Another process runs it, perhaps too early to see what we were woken for.
                await wait_for_any([stop], timeout_seconds=_BUSY_SECONDS)
                wake.set()
            await wait_for_any([stop, wake], timeout_seconds=schedule.every_seconds)

    async def _run(self, schedule: Schedule) -> str | None:
        """Run the job once and return the code of what stopped it, None if nothing did."""
        try:
            await schedule.function(self._context)
        except Refusal as refusal:
            _log.warning("job_refused", job=schedule.name, code=refusal.stable_code)
            return refusal.stable_code
        except Exception as error:
            _log.exception("job_failed", job=schedule.name)
            return type(error).__qualname__
        return None


class _Locks:
    """The session that holds the locks of the jobs under way, and notes their runs."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        # A connection runs one statement at a time.
        self._free = asyncio.Lock()

    async def begin(self, schedule: Schedule, *, is_woken: bool) -> bool:
        """Return whether the job is to run here and now: it is due, and nobody else runs it."""
        key = {"class": _LOCK_CLASS, "key": crc32(schedule.name.encode()) >> 1}
        run = {"name": schedule.name, "is_woken": is_woken, "every_seconds": schedule.every_seconds}
        if not await self._ask(_LOCK, key):
            return False
        if await self._ask(_BEGIN, run) is None:
            await self._ask(_UNLOCK, key)
            return False
        return True

    async def end(self, schedule: Schedule, *, failure: str | None) -> None:
        """Note how the run ended and let go of its lock."""
        key = {"class": _LOCK_CLASS, "key": crc32(schedule.name.encode()) >> 1}
        async with self._free:
            await self._connection.execute(_END, {"name": schedule.name, "failure": failure})
        await self._ask(_UNLOCK, key)

    async def _ask(self, statement: TextClause, values: Mapping[str, object]) -> object:
        async with self._free:
            return await self._connection.scalar(statement, values)
