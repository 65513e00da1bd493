"""The billing calendar of a contract: what comes due, in order, whether charged or not."""

from datetime import UTC, datetime
from typing import Any

import pytest
from billing_event_builders import CONTRACT, activated, an_id, recorded
from billing_event_sources import MoveClock, a_sourced_contract
from billing_event_world import take
from sqlalchemy.ext.asyncio import AsyncEngine

from billing_event import schedules
from throughline.billing_event.v1 import billing_calendar_service_pb2 as pb
from throughline.billing_event.v1.billing_calendar_service_pb2_grpc import (
    BillingCalendarServiceStub,
)
from throughline_core.errors import Refusal
from throughline_runtime.context import Context
from throughline_testing.serving import Running, a_caller

FINANCE = a_caller("finance", subject="user:fin")
ELSEWHERE = a_caller("finance", subject="user:us", entities=[an_id("e2")])


async def calendar(
    running: Running, caller: Any = FINANCE, **wanted: Any
) -> pb.GetBillingCalendarResponse:
    fields = {"contract_id": str(CONTRACT)} | wanted
    response: pb.GetBillingCalendarResponse = await running.stub(
        BillingCalendarServiceStub, caller=caller
    ).GetBillingCalendar(pb.GetBillingCalendarRequest(**fields))
    return response


def told(response: pb.GetBillingCalendarResponse) -> list[tuple[str, str, str, bool]]:
    return [
        (
            each.due_on,
            pb.BillingCalendarKind.Name(each.kind).removeprefix("BILLING_CALENDAR_KIND_").lower(),
            each.amount.amount,
            each.charged,
        )
        for each in response.entries
    ]


@pytest.fixture
async def in_force(engine: AsyncEngine, move_clock: MoveClock) -> None:
    move_clock(datetime(2026, 10, 1, 12, tzinfo=UTC))
    await take(engine, recorded(), activated(a_sourced_contract()))


async def test_everything_that_comes_due_is_told_in_order(
    running: Running, context: Context, in_force: None
) -> None:
    await schedules.charge_recurring(context)
    found = await calendar(running, due_through="2026-10-31")
    assert told(found) == [
        ("2026-09-15", "milestone", "9600.00", False),
        ("2026-09-30", "recurring", "2500.00", True),
        ("2026-10-01", "usage", "", False),
        ("2026-10-31", "recurring", "2500.00", False),
    ]
    rest = await calendar(running, due_from="2026-09-30", due_through="2026-10-31", open_only=True)
    assert [day for day, *_ in told(rest)] == ["2026-10-01", "2026-10-31"]


async def test_pages_go_on_where_the_last_one_ended(running: Running, in_force: None) -> None:
    whole = await calendar(running, page_size=500)
    assert not whole.next_page_token
    token = ""
    paged: list[pb.BillingCalendarEntry] = []
    while True:
        page = await calendar(running, page_size=5, page_token=token)
        paged += page.entries
        token = page.next_page_token
        if not token:
            break
    assert paged == list(whole.entries)


async def test_a_contract_that_is_unknown_or_of_another_entity_is_refused(
    running: Running, in_force: None
) -> None:
    for call, code in [
        (calendar(running, contract_id=str(an_id("bad"))), "contract.not_found"),
        (calendar(running, ELSEWHERE), "caller.entity_forbidden"),
    ]:
        with pytest.raises(Refusal) as refused:
            await call
        assert refused.value.stable_code == code
