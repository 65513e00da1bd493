"""Closed periods of usage while their terms change: extended, void, agreed again, incomplete."""

from datetime import UTC, datetime
from typing import Any

import pytest
from billing_event_builders import activated, limit_changed, recorded
from billing_event_sources import (
    METERED,
    METERS,
    MoveClock,
    a_reading,
    a_sourced_contract,
    a_sourced_version,
    key,
    readings,
    terms_altered,
)
from billing_event_world import assert_sound, fetch, take
from sqlalchemy.ext.asyncio import AsyncEngine

from billing_event import schedules
from throughline.billing_event.v1 import usage_service_pb2 as pb
from throughline.billing_event.v1.usage_service_pb2_grpc import UsageServiceStub
from throughline.customer_contract.v1 import contract_pb2
from throughline_runtime.context import Context
from throughline_testing.serving import Running


def noon(day: str) -> datetime:
    return datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=UTC)


async def bring(running: Running, *rows: pb.UsageReading) -> pb.ImportUsageRecordsResponse:
    stub = running.stub(UsageServiceStub, caller=METERS)
    response: pb.ImportUsageRecordsResponse = await stub.ImportUsageRecords(readings(*rows))
    return response


async def charged(engine: AsyncEngine) -> dict[str, str]:
    """Return what the ledger says of each period by its first day."""
    found = await fetch(
        engine,
        """SELECT service_from, sum(amount) AS amount FROM billing_event WHERE type = 'usage'
           GROUP BY service_from ORDER BY service_from""",
    )
    return {str(row.service_from): f"{row.amount:.2f}" for row in found}


async def outside(engine: AsyncEngine) -> list[str]:
    """Return what the queue shows of readings that no period in force contains."""
    found = await fetch(
        engine,
        """SELECT reason FROM exception_item
           WHERE closed_at IS NULL AND kind = 'usage.reading_outside_term'""",
    )
    return [row.reason.split(" lie ")[0] for row in found]


def ending(number: int, effective_on: str, end_on: str = "") -> contract_pb2.Contract:
    """Return a version of the terms by which the metered line ends on a day of its own."""
    contract = a_sourced_version(number, effective_on)
    [metered] = [line for line in contract.lines if line.contract_line_id == str(METERED)]
    if end_on:
        metered.terms.end_on = end_on
    return contract


@pytest.fixture
async def closed(
    engine: AsyncEngine, running: Running, context: Context, move_clock: MoveClock
) -> None:
    """September and October are closed at 100.00 and 250.00."""
    move_clock(noon("2026-09-15"))
    await take(engine, recorded(), activated(a_sourced_contract()))
    await bring(running, a_reading("120", "2026-09-03T08:00:00"))
    move_clock(noon("2026-10-20"))
    await bring(running, a_reading("130", "2026-10-04T08:00:00"))
    await bring(running, a_reading("20", "2026-10-05T08:00:00"))
    move_clock(noon("2026-11-02"))
    await schedules.close_usage(context)
    assert await charged(engine) == {"2026-09-01": "100.00", "2026-10-01": "250.00"}


async def test_what_comes_late_while_a_version_is_missing_is_billed(
    engine: AsyncEngine, running: Running, context: Context, closed: None
) -> None:
    await take(engine, limit_changed(a_sourced_version(3, "2026-11-01")))
    await bring(running, a_reading("40", "2026-09-29T08:00:00"))
    await take(engine, limit_changed(a_sourced_version(2, "2026-10-01")))
    await schedules.close_usage(context)
    assert (await charged(engine))["2026-09-01"] == "290.00"
    await assert_sound(engine)


async def test_a_period_that_is_agreed_again_is_charged_again(
    engine: AsyncEngine, closed: None
) -> None:
    by_mistake = terms_altered(ending(2, "2026-10-01", "2026-10-01"), "end_on")
    await take(engine, by_mistake)
    assert await charged(engine) == {"2026-09-01": "100.00", "2026-10-01": "0.00"}
    assert await outside(engine) == ["2 readings of managed_devices from 2026-10-04 on"]
    await take(engine, terms_altered(ending(3, "2026-10-01"), "end_on"))
    assert await charged(engine) == {"2026-09-01": "100.00", "2026-10-01": "250.00"}
    assert await outside(engine) == []
    await assert_sound(engine)


async def test_a_reading_withdrawn_from_a_void_period_leaves_it_at_nothing(
    engine: AsyncEngine, running: Running, closed: None
) -> None:
    await take(engine, terms_altered(ending(2, "2026-10-01", "2026-10-01"), "end_on"))
    [small] = await fetch(engine, "SELECT usage_record_id FROM usage_record WHERE quantity = 20")
    withdrawn = await withdraw(running, small.usage_record_id)
    assert not withdrawn.repriced
    assert (await charged(engine))["2026-10-01"] == "0.00"
    assert await outside(engine) == ["1 readings of managed_devices from 2026-10-04 on"]


async def withdraw(running: Running, usage_record_id: Any) -> pb.WithdrawUsageRecordResponse:
    request = pb.WithdrawUsageRecordRequest(
        request_id=key(), usage_record_id=str(usage_record_id), reason="a test device"
    )
    stub = running.stub(UsageServiceStub, caller=METERS)
    response: pb.WithdrawUsageRecordResponse = await stub.WithdrawUsageRecord(request)
    return response


async def test_a_closed_period_that_was_extended_counts_what_was_read_ahead_of_its_new_end(
    engine: AsyncEngine, running: Running, context: Context, move_clock: MoveClock
) -> None:
    move_clock(noon("2026-09-10"))
    short = ending(1, "", "2026-09-16")
    await take(engine, recorded(), activated(short))
    await bring(running, a_reading("120", "2026-09-03T08:00:00"))
    move_clock(noon("2026-09-17"))
    await schedules.close_usage(context)
    await take(engine, terms_altered(ending(2, "2026-09-15"), "end_on"))
    move_clock(noon("2026-09-27"))
    await bring(running, a_reading("20", "2026-09-28T08:00:00"))
    await schedules.close_usage(context)
    assert await charged(engine) == {"2026-09-01": "100.00"}
    move_clock(noon("2026-10-05"))
    for _ in range(2):
        await schedules.close_usage(context)
    assert await charged(engine) == {"2026-09-01": "200.00"}
    await assert_sound(engine)
