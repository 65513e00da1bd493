"""The drill from the first request to the verdict, on a running sandbox."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from random import Random
from typing import Final

from e2e_deals import (
    Deal,
    at_cost,
    by_the_hour,
    found_entity,
    hire,
    import_quote,
    in_parts,
    put_in_force,
    running_deal,
    the_customer,
)
from e2e_sandbox import Sandbox
from e2e_settling import count_redeliveries, settle

from faults.clients import (
    WORK,
    Calendar,
    Client,
    Work,
    accept_milestone,
    people_needed,
    weeks_needed,
    weeks_of,
)
from faults.echo import echo
from faults.judge import Verdict, judge
from faults.killer import READY_SECONDS, Deaths, Killer
from faults.ledger import Ledger
from faults.month_end import MonthEnd, invoice, pay, release
from faults.persistent import LOST_SHARE, Persistent
from throughline_cli.story.cast import Cast
from throughline_cli.story.teller import Teller

_OPENING: Final = 6
"""Steps of the story up to two running projects."""

_DEALS: Final = 3
_MILESTONES: Final = 25
# Above the threshold up to which rows are released unasked.
_MILESTONE_AMOUNT: Final = Decimal("6000.00")


@dataclass(frozen=True, slots=True)
class Plan:
    """How hard and how long."""

    seconds: float
    kills: int
    clients: int
    seed: int
    kills_at_month_end: bool = True
    forgets_keys: bool = False
    """Whether clients repeat requests under new keys: the control that must double money."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that the drill found out."""

    plan: Plan
    ledger: Ledger
    deaths: Mapping[str, Deaths]
    absent: Sequence[str]
    """Parts that were not ready again in good time."""
    recovery_seconds: float
    """From the last answer of the storm until everything was taken."""
    echoed: int
    """Messages that were published a second time."""
    redelivered: int
    """Deliveries that were not the first of their event, those of the echo included."""
    is_settled: bool
    verdict: Verdict
    seconds: float

    @property
    def failures(self) -> list[str]:
        """Return every reason why nothing is proven, empty if it is."""
        found = [f"{part} was not ready within {READY_SECONDS:.0f} s" for part in self.absent]
        found += [
            f"{deaths.part} did not come back in time, {deaths.missing} times"
            for deaths in self.deaths.values()
            if deaths.missing
        ]
        found += [f"a client was told: {surprise}" for surprise in self.ledger.surprises[:5]]
        found += [
            f"{station.name}: lost {station.lost}, duplicated {station.doubled},"
            f" cents off {station.cents_off:.0f}"
            for station in self.verdict.stations
            if not station.is_exact
        ]
        if not self.is_settled:
            found.append("all consumers are idle, and not everything published was taken")
        return found + [f"invariant: {text}" for text in self.verdict.broken_invariants]


def tell_opening(sandbox: Sandbox) -> None:
    """Tell the story up to two running projects: a firm, people, deals, a pause and its mending."""
    with Cast(sandbox.layout) as cast:
        teller = Teller(sandbox.layout, sandbox.state, cast, time.monotonic())
        for step in islice(teller.steps(), _OPENING):
            step.tell()
    sandbox.set_clock("2026-09-28T06:00:00Z")


def run(sandbox: Sandbox, plan: Plan, *, code: str = "DRILL") -> Outcome:
    """Storm, settle, close the month and judge, on a sandbox where the opening was told.

    `code` is of the legal entity made for it, by which two drills on one stack are kept apart.
    """
    return asyncio.run(_drill(sandbox, plan, code))


