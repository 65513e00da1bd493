"""What is taken back, accepted in part or withdrawn nets out, whichever event comes first."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest
from billing_event_builders import (
    NOW,
    a_contract,
    activated,
    an_approved_entry,
    an_id,
    approved,
    billed,
    published,
    recorded,
)
from billing_event_world import (
    assert_sound,
    events_out,
    fetch,
    limit,
    row_ids,
    rows,
    take,
    totals,
    unrated,
)
from sqlalchemy.ext.asyncio import AsyncEngine

from billing_event import schedules
from billing_event.bulk import source
from billing_event.commands import rate
from billing_event.wire import received
from throughline.billing_event.events.v1 import billing_event_events_pb2 as own
from throughline.project_provisioning.events.v1 import (
    project_provisioning_events_pb2 as projects,
)
from throughline.project_provisioning.v1 import project_pb2, work_pb2
from throughline_runtime import database
from throughline_runtime.context import Context
from throughline_testing.samples import sample

KNOWN = (recorded(), activated(a_contract(not_to_exceed="2000.00")))
MilestoneEvent = (
    projects.MilestoneCompleted
    | projects.MilestoneAccepted
    | projects.MilestoneRejected
    | projects.MilestoneAcceptanceWithdrawn
)


def a_reversal(of: int, number: int, **different: Any) -> work_pb2.TimeEntry:
    """Return entry `number`, which takes entry `of` back."""
    entry = an_approved_entry(number, minutes=-480, **different)
    entry.reverses_time_entry_id = str(an_id(f"15{of:06x}"))
    return entry


def a_correction(of: int, number: int, **different: Any) -> work_pb2.TimeEntry:
    entry = an_approved_entry(number, **different)
    entry.replaces_time_entry_id = str(an_id(f"15{of:06x}"))
    return entry


def corrected() -> projects.TimeApproved:
    """Return the approval of entry 1 taken back and entered again with two hours less."""
    return approved(a_reversal(1, 2), a_correction(1, 3, minutes=360), number=2)


async def net(engine: AsyncEngine) -> Any:
    positions = (await totals(engine))["positions"]
    return positions["rated.EUR"], positions["released.EUR"], positions["open_released.EUR"]


async def covered(engine: AsyncEngine) -> int:
    return len(await fetch(engine, "SELECT 1 FROM covered_item"))


@pytest.mark.parametrize("order", list(permutations(range(2))))
async def test_released_time_is_taken_back_at_its_own_rate_whichever_comes_first(
    engine: AsyncEngine, order: Sequence[int]
) -> None:
    events = (approved(an_approved_entry(1)), corrected())
    await take(engine, *KNOWN)
    for index in (*order, *order):
        await take(engine, events[index])

    assert await net(engine) == (1080, 1080, 1080)
    assert await limit(engine) == ("2000.00", "1080.00", "0.00")
    assert (await totals(engine))["source_time"] == {"entries": 3, "minutes": 360}
    assert await unrated(engine) == []
    await assert_sound(engine)


async def test_what_takes_back_a_released_row_is_released_with_it(engine: AsyncEngine) -> None:
    await take(engine, *KNOWN, approved(an_approved_entry(1)))
    [row_id] = await row_ids(engine)
    await take(engine, corrected())

    released = [
        row
        for event in await events_out(engine)
        if isinstance(event, own.BillingEventsReleased)
        for row in event.billing_events
    ]
    [taker] = [row for row in released if row.reverses_billing_event_id]
    assert (taker.reverses_billing_event_id, taker.amount.amount) == (row_id, "-1440.00")
    assert (taker.minutes, taker.quantity, taker.unit_rate.amount) == (-480, "-8.00", "180.00")
    [again] = [row for row in released if row.replaces_source_item_id]
    assert again.replaces_source_item_id == str(an_id("15000001"))


async def test_a_later_rate_does_not_move_what_is_taken_back(engine: AsyncEngine) -> None:
    entry = {"role": "architect"}
    await take(engine, *KNOWN, published({"architect": "100.00"}))
    await take(engine, approved(an_approved_entry(1, **entry)))
    await take(engine, published({"architect": "150.00"}, version=2))
    await take(engine, approved(a_reversal(1, 2, **entry), number=2))
    assert await net(engine) == (0, 0, 0)


async def test_held_and_eligible_time_is_taken_back_without_ever_being_released(
    engine: AsyncEngine,
) -> None:
    await take(engine, recorded(credit_hold=True), KNOWN[1], approved(an_approved_entry(1)))
    await take(engine, corrected())
    assert await rows(engine) == [
        ("1440.00", "reversed", ""),
        ("-1440.00", "reversed", ""),
        ("1080.00", "held", "credit_hold"),
    ]
    assert not any(isinstance(e, own.BillingEventsReleased) for e in await events_out(engine))
    assert await limit(engine) == ("2000.00", "1080.00", "0.00")
    await assert_sound(engine)


async def test_what_a_limit_had_cut_is_taken_back_part_by_part(engine: AsyncEngine) -> None:
    await take(engine, recorded(), activated(a_contract(not_to_exceed="1000.80")))
    await take(engine, approved(an_approved_entry(1)), approved(an_approved_entry(4), number=4))
    await take(engine, approved(a_reversal(1, 2), number=2))
    # The room it gives back goes to what was stopped behind it.
    assert await limit(engine) == ("1000.80", "1000.80", "0.00")
    positions = (await totals(engine))["positions"]
    assert (positions["rated.EUR"], positions["released.EUR"]) == (1440, Decimal("1000.80"))
    await assert_sound(engine)


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_time_that_was_never_rated_is_explained_away(
    engine: AsyncEngine, order: Sequence[int]
) -> None:
    unpriced = {"role": "architect"}
    events = (
        approved(an_approved_entry(1, **unpriced)),
        approved(a_reversal(1, 2, **unpriced), number=2),
        published({"consultant": "1.00"}),
    )
    await take(engine, *KNOWN)
    for index in (*order, *order):
        await take(engine, events[index])
    await take(engine, published({"architect": "100.00"}, version=2))

    assert (await rows(engine), await unrated(engine)) == ([], [])
    assert await covered(engine) == 2
    await assert_sound(engine)


async def test_time_under_a_fixed_fee_is_taken_back_as_it_was_covered(engine: AsyncEngine) -> None:
    fee = {"contract_line_id": str(an_id("b101"))}
    await take(engine, *KNOWN, approved(an_approved_entry(1, **fee)))
    await take(engine, approved(a_reversal(1, 2, **fee), number=2))
    assert (await totals(engine))["source_time"] == {"entries": 2, "minutes": 0}
    assert (await rows(engine), await unrated(engine)) == ([], [])
    await assert_sound(engine)


async def test_the_same_time_is_not_taken_back_by_two_entries(engine: AsyncEngine) -> None:
    await take(engine, *KNOWN, approved(an_approved_entry(1)))
    await take(engine, approved(a_reversal(1, 2), a_reversal(1, 3), number=2))
    assert await net(engine) == (0, 0, 0)
    assert await unrated(engine) == ["source_changed"]
    await assert_sound(engine)


async def test_what_is_invoiced_becomes_a_credit_to_come(engine: AsyncEngine) -> None:
    await take(engine, *KNOWN, approved(an_approved_entry(1)))
    await take(engine, billed(((await row_ids(engine))[0], "8.00", "1440.00")))
    await take(engine, approved(a_reversal(1, 2), number=2))
    assert await net(engine) == (0, 0, -1440)
    assert await limit(engine) == ("2000.00", "-1440.00", "1440.00")

    await take(engine, billed(((await row_ids(engine))[1], "-8.00", "-1440.00"), invoice="1a2"))
    assert await limit(engine) == ("2000.00", "0.00", "0.00")
    await assert_sound(engine)


async def test_a_reversal_that_missed_its_original_in_flight_is_found(
    engine: AsyncEngine, context: Context
) -> None:
    """As if the two were recorded at one moment, when neither could see the other."""
    await take(engine, *KNOWN, approved(a_reversal(1, 2), number=2))
    [waiting] = await unrated(engine)
    async with database.write(engine) as tx:
        [item] = received.read_time(approved(an_approved_entry(1)))
        await source.add_items(tx, [item], at=NOW)
        judge = await rate.make_judge(tx, [item], at=NOW)
        judge.decide_new([item])
        await rate.keep(tx, judge, at=NOW)

    await schedules.reconsider_held(context)
    assert (waiting, await unrated(engine)) == ("source_changed", [])
    assert await net(engine) == (0, 0, 0)
    await assert_sound(engine)


@pytest.mark.parametrize("order", list(permutations(range(2))))
async def test_an_expense_is_taken_back_with_its_markup(
    engine: AsyncEngine, order: Sequence[int]
) -> None:
    report = sample(projects.ExpenseReportApproved)
    back = projects.ExpenseReportApproved()
    back.CopyFrom(report)
    back.expense_report_id = str(an_id("173"))
    [line] = back.lines
    line.reverses_expense_line_id, line.expense_line_id = line.expense_line_id, str(an_id("174"))
    line.net_amount.amount = f"-{line.net_amount.amount}"
    await take(engine, *KNOWN)
    for index in order:
        await take(engine, (report, back)[index])
    assert await net(engine) == (0, 0, 0)
    assert (await totals(engine))["source_expenses"] == {"lines": 2, "net.EUR": 0}
    await assert_sound(engine)


def a_split() -> list[MilestoneEvent]:
    """Return a milestone of 9,600.00 accepted for 4,000.00, and its rest accepted later."""
    completed, accepted = sample(projects.MilestoneCompleted), sample(projects.MilestoneAccepted)
    accepted.milestone.amount.amount = "4000.00"
    rest = accepted.rest
    rest.CopyFrom(completed.milestone)
    rest.milestone_id, rest.version, rest.key = str(an_id("1309")), 1, "kickoff_rest"
    rest.amount.amount = "5600.00"
    rest.split_from_milestone_id = completed.milestone.milestone_id
    of_rest = projects.MilestoneCompleted(
        milestone=rest,
        engagement_id=accepted.engagement_id,
        correlation_id=accepted.correlation_id,
    )
    rest_accepted = projects.MilestoneAccepted(
        milestone=rest,
        engagement_id=accepted.engagement_id,
        correlation_id=accepted.correlation_id,
    )
    rest_accepted.milestone.version = 2
    rest_accepted.milestone.accepted_on = "2026-10-20"
    return [completed, accepted, of_rest, rest_accepted]


@pytest.mark.parametrize("order", list(permutations(range(4))))
async def test_an_acceptance_in_part_and_of_the_rest_sum_to_the_whole_in_any_order(
    engine: AsyncEngine, order: Sequence[int]
) -> None:
    events = a_split()
    await take(engine, *KNOWN)
    for index in (*order, *order):
        await take(engine, events[index])

    positions = (await totals(engine))["positions"]
    assert positions["rated.EUR"] == 9600
    assert (positions["held.EUR"], positions["released.EUR"]) == (0, 4000)
    assert positions["eligible.EUR"] == 5600
    assert (await totals(engine))["source_milestones"] == {
        "accepted": 2,
        "accepted_amount.EUR": 9600,
    }
    await assert_sound(engine)


async def test_what_was_not_accepted_is_held_as_a_thing_of_its_own(engine: AsyncEngine) -> None:
    completed, accepted, *_ = a_split()
    await take(engine, *KNOWN, completed)
    await take(engine, accepted)
    assert await rows(engine) == [
        ("9600.00", "reversed", ""),
        ("-9600.00", "reversed", ""),
        ("4000.00", "released", ""),
        ("5600.00", "held", "awaiting_acceptance"),
    ]


def a_return() -> projects.MilestoneAcceptanceWithdrawn:
    """Return the withdrawal of the part of `a_split`: the rest goes back into the milestone."""
    completed, accepted, *_ = a_split()
    event = a_withdrawal()
    event.milestone.CopyFrom(completed.milestone)
    event.milestone.version = 5
    assert isinstance(accepted, projects.MilestoneAccepted)
    event.rest.CopyFrom(accepted.rest)
    event.rest.version, event.rest.amount.amount = 2, "0.00"
    event.rest.status = project_pb2.MILESTONE_STATUS_CANCELLED
    return event


@pytest.mark.parametrize("order", list(permutations(range(4))))
async def test_a_rest_that_went_back_is_billed_with_its_milestone_in_any_order(
    engine: AsyncEngine, order: Sequence[int]
) -> None:
    completed, accepted, *_ = a_split()
    again = sample(projects.MilestoneAccepted)
    again.milestone.version = 6
    events = (completed, accepted, a_return(), again)
    await take(engine, *KNOWN)
    for index in (*order, *order):
        await take(engine, events[index])

    positions = (await totals(engine))["positions"]
    assert (positions["rated.EUR"], positions["held.EUR"]) == (9600, 0)
    assert (await totals(engine))["source_milestones"] == {
        "accepted": 1,
        "accepted_amount.EUR": 9600,
    }
    await assert_sound(engine)


async def test_what_went_back_waits_as_one_amount(engine: AsyncEngine) -> None:
    completed, accepted, *_ = a_split()
    await take(engine, *KNOWN, completed)
    await take(engine, accepted)
    await take(engine, a_return())

    positions = (await totals(engine))["positions"]
    assert (positions["rated.EUR"], positions["held.EUR"]) == (9600, 9600)
    [hold] = await fetch(engine, "SELECT reason FROM hold WHERE cleared_at IS NULL")
    assert hold.reason == "awaiting_acceptance"


def a_withdrawal() -> projects.MilestoneAcceptanceWithdrawn:
    accepted = sample(projects.MilestoneAccepted)
    event = projects.MilestoneAcceptanceWithdrawn(
        milestone=accepted.milestone,
        engagement_id=accepted.engagement_id,
        correlation_id=accepted.correlation_id,
        reason="signed by the wrong person",
    )
    event.milestone.version = 4
    return event


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_a_withdrawn_acceptance_leaves_the_milestone_waiting_in_any_order(
    engine: AsyncEngine, order: Sequence[int]
) -> None:
    events = (
        sample(projects.MilestoneCompleted),
        sample(projects.MilestoneAccepted),
        a_withdrawal(),
    )
    await take(engine, *KNOWN)
    for index in (*order, *order):
        await take(engine, events[index])

    positions = (await totals(engine))["positions"]
    assert (positions["rated.EUR"], positions["held.EUR"]) == (9600, 9600)
    [hold] = await fetch(engine, "SELECT detail FROM hold WHERE cleared_at IS NULL")
    assert hold.detail == "the client's acceptance was withdrawn: signed by the wrong person"
    assert (await totals(engine))["source_milestones"]["accepted"] == 0
    await assert_sound(engine)
