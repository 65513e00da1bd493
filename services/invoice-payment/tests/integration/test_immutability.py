"""What is issued or posted cannot be changed, not even by the service itself."""

import pytest
from invoice_payment_builders import CONTRACT, DE01, an_id
from invoice_payment_world import World, a_batch
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from throughline_runtime.database import sqlstate_of, write
from throughline_testing.database import Database

REFUSED = (
    "UPDATE invoice SET gross_total = gross_total + 1, net_total = net_total + 1",
    "UPDATE invoice SET purchase_order_number = 'another'",
    "UPDATE invoice SET buyer = '{}'",
    "UPDATE invoice SET number = 'INV-DE01-2026-000009'",
    "UPDATE invoice SET content_hash = repeat('0', 64)",
    "UPDATE invoice SET paid_total = gross_total + 0.01",
    "UPDATE invoice SET status = 'voided', void_reason = 'x'",
    "DELETE FROM invoice",
    "UPDATE invoice_line SET net_amount = net_amount",
    "DELETE FROM invoice_line",
    "UPDATE invoice_tax SET tax_amount = 0",
    "UPDATE invoice_seal SET content = content",
    "DELETE FROM invoice_seal",
    "UPDATE invoice_item SET is_live = false",
    "DELETE FROM invoice_item",
    "UPDATE billable_item SET amount = 0",
    "UPDATE journal_entry SET posted_on = posted_on",
    "UPDATE journal_line SET debit = debit",
    "DELETE FROM journal_line",
    "TRUNCATE journal_line CASCADE",
    "UPDATE number_series SET last_number = last_number - 1",
    "DELETE FROM number_series",
    """INSERT INTO invoice_line
       SELECT invoice_id, 9, uuidv7(), description, contract_line_id, quote_line_id, type, quantity,
              unit, unit_rate, net_amount, tax_category, service_from, service_to, item_count,
              recognised_amount FROM invoice_line LIMIT 1""",
    """INSERT INTO invoice_tax
       SELECT invoice_id, 'Z', 0, 0, 0, '' FROM invoice_tax LIMIT 1""",
)


# restrict_violation of a trigger, check_violation, insufficient_privilege.
GUARDS = {"23001", "23514", "42501"}


@pytest.fixture
async def issued(world: World) -> World:
    await world.release()
    await world.bill()
    return world


@pytest.mark.parametrize("statement", REFUSED)
async def test_the_database_refuses_to_change_what_is_final(issued: World, statement: str) -> None:
    with pytest.raises(DBAPIError) as refusal:
        async with write(issued.engine) as tx:
            await tx.execute(text(statement))

    assert sqlstate_of(refusal.value) in GUARDS


async def test_the_same_item_cannot_be_claimed_twice(issued: World) -> None:
    await issued.release(a_batch(1))
    await issued.draft(run_key="again")
    steal = text("""
        INSERT INTO invoice_item
        SELECT (SELECT invoice_id FROM invoice WHERE number IS NULL), billing_event_id,
               invoice_line_id, source_item_id, quantity, item.currency, amount, recognised_amount,
               true
        FROM invoice_item AS item JOIN invoice USING (invoice_id) WHERE number IS NOT NULL
    """)

    with pytest.raises(DBAPIError, match="invoice_item_once"):
        async with write(issued.engine) as tx:
            await tx.execute(steal)


async def test_tampering_by_the_owner_breaks_the_chain(issued: World, database: Database) -> None:
    owner = create_async_engine(database.owner_url)
    try:
        async with owner.begin() as tx:
            await tx.execute(text("ALTER TABLE invoice DISABLE TRIGGER issued_is_final"))
            await tx.execute(
                text("UPDATE invoice SET net_total = net_total - 1, gross_total = gross_total - 1")
            )
    finally:
        await owner.dispose()

    assert (await issued.totals())["issued_chain"] == {"breaks": 1}


@pytest.mark.parametrize(
    ("lines", "balances"),
    [
        ([("receivable", 100, 0), ("revenue", 0, 100)], True),
        ([("receivable", 100, 0), ("revenue", 0, 99)], False),
        ([("receivable", 100, 0)], False),
    ],
)
async def test_an_unbalanced_entry_is_refused_at_commit(
    world: World, lines: list[tuple[str, int, int]], balances: bool
) -> None:
    async def post() -> None:
        async with write(world.engine) as tx:
            await tx.execute(
                text("""
                    INSERT INTO journal_entry
                    VALUES (:id, :entity, 2026, 1, 'JE-1', '2026-09-30', 'payment', :id, 'EUR')
                """),
                {"id": an_id("1e9"), "entity": DE01},
            )
            for number, (role, debit, credit) in enumerate(lines, start=1):
                await tx.execute(
                    text("""
                        INSERT INTO journal_line
                        VALUES (:id, :number, '1', :role, :debit, :credit, :contract)
                    """),
                    {
                        "id": an_id("1e9"),
                        "number": number,
                        "role": role,
                        "debit": debit,
                        "credit": credit,
                        "contract": CONTRACT,
                    },
                )

    if balances:
        await post()
        with pytest.raises(DBAPIError, match="off balance"):
            async with write(world.engine) as tx:
                await tx.execute(
                    text("INSERT INTO journal_line VALUES (:id, 3, '1', 'revenue', 0, 1)"),
                    {"id": an_id("1e9")},
                )
    else:
        with pytest.raises(DBAPIError, match="off balance"):
            await post()
