"""Work in progress of any past day, from the rows themselves, the same for ever."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from billing_event_builders import (
    a_contract,
    activated,
    an_approved_entry,
    an_id,
    approved,
    billed,
    recorded,
)
from billing_event_world import row_ids, take
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from billing_event.domain.source import ContractLineId
from billing_event.queries.wip import WipFilter, WipGrouping, wip
from throughline.billing_event.v1 import position_service_pb2 as pb
from throughline_runtime import database
from throughline_runtime.page import Page

PEOPLE = [str(an_id("131")), str(an_id("132"))]
# Past today in every zone: whatever a test rates or claims, it does by then.
SOON = datetime.now(UTC).date() + timedelta(days=2)


async def at_work(engine: AsyncEngine) -> list[str]:
    """Have four entries of 1,440.00 rated, two each of two people, and return their rows."""
    entries = [
        an_approved_entry(number, person_id=PEOPLE[number % 2], work_date=f"2026-09-{number:02}")
        for number in range(1, 5)
    ]
    await take(engine, recorded(), activated(a_contract()), approved(*entries))
    return await row_ids(engine)


async def asked(
    engine: AsyncEngine,
    as_of: date = SOON,
    *,
    by: WipGrouping = WipGrouping.CONTRACT_LINE,
    page: Page | None = None,
    **wanted: Any,
) -> pb.GetWipResponse:
    async with database.read(engine) as tx:
        return await wip(tx, as_of, WipFilter(**wanted), by, page or Page(100, None))


def amounts(response: pb.GetWipResponse) -> list[str]:
    return sorted(line.amount.amount for line in response.lines)


@pytest.mark.parametrize(
    ("by", "field", "count"),
    [
        (WipGrouping.CONTRACT_LINE, "contract_line_id", 1),
        (WipGrouping.CONTRACT, "contract_id", 1),
        (WipGrouping.PROJECT, "project_id", 1),
        (WipGrouping.PERSON, "person_id", 2),
        (WipGrouping.CUSTOMER, "customer_id", 1),
    ],
)
async def test_it_is_summed_by_what_is_asked_for(
    engine: AsyncEngine, by: WipGrouping, field: str, count: int
) -> None:
    await at_work(engine)
    found = await asked(engine, by=by)
    assert amounts(found) == [f"{5760 / count:.2f}"] * count
    assert all(getattr(line, field) for line in found.lines)
    assert [total.amount for total in found.totals] == ["5760.00"]


async def test_what_is_claimed_later_was_in_progress_before(engine: AsyncEngine) -> None:
    [first, *_] = await at_work(engine)
    before = await asked(engine)
    await take(engine, billed((first, "5.00", "900.00")))
    assert amounts(await asked(engine)) == ["4860.00"]
    later = SOON + timedelta(days=1)
    async with database.write(engine) as tx:
        await tx.execute(
            text("""
                INSERT INTO allocation (allocation_id, billing_event_id, invoice_id,
                                        invoice_line_id, quantity, amount, recorded_at, recorded_on)
                SELECT gen_random_uuid(), billing_event_id, gen_random_uuid(), gen_random_uuid(),
                       8, 1440, now(), :later
                FROM billing_event WHERE billing_event_id <> CAST(:first AS uuid) LIMIT 1
            """),
            {"later": later, "first": first},
        )
    assert amounts(await asked(engine)) == ["4860.00"]
    assert amounts(await asked(engine, later)) == ["3420.00"]
    assert amounts(before) == ["5760.00"]
    assert not (await asked(engine, SOON - timedelta(days=5))).lines


@pytest.mark.parametrize(
    ("days", "bucket"),
    [
        (30, "up_to_30_days"),
        (31, "from_31_to_60_days"),
        (60, "from_31_to_60_days"),
        (61, "from_61_to_90_days"),
        (90, "from_61_to_90_days"),
        (91, "over_90_days"),
    ],
)
async def test_age_counts_from_the_last_day_of_service(
    engine: AsyncEngine, days: int, bucket: str
) -> None:
    worked_on = SOON - timedelta(days=days)
    entry = an_approved_entry(1, work_date=worked_on.isoformat())
    await take(engine, recorded(), activated(a_contract()), approved(entry))
    [line] = (await asked(engine)).lines
    assert getattr(line, bucket).amount == line.amount.amount == "1440.00"


async def test_it_is_narrowed_by_person_and_line(engine: AsyncEngine) -> None:
    await at_work(engine)
    assert amounts(await asked(engine, person_id=an_id("131"))) == ["2880.00"]
    other = ContractLineId(an_id("b199"))
    assert not (await asked(engine, contract_line_id=other)).lines
    assert not (await asked(engine, legal_entity_ids=[an_id("e9")])).totals


async def test_pages_hold_every_line_once_and_the_same_totals(engine: AsyncEngine) -> None:
    await at_work(engine)
    first = await asked(engine, by=WipGrouping.PERSON, page=Page(1, None))
    assert len(first.lines) == 1
    assert [total.amount for total in first.totals] == ["5760.00"]
