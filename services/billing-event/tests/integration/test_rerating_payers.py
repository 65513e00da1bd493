"""A run over work of payers by amount posts what its preview showed, in whatever chunks it goes."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from billing_event_builders import activated, billed
from billing_event_case_terms import CUSTOMERS, a_contract_of, a_customer_of, amended
from billing_event_rerating import Desk, Invoicing, ledger, work
from billing_event_world import assert_sound, fetch, row_ids, take
from sqlalchemy.ext.asyncio import AsyncEngine

from billing_event.commands import rerating_apply, rerating_drive, rerating_preview
from throughline.billing_event.v1 import rerating_service_pb2 as pb
from throughline_runtime.context import Context
from throughline_testing.serving import Running

BILLED = """
    SELECT source_item_id, bill_to_customer_id, unit_rate, sum(quantity) AS quantity
    FROM billing_event GROUP BY 1, 2, 3 HAVING sum(quantity) <> 0
"""


@pytest.fixture
def invoicing() -> Invoicing:
    return Invoicing()


@pytest.fixture
async def peers(invoicing: Invoicing) -> AsyncIterator[dict[str, str]]:
    async with invoicing.serve() as targets:
        yield targets


@pytest.fixture
def desk(running: Running, context: Context, engine: AsyncEngine) -> Desk:
    return Desk(running, context, engine)


def shown(items: list[pb.ReratingItem]) -> set[tuple[str, str, Decimal, Decimal]]:
    """Return thing, payer, rate and quantity of what is billed once a preview is posted."""
    return {
        (
            item.source_item_id,
            part.payer_customer_id,
            Decimal(part.unit_rate.amount),
            Decimal(part.new_quantity),
        )
        for item in items
        for part in item.parts
        if Decimal(part.new_quantity)
    }


@pytest.mark.parametrize("seconds", [5.0, 0.0])
async def test_what_each_payer_bears_is_what_the_preview_showed(
    engine: AsyncEngine, desk: Desk, monkeypatch: pytest.MonkeyPatch, *, seconds: float
) -> None:
    monkeypatch.setattr(rerating_preview, "PREVIEWED_MAX", 2)
    monkeypatch.setattr(rerating_apply, "APPLIED_MAX", 3)
    monkeypatch.setattr(rerating_drive, "_WORK_SECONDS", seconds)
    terms = {
        "rates": {"senior_consultant": "100.00"},
        "payers": ["beta 2600.00 EUR first", "gamma 40 %", "alpha 60 % rounding"],
    }
    cheaper = {**terms, "from": "2026-09-01", "rates": {"senior_consultant": "66.67"}}
    await take(engine, *(a_customer_of(name, version=1) for name in CUSTOMERS))
    await take(engine, activated(a_contract_of(terms)))
    for number in range(1, 8):
        await take(engine, work(number, f"2026-09-{7 + number % 3:02}"))
    first, *_ = await row_ids(engine)
    await take(engine, billed((first, "8.00", "800.00")))
    await take(engine, amended(a_contract_of(cheaper, version=2), cheaper))

    run_id = await desk.open()
    for _ in range(9):
        await desk.drive()
    items = await desk.items(run_id)
    assert len(items) == 7
    # Cheaper by a third, the amount of the first payer lasts for a half more.
    beta = sum(
        quantity for _, payer, _, quantity in shown(items) if payer == str(CUSTOMERS["beta"])
    )
    assert beta == Decimal("38.99")

    await desk.approve(run_id)
    for _ in range(9):
        await desk.drive()
    run = await desk.run(run_id)
    assert (run.status_text, run.progress.items_applied) == ("applied", 7)
    assert shown(items) == {
        (str(row.source_item_id), str(row.bill_to_customer_id), row.unit_rate, row.quantity)
        for row in await fetch(engine, BILLED)
    }
    await assert_sound(engine)


async def test_what_would_move_to_a_payer_who_has_nothing_left_by_now_is_left_alone(
    engine: AsyncEngine, desk: Desk
) -> None:
    terms = {
        "rates": {"senior_consultant": "100.00"},
        "payers": ["beta 400.00 EUR first", "alpha 100 %"],
    }
    more = {**terms, "from": "2026-09-01", "payers": ["beta 800.00 EUR first", "alpha 100 %"]}
    await take(engine, *(a_customer_of(name, version=1) for name in CUSTOMERS))
    await take(engine, activated(a_contract_of(terms)), work(1))
    await take(engine, amended(a_contract_of(more, version=2), more))
    run_id = await desk.previewed(move_payers=True)
    [item] = await desk.items(run_id, different_only=True)
    await desk.approve(run_id)
    await take(engine, work(2, "2026-09-08", minutes=240))
    await desk.drive()

    [item] = await desk.items(run_id)
    assert item.outcome == pb.RERATING_OUTCOME_OUTDATED
    assert item.reason == "its rows or its price changed since the preview"
    assert await ledger(engine) == ["original 4.00 x 100.00 released"] * 3
    await assert_sound(engine)
