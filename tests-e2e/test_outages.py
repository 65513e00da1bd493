"""A part is away for a while, or a message cannot be taken: the rest goes on, and all heals."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar
from uuid import uuid4

import httpx
import pytest
from e2e_deals import (
    Deal,
    by_the_hour,
    found_entity,
    hire,
    import_quote,
    put_in_force,
    running_deal,
    stock_catalogue,
    the_customer,
)
from e2e_outages import down
from e2e_probe import broker, database
from e2e_refusals import readable
from e2e_rest import Rest, read
from e2e_sandbox import EVERY_SERVICE, Sandbox

from throughline.invoice_payment.events.v1.invoice_payment_events_pb2 import InvoiceItemsBilled
from throughline_runtime.events import subject_of

T = TypeVar("T")

_WAIT_SECONDS = 60.0
_TAKER = "billing-event"
_DURABLE = "billing-event-allocate-billed"
_FAULT = """
    ALTER TABLE position ADD CONSTRAINT position_claims_no_more_by_mistake
    CHECK (allocated_amount = 0) NOT VALID
"""
_MENDED = "ALTER TABLE position DROP CONSTRAINT position_claims_no_more_by_mistake"


class Office:
    """Records work on a deal of its own and looks at what becomes of it."""

    def __init__(self, rest: Rest, deal: Deal, person_id: str) -> None:
        self.rest = rest
        self.deal = deal
        self._person_id = person_id
        self._recorded = 0

    async def record(self, *, key: str | None = None) -> httpx.Response:
        """Send an approved hour, as the next one or, with a key, as the same one."""
        self._recorded += 1
        row = {
            "person_id": self._person_id,
            "task_id": self.deal.task_id,
            "work_date": f"2026-09-{1 if key else self._recorded + 1:02}",
            "minutes": 60,
            "note": "Outage",
        }
        body = {"rows": [row], "partial": False, "approved": True}
        path = "/v1/time-entries:batch"
        return await self.rest.send("integration", "POST", path, body, key=key)

    async def rows(self) -> list[Mapping[str, Any]]:
        """Return what is rated."""
        listed = self.rest.pages(
            "finance", "/v1/billing-events", "billing_events", contract_id=self.deal.contract_id
        )
        return [row async for row in listed]

    async def parked(self) -> dict[str, Mapping[str, Any]]:
        """Return what billing-event has parked, by id."""
        reply = await self.rest.get("admin", "/v1/operations/parked", service="billing-event")
        return {message["parked_id"]: message for message in reply["parked"]}

    async def has_rows(self, count: int) -> bool:
        return len(await self.rows()) == count

    async def was_replayed(self, parked_id: str) -> bool:
        """Whether it is parked again after a replay; on its way it is not listed."""
        message = (await self.parked()).get(parked_id)
        return message is not None and message["replays"] > 0

    async def is_invoiced(self, amount: Decimal) -> bool:
        path = f"/v1/contracts/{self.deal.contract_id}/position"
        [line] = (await self.rest.get("finance", path))["lines"]
        return Decimal(line["invoiced"]["amount"]["amount"]) == amount

    async def replay(self, parked_id: str) -> None:
        path = "/v1/operations/billing-event/parked:replay"
        await self.rest.post("admin", path, {"parked_ids": [parked_id]})


@pytest.fixture
async def office(proving_ground: Sandbox) -> AsyncIterator[Office]:
    """A new entity with one deal."""
    async with Rest(proving_ground.url, proving_ground.bearers()) as rest:
        await stock_catalogue(rest)
        code = f"X{uuid4().hex[:7].upper()}"
        entity_id = await found_entity(rest, code)
        customer_id = await the_customer(rest)
        quote = await import_quote(rest, entity_id, customer_id, code, [by_the_hour()])
        deal = await running_deal(rest, await put_in_force(rest, quote))
        [person_id] = await hire(rest, entity_id, ["Otto Pause"])
        yield Office(rest, deal, person_id)


async def until(what: str, ask: Callable[[], Awaitable[T]]) -> T:
    """Return the first answer that says yes; no answer at all is a no."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        with suppress(httpx.TransportError, AssertionError):
            if answer := await ask():
                return answer
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        await asyncio.sleep(0.1)


def lives(sandbox: Sandbox) -> dict[str, int | None]:
    """Return the process of each service."""
    return {name: sandbox.programs()[name].pid for name in EVERY_SERVICE}


