"""What credit notes give back is open again, or given up; the limits follow."""

from decimal import Decimal

import pytest
from billing_event_builders import (
    a_contract,
    activated,
    an_approved_entry,
    approved,
    billed,
    credited,
    recorded,
)
from billing_event_world import limit, row_ids, take, totals
from sqlalchemy.ext.asyncio import AsyncEngine

from billing_event.commands.credit import CreditBeforeInvoice
from throughline.invoice_payment.v1 import invoice_pb2

WRITE_OFF = invoice_pb2.CREDIT_DISPOSITION_WRITE_OFF


async def figures(engine: AsyncEngine) -> dict[str, Decimal]:
    found = (await totals(engine))["positions"]
    names = ("invoiced", "credited", "allocated", "open_released")
    return {name: Decimal(found[f"{name}.EUR"]) for name in names}


async def test_what_is_given_back_is_open_again_once_and_reserved(engine: AsyncEngine) -> None:
    await take(engine, recorded(), activated(a_contract(not_to_exceed="2000.00")))
    await take(engine, approved(an_approved_entry(1)))
    [row_id] = await row_ids(engine)
    await take(engine, billed((row_id, "8.00", "1440.00")))
    for _ in range(2):
        await take(engine, credited((row_id, "3.50", "630.00")))

    assert await figures(engine) == {
        "invoiced": 1440,
        "credited": 630,
        "allocated": 810,
        "open_released": 630,
    }
    assert await limit(engine) == ("2000.00", "630.00", "810.00")

    await take(engine, billed((row_id, "3.50", "630.00"), invoice="1a4"))
    assert (await figures(engine))["open_released"] == 0
    assert await limit(engine) == ("2000.00", "0.00", "1440.00")


async def test_what_is_given_up_is_not_open_and_frees_its_limit(engine: AsyncEngine) -> None:
    await take(engine, recorded(), activated(a_contract(not_to_exceed="2000.00")))
    await take(engine, approved(an_approved_entry(1)))
    [row_id] = await row_ids(engine)
    await take(engine, billed((row_id, "8.00", "1440.00")))
    await take(engine, credited((row_id, "3.50", "630.00"), disposition=WRITE_OFF))

    assert (await figures(engine))["open_released"] == 0
    assert await limit(engine) == ("2000.00", "0.00", "810.00")
    assert (await totals(engine))["limits"]["over_committed"] == 0


async def test_a_credit_that_comes_before_its_invoice_is_tried_again(engine: AsyncEngine) -> None:
    await take(engine, recorded(), activated(a_contract()), approved(an_approved_entry(1)))
    [row_id] = await row_ids(engine)
    with pytest.raises(CreditBeforeInvoice):
        await take(engine, credited((row_id, "3.50", "630.00")))
