"""The chain can be walked both ways, whatever the order in which its events arrive."""

import random
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from reporting import lineage, queries
from reporting.consumers import SUBSCRIPTIONS
from reporting.domain import LineageNotFound, UnknownKind
from reporting.tables import metadata
from throughline.reporting.v1 import lineage_service_pb2 as pb
from throughline_runtime.database import read, write
from throughline_runtime.migrate import assert_no_drift
from throughline_testing.samples import sample
from throughline_testing.statements import Statements

TIME_ENTRY = "01980000-0000-7000-8000-000000000151"
PAYMENT = "01980000-0000-7000-8000-0000000001d1"


async def take_everything(engine: AsyncEngine, *, seed: int) -> None:
    subscriptions = list(SUBSCRIPTIONS)
    random.Random(seed).shuffle(subscriptions)
    for subscription in subscriptions:
        async with write(engine) as tx:
            await subscription.function(tx, [sample(subscription.message)])


async def walk(engine: AsyncEngine, **question: Any) -> pb.GetLineageResponse:
    defaults = {
        "towards_origin": True,
        "towards_outcome": True,
        "limit": 500,
        "entities": None,
    }
    async with read(engine) as tx:
        return await lineage.walk(tx, **{**defaults, **question})


async def test_the_tables_are_what_the_migrations_make(engine: AsyncEngine) -> None:
    await assert_no_drift(engine, metadata)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_an_hour_leads_back_to_the_quote_line_and_on_to_cash_and_ledger(
    engine: AsyncEngine, seed: int
) -> None:
    await take_everything(engine, seed=seed)

    chain = await walk(engine, kind="time_entry", key=TIME_ENTRY)

    before = {node.kind for node in chain.nodes if node.distance < 0}
    after = {node.kind for node in chain.nodes if node.distance > 0}
    assert {"task", "contract_line", "quote_line"} <= before
    assert {"billing_event", "invoice_line", "invoice", "payment", "journal_entry"} <= after
    assert not chain.truncated


async def test_a_payment_leads_back_to_the_quote_line(engine: AsyncEngine) -> None:
    await take_everything(engine, seed=4)

    chain = await walk(engine, kind="payment", key=PAYMENT, towards_outcome=False)

    assert {"invoice", "invoice_line", "billing_event", "time_entry", "quote_line"} <= {
        node.kind for node in chain.nodes
    }
    assert all(node.distance <= 0 for node in chain.nodes)


async def test_an_invoice_is_found_by_its_number(engine: AsyncEngine) -> None:
    await take_everything(engine, seed=5)
    by_id = await walk(engine, kind="invoice", key="01980000-0000-7000-8000-0000000001a1")
    by_number = await walk(engine, kind="invoice", key=by_id.nodes[0].label)
    assert by_number == by_id


async def test_a_cut_chain_says_so(engine: AsyncEngine) -> None:
    await take_everything(engine, seed=6)
    chain = await walk(engine, kind="time_entry", key=TIME_ENTRY, limit=3)
    assert chain.truncated
    assert len(chain.nodes) == 3


async def test_what_is_not_there_or_not_ours_is_not_found(engine: AsyncEngine) -> None:
    await take_everything(engine, seed=7)
    with pytest.raises(LineageNotFound):
        await walk(engine, kind="invoice", key="INV-NONE")
    with pytest.raises(LineageNotFound):
        await walk(engine, kind="time_entry", key=TIME_ENTRY, entities=frozenset())
    with pytest.raises(UnknownKind):
        await walk(engine, kind="cent", key="1")


async def test_positions_add_up_after_any_repetition(engine: AsyncEngine) -> None:
    for seed in (8, 9):
        await take_everything(engine, seed=seed)

    async with read(engine) as tx:
        rows = await queries.positions(
            tx, after=None, page_size=50, contract_id=None, customer_id=None, entities=None
        )

    assert len(rows) == 4
    by_model = {row.billing_model: row for row in rows}
    assert by_model["fixed_fee"].contracted == "24000"
    assert by_model["time_and_materials"].approved_minutes == 480


async def test_a_batch_costs_the_same_statements_whatever_its_size(
    engine: AsyncEngine, statements: Statements
) -> None:
    by_subject = {each.subject: each for each in SUBSCRIPTIONS}
    subscription = by_subject["project_provisioning.time.approved.v1"]
    small = sample(subscription.message)
    large = sample(subscription.message)
    for _ in range(499):
        large.entries.append(large.entries[0])
    counts = []
    for event in (small, large):
        statements.clear()
        async with write(engine) as tx:
            await subscription.function(tx, [event])
        counts.append(len(statements))
    assert counts[0] == counts[1]
