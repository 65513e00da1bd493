"""Retainers: what work draws, what is beyond the balance, what the end of a period brings."""

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import uuid4

import pytest
from billing_event_builders import (
    SUPPORT,
    a_contract,
    activated,
    an_approved_entry,
    an_id,
    approved,
    recorded,
)
from billing_event_world import assert_sound, events_out, fetch
from google.protobuf.message import Message
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from billing_event.commands import rate, retainer
from billing_event.consumers import subscriptions
from throughline.billing_event.events.v1 import billing_event_events_pb2 as own
from throughline.billing_event.v1 import retainer_pb2
from throughline.billing_event.v1 import retainer_service_pb2 as pb
from throughline.billing_event.v1.retainer_service_pb2_grpc import RetainerServiceStub
from throughline.customer_contract.events.v1 import customer_contract_events_pb2 as contracts
from throughline.customer_contract.v1 import contract_pb2, quote_pb2
from throughline.project_provisioning.events.v1 import (
    project_provisioning_events_pb2 as projects,
)
from throughline_core.errors import Refusal
from throughline_runtime import database
from throughline_runtime.clock import Clock
from throughline_testing.samples import sample
from throughline_testing.serving import Running, a_caller

SALES = a_caller("sales_operations", subject="user:sam.sales")
FINANCE = a_caller("finance", subject="user:fin")
CARRY = quote_pb2.RETAINER_ROLL_OVER_CARRY
BILL = quote_pb2.RETAINER_OVERAGE_BILL
HOLD = quote_pb2.RETAINER_OVERAGE_HOLD
ZONE = "Europe/Berlin"


