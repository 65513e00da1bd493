"""A batch of 500 timesheets costs the statements of one of 5, whatever has to be done for it."""

from collections.abc import Callable
from datetime import date

import pytest
from billing_event_builders import (
    CUSTOMER,
    HOURS,
    NOW,
    SUPPORT,
    a_contract,
    a_contract_with_a_block,
    activated,
    an_approved_entry,
    an_id,
    approved,
    published,
    recorded,
)
from billing_event_sources import rates
from billing_event_world import assert_sound, take
from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncEngine

from billing_event.commands import rate, retainer
from throughline.customer_contract.v1 import contract_pb2
from throughline_runtime import database
from throughline_testing.statements import Statements

OTHER_PAYER = an_id("c2")
ZONE = "Europe/Berlin"
DAY = date(2026, 9, 14)


def known(number: int) -> Message:
    """Return that a payer is known, its tax settled."""
    event = recorded()
    event.customer.customer_id = str(OTHER_PAYER)
    event.customer.number = f"C-{number:06d}"
    return event


def shared() -> contract_pb2.Contract:
    """Return a contract two payers share, the first of them up to an amount."""
    contract = a_contract()
    contract.payers.add(customer_id=str(CUSTOMER), share_percent="60", rounding_payer=True)
    contract.payers.add(customer_id=str(OTHER_PAYER), share_percent="40")
    return contract


def limited() -> contract_pb2.Contract:
    """Return a contract whose limit leaves room for a part of the work only."""
    return a_contract(not_to_exceed="2000.00")


def priced_in_dollars() -> Message:
    """Return a card whose rates have to be converted."""
    event = published({"architect": "200.00"})
    event.rate_card.currency = "USD"
    for entry in event.rate_card.entries:
        entry.hourly_rate.currency = "USD"
    return event


def timesheets(count: int, *, first: int, line_id: str, role: str) -> list[Message]:
    """Return so many timesheets of ten entries of half an hour."""
    return [
        approved(
            *(
                an_approved_entry(
                    first + sheet * 10 + each,
                    contract_line_id=line_id,
                    role=role,
                    minutes=30,
                    work_date="2026-09-10",
                )
                for each in range(10)
            ),
            number=first + sheet,
        )
        for sheet in range(count)
    ]


@pytest.mark.parametrize(
    ("contract", "line_id", "role"),
    [
        (a_contract, HOURS, "senior_consultant"),
        (shared, HOURS, "senior_consultant"),
        (limited, HOURS, "senior_consultant"),
        (a_contract_with_a_block, SUPPORT, "senior_consultant"),
        (a_contract, HOURS, "architect"),
    ],
    ids=["plain", "payers", "limit", "retainer", "exchange"],
)
async def test_a_batch_costs_the_same_statements_whatever_its_size(
    engine: AsyncEngine,
    statements: Statements,
    contract: Callable[[], contract_pb2.Contract],
    line_id: object,
    role: str,
) -> None:
    terms = activated(contract())
    await take(engine, recorded(), known(2), terms, priced_in_dollars())
    await take(engine, rates(("USD", "2026-09-10", "1.25")))
    async with database.write(engine) as tx:
        await rate.charge(tx, {ZONE: DAY}, at=NOW, limit=10)
        await retainer.turn_due(tx, {ZONE: DAY}, at=NOW)
    # The first has each kind of row already: what fits, what is over it, what is drawn and beyond.
    counts = []
    for first, count in ((1, 5), (1_000, 5), (10_000, 500)):
        events = timesheets(count, first=first, line_id=str(line_id), role=role)
        statements.clear()
        await take(engine, *events)
        counts.append([" ".join(each.split())[:60] for each in statements.texts])
    assert counts[1] == counts[2]
    await assert_sound(engine)
