"""What happens by the clock: periods fall due, and what nobody looked at is looked at."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from billing_event_builders import (
    a_contract,
    activated,
    an_approved_entry,
    approved,
    limit_changed,
    recorded,
)
from billing_event_world import assert_sound, fetch, rows, take
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from billing_event import schedules
from billing_event.commands import rate
from throughline_runtime import database
from throughline_runtime.context import Context

MoveClock = Callable[[datetime], None]


async def test_each_month_is_charged_on_its_last_day_in_the_contracts_zone(
    engine: AsyncEngine, context: Context, move_clock: MoveClock
) -> None:
    await take(engine, recorded(), activated(a_contract()))
    for instant, charged in [
        (datetime(2026, 9, 29, 21, 30, tzinfo=UTC), 0),
        (datetime(2026, 9, 29, 22, 30, tzinfo=UTC), 1),
        (datetime(2026, 9, 30, 22, 30, tzinfo=UTC), 1),
        (datetime(2026, 10, 31, 12, 0, tzinfo=UTC), 2),
    ]:
        move_clock(instant)
        await schedules.charge_recurring(context)
        assert await rows(engine) == [("2500.00", "released", "")] * charged
    await assert_sound(engine)


async def test_missed_months_are_caught_up_and_not_doubled(
    engine: AsyncEngine,
    context: Context,
    move_clock: MoveClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rate, "CHARGED_MAX", 2)
    await take(engine, recorded(), activated(a_contract()))
    move_clock(datetime(2027, 1, 31, 12, 0, tzinfo=UTC))
    for _ in range(2):
        await schedules.charge_recurring(context)
    assert await rows(engine) == [("2500.00", "released", "")] * 5
    assert len(await fetch(engine, "SELECT 1 FROM source_item")) == 5


async def test_newer_terms_move_what_was_not_charged_yet(
    engine: AsyncEngine, context: Context, move_clock: MoveClock
) -> None:
    await take(engine, recorded(), activated(a_contract()))
    move_clock(datetime(2026, 9, 30, 12, 0, tzinfo=UTC))
    await schedules.charge_recurring(context)

    shorter = a_contract(version=2)
    shorter.end_on = "2026-11-16"
    shorter.lines[2].terms.unit_price.amount = "3000.00"
    await take(engine, limit_changed(shorter))
    move_clock(datetime(2027, 8, 31, 12, 0, tzinfo=UTC))
    await schedules.charge_recurring(context)

    charged = await fetch(engine, "SELECT amount FROM billing_event ORDER BY service_from")
    assert [f"{row.amount:.2f}" for row in charged] == ["2500.00", "3000.00", "1500.00"]
    assert len(await fetch(engine, "SELECT 1 FROM recurring_period")) == 3


async def test_work_that_missed_its_terms_in_flight_is_found(
    engine: AsyncEngine, context: Context
) -> None:
    """The hold was judged before the terms were there, and written after they had been."""
    await take(engine, recorded(), approved(an_approved_entry(1)))
    async with database.write(engine) as tx:
        await tx.execute(text("UPDATE hold SET reason = 'manual', opened_by = 'test'"))
    await take(engine, activated(a_contract()))
    async with database.write(engine) as tx:
        await tx.execute(
            text("UPDATE hold SET reason = 'contract_not_active', opened_by = NULL, epoch = 1")
        )

    await schedules.reconsider_held(context)
    assert await rows(engine) == [("1440.00", "released", "")]


async def test_more_held_work_than_one_transaction_takes_is_freed_in_several(
    engine: AsyncEngine, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate, "RECONSIDERED_MAX", 3)
    entries = (an_approved_entry(number) for number in range(1, 11))
    await take(engine, recorded(), approved(*entries))
    await take(engine, activated(a_contract()))
    assert len(await rows(engine)) == 3

    await schedules.reconsider_held(context)
    assert len(await rows(engine)) == 10
    await assert_sound(engine)


async def test_the_unbilled_amount_is_exported(engine: AsyncEngine, context: Context) -> None:
    await take(engine, recorded(), activated(a_contract()), approved(an_approved_entry(1)))
    await schedules.measure_unbilled(context)
    name, labels = "throughline_unbilled_amount", {"currency": "EUR"}
    assert REGISTRY.get_sample_value(name, labels) == 1440.0


async def test_held_work_is_one_exception_for_each_reason_and_contract_until_it_is_free(
    engine: AsyncEngine, context: Context
) -> None:
    unmapped = an_approved_entry(3, contract_id=None, contract_line_id=None)
    entries = (an_approved_entry(1), an_approved_entry(2), unmapped)
    await take(engine, recorded(), approved(*entries))
    for _ in range(2):
        await schedules.report_held(context)
    found = "SELECT kind, owner, occurrences FROM exception_item WHERE closed_at IS NULL"
    assert sorted(map(tuple, await fetch(engine, found))) == [
        ("held.contract_not_active", "sales_operations", 1),
        ("held.unmapped", "pmo", 1),
    ]

    await take(engine, activated(a_contract()))
    await schedules.report_held(context)
    assert [row.kind for row in await fetch(engine, found)] == ["held.unmapped"]
