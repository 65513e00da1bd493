"""A month of events for the storm, their delivery in any order, and the state they end in."""

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from billing_event_builders import (
    CUSTOMER,
    a_contract,
    activated,
    an_approved_entry,
    an_id,
    approved,
    billed,
    credited,
    limit_changed,
    line_of,
    published,
    recorded,
)
from billing_event_builders import HOURS as STORY_HOURS
from billing_event_case_terms import LENDER, a_card_of
from google.protobuf.message import Message
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from billing_event.consumers import subscriptions
from billing_event.domain.position import row_id
from billing_event.domain.source import SourceItemId
from throughline.customer_contract.v1 import contract_pb2
from throughline.project_provisioning.events.v1 import project_provisioning_events_pb2 as projects
from throughline.project_provisioning.v1 import work_pb2
from throughline_core.ids import derived_id
from throughline_runtime import database
from throughline_runtime.clock import Clock
from throughline_runtime.delivery import Delivery
from throughline_runtime.events import subject_of
from throughline_runtime.intake import Intake, Outcome
from throughline_testing.samples import sample

PLAIN, CAPPED, SHARED = an_id("b1"), an_id("b2"), an_id("b3")
"""Contracts: without a limit, with one that is raised twice, and with two payers."""

_ROLES: Final = ("senior_consultant", "architect", "developer")
_RATES: Final = {"senior_consultant": "180.00", "architect": "200.00", "developer": "90.50"}
_SECOND_PAYER: Final = an_id("c2")
_BATCH: Final = 200


def a_month(size: int) -> list[Message]:
    """Return about `size` events in the order in which they happen.

    Their outcome is the same in any other: the caps that stop work are raised in the end, and
    each day has one price. Only what was billed is invoiced, and only that is credited.
    """
    return [*_facts(), *_Work(size).events()]


def _facts() -> Iterator[Message]:
    for customer_id in (CUSTOMER, _SECOND_PAYER):
        for version in (1, 2, 3):
            event = recorded(version, credit_hold=version == 2)
            event.customer.customer_id = str(customer_id)
            yield event
    yield activated(a_contract())
    yield limit_changed(a_contract(version=2, not_to_exceed="90000000.00"))
    yield activated(a_contract(contract_id=CAPPED, not_to_exceed="1000.00"))
    yield limit_changed(a_contract(contract_id=CAPPED, version=2, not_to_exceed="50000.00"))
    yield limit_changed(a_contract(contract_id=CAPPED, version=3, not_to_exceed="90000000.00"))
    yield activated(_shared(1))
    yield limit_changed(_shared(2))
    for role, card_id in (("architect", "d1"), ("developer", "d3")):
        card = published({role: _RATES[role]})
        card.rate_card.rate_card_id = str(an_id(card_id))
        yield card
    transfer = a_card_of([f"{role} at 70.00" for role in _ROLES], version=1, purpose="transfer")
    yield transfer


def _shared(version: int) -> contract_pb2.Contract:
    contract = a_contract(contract_id=SHARED, version=version)
    contract.payers.add(customer_id=str(CUSTOMER), share_percent="60", rounding_payer=True)
    contract.payers.add(customer_id=str(_SECOND_PAYER), share_percent="40")
    return contract


