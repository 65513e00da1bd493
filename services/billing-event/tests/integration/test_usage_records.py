"""When a reading is the same again, takes another's place, or is refused as a row of its own."""

import pytest
from billing_event_builders import activated, recorded
from billing_event_sources import METERS, a_reading, a_sourced_contract, readings
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
