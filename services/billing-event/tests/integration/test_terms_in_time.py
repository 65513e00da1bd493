"""Work is priced by the terms of its day, held after the end, told of when terms overtook it."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest
from billing_event_builders import (
    a_contract,
    activated,
    an_approved_entry,
    an_id,
    approved,
    recorded,
)
from billing_event_world import assert_sound, fetch, limit, rows, take, totals, unrated
from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncEngine

from billing_event import schedules
from throughline.customer_contract.events.v1 import customer_contract_events_pb2 as contracts
from throughline.customer_contract.v1 import contract_pb2
from throughline_runtime.context import Context

MoveClock = Callable[[datetime], None]
HOURS = 1
SUPPORT = 2


def a_version(number: int, effective_on: str, rate: str) -> contract_pb2.Contract:
    contract = a_contract(version=number, rates={"senior_consultant": rate})
    contract.version = number + 2
    contract.terms_effective_on = effective_on
    return contract


def amended(contract: contract_pb2.Contract, *, line: int = HOURS) -> contracts.ContractAmended:
    event = contracts.ContractAmended(
        contract=contract,
        engagement_id=contract.engagement_id,
        correlation_id=contract.correlation_id,
        change_order_number=f"CO-{contract.contract_version:06d}",
    )
    event.changes.add(
        kind=contract_pb2.TERM_CHANGE_KIND_ALTERED,
        contract_line_id=contract.lines[line].contract_line_id,
        term="rates[senior_consultant].hourly_rate",
    )
    return event


def terminated(on: str, contract: contract_pb2.Contract | None = None) -> Any:
    ended = contract_pb2.Contract()
    ended.CopyFrom(contract or a_contract())
    ended.version += 5
    ended.terminated_on, ended.termination_reason = on, "the programme stops"
    return contracts.ContractTerminated(contract=ended)


def completed(on: str) -> contracts.ContractCompleted:
    done = a_contract()
    done.version += 5
    done.completed_on = on
    return contracts.ContractCompleted(contract=done)


def work(number: int, day: str, **different: Any) -> Message:
    entry = an_approved_entry(number, work_date=day, minutes=60, **different)
    return approved(entry, number=number)


async def problems(engine: AsyncEngine, context: Context) -> list[str]:
    await schedules.report_changes(context)
    found = await fetch(engine, "SELECT kind, reason FROM exception_item WHERE closed_at IS NULL")
    return [f"{row.kind}: {row.reason}" for row in found]


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_each_day_has_the_price_of_its_terms_in_whatever_order_they_arrive(
    engine: AsyncEngine, order: Sequence[int]
) -> None:
    events = (
        activated(a_version(1, "2026-08-24", "180.00")),
        amended(a_version(2, "2026-10-01", "190.00")),
        amended(a_version(3, "2026-11-01", "200.00")),
    )
    await take(engine, recorded())
    for index in (*order, *order):
        await take(engine, events[index])
    for number, day in enumerate(("2026-09-07", "2026-10-05", "2026-11-02"), start=1):
        await take(engine, work(number, day))

    assert [amount for amount, *_ in await rows(engine)] == ["180.00", "190.00", "200.00"]
    assert await unrated(engine) == []
    await assert_sound(engine)


async def test_work_waits_while_terms_that_may_price_it_are_missing(engine: AsyncEngine) -> None:
    await take(engine, recorded(), activated(a_version(1, "2026-08-24", "180.00")))
    await take(engine, amended(a_version(3, "2026-11-01", "200.00")))
    await take(engine, work(1, "2026-10-05"), work(2, "2026-11-02"))
    assert [amount for amount, *_ in await rows(engine)] == ["200.00"]
    assert await unrated(engine) == ["contract_not_active"]

    await take(engine, amended(a_version(2, "2026-10-01", "190.00")))
    assert [amount for amount, *_ in await rows(engine)] == ["190.00", "200.00"]


async def test_work_that_a_retroactive_change_overtakes_is_told_of_until_it_is_corrected(
    engine: AsyncEngine, context: Context
) -> None:
    await take(engine, recorded(), activated(a_version(1, "2026-08-24", "180.00")))
    await take(engine, work(1, "2026-09-07"), work(2, "2026-10-05"))
    await take(engine, amended(a_version(2, "2026-10-01", "190.00")))

    [told] = await problems(engine, context)
    assert told == (
        "contract.rerating_needed: re-rating needed: 1 rated items of 2026-10-01 and later, 0 of"
        " them invoiced, fall under prices changed by CO-000002"
    )
    assert [amount for amount, *_ in await rows(engine)] == ["180.00", "180.00"]

    back = an_approved_entry(3, work_date="2026-10-05", minutes=-60)
    back.reverses_time_entry_id = str(an_id("15000002"))
    again = an_approved_entry(4, work_date="2026-10-05", minutes=60)
    await take(engine, approved(back, again, number=3))
    assert await problems(engine, context) == []
    assert (await totals(engine))["positions"]["rated.EUR"] == 180 + 190


async def test_an_amended_limit_is_enforced_at_once(engine: AsyncEngine) -> None:
    first = a_contract(not_to_exceed="180.00")
    second = a_contract(not_to_exceed="360.00", version=2)
    second.version, second.terms_effective_on = 4, "2026-12-01"
    await take(engine, recorded(), activated(first), work(1, "2026-09-07"), work(2, "2026-09-08"))
    assert [status for _, status, _ in await rows(engine)] == ["released", "held"]
    await take(engine, amended(second))
    assert [status for _, status, _ in await rows(engine)] == ["released", "released"]
    assert await limit(engine) == ("360.00", "360.00", "0.00")


async def test_work_after_the_end_of_its_line_is_held(engine: AsyncEngine) -> None:
    second = a_version(2, "2026-10-01", "180.00")
    second.lines[HOURS].ended_on = "2026-10-01"
    await take(engine, recorded(), activated(a_version(1, "2026-08-24", "180.00")))
    await take(engine, amended(second), work(1, "2026-09-30"), work(2, "2026-10-01"))
    assert await rows(engine) == [("180.00", "released", ""), ("180.00", "held", "outside_term")]


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_early_work_on_an_added_line_is_picked_up_and_held_until_its_first_day(
    engine: AsyncEngine, order: Sequence[int]
) -> None:
    first, second = a_version(1, "2026-08-24", "180.00"), a_version(2, "2026-10-01", "180.00")
    del first.lines[HOURS]
    day = {"work_date": "2026-10-02"}
    events = (
        activated(first),
        amended(second),
        approved(an_approved_entry(1), an_approved_entry(2, **day)),
    )
    await take(engine, recorded())
    for index in order:
        await take(engine, events[index])
    assert await rows(engine) == [("1440.00", "held", "outside_term"), ("1440.00", "released", "")]


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_work_from_the_day_of_termination_on_is_held(
    engine: AsyncEngine, context: Context, order: Sequence[int]
) -> None:
    events = (
        activated(a_contract()),
        terminated("2026-10-05"),
        approved(
            an_approved_entry(1, work_date="2026-10-04"),
            an_approved_entry(2, work_date="2026-10-05"),
        ),
    )
    await take(engine, recorded(credit_hold=True))
    for index in (*order, *order):
        await take(engine, events[index])
    assert await rows(engine) == [
        ("1440.00", "held", "credit_hold"),
        ("1440.00", "held", "contract_not_active credit_hold"),
    ]
    assert await problems(engine, context) == []


async def test_work_released_before_the_end_was_known_is_told_of(
    engine: AsyncEngine, context: Context
) -> None:
    await take(engine, recorded(), activated(a_contract()), work(1, "2026-10-05"))
    await take(engine, terminated("2026-10-01"))
    [told] = await problems(engine, context)
    assert told.startswith("contract.released_after_end: 1 items of 2026-10-01 and later")


async def charge(context: Context, move_clock: MoveClock, day: int) -> None:
    move_clock(datetime(2026, 11, day, 12, 0, tzinfo=UTC))
    await schedules.charge_recurring(context)


def in_advance(*, months: int = 1) -> contract_pb2.Contract:
    contract = a_contract()
    support = contract.lines[SUPPORT].terms
    support.in_advance, support.period_months = True, months
    return contract


async def test_what_was_billed_in_advance_past_the_end_is_taken_back(
    engine: AsyncEngine, context: Context, move_clock: MoveClock
) -> None:
    contract = in_advance()
    await take(engine, recorded(), activated(contract))
    await charge(context, move_clock, 5)
    assert [amount for amount, *_ in await rows(engine)] == ["2500.00"] * 3

    for _ in range(2):
        await take(engine, terminated("2026-10-16", contract))
    positions = (await totals(engine))["positions"]
    # October has 31 days: fifteen are left, and nothing of November.
    assert positions["rated.EUR"] == positions["released.EUR"] == Decimal("3709.68")
    await charge(context, move_clock, 30)
    assert (await totals(engine))["positions"] == positions
    await assert_sound(engine)


async def test_periods_in_arrears_stop_with_the_contract_and_the_last_is_prorated(
    engine: AsyncEngine, context: Context, move_clock: MoveClock
) -> None:
    await take(engine, recorded(), activated(a_contract()), terminated("2026-10-16"))
    await charge(context, move_clock, 30)
    assert [amount for amount, *_ in await rows(engine)] == ["2500.00", "1209.68"]


async def test_a_contract_that_was_completed_charges_its_last_period_whole(
    engine: AsyncEngine, context: Context, move_clock: MoveClock
) -> None:
    await take(engine, recorded(), activated(a_contract()), completed("2026-10-15"))
    await charge(context, move_clock, 30)
    assert [amount for amount, *_ in await rows(engine)] == ["2500.00", "2500.00"]
    await take(engine, work(1, "2026-10-15"), work(2, "2026-10-16"))
    assert sorted(row[1:] for row in await rows(engine)) == [
        ("held", "contract_not_active"),
        *[("released", "")] * 3,
    ]


async def test_what_is_not_billed_yet_is_held_with_an_owner_and_told_of(
    engine: AsyncEngine, context: Context
) -> None:
    contract = a_contract()
    contract.holdback.percent = "10"
    await take(engine, recorded(), activated(contract), work(1, "2026-10-05"))
    assert [row[1:] for row in await rows(engine)] == [("held", "unmapped")]
    [hold] = await fetch(engine, "SELECT owner, advice FROM hold")
    assert hold.owner == "finance"
    assert "change the contract" in hold.advice
    assert await problems(engine, context) == [
        "contract.not_all_billed: not billed by itself: a holdback"
    ]


async def test_a_purchase_order_pays_up_to_its_amount_for_the_days_it_is_valid(
    engine: AsyncEngine,
) -> None:
    contract = a_contract()
    order = contract.purchase_orders.add(
        number="PO-1", valid_from="2026-09-01", valid_to="2026-10-01"
    )
    order.amount.amount, order.amount.currency = "270.00", "EUR"
    await take(engine, recorded(), activated(contract))
    await take(engine, work(1, "2026-09-07"), work(2, "2026-09-08"), work(3, "2026-10-01"))
    assert await rows(engine) == [
        ("180.00", "released", ""),
        ("90.00", "released", ""),
        ("90.00", "held", "limit_exceeded"),
    ]
    assert await unrated(engine) == ["unmapped"]
    found = await fetch(engine, "SELECT DISTINCT purchase_order_number AS po FROM billing_event")
    assert {row.po for row in found} == {"PO-1"}

    raised = a_contract(version=2)
    raised.version = 4
    raised.purchase_orders.add().CopyFrom(order)
    raised.purchase_orders[0].amount.amount = "360.00"
    raised.purchase_orders[0].ClearField("valid_to")
    await take(engine, amended(raised))
    assert [row[1:] for row in await rows(engine)] == [
        ("released", ""),
        ("released", ""),
        ("released", ""),
        ("held", "limit_exceeded"),
    ]
    assert await limit(engine) == ("360.00", "360.00", "0.00")
    await assert_sound(engine)