async def test_without_the_broker_writes_go_on_and_events_follow(
    proving_ground: Sandbox, office: Office
) -> None:
    before = lives(proving_ground)
    with down(proving_ground, "nats"):
        for _ in range(3):
            read(await office.record())
        await asyncio.sleep(1)
        assert await office.rows() == []
    assert await until("all is rated", lambda: office.has_rows(3))
    assert lives(proving_ground) == before


async def test_without_the_database_callers_are_asked_to_come_back(
    proving_ground: Sandbox, office: Office
) -> None:
    before, key = lives(proving_ground), str(uuid4())
    read(await office.record(key=key))
    with down(proving_ground, "postgres"):
        replies = await asyncio.gather(
            office.record(),
            office.record(key=key),
            office.rest.send("pmo", "GET", "/v1/time-entries"),
            office.rest.send("finance", "GET", "/v1/invoices"),
        )
    for reply in replies:
        assert reply.status_code == 503, reply.text
        assert int(reply.headers["retry-after"]) >= 1
        readable(reply)

    async def works() -> bool:
        return (await office.record(key=key)).is_success

    assert await until("writes are taken again", works)
    assert await until("the one entry is rated once", lambda: office.has_rows(1))
    assert lives(proving_ground) == before


async def test_a_poison_message_parks_the_rest_flows_and_replay_heals_it(
    proving_ground: Sandbox, office: Office
) -> None:
    read(await office.record())
    [row] = await until("the entry is rated and released", office.rows)
    assert row["status"] == "released"
    async with database(proving_ground, _TAKER) as connection:
        # As a faulty version of the service would, this one takes no claim at all.
        await connection.execute(_FAULT)
        await _publish(proving_ground, _claim(row).SerializeToString())
        [parked_id] = await until("it is parked", office.parked)
        message = (await office.parked())[parked_id]
        assert (message["durable"], message["reason_code"]) == (_DURABLE, "allocation.exceeds_row")
        assert message["owner"]

        read(await office.record())
        assert await until("the rest flows", lambda: office.has_rows(2))
        await office.replay(parked_id)
        assert await until(
            "it is parked again, its cause not being gone", lambda: office.was_replayed(parked_id)
        )
        await connection.execute(_MENDED)

    await office.replay(parked_id)
    amount = Decimal(row["amount"]["amount"])
    assert await until("it is taken", lambda: office.is_invoiced(amount))
    assert await office.parked() == {}


async def test_what_cannot_be_read_is_given_up_by_a_person_with_a_reason(
    proving_ground: Sandbox, office: Office
) -> None:
    await _publish(proving_ground, b"\xff\xff not an event")
    [parked_id] = await until("it is parked", office.parked)
    message = (await office.parked())[parked_id]
    assert (message["durable"], message["reason_code"]) == (_DURABLE, "event.undecodable")
    body = {"parked_ids": [parked_id], "reason": "Sent by hand, by mistake"}
    await office.rest.post("admin", "/v1/operations/billing-event/parked:discard", body)
    assert await office.parked() == {}


def _claim(row: Mapping[str, Any]) -> InvoiceItemsBilled:
    """Return the news that an invoice billed the row."""
    event = InvoiceItemsBilled(
        invoice_id=str(uuid4()),
        version=1,
        chunk=1,
        chunk_count=1,
        contract_id=row["contract_id"],
        issued_on="2026-09-30",
    )
    item = event.items.add(
        billing_event_id=row["billing_event_id"],
        invoice_line_id=str(uuid4()),
        source_item_id=row["source_item_id"],
        quantity=row["quantity"],
    )
    item.amount.amount, item.amount.currency = row["amount"]["amount"], row["amount"]["currency"]
    return event


async def _publish(sandbox: Sandbox, payload: bytes) -> None:
    """Publish as the broker's administrator, past every outbox."""
    event_id, subject = str(uuid4()), subject_of(InvoiceItemsBilled)
    headers = {
        "Nats-Msg-Id": event_id,
        "ce-id": event_id,
        "ce-type": subject,
        "ce-time": datetime.now(UTC).isoformat(),
        "aggregate-id": str(uuid4()),
        "aggregate-version": "1",
    }
    async with broker(sandbox) as connection:
        await connection.jetstream().publish(subject, payload, headers=headers)