class _Work:
    """Approvals of one entry each, reversals, expenses, milestones; every so often a document."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._number = 0
        self._unbilled: list[work_pb2.TimeEntry] = []

    def events(self) -> Iterator[Message]:
        while self._number < self._size:
            self._number += 1
            entry = self._entry()
            yield approved(entry, number=self._number)
            if self._number % 10 == 0:
                yield self._reversal(entry)
            elif entry.contract_id == str(PLAIN):
                self._unbilled.append(entry)
            if self._number % 20 == 0:
                yield self._expense()
            if self._number % 50 == 0:
                yield from self._milestone()
            if len(self._unbilled) == 20:
                yield from self._documents()

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _entry(self) -> work_pb2.TimeEntry:
        number = self._number
        contract_id = (PLAIN, CAPPED, SHARED)[number % 3]
        different: dict[str, Any] = {"legal_entity_id": str(LENDER)} if number % 11 == 0 else {}
        return an_approved_entry(
            number,
            contract_id=str(contract_id),
            contract_line_id=str(line_of(contract_id, STORY_HOURS)),
            work_date=f"2026-09-{number % 28 + 1:02d}",
            minutes=15 + number % 465,
            role=_ROLES[number % 7 % 3],
            **different,
        )

    def _reversal(self, entry: work_pb2.TimeEntry) -> Message:
        number = self._next()
        taker = work_pb2.TimeEntry()
        taker.CopyFrom(entry)
        taker.time_entry_id = str(an_id(f"15{number:06x}"))
        taker.minutes = -entry.minutes
        taker.reverses_time_entry_id = entry.time_entry_id
        return approved(taker, number=number)

    def _expense(self) -> Message:
        number = self._next()
        report: projects.ExpenseReportApproved = sample(projects.ExpenseReportApproved)
        report.expense_report_id = str(an_id(f"18{number:06x}"))
        report.lines[0].expense_line_id = str(an_id(f"17{number:06x}"))
        return report

    def _milestone(self) -> Iterator[Message]:
        milestone_id = str(an_id(f"13{self._next():06x}"))
        for event in (sample(projects.MilestoneCompleted), sample(projects.MilestoneAccepted)):
            event.milestone.milestone_id = milestone_id
            event.milestone.amount.amount = "960.00"
            yield event

    def _documents(self) -> Iterator[Message]:
        """Invoice what is unbilled, credit a quarter of the first half of it."""
        number = self._next()
        items = [_item(entry) for entry in self._unbilled]
        self._unbilled.clear()
        yield billed(*items, invoice=f"a1{number:06x}", line=f"b1{number:06x}")
        half = [(row, _part(quantity, 4), _part(amount, 4)) for row, quantity, amount in items[:10]]
        yield credited(*half, note=f"a2{number:06x}")


def _item(entry: work_pb2.TimeEntry) -> tuple[str, str, str]:
    row = row_id(SourceItemId(UUID(entry.time_entry_id)), 1)
    hours = (Decimal(entry.minutes) / 60).quantize(Decimal("0.01"), rounding="ROUND_HALF_UP")
    return str(row), f"{hours}", f"{hours * Decimal(_RATES[entry.role])}"


def _part(figure: str, divisor: int) -> str:
    return f"{Decimal(figure) / divisor}"


class Storm:
    """Deliveries of events, each several times, in an order that a seed decides."""

    def __init__(self, engine: AsyncEngine, *, seed: int) -> None:
        self._engine, self._seed = engine, seed
        self._by_message = {each.message: each for each in subscriptions(Clock())}
        self._intakes = {
            message: Intake(self._engine, each, inbox_disabled=False)
            for message, each in self._by_message.items()
        }

    async def in_order(self, events: Sequence[Message]) -> None:
        """Take each event once, those of one kind that follow each other together."""
        batch: list[Message] = []
        for event in (*events, None):
            if batch and (type(event) is not type(batch[0]) or len(batch) == _BATCH):
                async with database.write(self._engine) as tx:
                    await self._by_message[type(batch[0])].function(tx, batch)
                batch = []
            if event is not None:
                batch.append(event)

    async def rage(
        self,
        events: Sequence[Message],
        *,
        deliveries: int,
        meanwhile: Callable[[], Awaitable[None]],
        workers: int = 2,
    ) -> int:
        """Deliver the events so many times in all, shuffled; return how often one was refused.

        Of every event two deliveries have its own id, the others are replays under ids of their
        own. What is refused because something else has to come first is delivered again later,
        after `meanwhile` has done what a schedule does.
        """
        chance = random.Random(self._seed)
        pool = [
            self._delivery(events[at % len(events)], at, len(events)) for at in range(deliveries)
        ]
        chance.shuffle(pool)
        refused = 0
        while pool:
            queue = _batches(pool)
            found = await asyncio.gather(*(self._work(queue) for _ in range(workers)))
            waiting = [each for of_worker in found for each in of_worker]
            assert len(waiting) < len(pool), "nothing goes on any more"
            await meanwhile()
            refused += len(waiting)
            pool = waiting
        return refused

    def _delivery(self, event: Message, number: int, count: int) -> tuple[type[Message], Delivery]:
        copy = number // count
        kind = (number % count, 0 if copy < 2 else copy)
        return type(event), Delivery(
            event_id=derived_id("storm", self._seed, *kind),
            subject=subject_of(type(event)),
            headers={},
            payload=event.SerializeToString(),
            stream="storm",
            stream_sequence=number,
            attempt=1,
        )

    async def _work(
        self, batches: Iterator[tuple[type[Message], list[Delivery]]]
    ) -> list[tuple[type[Message], Delivery]]:
        waiting = []
        for message, batch in batches:
            verdicts = await self._intakes[message].take(batch, asyncio.Event())
            parked = {v.code for v in verdicts.values() if v.outcome is Outcome.PARKED}
            assert not parked, parked
            waiting += [(message, d) for d, v in verdicts.items() if v.outcome is Outcome.RETRIED]
        return waiting


def _batches(
    pool: Sequence[tuple[type[Message], Delivery]],
) -> Iterator[tuple[type[Message], list[Delivery]]]:
    """Gather deliveries as they come, each kind by itself as each durable has its own stream."""
    gathered: dict[type[Message], list[Delivery]] = {}
    for message, delivery in pool:
        batch = gathered.setdefault(message, [])
        batch.append(delivery)
        if len(batch) == _BATCH:
            yield message, gathered.pop(message)
    yield from gathered.items()


# What order may decide is how a thing was cut into rows on its way, and whether two rows that
# cancel each other exist at all; so rows count by thing, payer and price. All else counts row by
# row, but for instants, versions of a row and what a row says of its card.
_STATE: Final = (
    """SELECT coalesce(reverses_source_item_id, source_item_id) AS thing, contract_line_id,
              bill_to_customer_id, event.type, unit, unit_rate, tax_category, service_from,
              service_to, sum(event.quantity), sum(event.minutes), sum(event.amount),
              sum(allocated_quantity), sum(allocated_amount),
              sum(event.amount) FILTER (WHERE status = 'held'),
              sum(event.amount) FILTER (WHERE status = 'eligible'),
              sum(event.amount) FILTER (WHERE status = 'released')
       FROM billing_event AS event JOIN position USING (billing_event_id)
       JOIN (SELECT source_item_id, reverses_source_item_id FROM source_item) AS item
         USING (source_item_id)
       GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
       HAVING sum(event.quantity) <> 0 OR sum(allocated_amount) <> 0""",
    """SELECT source_item_id, reason FROM hold WHERE cleared_at IS NULL""",
    """SELECT allocation_id, billing_event_id, invoice_id, invoice_line_id, quantity, amount, kind
       FROM allocation""",
    """SELECT limit_account_id, agreed, enforced, reserved, committed, contract_version, scope
       FROM limit_account""",
    """SELECT source_item_id, type, contract_id, contract_line_id, person_id,
              delivering_entity_id, role, service_from, service_to, minutes, price, is_billable,
              approved_by, reverses_source_item_id FROM source_item""",
    """SELECT source_item_id, version, state, price, accepted_on FROM source_step""",
    """SELECT contract_id, contract_version, md5(terms) FROM contract_terms""",
    """SELECT contract_id, version, first_version, newest_version, ended_on FROM contract_state""",
    """SELECT rate_card_id, version, md5(card) FROM rate_card""",
    """SELECT customer_id, version, is_on_credit_hold, tax_status FROM customer_state""",
    """SELECT recurring_period_id, service_from, service_to, due_on, amount
       FROM recurring_period""",
    """SELECT coalesce(reverses_source_item_id, source_item_id), lending_entity_id, work_date,
              unit_rate, sum(charge.quantity), sum(charge.amount)
       FROM intercompany_charge AS charge
       JOIN (SELECT source_item_id, reverses_source_item_id FROM source_item) AS item
         USING (source_item_id)
       GROUP BY 1, 2, 3, 4 HAVING sum(charge.quantity) <> 0""",
)


async def state_hash(engine: AsyncEngine) -> list[str]:
    """Return a digest of the business columns of each table of the ledger, in one order."""
    found = []
    async with database.read(engine) as tx:
        # Nobody has counted these rows yet, and each is looked at once.
        await tx.execute(text("SET LOCAL statement_timeout = 0"))
        await tx.execute(text("SET LOCAL enable_nestloop = off"))
        for query in _STATE:
            digest = hashlib.sha256()
            for row in sorted(await _plain(tx, query)):
                digest.update(row.encode())
            found.append(digest.hexdigest())
    return found


async def _plain(tx: Any, query: str) -> list[str]:
    return [repr([_figure(value) for value in row]) for row in await tx.execute(text(query))]


def _figure(value: Any) -> str:
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)
