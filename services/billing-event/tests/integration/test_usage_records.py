"""When a reading is the same again, takes another's place, or is refused as a row of its own."""

import pytest
from billing_event_builders import activated, recorded
from billing_event_sources import METERS, a_reading, a_sourced_contract, key, readings
from billing_event_world import fetch, take
from sqlalchemy.ext.asyncio import AsyncEngine

from throughline.billing_event.v1 import usage_service_pb2 as pb
from throughline.billing_event.v1.usage_service_pb2_grpc import UsageServiceStub
from throughline_testing.serving import Running

AT = "2026-09-03T08:00:00"


@pytest.fixture
async def in_force(engine: AsyncEngine) -> None:
    await take(engine, recorded(), activated(a_sourced_contract()))


async def bring(running: Running, *rows: pb.UsageReading) -> pb.ImportUsageRecordsResponse:
    stub = running.stub(UsageServiceStub, caller=METERS)
    response: pb.ImportUsageRecordsResponse = await stub.ImportUsageRecords(readings(*rows))
    return response


async def counted(engine: AsyncEngine) -> list[str]:
    """Return the quantities that count."""
    found = await fetch(
        engine,
        """SELECT quantity FROM usage_record LEFT JOIN usage_record_end USING (usage_record_id)
           WHERE kind IS NULL ORDER BY quantity""",
    )
    return [f"{row.quantity:f}" for row in found]


async def test_two_types_of_object_may_have_one_number(
    engine: AsyncEngine, running: Running, in_force: None
) -> None:
    call, sms = (
        a_reading(much, AT, source={"system": "crm", "object_type": kind, "object_id": "1001"})
        for much, kind in (("1", "call"), ("2", "sms"))
    )
    assert (await bring(running, call)).recorded == 1
    assert (await bring(running, sms)).recorded == 1
    assert (await bring(running, call, sms)).duplicates == 2
    assert await counted(engine) == ["1", "2"]


async def test_an_older_correction_delivered_again_does_not_undo_the_newer_one(
    engine: AsyncEngine, running: Running, in_force: None
) -> None:
    files = [
        a_reading("120", AT),
        a_reading("130", AT, corrects=True),
        a_reading("140", AT, corrects=True),
    ]
    ids = [(await bring(running, row)).results[0].usage_record_id for row in files]
    for row, record_id in zip(files, ids, strict=True):
        again = await bring(running, row)
        assert (again.duplicates, again.results[0].usage_record_id) == (1, record_id)
        assert await counted(engine) == ["140"]


async def test_an_earlier_quantity_counts_again_once_the_newer_reading_is_withdrawn(
    engine: AsyncEngine, running: Running, in_force: None
) -> None:
    await bring(running, a_reading("130", AT))
    newer = await bring(running, a_reading("140", AT, corrects=True))
    await running.stub(UsageServiceStub, caller=METERS).WithdrawUsageRecord(
        pb.WithdrawUsageRecordRequest(
            request_id=key(),
            usage_record_id=newer.results[0].usage_record_id,
            reason="the first one was right",
        )
    )
    assert (await bring(running, a_reading("130", AT, corrects=True))).corrected == 1
    assert await counted(engine) == ["130"]


@pytest.mark.parametrize(
    ("quantity", "code"),
    [
        ("-20", "usage_record.quantity_negative"),
        ("1e3", "request.malformed_field"),
        ("NaN", "request.malformed_field"),
        ("", "request.malformed_field"),
        ("1.00001", "request.malformed_field"),
        ("9999999999999", "request.malformed_field"),
    ],
)
async def test_a_quantity_that_is_none_refuses_its_row_alone(
    engine: AsyncEngine, running: Running, in_force: None, quantity: str, code: str
) -> None:
    done = await bring(running, a_reading("5", AT), a_reading(quantity, "2026-09-04T08:00:00"))
    assert (done.recorded, done.refused) == (1, 1)
    assert (done.results[1].code, done.results[1].field) == (code, "quantity")
    assert done.results[1].message
    assert done.results[1].advice
    assert await counted(engine) == ["5"]
