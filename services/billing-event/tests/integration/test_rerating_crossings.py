"""What happens to runs, and to their things, while a run is previewed, approved and applied."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from billing_event_builders import activated, recorded
from billing_event_rerating import APPROVER, Desk, Invoicing, a_version, amended, ledger, work
from billing_event_sources import key
from billing_event_world import assert_sound, fetch, row_ids, take, totals
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing_event import schedules
from billing_event.commands import rerating_apply, rerating_drive, withdraw_release
from billing_event.domain.position import BillingEventId
from throughline.billing_event.v1 import rerating_service_pb2 as pb
from throughline_runtime import database
from throughline_runtime.context import Context
from throughline_runtime.identity import acting_as
from throughline_testing.serving import Running


@pytest.fixture
def invoicing() -> Invoicing:
    return Invoicing()


@pytest.fixture
async def peers(invoicing: Invoicing) -> AsyncIterator[dict[str, str]]:
    async with invoicing.serve() as targets:
        yield targets


@pytest.fixture
def desk(running: Running, context: Context, engine: AsyncEngine) -> Desk:
    return Desk(running, context, engine)


async def begin(engine: AsyncEngine, *, days: int = 2) -> None:
    """Have some days of eight hours rated at 180.00 that a change order prices at 190.00."""
    await take(engine, recorded(), activated(a_version(1, "2026-08-24", "180.00")))
    for number in range(1, days + 1):
        await take(engine, work(number, f"2026-09-{6 + number:02}"))
    await take(engine, amended(a_version(2, "2026-09-01", "190.00")))


async def approved(desk: Desk, *, runs: int = 1) -> list[str]:
    """Preview runs over the same work, and approve them all."""
    found = [await desk.previewed() for _ in range(runs)]
    for run_id in found:
        await desk.approve(run_id)
    return found


async def test_what_was_posted_stays_posted_though_the_answer_to_its_commit_is_lost(
    engine: AsyncEngine, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begin(engine)
    [run_id] = await approved(desk)
    real_post = rerating_apply.post_chunk
    posting: list[str] = []

    async def post(*args: Any, **rest: Any) -> None:
        await real_post(*args, **rest)
        posting.append("posted")

    @asynccontextmanager
    async def write(of: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        async with database.write(of) as tx:
            yield tx
        if posting:
            posting.clear()
            raise ConnectionError("the answer is lost")

    monkeypatch.setattr(rerating_apply, "post_chunk", post)
    monkeypatch.setattr(rerating_drive, "write", write)
    await desk.drive()

    run = await desk.run(run_id)
    assert (run.status_text, run.progress.items_applied) == ("applied", 2)
    assert {item.outcome for item in await desk.items(run_id)} == {pb.RERATING_OUTCOME_APPLIED}
    assert (await totals(engine))["positions"]["rated.EUR"] == 2 * 1520
    await assert_sound(engine)


async def test_a_stopped_run_leaves_what_another_has_posted_meanwhile(
    engine: AsyncEngine, desk: Desk
) -> None:
    await begin(engine)
    [first] = await approved(desk)
    await desk.proposer.StopReratingRun(
        pb.StopReratingRunRequest(request_id=key(), rerating_run_id=first)
    )
    assert (await desk.applied()).progress.items_applied == 2
    before = await ledger(engine)
    await desk.proposer.ResumeReratingRun(
        pb.ResumeReratingRunRequest(request_id=key(), rerating_run_id=first)
    )
    await desk.drive()
    assert (await desk.run(first)).status_text == "applied, 2 outdated"
    assert await ledger(engine) == before
    await assert_sound(engine)


async def test_two_runs_over_the_same_things_at_the_same_time_post_them_once(
    engine: AsyncEngine, desk: Desk
) -> None:
    await begin(engine, days=5)
    runs = await approved(desk, runs=2)
    await asyncio.gather(*(desk.drive() for _ in range(3)))
    await desk.drive()
    found = [await desk.run(run_id) for run_id in runs]
    assert {run.status for run in found} == {pb.RERATING_RUN_STATUS_APPLIED}
    assert sum(run.progress.items_applied for run in found) == 5
    assert sum(run.progress.items_outdated for run in found) == 5
    assert len(await ledger(engine)) == 15
    assert (await totals(engine))["positions"]["rated.EUR"] == 5 * 1520
    await assert_sound(engine)


async def test_a_run_that_was_cancelled_while_its_cause_is_there_is_followed_by_another(
    engine: AsyncEngine, desk: Desk, context: Context
) -> None:
    await begin(engine)
    cancelled: list[str] = []
    for _ in range(2):
        for _ in range(2):
            await schedules.report_changes(context)
        listed = await desk.proposer.ListReratingRuns(
            pb.ListReratingRunsRequest(status=pb.RERATING_RUN_STATUS_DRAFT)
        )
        [draft] = listed.runs
        assert draft.rerating_run_id not in cancelled
        [told] = await fetch(engine, "SELECT advice FROM exception_item WHERE closed_at IS NULL")
        assert draft.rerating_run_id in told.advice
        cancelled.append(draft.rerating_run_id)
        await desk.proposer.CancelReratingRun(
            pb.CancelReratingRunRequest(
                request_id=key(), rerating_run_id=draft.rerating_run_id, reason="not this week"
            )
        )


async def test_what_is_being_asked_back_of_invoicing_waits_for_the_answer(
    engine: AsyncEngine, desk: Desk, context: Context
) -> None:
    await begin(engine, days=1)
    [run_id] = await approved(desk)
    [row_id] = map(BillingEventId, map(UUID, await row_ids(engine)))
    at = context.clock.now()
    with acting_as(APPROVER):
        async with database.write(engine) as tx:
            withdrawal = await withdraw_release.request(
                tx, [row_id], "in October", places_hold=True, by="user:fiona.finance", at=at
            )
    await desk.drive()
    assert (await desk.run(run_id)).status_text == "waiting, 1 waiting"

    async with database.write(engine) as tx:
        await withdraw_release.finish(tx, withdrawal.withdrawal_id, at=at)
    await desk.look_at_drafts()
    assert (await desk.run(run_id)).status_text == "applied"
    assert await ledger(engine) == [
        "original 8.00 x 180.00 reversed",
        "reversal -8.00 x 180.00 reversed",
        "original 8.00 x 190.00 held manual",
    ]
    await assert_sound(engine)