class Calendar(Clock):
    """The day of a test, which it may turn to another."""

    at = datetime(2026, 9, 14, 7, 30, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


CALENDAR = Calendar()
BY_MESSAGE = {each.message: each for each in subscriptions(CALENDAR)}


async def take(engine: AsyncEngine, *events: Message) -> None:
    """Hand events over on the day of the calendar, each in a transaction of its own."""
    for event in events:
        async with database.write(engine) as tx:
            await BY_MESSAGE[type(event)].function(tx, [event])


def a_retainer(
    hours: str = "20",
    price: str = "3000.00",
    *,
    roll_over: quote_pb2.RetainerRollOver.ValueType = CARRY,
    limit: str = "50",
    expires: int = 1,
    overage: quote_pb2.RetainerOverage.ValueType = HOLD,
    overage_rate: str = "",
    version: int = 1,
) -> contract_pb2.Contract:
    """Return the story's contract, its support line a retainer by the month from 1 September."""
    contract = a_contract(version=version)
    [line] = [each for each in contract.lines if each.contract_line_id == str(SUPPORT)]
    terms = line.terms
    terms.billing_model = quote_pb2.BILLING_MODEL_RETAINER
    terms.unit_price.amount = price
    block = terms.retainer
    block.period_months, block.roll_over, block.overage = 1, roll_over, overage
    block.roll_over_limit_percent, block.expires_after_periods = limit, expires
    if hours:
        block.hours = hours
    else:
        agreed = terms.rates.add(role="senior_consultant", planned_hours="0")
        agreed.hourly_rate.amount, agreed.hourly_rate.currency = "180.00", "EUR"
    if overage_rate:
        block.overage_rate.amount, block.overage_rate.currency = overage_rate, "EUR"
    return contract


def work(number: int, minutes: int, day: str = "2026-09-07", **other: str) -> projects.TimeApproved:
    entry = an_approved_entry(
        number, minutes=minutes, work_date=day, contract_line_id=str(SUPPORT), **other
    )
    return approved(entry, number=number)


def reversal(number: int, of: int, minutes: int, day: str = "2026-09-07") -> projects.TimeApproved:
    return work(number, -minutes, day, reverses_time_entry_id=str(an_id(f"15{of:06x}")))


async def turn(engine: AsyncEngine, day: str) -> None:
    """Go to this day, and let schedules charge blocks, begin periods and end them."""
    today = date.fromisoformat(day)
    CALENDAR.at = at = datetime(today.year, today.month, today.day, 9, tzinfo=UTC)
    async with database.write(engine) as tx:
        await rate.charge(tx, {ZONE: today}, at=at, limit=100)
    async with database.write(engine) as tx:
        await retainer.turn_due(tx, {ZONE: today}, at=at)


async def draws(engine: AsyncEngine) -> list[tuple[str, str, str, str]]:
    """Return type, quantity, amount and status of the rows of work, as they came."""
    found = await fetch(
        engine,
        """SELECT type, quantity, amount, status FROM billing_event
           JOIN position USING (billing_event_id, quantity, amount)
           WHERE type <> 'recurring' ORDER BY rated_at, source_item_id, part""",
    )
    return [(row.type, f"{row.quantity:.2f}", f"{row.amount:.2f}", row.status) for row in found]


async def balances(engine: AsyncEngine, count: int = 2) -> list[tuple[str, ...]]:
    """Return status, granted, carried in, drawn, carried out, lapsed, balance of the periods."""
    found = await fetch(
        engine,
        """SELECT status, granted, carried_in, drawn, carried_out, lapsed, balance
           FROM retainer_period ORDER BY period_from LIMIT :count""",
        count=count,
    )
    return [(row[0], *(f"{figure:.2f}" for figure in row[1:])) for row in found]


async def the_periods(running: Running) -> list[retainer_pb2.RetainerPeriod]:
    request = pb.ListRetainerPeriodsRequest(contract_line_id=str(SUPPORT))
    stub = running.stub(RetainerServiceStub, caller=FINANCE)
    return list((await stub.ListRetainerPeriods(request)).retainer_periods)


async def refusal_of(call: object) -> str:
    with pytest.raises(Refusal) as refused:
        await call  # type: ignore[misc]  # a call of a stub
    return refused.value.stable_code


@pytest.fixture(autouse=True)
def in_september(move_clock: Callable[[datetime], None]) -> None:
    CALENDAR.at = Calendar.at
    move_clock(Calendar.at)


async def test_the_block_is_charged_in_advance_and_work_draws_on_it(engine: AsyncEngine) -> None:
    await take(engine, recorded(), activated(a_retainer()))
    await turn(engine, "2026-09-01")
    [block] = await fetch(
        engine, "SELECT amount, treatment, service_from FROM billing_event WHERE type = 'recurring'"
    )
    assert (block.amount, block.treatment) == (Decimal(3000), "prepayment")

    await take(engine, work(1, 450))
    assert await draws(engine) == [("retainer_draw", "7.50", "1125.00", "released")]
    assert await balances(engine, 1) == [("open", "20.00", "0.00", "7.50", "0.00", "0.00", "12.50")]
    [claim] = await fetch(engine, "SELECT kind, quantity, amount FROM allocation")
    assert (claim.kind, claim.quantity, claim.amount) == ("retainer", Decimal("7.5"), Decimal(1125))
    await assert_sound(engine)


async def test_draws_of_a_whole_block_sum_to_its_price(engine: AsyncEngine) -> None:
    await take(engine, recorded(), activated(a_retainer("9", "1000.00")))
    await take(engine, *(work(number, 180) for number in (1, 2, 3)))
    amounts = [Decimal(amount) for _, _, amount, _ in await draws(engine)]
    assert sum(amounts) == Decimal("1000.00")
    assert amounts == [Decimal("333.33"), Decimal("333.34"), Decimal("333.33")]
    await assert_sound(engine)


async def test_beyond_the_balance_work_is_held_until_more_is_agreed(
    engine: AsyncEngine, running: Running
) -> None:
    await take(engine, recorded(), activated(a_retainer("2", "300.00")))
    await turn(engine, "2026-09-01")
    await take(engine, work(1, 180))
    assert await draws(engine) == [
        ("retainer_draw", "2.00", "300.00", "released"),
        ("retainer_draw", "1.00", "150.00", "held"),
    ]
    [hold] = await fetch(engine, "SELECT reason, advice FROM hold WHERE cleared_at IS NULL")
    assert hold.reason == "limit_exceeded"
    assert "top-up" in hold.advice

    period = (await the_periods(running))[0]
    sales, finance = (running.stub(RetainerServiceStub, caller=who) for who in (SALES, FINANCE))
    proposal = pb.ProposeRetainerTopUpRequest(
        request_id=str(uuid4()),
        retainer_period_id=period.retainer_period_id,
        quantity="4",
        reason="two more workshops",
    )
    proposal.price.amount, proposal.price.currency = "640.00", "EUR"
    top_up = (await sales.ProposeRetainerTopUp(proposal)).retainer_top_up
    assert (await sales.ProposeRetainerTopUp(proposal)).retainer_top_up == top_up

    def approve() -> pb.ApproveRetainerTopUpRequest:
        return pb.ApproveRetainerTopUpRequest(
            request_id=str(uuid4()), retainer_top_up_id=top_up.retainer_top_up_id
        )

    assert await refusal_of(sales.ApproveRetainerTopUp(approve())) == "retainer_top_up.own"
    done = await finance.ApproveRetainerTopUp(approve())
    assert (done.retainer_period.granted, done.retainer_period.balance) == ("6.00", "3.00")
    assert (await draws(engine))[1:] == [
        ("retainer_draw", "1.00", "150.00", "reversed"),
        ("retainer_draw", "-1.00", "-150.00", "reversed"),
        ("retainer_draw", "1.00", "160.00", "released"),
    ]
    blocks = await fetch(
        engine,
        """SELECT amount FROM billing_event WHERE type = 'recurring' AND treatment = 'prepayment'
           ORDER BY amount""",
    )
    assert [row.amount for row in blocks] == [Decimal(300), Decimal(640)]
    again = finance.ApproveRetainerTopUp(approve())
    assert await refusal_of(again) == "request.illegal_transition"
    await assert_sound(engine)


@pytest.mark.parametrize(("rate_", "amount"), [("200.00", "200.00"), ("", "180.00")])
async def test_beyond_the_balance_work_is_billed_at_the_overage_rate_or_the_agreed_ones(
    engine: AsyncEngine, rate_: str, amount: str
) -> None:
    contract = a_retainer("2", "300.00", overage=BILL, overage_rate=rate_)
    for line in contract.lines:
        if line.contract_line_id == str(SUPPORT):
            agreed = line.terms.rates.add(role="senior_consultant", planned_hours="0")
            agreed.hourly_rate.amount, agreed.hourly_rate.currency = "180.00", "EUR"
    await take(engine, recorded(), activated(contract))
    await take(engine, work(1, 180))
    assert await draws(engine) == [
        ("retainer_draw", "2.00", "300.00", "released"),
        ("time", "1.00", amount, "released"),
    ]
    await assert_sound(engine)


async def test_work_beyond_the_balance_waits_for_a_rate_as_a_whole(engine: AsyncEngine) -> None:
    await take(engine, recorded(), activated(a_retainer("2", "300.00", overage=BILL)))
    await take(engine, work(1, 180, role="juggler"))
    assert await draws(engine) == []
    [hold] = await fetch(engine, "SELECT reason FROM hold WHERE cleared_at IS NULL")
    assert hold.reason == "missing_rate"
    assert (await balances(engine, 1))[0][-1] == "2.00"


async def test_what_is_left_is_carried_on_up_to_the_limit_and_then_expires(
    engine: AsyncEngine,
) -> None:
    await take(engine, recorded(), activated(a_retainer()))
    await turn(engine, "2026-09-01")
    await take(engine, work(1, 300))
    for _ in range(2):
        await turn(engine, "2026-10-01")
    assert await balances(engine) == [
        ("closed", "20.00", "0.00", "5.00", "10.00", "5.00", "0.00"),
        ("open", "20.00", "10.00", "0.00", "0.00", "0.00", "30.00"),
    ]
    # What expires first is drawn first: the 10 hours of September, then the month's own.
    await take(engine, work(2, 720, "2026-10-05"))
    assert [row[1] for row in (await draws(engine))[1:]] == ["10.00", "2.00"]
    await turn(engine, "2026-11-01")
    assert (await balances(engine, 3))[1:] == [
        ("closed", "20.00", "10.00", "12.00", "10.00", "8.00", "0.00"),
        ("open", "20.00", "10.00", "0.00", "0.00", "0.00", "30.00"),
    ]
    lapsed = [
        (event.retainer_period.period_from, event.lapsed_amount.amount)
        for event in await events_out(engine)
        if isinstance(event, own.RetainerPeriodChanged) and event.HasField("lapsed_amount")
    ]
    assert lapsed == [("2026-09-01", "750.00"), ("2026-10-01", "1200.00")]
    await assert_sound(engine)


async def test_missed_days_are_caught_up_period_by_period(engine: AsyncEngine) -> None:
    await take(engine, recorded(), activated(a_retainer(limit="", expires=2)))
    await turn(engine, "2026-11-15")
    assert await balances(engine, 3) == [
        ("closed", "20.00", "0.00", "0.00", "20.00", "0.00", "0.00"),
        ("closed", "20.00", "20.00", "0.00", "20.00", "20.00", "0.00"),
        ("open", "20.00", "20.00", "0.00", "0.00", "0.00", "40.00"),
    ]


async def test_late_work_draws_on_what_was_carried_on_and_never_on_a_later_block(
    engine: AsyncEngine,
) -> None:
    await take(engine, recorded(), activated(a_retainer("4", "600.00")))
    await turn(engine, "2026-10-01")
    await take(engine, work(1, 180, "2026-09-30"))
    assert await draws(engine) == [
        ("retainer_draw", "2.00", "300.00", "released"),
        ("retainer_draw", "1.00", "150.00", "held"),
    ]
    assert (await balances(engine))[1] == (
        "open", "4.00", "2.00", "2.00", "0.00", "0.00", "4.00",
    )  # fmt: skip


async def test_a_reversal_gives_back_and_lets_waiting_work_go_on(engine: AsyncEngine) -> None:
    await take(engine, recorded(), activated(a_retainer("2", "300.00")))
    await take(engine, work(1, 120))
    await take(engine, work(2, 60))
    await take(engine, reversal(3, 1, 120))
    assert (await balances(engine, 1))[0] == (
        "open", "2.00", "0.00", "1.00", "0.00", "0.00", "1.00",
    )  # fmt: skip
    [net] = await fetch(engine, "SELECT sum(amount) AS amount FROM allocation")
    assert net.amount == Decimal(150)
    await assert_sound(engine)


async def test_work_reversed_after_the_end_goes_where_the_rest_went(engine: AsyncEngine) -> None:
    await take(engine, recorded(), activated(a_retainer()))
    await take(engine, work(1, 900))
    await turn(engine, "2026-10-01")
    assert (await balances(engine))[0][4:6] == ("5.00", "0.00")
    await take(engine, reversal(2, 1, 900))
    assert await balances(engine) == [
        ("closed", "20.00", "0.00", "0.00", "10.00", "10.00", "0.00"),
        ("open", "20.00", "10.00", "0.00", "0.00", "0.00", "30.00"),
    ]
    await assert_sound(engine)


async def test_writers_racing_for_the_last_hour_draw_it_once(engine: AsyncEngine) -> None:
    await take(engine, recorded(), activated(a_retainer("5", "750.00")))
    await asyncio.gather(*(take(engine, work(number, 60)) for number in range(1, 11)))
    statuses = [status for *_, status in await draws(engine)]
    assert (statuses.count("released"), statuses.count("held")) == (5, 5)
    assert (await balances(engine, 1))[0] == (
        "open", "5.00", "0.00", "5.00", "0.00", "0.00", "0.00",
    )  # fmt: skip
    await assert_sound(engine)


async def test_the_balance_refuses_whoever_draws_past_its_lock(engine: AsyncEngine) -> None:
    await take(engine, recorded(), activated(a_retainer("5", "750.00")))
    with pytest.raises(DBAPIError, match="retainer_period_never_below_zero"):
        async with database.write(engine) as tx:
            await tx.execute(text("UPDATE retainer_period SET balance = -1, lapsed = 1"))


async def test_money_is_drawn_at_the_agreed_rates_and_expenses_draw_too(
    engine: AsyncEngine,
) -> None:
    await take(engine, recorded(), activated(a_retainer("", "1100.00")))
    await take(engine, work(1, 300))
    expense = sample(projects.ExpenseReportApproved)
    del expense.lines[1:]
    line = expense.lines[0]
    line.contract_line_id = str(SUPPORT)
    line.ClearField("receipt_net_amount")
    line.net_amount.amount, line.net_amount.currency = "100.00", "EUR"
    await take(engine, expense)
    await take(engine, work(2, 60))
    assert sorted(await draws(engine)) == [
        ("retainer_draw", "0.45", "81.00", "held"),
        ("retainer_draw", "0.55", "99.00", "released"),
        ("retainer_draw", "1.00", "100.00", "released"),
        ("retainer_draw", "5.00", "900.00", "released"),
    ]
    assert (await balances(engine, 1))[0][-1] == "1.00"
    await assert_sound(engine)


async def test_an_early_end_takes_a_part_of_the_block_off(engine: AsyncEngine) -> None:
    await take(engine, recorded(), activated(a_retainer("30", "3000.00")))
    await turn(engine, "2026-09-01")
    await take(engine, work(1, 300))
    ended = a_retainer("30", "3000.00", version=1)
    ended.version, ended.status = 9, contract_pb2.CONTRACT_STATUS_TERMINATED
    ended.terminated_on = "2026-09-16"
    await take(engine, contracts.ContractTerminated(contract=ended))
    assert await balances(engine) == [("open", "15.00", "0.00", "5.00", "0.00", "0.00", "10.00")]
    await turn(engine, "2026-09-16")
    assert await balances(engine) == [("closed", "15.00", "0.00", "5.00", "0.00", "10.00", "0.00")]
    lapsed = [
        event.lapsed_amount.amount
        for event in await events_out(engine)
        if isinstance(event, own.RetainerPeriodChanged) and event.HasField("lapsed_amount")
    ]
    assert lapsed == ["1000.00"]


async def test_an_end_after_more_was_drawn_is_for_people(engine: AsyncEngine) -> None:
    await take(engine, recorded(), activated(a_retainer("30", "3000.00")))
    await take(engine, work(1, 1200))
    ended = a_retainer("30", "3000.00")
    ended.version, ended.status = 9, contract_pb2.CONTRACT_STATUS_TERMINATED
    ended.terminated_on = "2026-09-16"
    await take(engine, contracts.ContractTerminated(contract=ended))
    assert await balances(engine) == [("open", "20.00", "0.00", "20.00", "0.00", "0.00", "0.00")]
    open_kinds = await fetch(engine, "SELECT kind FROM exception_item WHERE closed_at IS NULL")
    assert "retainer.drawn_beyond_end" in [row.kind for row in open_kinds]


async def test_a_statement_sums_to_the_balance_and_a_preview_shows_the_end(
    engine: AsyncEngine, running: Running
) -> None:
    await take(engine, recorded(), activated(a_retainer()))
    await take(engine, work(1, 300))
    stub = running.stub(RetainerServiceStub, caller=FINANCE)
    period = (await the_periods(running))[0]
    wanted = pb.ListRetainerEntriesRequest(retainer_period_id=period.retainer_period_id)
    entries = (await stub.ListRetainerEntries(wanted)).entries
    assert [(each.kind, each.quantity, each.value.amount) for each in entries] == [
        (pb.RETAINER_ENTRY_KIND_GRANT, "20.00", "3000.00"),
        (pb.RETAINER_ENTRY_KIND_DRAW, "-5.00", "-750.00"),
    ]
    preview = await stub.PreviewRetainerClose(
        pb.PreviewRetainerCloseRequest(retainer_period_id=period.retainer_period_id)
    )
    assert (preview.carried_on, preview.lapsed) == ("10.00", "5.00")
    assert preview.lapsed_amount.amount == "750.00"
    assert (await balances(engine, 1))[0][0] == "open"
    unknown = pb.GetRetainerPeriodRequest(retainer_period_id=str(an_id("abc")))
    assert await refusal_of(stub.GetRetainerPeriod(unknown)) == "retainer_period.not_found"


async def test_overage_that_becomes_billable_bills_what_waited(engine: AsyncEngine) -> None:
    await take(engine, recorded(), activated(a_retainer("2", "300.00")))
    await take(engine, work(1, 180))
    later = a_retainer("2", "300.00", overage=BILL, overage_rate="200.00", version=2)
    later.version = 2
    later.terms_effective_on = "2026-09-01"
    await take(engine, contracts.ContractAmended(contract=later, change_order_number="CO-1"))
    assert (await draws(engine))[-1] == ("time", "1.00", "200.00", "released")
    assert [status for *_, status in await draws(engine)].count("held") == 0
    await assert_sound(engine)
