"""A price of usage that changes for closed periods waits for a re-rating run."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from billing_event_builders import activated, billed, recorded
from billing_event_rerating import Desk, Invoicing
from billing_event_sources import (
    METERS,
    MoveClock,
    a_reading,
    a_sourced_contract,
    a_sourced_version,
    readings,
    terms_altered,
)
from billing_event_world import assert_sound, fetch, row_ids, rows, take
from sqlalchemy.ext.asyncio import AsyncEngine

from billing_event import schedules
from throughline.billing_event.v1 import rerating_service_pb2 as rerating_pb
from throughline.billing_event.v1 import usage_service_pb2 as pb
from throughline.billing_event.v1.usage_service_pb2_grpc import UsageServiceStub
from throughline_runtime.context import Context
from throughline_testing.serving import Running

DEARER = (("50", "6.00"), ("", "4.00"))


@pytest.fixture
async def peers() -> AsyncIterator[dict[str, str]]:
    async with Invoicing().serve() as targets:
        yield targets


@pytest.fixture
def desk(running: Running, context: Context, engine: AsyncEngine) -> Desk:
    return Desk(running, context, engine)


async def late(
    running: Running, quantity: str, day: int = 29, *, month: int = 9
) -> pb.ImportUsageRecordsResponse:
    """Bring in a reading of a day, of September if nothing else is said."""
    stub = running.stub(UsageServiceStub, caller=METERS)
    row = a_reading(quantity, f"2026-{month:02d}-{day:02d}T08:00:00")
    response: pb.ImportUsageRecordsResponse = await stub.ImportUsageRecords(readings(row))
    return response


async def net(engine: AsyncEngine) -> str:
    [row] = await fetch(
        engine, "SELECT coalesce(sum(amount), 0) AS net FROM billing_event WHERE type = 'usage'"
    )
    return f"{row.net:.2f}"


async def told(engine: AsyncEngine, context: Context) -> list[str]:
    """Return the kinds of what the queue shows after the job has looked."""
    await schedules.report_changes(context)
    found = await fetch(engine, "SELECT kind FROM exception_item WHERE closed_at IS NULL")
    return [row.kind for row in found]


async def previewed(desk: Desk, run_id: str) -> list[tuple[str, str, str]]:
    """Return action, old and new amount of all that a run would move."""
    return [
        (
            rerating_pb.ReratingAction.Name(item.action).removeprefix("RERATING_ACTION_").lower(),
            item.old_amount.amount,
            item.new_amount.amount,
        )
        for item in await desk.items(run_id)
    ]


@pytest.fixture
async def dearer(
    engine: AsyncEngine, running: Running, context: Context, move_clock: MoveClock
) -> None:
    """September is closed at 20 units of 5.00, which cost 6.00 by a later change order."""
    move_clock(datetime(2026, 9, 15, 12, tzinfo=UTC))
    await take(engine, recorded(), activated(a_sourced_contract()))
    await late(running, "120", day=3)
    move_clock(datetime(2026, 10, 5, 12, tzinfo=UTC))
    await schedules.close_usage(context)
    assert await net(engine) == "100.00"
    await take(
        engine, terms_altered(a_sourced_version(2, "2026-09-01", tiers=DEARER), "usage.tiers")
    )


async def test_a_price_that_reaches_back_is_told_of_and_does_not_slip_in(
    engine: AsyncEngine, running: Running, context: Context, dearer: None
) -> None:
    assert await told(engine, context) == ["contract.rerating_needed"]
    await late(running, "1")
    assert await net(engine) == "105.00"
    assert await told(engine, context) == ["contract.rerating_needed"]
    [row] = await fetch(
        engine, "SELECT rate_explanation FROM billing_event ORDER BY part DESC LIMIT 1"
    )
    assert "21 x 5.00 EUR = 105.00 EUR, by version 1 as when it was closed" in row.rate_explanation
    await assert_sound(engine)


async def test_a_run_previews_the_new_price_moves_the_period_and_what_is_late_follows_it(
    engine: AsyncEngine, running: Running, context: Context, desk: Desk, dearer: None
) -> None:
    await told(engine, context)
    for day in range(10, 20):
        await late(running, "1", day)
    assert await net(engine) == "150.00"
    run_id = await desk.previewed(service_from="2026-09-01")
    assert await previewed(desk, run_id) == [("replace", "150.00", "180.00")]
    assert await net(engine) == "150.00"
    await desk.approve(run_id)
    await desk.drive()
    assert await net(engine) == "180.00"
    assert await told(engine, context) == []
    await late(running, "1")
    assert await net(engine) == "186.00"
    await schedules.close_usage(context)
    assert await net(engine) == "186.00"
    await assert_sound(engine)


async def test_what_is_invoiced_is_corrected_by_a_debit(
    engine: AsyncEngine, running: Running, desk: Desk, dearer: None
) -> None:
    [row_id] = await row_ids(engine)
    await take(engine, billed((row_id, "1", "100.00")))
    run = await desk.applied(service_from="2026-09-01")
    assert run.progress.items_applied == 1
    assert sorted(amount for amount, _, _ in await rows(engine)) == ["-100.00", "100.00", "120.00"]
    await late(running, "1")
    assert await net(engine) == "126.00"
    await assert_sound(engine)


async def test_a_reading_between_preview_and_approval_leaves_the_period_to_another_run(
    engine: AsyncEngine, running: Running, desk: Desk, dearer: None
) -> None:
    run_id = await desk.previewed(service_from="2026-09-01")
    await late(running, "1")
    await desk.approve(run_id)
    await desk.drive()
    assert (await desk.run(run_id)).progress.items_outdated == 1
    assert await net(engine) == "105.00"
    again = await desk.previewed(service_from="2026-09-01")
    assert await previewed(desk, again) == [("replace", "105.00", "126.00")]


async def test_a_period_that_a_run_found_at_its_price_follows_the_new_terms_as_well(
    engine: AsyncEngine,
    running: Running,
    context: Context,
    desk: Desk,
    move_clock: MoveClock,
) -> None:
    move_clock(datetime(2026, 10, 20, 12, tzinfo=UTC))
    await take(engine, recorded(), activated(a_sourced_contract()))
    await late(running, "120", day=3)
    await late(running, "160", day=3, month=10)
    move_clock(datetime(2026, 11, 2, 12, tzinfo=UTC))
    await schedules.close_usage(context)
    assert await net(engine) == "390.00"
    beyond = a_sourced_version(2, "2026-09-01", tiers=(("50", "5.00"), ("", "9.00")))
    await take(engine, terms_altered(beyond, "usage.tiers"))
    run_id = await desk.previewed(service_from="2026-09-01")
    assert sorted(await previewed(desk, run_id)) == [
        ("nothing", "100.00", "100.00"),
        ("replace", "290.00", "340.00"),
    ]
    await desk.approve(run_id)
    await desk.drive()
    assert await net(engine) == "440.00"
    await late(running, "40")
    assert await net(engine) == "680.00"
    await assert_sound(engine)


async def test_a_period_closed_at_nothing_that_newer_terms_price_is_told_of(
    engine: AsyncEngine, running: Running, context: Context, move_clock: MoveClock
) -> None:
    move_clock(datetime(2026, 9, 15, 12, tzinfo=UTC))
    await take(engine, recorded(), activated(a_sourced_contract()))
    await late(running, "90", day=3)
    move_clock(datetime(2026, 10, 5, 12, tzinfo=UTC))
    await schedules.close_usage(context)
    assert await net(engine) == "0.00"

    fewer = a_sourced_version(2, "2026-09-01", included="50")
    await take(engine, terms_altered(fewer, "usage.included_quantity"))
    [halt] = await fetch(engine, "SELECT kind, reason FROM exception_item WHERE closed_at IS NULL")
    assert halt.kind == "usage.priced_since"
    assert "was closed at nothing, and costs 200.00 EUR by the terms of today" in halt.reason
    assert await net(engine) == "0.00"

    as_before = a_sourced_version(3, "2026-09-01", included="100")
    await take(engine, terms_altered(as_before, "usage.included_quantity"))
    assert await told(engine, context) == []
