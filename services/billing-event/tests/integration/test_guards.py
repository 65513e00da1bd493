"""What the database itself refuses, and what two writers at once cannot do."""

import asyncio

import asyncpg
import pytest
from billing_event_builders import HOURS as STORY_HOURS
from billing_event_builders import (
    a_contract,
    activated,
    an_approved_entry,
    an_id,
    approved,
    billed,
    credited,
    limit_changed,
    line_of,
    recorded,
)
from billing_event_world import assert_sound, limit, row_ids, rows, take, totals
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from billing_event import tables
from billing_event.domain.claim import ClaimExceedsOpen
from billing_event.domain.position import BillingEventId
from billing_event.repository import standing
from throughline.invoice_payment.v1 import invoice_pb2
from throughline_runtime import database
from throughline_runtime.migrate import assert_no_drift
from throughline_testing.database import Database
from throughline_testing.statements import Statements

APPEND_ONLY = [
    "source_item",
    "source_step",
    "covered_item",
    "billing_event",
    "allocation",
    "limit_entry",
    "limit_setting",
    "retainer_entry",
    "contract_terms",
    "rate_card",
]


async def as_owner(database: Database, statement: str) -> None:
    connection = await asyncpg.connect(database.owner_url.replace("+asyncpg", ""))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def double_claim(engine: AsyncEngine) -> None:
    """Bill one row in full on two invoices."""
    await take(engine, recorded(), activated(a_contract()), approved(an_approved_entry(1)))
    [row_id] = await row_ids(engine)
    await take(engine, billed((row_id, "8.00", "1440.00"), invoice="1a1"))
    await take(engine, billed((row_id, "8.00", "1440.00"), invoice="1a2"))


async def test_a_second_invoice_cannot_claim_the_same_row(engine: AsyncEngine) -> None:
    with pytest.raises(ClaimExceedsOpen):
        await double_claim(engine)
    await assert_sound(engine)


async def test_control_without_the_constraint_the_same_row_is_billed_twice(
    engine: AsyncEngine, database: Database
) -> None:
    for kind in ("quantity", "amount"):
        constraint = f"position_claims_no_more_{kind}_than_open"
        await as_owner(database, f"ALTER TABLE position DROP CONSTRAINT {constraint}")
    await double_claim(engine)

    found = await totals(engine)
    assert found["positions"]["allocated.EUR"] == 2 * 1440
    assert found["over_allocated"] == {"count": 1}


async def test_two_invoices_racing_for_one_row_are_told_apart(engine: AsyncEngine) -> None:
    await take(engine, recorded(), activated(a_contract()), approved(an_approved_entry(1)))
    [row_id] = await row_ids(engine)
    outcomes = await asyncio.gather(
        *(
            take(engine, billed((row_id, "5.00", "900.00"), invoice=f"1a{number}"))
            for number in range(4)
        ),
        return_exceptions=True,
    )
    assert sorted(map(type, outcomes), key=str) == [type(None), *[ClaimExceedsOpen] * 3] or (
        sum(outcome is None for outcome in outcomes) == 1
    )
    await assert_sound(engine)


async def test_writers_racing_for_the_last_euro_take_it_once(engine: AsyncEngine) -> None:
    await take(engine, recorded(), activated(a_contract(not_to_exceed="1800.00")))
    await asyncio.gather(
        *(
            take(engine, approved(an_approved_entry(number, minutes=60), number=number))
            for number in range(1, 17)
        )
    )
    assert await limit(engine) == ("1800.00", "1800.00", "0.00")
    statuses = [status for _, status, _ in await rows(engine)]
    assert (statuses.count("released"), statuses.count("held")) == (10, 6)
    await assert_sound(engine)


async def test_the_limit_refuses_whoever_takes_more_past_its_lock(
    engine: AsyncEngine,
) -> None:
    await take(engine, recorded(), activated(a_contract(not_to_exceed="100.00")))
    with pytest.raises(DBAPIError, match="limit_account_is_hard"):
        async with database.write(engine) as tx:
            await tx.execute(text("UPDATE limit_account SET reserved = reserved + 100.01"))


