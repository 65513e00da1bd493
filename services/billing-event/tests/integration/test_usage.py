"""Readings come in, periods close by the clock, and what comes late prices them anew."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from billing_event_builders import CONTRACT, activated, an_id, limit_changed, recorded
from billing_event_sources import (
    METERED,
    METERS,
    MoveClock,
    a_reading,
    a_sourced_contract,
    key,
    readings,
)
from billing_event_world import assert_sound, fetch, rows, take
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy.ext.asyncio import AsyncEngine

from billing_event import schedules
from throughline.billing_event.v1 import usage_service_pb2 as pb
from throughline.billing_event.v1.usage_service_pb2_grpc import UsageServiceStub
from throughline.customer_contract.v1 import quote_pb2
from throughline_core.errors import Refusal
from throughline_runtime.context import Context
from throughline_testing.serving import Running, a_caller
from throughline_testing.statements import Statements

PMO = a_caller("pmo", subject="user:paula.pmo")
ELSEWHERE = a_caller("pmo", subject="user:us", entities=[an_id("e2")])

MID_SEPTEMBER = datetime(2026, 9, 15, 12, tzinfo=UTC)
OCTOBER = datetime(2026, 9, 30, 22, 30, tzinfo=UTC)


def stamp(at: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(at)
    return message


def usage_of(running: Running, caller: Any = METERS) -> Any:
    return running.stub(UsageServiceStub, caller=caller)


async def bring(running: Running, *rows: pb.UsageReading) -> pb.ImportUsageRecordsResponse:
    response: pb.ImportUsageRecordsResponse = await usage_of(running).ImportUsageRecords(
        readings(*rows)
    )
    return response


async def period(running: Running) -> pb.GetUsagePeriodResponse:
    """Return the first period of the metered line."""
    listed = await usage_of(running).ListUsagePeriods(
        pb.ListUsagePeriodsRequest(contract_line_id=str(METERED), page_size=1)
    )
    [first] = listed.usage_periods
    response: pb.GetUsagePeriodResponse = await usage_of(running).GetUsagePeriod(
        pb.GetUsagePeriodRequest(usage_period_id=first.usage_period_id)
    )
    return response


async def net(engine: AsyncEngine) -> str:
    [row] = await fetch(
        engine, "SELECT coalesce(sum(amount), 0) AS net FROM billing_event WHERE type = 'usage'"
    )
    return f"{row.net:.2f}"


@pytest.fixture
async def in_force(engine: AsyncEngine, move_clock: MoveClock) -> None:
    move_clock(MID_SEPTEMBER)
    await take(engine, recorded(), activated(a_sourced_contract()))


async def test_a_month_of_readings_becomes_one_charge_when_it_is_over(
    engine: AsyncEngine,
    running: Running,
    context: Context,
    move_clock: MoveClock,
    in_force: None,
) -> None:
    done = await bring(
        running,
        a_reading("90", "2026-09-03T08:00:00"),
        a_reading("80.5", "2026-09-14T08:00:00"),
    )
    assert (done.recorded, done.refused) == (2, 0)
    preview = await period(running)
    assert (preview.usage_period.quantity, preview.amount.amount) == ("170.5", "332.00")
    assert [(each.quantity, each.amount.amount) for each in preview.charges] == [
        ("50", "250.00"),
        ("20.5", "82.00"),
    ]

    await schedules.close_usage(context)
    assert await rows(engine) == []
    move_clock(OCTOBER)
    for _ in range(2):
        await schedules.close_usage(context)
    assert await rows(engine) == [("332.00", "released", "")]
    [row] = await fetch(engine, "SELECT * FROM billing_event")
    assert (row.type, row.service_from.isoformat(), row.quantity * row.unit_rate) == (
        "usage",
        "2026-09-01",
        row.amount,
    )
    assert "50 x 5.00 EUR + 20.5 x 4.00 EUR = 332.00 EUR" in row.rate_explanation
    closed = (await period(running)).usage_period
    assert (closed.status, closed.charged.amount) == (pb.USAGE_PERIOD_STATUS_CLOSED, "332.00")
    await assert_sound(engine)


async def test_a_missed_quarter_is_caught_up_period_by_period(
    engine: AsyncEngine,
    running: Running,
    context: Context,
    move_clock: MoveClock,
    in_force: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("billing_event.commands.usage.CLOSED_MAX", 2)
    await bring(
        running,
        a_reading("110", "2026-09-03T08:00:00"),
        a_reading("120", "2026-10-03T08:00:00"),
        a_reading("130", "2026-12-03T08:00:00"),
    )
    move_clock(datetime(2027, 1, 2, tzinfo=UTC))
    await schedules.close_usage(context)
    await schedules.close_usage(context)
    assert sorted(row[0] for row in await rows(engine)) == ["100.00", "150.00", "50.00"]
    [months] = await fetch(
        engine, "SELECT count(*) AS closed FROM usage_period WHERE closed_at IS NOT NULL"
    )
    assert months.closed == 4


async def test_what_comes_late_is_corrected_or_withdrawn_prices_a_closed_period_anew(
    engine: AsyncEngine,
    running: Running,
    context: Context,
    move_clock: MoveClock,
    in_force: None,
) -> None:
    await bring(running, a_reading("120", "2026-09-03T08:00:00"))
    move_clock(OCTOBER)
    await schedules.close_usage(context)
    assert await net(engine) == "100.00"

    late = await bring(running, a_reading("40", "2026-09-29T08:00:00"))
    assert (late.recorded, late.repriced_periods) == (1, 1)
    assert await net(engine) == "290.00"

    less = await bring(running, a_reading("10", "2026-09-29T08:00:00", corrects=True))
    assert (less.corrected, less.repriced_periods) == (1, 1)
    assert await net(engine) == "150.00"

    for done in (late, less):
        record_id = done.results[0].usage_record_id
        request = pb.WithdrawUsageRecordRequest(
            request_id=key(), usage_record_id=record_id, reason="test device"
        )
        if done is late:
            with pytest.raises(Refusal) as refused:
                await usage_of(running).WithdrawUsageRecord(request)
            assert refused.value.stable_code == "usage_record.ended"
        else:
            assert (await usage_of(running).WithdrawUsageRecord(request)).repriced
    assert await net(engine) == "100.00"
    [last] = await fetch(
        engine,
        """SELECT rate_explanation FROM billing_event JOIN position USING (billing_event_id)
           WHERE reverses_billing_event_id IS NULL ORDER BY part DESC LIMIT 1""",
    )
    assert last.rate_explanation.startswith("sum of 1 reading of managed_devices: 120")
    await assert_sound(engine)


async def test_a_period_that_cost_nothing_is_billed_by_what_comes_late_and_given_back_again(
    engine: AsyncEngine,
    running: Running,
    context: Context,
    move_clock: MoveClock,
    in_force: None,
) -> None:
    move_clock(OCTOBER)
    await schedules.close_usage(context)
    assert await rows(engine) == []
    for quantity, expected in (("120", "100.00"), ("20", "0.00"), ("150", "250.00")):
        reading = a_reading(quantity, "2026-09-29T08:00:00", corrects=expected != "100.00")
        assert (await bring(running, reading)).repriced_periods == 1
        assert await net(engine) == expected
    await assert_sound(engine)


async def test_the_same_readings_again_and_shuffled_change_nothing(
    engine: AsyncEngine, running: Running, in_force: None
) -> None:
    source = {"system": "monitoring", "object_type": "sample", "object_id": "S-1"}
    sent = [
        a_reading("5", "2026-09-03T08:00:00"),
        a_reading("6", "2026-09-03T08:00:00", source=source),
    ]
    await bring(running, *sent)
    again = await bring(running, *reversed(sent))
    assert (again.recorded, again.duplicates) == (0, 2)
    assert (await period(running)).usage_period.quantity == "11"


async def test_each_row_is_judged_by_itself_and_says_what_is_wrong(
    engine: AsyncEngine, running: Running, in_force: None
) -> None:
    source = {"system": "monitoring", "object_type": "sample", "object_id": "S-1"}
    await bring(running, a_reading("5", "2026-09-03T08:00:00", source=source))
    done = await bring(
        running,
        a_reading("7", "2026-09-04T08:00:00"),
        a_reading("8", "2026-09-03T09:00:00", source=source),
        a_reading("1", "2026-08-31T21:59:59"),
        a_reading("1", "9999-12-31T23:59:59"),
        a_reading("1", "0001-01-01T00:00:00"),
        a_reading("1", "2026-09-05T08:00:00", contract_line_id=str(an_id("b102"))),
        a_reading("1", "2026-09-05T08:00:00", contract_id=str(an_id("bad"))),
        a_reading("1", "2026-09-05T08:00:00", corrects=True),
        pb.UsageReading(quantity="1", measured_at=stamp(MID_SEPTEMBER)),
    )
    assert [result.code for result in done.results] == [
        "",
        "usage_record.differs",
        "usage_record.outside_term",
        "usage_record.outside_term",
        "usage_record.outside_term",
        "usage_record.not_metered",
        "contract.not_found",
        "usage_record.nothing_to_correct",
        "usage_record.line_not_found",
    ]
    assert all(result.message and result.field for result in done.results[1:])
    assert (done.recorded, done.refused) == (1, 8)
    other = await usage_of(running, ELSEWHERE).ImportUsageRecords(
        readings(a_reading("1", "2026-09-06T08:00:00"))
    )
    assert other.results[0].code == "caller.entity_forbidden"
    listed = await usage_of(running, ELSEWHERE).ListUsageRecords(pb.ListUsageRecordsRequest())
    assert not listed.usage_records


async def test_a_line_alone_or_a_contract_with_its_meter_is_enough(
    running: Running, in_force: None
) -> None:
    done = await bring(
        running,
        pb.UsageReading(
            contract_line_id=str(METERED), quantity="1", measured_at=stamp(MID_SEPTEMBER)
        ),
        pb.UsageReading(
            contract_id=str(CONTRACT),
            meter="managed_devices",
            quantity="2",
            measured_at=stamp(datetime(2026, 9, 15, 11, tzinfo=UTC)),
        ),
    )
    assert done.recorded == 2
    listed = await usage_of(running, PMO).ListUsageRecords(
        pb.ListUsageRecordsRequest(meter="managed_devices", page_size=1)
    )
    assert [record.quantity for record in listed.usage_records] == ["2"]
    rest = await usage_of(running, PMO).ListUsageRecords(
        pb.ListUsageRecordsRequest(page_size=1, page_token=listed.next_page_token)
    )
    assert [record.quantity for record in rest.usage_records] == ["1"]
    assert not rest.next_page_token


async def test_who_brought_or_corrected_a_reading_is_found_by_its_id(
    engine: AsyncEngine, running: Running, in_force: None
) -> None:
    done = await bring(
        running, a_reading("1", "2026-09-05T12:00:00"), a_reading("2", "2026-09-06T12:00:00")
    )
    first, second = (result.usage_record_id for result in done.results)
    corrected = await bring(running, a_reading("3", "2026-09-05T12:00:00", corrects=True))
    third = corrected.results[0].usage_record_id
    named = "SELECT method FROM audit_entry WHERE CAST(:id AS uuid) = ANY(aggregate_ids)"
    for record_id, times in ((first, 2), (second, 1), (third, 1)):
        audited = [entry.method for entry in await fetch(engine, named, id=record_id)]
        assert len(audited) == times
        assert all(method.endswith(".ImportUsageRecords") for method in audited)


async def test_a_reading_of_the_future_is_kept_told_of_and_counts_from_its_instant(
    engine: AsyncEngine,
    running: Running,
    context: Context,
    move_clock: MoveClock,
    in_force: None,
) -> None:
    await bring(running, a_reading("7", "2026-09-20T08:00:00"))
    found = (await period(running)).usage_period
    assert (found.quantity, found.readings, found.readings_ahead) == ("0", 0, 1)
    query = "SELECT reason, occurrences FROM exception_item WHERE closed_at IS NULL"
    await schedules.close_usage(context)
    [told] = await fetch(engine, query)
    assert told.reason.startswith("1 readings of managed_devices lie in the future")
    assert told.occurrences == 1

    move_clock(datetime(2026, 9, 21, tzinfo=UTC))
    await schedules.close_usage(context)
    assert await fetch(engine, query) == []
    assert (await period(running)).usage_period.quantity == "7"


@pytest.mark.parametrize(
    ("aggregation", "quantity"),
    [
        (quote_pb2.USAGE_AGGREGATION_MAX, "30"),
        (quote_pb2.USAGE_AGGREGATION_LAST, "20"),
    ],
)
async def test_the_terms_say_how_readings_are_counted(
    engine: AsyncEngine,
    running: Running,
    move_clock: MoveClock,
    aggregation: quote_pb2.UsageAggregation.ValueType,
    quantity: str,
) -> None:
    move_clock(MID_SEPTEMBER)
    await take(engine, recorded(), activated(a_sourced_contract(aggregation=aggregation)))
    await bring(
        running,
        a_reading("10", "2026-09-01T08:00:00"),
        a_reading("20", "2026-09-03T08:00:00"),
        a_reading("30", "2026-09-02T08:00:00"),
    )
    assert (await period(running)).usage_period.quantity == quantity


async def test_a_line_that_ends_gives_back_what_was_charged_beyond_its_end(
    engine: AsyncEngine,
    running: Running,
    context: Context,
    move_clock: MoveClock,
    in_force: None,
) -> None:
    await bring(
        running, a_reading("120", "2026-09-03T08:00:00"), a_reading("30", "2026-09-20T08:00:00")
    )
    move_clock(OCTOBER)
    await schedules.close_usage(context)
    assert await net(engine) == "250.00"
    ended = a_sourced_contract(version=2)
    ended.version = 4
    ended.lines[-2].ended_on = "2026-09-15"
    await take(engine, limit_changed(ended))
    assert await net(engine) == "100.00"
    [told] = await fetch(
        engine,
        "SELECT reason FROM exception_item WHERE kind = 'usage.reading_outside_term'",
    )
    assert told.reason.startswith("1 readings of managed_devices from 2026-09-20 on")
    await assert_sound(engine)


async def test_two_writers_of_one_closed_period_leave_it_at_the_sum(
    engine: AsyncEngine,
    running: Running,
    context: Context,
    move_clock: MoveClock,
    in_force: None,
) -> None:
    move_clock(OCTOBER)
    await schedules.close_usage(context)
    await asyncio.gather(
        *(bring(running, a_reading("30", f"2026-09-{day:02d}T08:00:00")) for day in range(1, 6))
    )
    assert await net(engine) == "250.00"
    await assert_sound(engine)


async def test_thousands_of_readings_take_as_many_statements_as_ten(
    engine: AsyncEngine, running: Running, statements: Statements, in_force: None
) -> None:
    counts = []
    for hour, number in ((0, 10), (1, 2_000)):
        rows_sent = [
            a_reading("1", f"2026-09-02T{hour:02d}:00:00.{index:06d}") for index in range(number)
        ]
        statements.clear()
        assert (await bring(running, *rows_sent)).recorded == number
        counts.append(len(statements))
    assert counts[0] == counts[1]
    assert (await period(running)).usage_period.readings == 2_010
