"""Each hour lent is charged once, between the entities of its own day, whatever comes first."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest
from billing_event_builders import (
    CONTRACT,
    ENTITY,
    NOW,
    PERSON,
    a_contract,
    activated,
    an_approved_entry,
    an_id,
    approved,
    published,
    recorded,
)
from billing_event_world import assert_sound, events_out, fetch, rows, take, totals
from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncEngine

from billing_event import schedules
from billing_event.commands import rate
from billing_event.wire import received
from throughline.billing_event.events.v1 import billing_event_events_pb2 as own
from throughline.billing_event.v1 import intercompany_service_pb2 as pb
from throughline.billing_event.v1.intercompany_service_pb2_grpc import IntercompanyServiceStub
from throughline.customer_contract.events.v1 import customer_contract_events_pb2 as contracts
from throughline.customer_contract.v1 import rate_card_pb2
from throughline.project_provisioning.v1 import work_pb2
from throughline_runtime import database
from throughline_runtime.context import Context
from throughline_testing.serving import Running, a_caller
from throughline_testing.statements import Statements

LENDER = an_id("e2")
KNOWN = (recorded(), activated(a_contract()))


def a_transfer_card(
    rate: str = "120.00", *, version: int = 1, card: str = "d2", borrower: Any = None
) -> contracts.RateCardPublished:
    event = published({"senior_consultant": rate}, version=version)
    event.rate_card.rate_card_id = str(an_id(card))
    event.rate_card.code = f"IC-{card.upper()}"
    event.rate_card.legal_entity_id = str(LENDER)
    event.rate_card.purpose = rate_card_pb2.RATE_CARD_PURPOSE_TRANSFER
    if borrower is not None:
        event.rate_card.borrowing_legal_entity_id = str(borrower)
    return event


def lent(number: int, **different: Any) -> work_pb2.TimeEntry:
    return an_approved_entry(number, legal_entity_id=str(LENDER), **different)


def a_reversal(of: int, number: int) -> work_pb2.TimeEntry:
    entry = lent(number, minutes=-480)
    entry.reverses_time_entry_id = str(an_id(f"15{of:06x}"))
    return entry


async def charges(engine: AsyncEngine) -> list[tuple[str, str, str]]:
    """Return day, hours and amount of all charges."""
    found = await fetch(
        engine, "SELECT * FROM intercompany_charge ORDER BY work_date, source_item_id"
    )
    return [(f"{row.work_date}", f"{row.quantity}", f"{row.amount:.2f}") for row in found]


def told(events: Sequence[Message]) -> list[str]:
    return [
        charge.source_item_id
        for event in events
        if isinstance(event, own.IntercompanyChargesRated)
        for charge in event.charges
    ]


async def waiting(engine: AsyncEngine) -> int:
    [row] = await fetch(engine, "SELECT count(*) AS items FROM intercompany_wait")
    return int(row.items)


async def test_a_consultant_who_moves_is_lent_by_the_employer_of_each_day(
    engine: AsyncEngine,
) -> None:
    before = an_approved_entry(1, work_date="2026-09-15")
    after = lent(2, work_date="2026-09-16")
    await take(engine, *KNOWN, a_transfer_card(), approved(before, after))

    assert await charges(engine) == [("2026-09-16", "8.00", "960.00")]
    assert [amount for amount, *_ in await rows(engine)] == ["1440.00", "1440.00"]
    assert told(await events_out(engine)) == [after.time_entry_id]
    assert (await totals(engine))["intercompany"] == {"charges": 1, "amount.EUR": Decimal(960)}
    await assert_sound(engine)


async def test_nobody_owes_for_the_people_of_the_selling_entity(engine: AsyncEngine) -> None:
    await take(engine, *KNOWN, a_transfer_card(), approved(an_approved_entry(1)))
    assert await charges(engine) == []
    assert await waiting(engine) == 0


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_contract_card_and_time_may_come_in_any_order_and_twice(
    engine: AsyncEngine, order: Sequence[int]
) -> None:
    events = (activated(a_contract()), a_transfer_card(), approved(lent(1), an_approved_entry(2)))
    await take(engine, recorded())
    for index in (*order, *order):
        await take(engine, events[index])
    assert await charges(engine) == [("2026-09-07", "8.00", "960.00")]
    assert await waiting(engine) == 0
    assert len(told(await events_out(engine))) == 1


async def test_time_that_no_customer_pays_is_owed_for(engine: AsyncEngine) -> None:
    free = lent(1, billable=False)
    internal = lent(2, billable=False, contract_line_id=None)
    await take(engine, *KNOWN, a_transfer_card(), approved(free, internal))
    assert [amount for *_, amount in await charges(engine)] == ["960.00", "960.00"]
    assert await rows(engine) == []


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_time_taken_back_leaves_nothing_owed(
    engine: AsyncEngine, order: Sequence[int]
) -> None:
    events = (approved(lent(1)), approved(a_reversal(1, 2), number=2), a_transfer_card())
    await take(engine, *KNOWN)
    for index in order:
        await take(engine, events[index])
    amounts = [Decimal(amount) for *_, amount in await charges(engine)]
    assert sum(amounts) == 0
    # Both were charged where work and price had come first, and neither else.
    assert len(amounts) == (2 if order[-1] == 1 else 0)
    assert await waiting(engine) == 0


async def test_both_in_one_event_owe_nothing(engine: AsyncEngine) -> None:
    await take(engine, *KNOWN, a_transfer_card(), approved(lent(1), a_reversal(1, 2)))
    assert sum(Decimal(amount) for *_, amount in await charges(engine)) == 0


async def test_a_correction_is_charged_at_the_new_hours(engine: AsyncEngine) -> None:
    await take(engine, *KNOWN, a_transfer_card(), approved(lent(1)))
    anew = lent(3, minutes=60)
    anew.replaces_time_entry_id = str(an_id("15000001"))
    await take(engine, approved(a_reversal(1, 2), anew, number=2))
    assert sorted(amount for *_, amount in await charges(engine)) == ["-960.00", "120.00", "960.00"]


async def test_without_a_card_finance_is_asked_for_one_until_it_is_there(
    engine: AsyncEngine, context: Context
) -> None:
    await take(engine, *KNOWN, approved(lent(1), lent(2)))
    for _ in range(2):
        await schedules.report_held(context)
    [item] = await fetch(
        engine, "SELECT * FROM exception_item WHERE kind = 'intercompany.no_transfer_rate'"
    )
    assert (item.owner, item.legal_entity_id, item.occurrences) == ("finance", LENDER, 1)
    assert item.detail == {"items": 2, "minutes": 960, "since": "2026-09-07"}

    await take(engine, a_transfer_card())
    await schedules.report_held(context)
    assert len(await charges(engine)) == 2
    [item] = await fetch(
        engine, "SELECT * FROM exception_item WHERE kind = 'intercompany.no_transfer_rate'"
    )
    assert item.closed_at is not None


async def test_what_is_charged_keeps_its_price_and_later_work_takes_the_new_one(
    engine: AsyncEngine,
) -> None:
    await take(engine, *KNOWN, a_transfer_card(), approved(lent(1)))
    await take(engine, a_transfer_card("130.00", version=2), approved(lent(2), number=2))
    found = await fetch(
        engine, "SELECT unit_rate, rate_card_version FROM intercompany_charge ORDER BY rated_at"
    )
    assert sorted((f"{row.unit_rate:.2f}", row.rate_card_version) for row in found) == [
        ("120.00", 1),
        ("130.00", 2),
    ]


async def test_a_card_for_the_borrower_goes_first(engine: AsyncEngine) -> None:
    own_card = a_transfer_card("99.00", card="d3", borrower=ENTITY)
    await take(engine, *KNOWN, own_card, a_transfer_card(), approved(lent(1)))
    assert [amount for *_, amount in await charges(engine)] == ["792.00"]


async def test_time_kept_while_a_card_was_published_is_charged_by_the_schedule(
    engine: AsyncEngine, context: Context
) -> None:
    await take(engine, *KNOWN)
    async with database.write(engine) as tx:
        await rate.rate(tx, received.read_time(approved(lent(1))), at=NOW)
        await take(engine, a_transfer_card())
    assert await charges(engine) == []

    await schedules.reconsider_held(context)
    assert [amount for *_, amount in await charges(engine)] == ["960.00"]


async def test_many_entries_lent_cost_as_many_statements_as_few(
    engine: AsyncEngine, statements: Statements
) -> None:
    await take(engine, *KNOWN, a_transfer_card())
    costs = []
    for first, last in ((1, 4), (100, 400)):
        statements.clear()
        await take(engine, approved(*map(lent, range(first, last)), number=first))
        costs.append(len(statements.texts))
    assert costs[0] == costs[1]
    assert len(await charges(engine)) == 303


@pytest.mark.parametrize("first", [0, 1])
async def test_time_and_what_takes_it_back_kept_at_one_moment_cancel_each_other(
    engine: AsyncEngine, first: int
) -> None:
    await take(engine, *KNOWN, a_transfer_card())
    events = [approved(lent(1)), approved(a_reversal(1, 2), number=2)]
    async with database.write(engine) as tx:
        await rate.rate(tx, received.read_time(events[first]), at=NOW)
        other = asyncio.create_task(take(engine, events[1 - first]))
        await asyncio.wait([other], timeout=0.3)
        assert not other.done()
    await other
    assert sum(Decimal(amount) for *_, amount in await charges(engine)) == 0


async def test_charges_are_listed_and_summed_by_pair_and_month(
    engine: AsyncEngine, running: Running
) -> None:
    entries = (
        lent(1, work_date="2026-09-07"),
        lent(2, work_date="2026-09-30", minutes=25),
        lent(3, work_date="2026-10-01"),
    )
    await take(engine, *KNOWN, a_transfer_card(), approved(*entries))
    finance = running.stub(IntercompanyServiceStub, caller=a_caller("finance"))

    first = await finance.ListIntercompanyCharges(pb.ListIntercompanyChargesRequest(page_size=2))
    rest = await finance.ListIntercompanyCharges(
        pb.ListIntercompanyChargesRequest(page_size=2, page_token=first.next_page_token)
    )
    found = [*first.charges, *rest.charges]
    assert [charge.work_date for charge in found] == ["2026-09-07", "2026-09-30", "2026-10-01"]
    assert (found[1].quantity, found[1].amount.amount) == ("0.42", "50.40")
    assert not rest.next_page_token

    summed = await finance.SummarizeIntercompanyCharges(
        pb.SummarizeIntercompanyChargesRequest(page_size=1)
    )
    [september] = summed.totals
    assert (september.month, september.quantity, september.amount.amount) == (
        "2026-09-01",
        "8.42",
        "1010.40",
    )
    assert (september.lending_legal_entity_id, september.borrowing_legal_entity_id) == (
        str(LENDER),
        str(ENTITY),
    )
    october = await finance.SummarizeIntercompanyCharges(
        pb.SummarizeIntercompanyChargesRequest(page_token=summed.next_page_token)
    )
    assert [total.amount.amount for total in october.totals] == ["960.00"]


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({}, 2),
        ({"lending_legal_entity_id": str(LENDER)}, 2),
        ({"lending_legal_entity_id": str(ENTITY)}, 0),
        ({"borrowing_legal_entity_id": str(ENTITY)}, 2),
        ({"contract_id": str(CONTRACT)}, 2),
        ({"contract_id": str(an_id("b9"))}, 0),
        ({"person_id": str(PERSON)}, 2),
        ({"work_from": "2026-09-08"}, 1),
        ({"work_through": "2026-09-07"}, 1),
        ({"source_item_id": str(an_id("15000001"))}, 1),
    ],
)
async def test_a_list_shows_what_was_asked_for(
    engine: AsyncEngine, running: Running, wanted: dict[str, Any], count: int
) -> None:
    await take(engine, *KNOWN, a_transfer_card())
    await take(engine, approved(lent(1), lent(2, work_date="2026-09-08")))
    finance = running.stub(IntercompanyServiceStub, caller=a_caller("finance"))
    reply = await finance.ListIntercompanyCharges(pb.ListIntercompanyChargesRequest(**wanted))
    assert len(reply.charges) == count


async def test_lender_and_borrower_see_a_charge_and_others_do_not(
    engine: AsyncEngine, running: Running
) -> None:
    await take(engine, *KNOWN, a_transfer_card(), approved(lent(1)))
    for entity, count in ((LENDER, 1), (ENTITY, 1), (an_id("e3"), 0)):
        caller = a_caller("finance", entities=[entity])
        stub = running.stub(IntercompanyServiceStub, caller=caller)
        listed = await stub.ListIntercompanyCharges(pb.ListIntercompanyChargesRequest())
        summed = await stub.SummarizeIntercompanyCharges(pb.SummarizeIntercompanyChargesRequest())
        assert (len(listed.charges), len(summed.totals)) == (count, count)
