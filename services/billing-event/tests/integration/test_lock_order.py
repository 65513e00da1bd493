"""Two transactions over the same rows and limits wait for each other in turn, never in a circle."""

import asyncio
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest
from billing_event_builders import (
    CONTRACT,
    CUSTOMER,
    ENTITY,
    HOURS,
    NOW,
    a_contract,
    activated,
    an_approved_entry,
    an_id,
    approved,
    eur,
    limit_changed,
    line_of,
    recorded,
)
from billing_event_world import assert_sound, fetch, limit, look_again, rows, take
from sqlalchemy.ext.asyncio import AsyncEngine

from billing_event.commands import hold, rate, record
from billing_event.commands import limit as limits
from billing_event.domain.customer_limit import Framework
from billing_event.domain.position import BillingEventId
from billing_event.domain.source import SourceItemId
from billing_event.repository import customer_limit, standing, waiting
from throughline.project_provisioning.v1 import work_pb2
from throughline_runtime import database
from throughline_runtime.identity import acting_as
from throughline_testing.serving import a_caller

FINANCE = a_caller("finance", subject="user:fin")
OTHER = an_id("b2")
_MEETS_WITHIN = 0.7


class Meeting:
    """Where two transactions wait for each other, or go on if the other one cannot come."""

    def __init__(self) -> None:
        self._here = 0
        self._both = asyncio.Event()

    async def __call__(self) -> None:
        self._here += 1
        if self._here == 2:
            self._both.set()
        try:
            await asyncio.wait_for(self._both.wait(), _MEETS_WITHIN)
        except TimeoutError:
            return


def meet_before(
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    name: str,
    meeting: Callable[[], Awaitable[None]],
) -> None:
    """Have whoever calls a function come to the meeting first."""
    called = getattr(module, name)

    async def after_meeting(*args: Any, **kwargs: Any) -> Any:
        await meeting()
        return await called(*args, **kwargs)

    monkeypatch.setattr(module, name, after_meeting)


def an_hour(
    number: int, contract_id: UUID = CONTRACT, *, of: int | None = None
) -> work_pb2.TimeEntry:
    """Return an hour under a contract, or what takes back the one with the number `of`."""
    entry = an_approved_entry(
        number,
        minutes=60 if of is None else -60,
        contract_id=str(contract_id),
        contract_line_id=str(line_of(contract_id, HOURS)),
    )
    if of is not None:
        entry.reverses_time_entry_id = str(an_id(f"15{of:06x}"))
    return entry


async def test_time_moved_between_two_contracts_in_opposite_directions(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (
        activated(a_contract(not_to_exceed="90000.00", contract_id=each))
        for each in (CONTRACT, OTHER)
    )
    await take(engine, recorded(), first, second)
    await take(engine, approved(an_hour(1), an_hour(2, OTHER)))
    meet_before(monkeypatch, rate, "_rate_fresh", Meeting())

    await asyncio.gather(
        take(engine, approved(an_hour(3, of=1), an_hour(4, OTHER), number=3)),
        take(engine, approved(an_hour(5, OTHER, of=2), an_hour(6), number=5)),
    )

    assert [amount for amount, _, _ in await rows(engine)] == [
        *("180.00", "180.00", "-180.00", "180.00", "-180.00", "180.00")
    ]
    await assert_sound(engine)


async def test_a_limit_raised_while_somebody_holds_what_it_stopped(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await take(engine, recorded(), activated(a_contract(not_to_exceed="100.00")))
    await take(engine, approved(*(an_hour(number) for number in (1, 2, 3))))
    stopped = await fetch(engine, "SELECT billing_event_id FROM position WHERE status = 'held'")
    meeting = Meeting()
    meet_before(monkeypatch, record, "reconsider_due", meeting)
    meet_before(monkeypatch, hold, "make_judge", meeting)

    async def hold_them() -> None:
        named = [BillingEventId(row.billing_event_id) for row in stopped]
        with acting_as(FINANCE):
            async with database.write(engine) as tx:
                await hold.place_holds(tx, named, "disputed", by="user:ann", at=NOW)

    await asyncio.gather(
        take(engine, limit_changed(a_contract(not_to_exceed="900.00", version=2))), hold_them()
    )

    held = [reasons for _, status, reasons in await rows(engine) if status == "held"]
    assert held == ["limit_exceeded manual"] * 3
    await assert_sound(engine)


async def test_room_given_back_while_what_it_is_for_is_taken_back(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await take(engine, recorded(), activated(a_contract(not_to_exceed="180.00")))
    for number in (1, 2):
        await take(engine, approved(an_hour(number), number=number))
    assert [status for _, status, _ in await rows(engine)] == ["released", "held"]
    meeting = Meeting()
    meet_before(monkeypatch, waiting, "limited", meeting)
    load_ground = rate.load_ground

    async def load_after_meeting(tx: Any, items: Any, **kwargs: Any) -> Any:
        items = list(items)
        if any(item.reverses_item_id == an_id("15000002") for item in items):
            await meeting()
        return await load_ground(tx, items, **kwargs)

    monkeypatch.setattr(rate, "load_ground", load_after_meeting)

    await asyncio.gather(
        take(engine, approved(an_hour(3, of=1), number=3)),
        take(engine, approved(an_hour(4, of=2), number=4)),
    )

    assert (await limit(engine))[1:] == ("0.00", "0.00")
    await assert_sound(engine)


async def test_what_nobody_could_wait_for_is_looked_at_by_the_schedule(
    engine: AsyncEngine,
) -> None:
    await take(engine, recorded(), activated(a_contract(not_to_exceed="180.00")))
    for number in (1, 2):
        await take(engine, approved(an_hour(number), number=number))

    async with database.write(engine) as tx:
        # Somebody decides on the second hour, and changes nothing of it in the end.
        await standing.lock(tx, [SourceItemId(an_id("15000002"))])
        await take(engine, approved(an_hour(3, of=1), number=3))
    assert [status for _, status, _ in await rows(engine)] == ["released", "held", "released"]

    await look_again(engine)
    assert [status for _, status, _ in await rows(engine)] == ["released", "released", "released"]
    assert await look_again(engine) == 0
    await assert_sound(engine)


async def test_a_customers_limit_set_while_its_time_is_moved(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await take(
        engine, recorded(), activated(a_contract()), activated(a_contract(contract_id=OTHER))
    )
    # The gate of the contract that time is moved to is closed before that of the one it is from.
    to, moved_from = sorted((CONTRACT, OTHER), key=lambda each: each.int % 64)
    await take(engine, approved(an_hour(1, moved_from)))
    meeting = Meeting()
    meet_before(monkeypatch, rate, "_rate_fresh", meeting)
    meet_before(monkeypatch, customer_limit, "lock_agreed", meeting)

    async def set_limit() -> None:
        with acting_as(FINANCE):
            async with database.write(engine) as tx:
                await limits.put_customer_limit(
                    tx,
                    Framework(CUSTOMER, ENTITY, "EUR"),
                    eur("100000.00"),
                    reason="framework agreement",
                    by="user:ann",
                    at=NOW,
                )

    await asyncio.gather(
        take(engine, approved(an_hour(2, moved_from, of=1), an_hour(3, to), number=2)), set_limit()
    )

    reserved = await fetch(engine, "SELECT reserved FROM limit_account WHERE scope = 'customer'")
    assert [row.reserved for row in reserved] == [180] or not reserved
    await assert_sound(engine)
