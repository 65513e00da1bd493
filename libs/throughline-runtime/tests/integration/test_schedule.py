"""A job runs in one place at a time, when it is due or woken, and survives what it does."""

import asyncio
from collections.abc import Awaitable, Callable

from runtime_probe.support import looping, settings_for, until
from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from throughline_core.errors import Unavailable
from throughline_runtime import database
from throughline_runtime.clock import Clock
from throughline_runtime.context import Context
from throughline_runtime.identity import CallerTokens, current_caller
from throughline_runtime.ids import new_id
from throughline_runtime.rpc.client import Peers
from throughline_runtime.schedule import Schedule, Scheduler
from throughline_runtime.schema import audit_entry, audit_seal, schedule_run

NEVER_AGAIN = 3_600.0


def a_scheduler(engine: AsyncEngine, *schedules: Schedule) -> Scheduler:
    peers = Peers("runtime-probe", {}, CallerTokens("k" * 32))
    context = Context(settings_for(), engine, Clock(), peers, lambda _name: None)
    return Scheduler(context, schedules)


def a_job(run: Callable[[], Awaitable[None]], *, every_seconds: float = NEVER_AGAIN) -> Schedule:
    async def function(_context: Context) -> None:
        await run()

    return Schedule("probe.job", every_seconds, function)


async def test_a_job_runs_in_one_process_at_a_time_and_no_more_often_than_due(
    engine: AsyncEngine,
) -> None:
    running, most, runs = 0, 0, 0

    async def run() -> None:
        nonlocal running, most, runs
        running, runs = running + 1, runs + 1
        most = max(most, running)
        await asyncio.sleep(0.05)
        running -= 1

    job = a_job(run, every_seconds=0.2)
    async with looping(*(a_scheduler(engine, job) for _ in range(3))):
        await asyncio.sleep(1.1)

    assert most == 1
    assert 3 <= runs <= 7


async def test_a_job_that_is_woken_runs_at_once_and_once_more_if_it_was_running(
    engine: AsyncEngine,
) -> None:
    started = asyncio.Queue[None]()
    go_on = asyncio.Event()

    async def run() -> None:
        assert current_caller().subject == "service:runtime-probe"
        started.put_nowait(None)
        await go_on.wait()

    scheduler = a_scheduler(engine, a_job(run))
    async with looping(scheduler), asyncio.timeout(10):
        await started.get()
        scheduler.wake("probe.job")
        scheduler.wake("somebody else's job")
        go_on.set()
        await started.get()


async def test_waking_here_reaches_a_job_that_another_process_is_running(
    engine: AsyncEngine,
) -> None:
    started = asyncio.Queue[str]()
    go_on = asyncio.Event()

    def run_in(place: str) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            started.put_nowait(place)
            await go_on.wait()

        return run

    there, here = (a_scheduler(engine, a_job(run_in(place))) for place in ("there", "here"))
    async with asyncio.timeout(10), looping(there):
        assert await started.get() == "there"
        async with looping(here):
            here.wake("probe.job")
            await asyncio.sleep(0.2)
            go_on.set()
            assert await started.get() == "here"


async def test_a_job_that_fails_says_so_and_runs_again(engine: AsyncEngine) -> None:
    outcomes: list[Exception | None] = [
        Unavailable("the bank is closed"),
        ZeroDivisionError("7"),
        None,
    ]

    async def run() -> None:
        if (failure := outcomes.pop(0)) is not None:
            raise failure

    async def noted() -> str | None:
        run = schedule_run.c
        query = select(run.failure).where(run.name == "probe.job", run.finished_at.is_not(None))
        async with database.read(engine) as tx:
            rows = (await tx.scalars(query)).all()
        return (rows[0] or "well") if rows else None

    scheduler = a_scheduler(engine, a_job(run))
    async with looping(scheduler):
        for expected in ("request.unavailable", "ZeroDivisionError", "well"):

            async def is_noted(expected: str = expected) -> bool:
                return await noted() == expected

            await until(is_noted)
            if outcomes:
                scheduler.wake("probe.job")


async def test_a_restart_runs_nothing_that_is_not_due(engine: AsyncEngine) -> None:
    runs = 0

    async def run() -> None:
        nonlocal runs
        runs += 1

    for _ in range(3):
        async with looping(a_scheduler(engine, a_job(run))):
            await asyncio.sleep(0.1)

    assert runs == 1


async def test_a_run_that_was_cut_off_is_made_up_for(engine: AsyncEngine) -> None:
    runs = 0

    async def run() -> None:
        nonlocal runs
        runs += 1

    async with database.write(engine) as tx:
        await tx.execute(insert(schedule_run).values(name="probe.job", started_at=text("now()")))
    async with looping(a_scheduler(engine, a_job(run))):
        await asyncio.sleep(0.2)

    assert runs == 1


async def test_the_runtime_seals_the_audit_log_by_itself(engine: AsyncEngine) -> None:
    async with database.write(engine) as tx:
        await tx.execute(
            insert(audit_entry).values(
                audit_id=new_id(),
                method="throughline.test.v1.Do",
                caller="user-1",
                request_id="key",
                request_digest=b"digest",
                aggregate_ids=[],
            )
        )

    async def is_sealed() -> bool:
        async with database.read(engine) as tx:
            return await tx.scalar(select(audit_seal.c.seq)) == 1

    async with looping(a_scheduler(engine)):
        await until(is_sealed)
