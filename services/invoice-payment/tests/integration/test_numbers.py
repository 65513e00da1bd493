"""Numbers run from 1 without gap or repeat, whoever issues and whatever is rolled back."""

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from invoice_payment_builders import DE01
from invoice_payment_world import SERVICE, World, a_batch
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from invoice_payment.commands import invoice as invoices
from invoice_payment.domain.series import Series
from invoice_payment.queries import ledger as queries
from invoice_payment.repository import invoice as repository
from throughline_core.errors import Aborted
from throughline_runtime.database import read
from throughline_runtime.identity import acting_as

AT = datetime(2026, 9, 30, 16, tzinfo=UTC)


class RolledBack(Exception):
    """Raised after numbers were taken, so that their transaction has no effect."""


async def approved_invoices(world: World, count: int) -> list[UUID]:
    for contract_id in await world.sign(count):
        await world.release(a_batch(1, contract_id=contract_id))
    await world.approve(await world.draft())
    rows = await world.rows("SELECT invoice_id FROM invoice ORDER BY invoice_id")
    return [invoice_id for [invoice_id] in rows]


async def issue(world: World, invoice_ids: Sequence[UUID], *, rolls_back: bool) -> None:
    async def command(tx: AsyncConnection) -> None:
        approved = await repository.load(tx, invoice_ids)
        await invoices.issue_invoices(tx, approved, at=AT)
        if rolls_back:
            raise RolledBack

    for _ in range(20):
        try:
            return await world.do(command)
        except RolledBack:
            rolls_back = False
        except Aborted:
            await asyncio.sleep(random.random() / 20)
    raise AssertionError("twenty attempts were not enough")


async def test_parallel_issue_with_rollbacks_leaves_no_gap(world: World) -> None:
    dice = random.Random(7)
    invoice_ids = await approved_invoices(world, 60)
    dice.shuffle(invoice_ids)
    chunks = [invoice_ids[start : start + 3] for start in range(0, 60, 3)]

    await asyncio.gather(
        *(issue(world, chunk, rolls_back=number % 10 < 2) for number, chunk in enumerate(chunks))
    )

    sequences = await world.rows("SELECT sequence FROM invoice ORDER BY sequence")
    assert sequences == [(number,) for number in range(1, 61)]
    totals = await world.totals()
    assert totals["number_series"] == {"series": 2, "gaps": 0, "repeats": 0}
    assert totals["issued_chain"] == {"breaks": 0}
    assert totals["journal"]["unbalanced"] == 0


async def test_a_new_year_begins_at_one(world: World) -> None:
    first, second = await approved_invoices(world, 2)

    await world.do(lambda tx: invoices.issue_invoice(tx, first, at=AT))
    silvester = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)  # 2027 in Berlin by then.
    await world.do(lambda tx: invoices.issue_invoice(tx, second, at=silvester))

    numbers = await world.rows("SELECT number FROM invoice ORDER BY number")
    assert numbers == [("INV-DE01-2026-000001",), ("INV-DE01-2027-000001",)]


async def test_the_gap_report_proves_a_series_and_finds_what_is_missing(world: World) -> None:
    await issue(world, await approved_invoices(world, 5), rolls_back=False)

    with acting_as(SERVICE):
        async with read(world.engine) as tx:
            whole = await queries.gap_report(tx, DE01, Series.INVOICE, 2026)
    assert (whole.complete, whole.documents, whole.series.last_number) == (True, 5, 5)

    skip = text("UPDATE number_series SET last_number = last_number + 2 WHERE series = 'invoice'")
    await world.do(lambda tx: tx.execute(skip))
    with acting_as(SERVICE):
        async with read(world.engine) as tx:
            torn = await queries.gap_report(tx, DE01, Series.INVOICE, 2026)
    assert (torn.complete, list(torn.gaps)) == (False, [6, 7])
    assert (await world.totals())["number_series"]["gaps"] == 2