async def test_a_raise_racing_with_work_leaves_no_work_stopped(engine: AsyncEngine) -> None:
    await take(engine, recorded(), activated(a_contract(not_to_exceed="180.00")))
    await asyncio.gather(
        *(
            take(engine, approved(an_approved_entry(number, minutes=60), number=number))
            for number in range(1, 9)
        ),
        take(engine, limit_changed(a_contract(not_to_exceed="1440.00", version=2))),
    )
    assert await rows(engine) == [("180.00", "released", "")] * 8
    await assert_sound(engine)


async def test_a_first_limit_racing_with_work_counts_all_of_it(engine: AsyncEngine) -> None:
    await take(engine, recorded(), activated(a_contract()))
    await asyncio.gather(
        *(
            take(engine, approved(an_approved_entry(number, minutes=60), number=number))
            for number in range(1, 9)
        ),
        take(engine, limit_changed(a_contract(not_to_exceed="9999.00", version=2))),
    )
    assert await limit(engine) == ("9999.00", "1440.00", "0.00")
    await assert_sound(engine)


@pytest.mark.parametrize("table", APPEND_ONLY)
async def test_what_is_money_is_only_ever_appended(engine: AsyncEngine, table: str) -> None:
    for statement in (f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
        with pytest.raises(DBAPIError, match="permission denied"):
            async with database.write(engine) as tx:
                await tx.execute(text(statement))


@pytest.mark.parametrize("amount", ["'NaN'", "'Infinity'", "quantity * unit_rate + 0.01"])
async def test_an_amount_is_quantity_times_rate(engine: AsyncEngine, amount: str) -> None:
    await take(engine, recorded(), activated(a_contract()), approved(an_approved_entry(1)))
    columns = [column.name for column in tables.billing_event.columns]
    values = {**dict.fromkeys(columns), "part": "2", "amount": amount}
    values["billing_event_id"] = f"'{an_id('abc')}'"
    chosen = ", ".join(values[name] or name for name in columns)
    with pytest.raises(DBAPIError, match="violates check constraint"):
        async with database.write(engine) as tx:
            await tx.execute(
                text(
                    f"INSERT INTO billing_event ({', '.join(columns)})"
                    f" SELECT {chosen} FROM billing_event"
                )
            )


async def test_the_migrations_make_the_tables_the_code_declares(engine: AsyncEngine) -> None:
    await assert_no_drift(engine, tables.metadata)


async def statements_of(
    engine: AsyncEngine, statements: Statements, *, sheets: int, first: int
) -> list[str]:
    """Rate so many timesheets of ten entries, over three contracts, and return what that ran."""
    contracts = [an_id(f"b{number}") for number in (1, 2, 3)]
    events = [
        approved(
            *(
                an_approved_entry(
                    first + sheet * 10 + each,
                    contract_id=str(contracts[sheet % 3]),
                    contract_line_id=str(line_of(contracts[sheet % 3], STORY_HOURS)),
                    role=("senior_consultant", "architect")[each % 2],
                )
                for each in range(10)
            ),
            number=first + sheet,
        )
        for sheet in range(sheets)
    ]
    statements.clear()
    await take(engine, *events)
    return [" ".join(each.split())[:40] for each in statements.texts]


async def test_a_batch_costs_the_same_statements_whatever_its_size(
    engine: AsyncEngine, statements: Statements
) -> None:
    await take(
        engine,
        recorded(),
        *(
            activated(a_contract(not_to_exceed="10000000.00", contract_id=an_id(f"b{number}")))
            for number in (1, 2, 3)
        ),
    )
    few = await statements_of(engine, statements, sheets=3, first=1)
    many = await statements_of(engine, statements, sheets=150, first=1000)
    assert few == many
    assert len(few) <= 13


async def test_control_without_the_check_the_same_work_is_given_back_twice(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none(*_: object) -> set[BillingEventId]:
        return set()

    monkeypatch.setattr(standing, "taken_back", none)
    await take(engine, recorded(), activated(a_contract()), approved(an_approved_entry(1)))
    [row_id] = await row_ids(engine)
    await take(engine, billed((row_id, "8.00", "1440.00")))
    reversal = an_approved_entry(2, minutes=-480)
    reversal.reverses_time_entry_id = an_approved_entry(1).time_entry_id
    await take(engine, approved(reversal, number=2))
    gift = invoice_pb2.CREDIT_DISPOSITION_WRITE_OFF
    await take(engine, credited((row_id, "8.00", "1440.00"), disposition=gift))
    assert (await totals(engine))["given_up"] == {"of_taken_back": 1}
