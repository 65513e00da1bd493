"""The service in a case: what was said to it so far, and by which letters things go."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeAlias
from uuid import UUID

from billing_event_builders import an_approved_entry, an_id, approved
from billing_event_case_terms import LENDER, LINES, Words, matched
from billing_event_rerating import Invoicing
from billing_event_world import fetch
from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncEngine

from billing_event.consumers import subscriptions
from throughline.invoice_payment.v1 import billable_item_service_pb2 as items_pb
from throughline.invoice_payment.v1.billable_item_service_pb2_grpc import (
    BillableItemServiceServicer,
    add_BillableItemServiceServicer_to_server,
)
from throughline.project_provisioning.v1 import work_pb2
from throughline_runtime import database
from throughline_runtime.context import Context
from throughline_testing.serving import Running, faked, serving

MoveClock: TypeAlias = Callable[[datetime], None]

_WORK: Final = re.compile(
    r"(\w+), ([\d.]+) (h|min) of (\w+)(?: on (\S+))?(?: for (\w+))?( lent)?( not billable)?"
)


class LettingGo(Invoicing):
    """invoice-payment that has no drafts: it lets go of whatever it is asked to."""

    async def withdraw(self, _request: Any) -> items_pb.WithdrawItemsResponse:
        return items_pb.WithdrawItemsResponse()

    async def set_aside(self, _request: Any) -> items_pb.SetItemsAsideResponse:
        return items_pb.SetItemsAsideResponse()

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[dict[str, str]]:
        servicer = faked(
            BillableItemServiceServicer,
            LocateItems=self.locate,
            WithdrawItems=self.withdraw,
            SetItemsAside=self.set_aside,
        )
        async with serving([(add_BillableItemServiceServicer_to_server, servicer)]) as target:
            yield {"invoice-payment": target}


@dataclass(slots=True)
class Scene:
    """The service in a case: what was said to it so far, and by which letters things go."""

    engine: AsyncEngine
    running: Running
    context: Context
    invoicing: Invoicing
    move_clock: MoveClock
    terms: Words = field(default_factory=dict)
    things: dict[str, UUID] = field(default_factory=dict)
    entries: dict[str, work_pb2.TimeEntry] = field(default_factory=dict)
    milestones: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    told: list[Message] = field(default_factory=list)
    write_offs: list[str] = field(default_factory=list)

    async def take(self, *events: Message) -> None:
        """Hand events over, each in a transaction of its own."""
        by_message = {each.message: each for each in subscriptions(self.context.clock)}
        for event in events:
            async with database.write(self.engine) as tx:
                await by_message[type(event)].function(tx, [event])
        self.told += events

    def next_version(self, what: str) -> int:
        self.versions[what] = self.versions.get(what, 0) + 1
        return self.versions[what]

    def named(self, letter: str, kind: str) -> UUID:
        """Give the next thing of a kind, by the first digits of its id, a letter."""
        assert letter not in self.things, f"{letter} is another thing already"
        self.things[letter] = an_id(f"{kind}{len(self.things) + 1:06x}")
        return self.things[letter]

    def entry(self, words: str) -> work_pb2.TimeEntry:
        """Return the approved entry of a phrase: `A, 8 h of consultant on 2026-09-07`."""
        letter, much, unit, role, day, line, is_lent, is_free = matched(_WORK, words)
        minutes = Decimal(much) * (60 if unit == "h" else 1)
        entry = an_approved_entry(
            minutes=int(minutes),
            role=role,
            work_date=day or "2026-09-07",
            contract_line_id=str(LINES[line or "hours"]) if line != "nothing" else None,
            billable=not is_free,
        )
        entry.time_entry_id = str(self.named(letter, "15"))
        entry.source.object_id = f"TE-{letter}"
        if is_lent:
            entry.legal_entity_id = str(LENDER)
        self.entries[letter] = entry
        return entry

    def taker(self, letter: str, of: str) -> work_pb2.TimeEntry:
        """Return the entry that takes another back, whether that has come or not."""
        original = self.entries[of]
        entry = work_pb2.TimeEntry()
        entry.CopyFrom(original)
        entry.minutes = -original.minutes
        entry.time_entry_id = str(self.named(letter, "15"))
        entry.source.object_id = f"TE-{letter}"
        entry.reverses_time_entry_id = original.time_entry_id
        self.entries[letter] = entry
        return entry

    async def approve(self, *entries: work_pb2.TimeEntry) -> None:
        await self.take(approved(*entries, number=self.next_version("approval")))

    async def rows_of(self, letter: str) -> list[Any]:
        """Return the rows of a thing with what is claimed of them, by part."""
        found = await fetch(
            self.engine,
            """SELECT event.*, position.status, allocated_quantity, allocated_amount
               FROM billing_event AS event JOIN position USING (billing_event_id)
               WHERE source_item_id = :thing ORDER BY part""",
            thing=self.things[letter],
        )
        return list(found)