async def _drill(sandbox: Sandbox, plan: Plan, code: str) -> Outcome:
    started = time.monotonic()
    random = Random(plan.seed)
    ledger, killer = Ledger(), Killer(sandbox, random)
    async with Persistent(
        sandbox.url,
        sandbox.bearers(),
        ledger,
        connections=plan.clients + _DEALS + 1,
        random=Random(random.random()),
    ) as rest:
        entity_id = await found_entity(rest, code)
        deals = await _deals(rest, entity_id, code)
        clients = await _clients(rest, plan, ledger, deals, random)
        rest.forgets_keys = plan.forgets_keys
        # A control of a few seconds must not depend on luck.
        rest.lost_share = 0.5 if plan.forgets_keys else LOST_SHARE
        await _storm(plan, killer, clients)
        rest.forgets_keys, rest.lost_share = False, LOST_SHARE
        absent = await killer.all_back()
        recovery = await settle(rest, sandbox)
        await asyncio.to_thread(sandbox.set_clock, "2026-10-01T07:00:00Z")
        month_end = await _close_month(
            rest, killer if plan.kills_at_month_end else None, sandbox, entity_id
        )
        absent = [*absent, *await killer.all_back()]
        echoed = await echo(sandbox, random)
        settlement = await settle(rest, sandbox)
        return Outcome(
            plan=plan,
            ledger=ledger,
            deaths=killer.deaths,
            absent=absent,
            recovery_seconds=recovery.waited_seconds,
            echoed=echoed,
            redelivered=await count_redeliveries(settlement, sandbox),
            is_settled=settlement.is_settled,
            verdict=await judge(rest, ledger, deals, month_end, settlement.reconciliation),
            seconds=time.monotonic() - started,
        )


async def _deals(rest: Persistent, entity_id: str, code: str) -> list[Deal]:
    customer_id = await the_customer(rest)
    lines = (by_the_hour(), in_parts(_MILESTONES, each=_MILESTONE_AMOUNT), at_cost())
    contracts = [
        await put_in_force(
            rest, await import_quote(rest, entity_id, customer_id, f"{code}-{number}", lines)
        )
        for number in range(_DEALS)
    ]
    return [await running_deal(rest, contract_id) for contract_id in contracts]


async def _clients(
    rest: Persistent, plan: Plan, ledger: Ledger, deals: Sequence[Deal], random: Random
) -> list[tuple[Client, Work]]:
    """Return clients with their work: each has people of its own, so that no day is shared."""
    stop = asyncio.Event()
    kinds = [WORK[number % len(WORK)] for number in range(plan.clients)]
    kinds += [accept_milestone] * len(deals)
    clients = []
    for number, work in enumerate(kinds):
        deal = deals[number % len(deals)]
        weekly = weeks_needed(plan.seconds)
        names = [
            f"Client {number} Person {n}" for n in range(1 + weekly + people_needed(plan.seconds))
        ]
        employee_id, *others = await hire(rest, deal.legal_entity_id, names)
        client = Client(
            name=f"client-{number}",
            rest=rest,
            ledger=ledger,
            deal=deal,
            employee_id=employee_id,
            weeks=weeks_of(others[:weekly]),
            calendar=Calendar(others[weekly:]),
            random=Random(random.random()),
            stop=stop,
        )
        clients.append((client, work))
    return clients


async def _storm(plan: Plan, killer: Killer, clients: Sequence[tuple[Client, Work]]) -> None:
    """Load and kills at once; every client then finishes what it has in hand."""
    async with asyncio.TaskGroup() as tasks:
        for client, work in clients:
            tasks.create_task(client.run(work))
        raging = tasks.create_task(killer.rage(kills=plan.kills, seconds=plan.seconds))
        await asyncio.sleep(plan.seconds)
        await raging
        for client, _ in clients:
            client.stop.set()


async def _close_month(
    rest: Persistent, killer: Killer | None, sandbox: Sandbox, entity_id: str
) -> MonthEnd:
    await release(rest, entity_id)
    await settle(rest, sandbox)
    invoices = await invoice(rest, killer, entity_id)
    if killer is not None:
        await killer.all_back()
    return MonthEnd(invoices, await pay(rest, sandbox, invoices[0]))
