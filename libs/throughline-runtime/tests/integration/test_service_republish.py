"""A broker that lost its store is filled again from the outbox, by request."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from throughline.operations.v1 import operations_service_pb2 as pb
from throughline_runtime import database
from throughline_runtime.context import Context
from throughline_runtime.identity import Caller, acting_as
from throughline_runtime.operations import OperationsServicer

pytestmark = pytest.mark.service("runtime-probe")

_PUBLISHED = text("""
    INSERT INTO outbox (event_id, lane, subject, schema, payload, aggregate_id, aggregate_version,
                        created_at, published_at)
    VALUES (:event_id, 0, 'runtime_probe.note.written.v1', 's', '', :event_id, 1, :at, :at)
""")


async def test_what_was_published_since_is_published_again(
    context: Context, engine: AsyncEngine
) -> None:
    now = datetime.now(UTC)
    async with database.write(engine) as tx:
        for age in (timedelta(days=9), timedelta(days=7), timedelta(hours=1)):
            await tx.execute(_PUBLISHED, {"event_id": uuid4(), "at": now - age})
    since = Timestamp()
    since.FromDatetime(now - timedelta(days=8))
    request = pb.RepublishEventsRequest(request_id="again", since=since)

    with acting_as(Caller(subject="ines", roles=frozenset({"ROLE_INTEGRATION"}), entities=None)):
        answer = await OperationsServicer(context, None).RepublishEvents(request, None)

    assert answer.events == 2
    async with database.read(engine) as tx:
        waiting = await tx.scalar(text("SELECT count(*) FROM outbox WHERE published_at IS NULL"))
    assert waiting == 2
