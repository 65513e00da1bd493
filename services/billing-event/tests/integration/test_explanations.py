"""How a row came to be is kept with it, and shown: rule, figures, and sentences."""

from dataclasses import replace
from datetime import date
from typing import Any

import asyncpg
import pytest
from billing_event_builders import (
    EXPENSES,
    FIXED_FEE,
    NOW,
    SUPPORT,
    a_contract,
    a_contract_with_a_block,
    a_milestone,
    activated,
    an_approved_entry,
    an_expense,
    an_id,
    an_item,
    approved,
    eur,
    published,
    recorded,
)
from billing_event_rerating import a_version, amended
from billing_event_world import fetch, row_ids, take
from sqlalchemy.ext.asyncio import AsyncEngine

from billing_event.commands import rate, retainer
from billing_event.domain.source import ContractLineId, ItemType, SourceItem
from throughline.billing_event.v1 import billing_event_service_pb2 as pb
from throughline.billing_event.v1.billing_event_service_pb2_grpc import BillingEventServiceStub
from throughline.common.v1 import money_pb2
from throughline.customer_contract.v1 import contract_pb2
from throughline_runtime import database as runtime_database
from throughline_testing.database import Database
from throughline_testing.serving import Running, a_caller

AN_HOUR = money_pb2.Money(amount="180.00", currency="EUR")
FINANCE = a_caller("finance", subject="user:fin")


def a_contract_of_all_kinds() -> contract_pb2.Contract:
    """Return the story's contract, rounded to quarters, its support line a retainer of 20 hours."""
    contract = a_contract_with_a_block()
    contract.time_rounding_minutes = 15
    contract.time_rounding_mode = contract_pb2.TIME_ROUNDING_MODE_UP
    return contract


async def explained(running: Running, row_id: str) -> pb.RatingExplanation:
    stub: Any = running.stub(BillingEventServiceStub, caller=FINANCE)
    request = pb.GetBillingEventRequest(billing_event_id=row_id)
    shown: pb.GetBillingEventResponse = await stub.GetBillingEvent(request)
    return shown.explanation


async def rate_all(engine: AsyncEngine, *items: SourceItem) -> None:
    async with runtime_database.write(engine) as tx:
        await rate.rate(tx, items, at=NOW)


async def test_an_hour_is_shown_with_every_figure_it_was_made_of(
    engine: AsyncEngine, running: Running
) -> None:
    await take(engine, recorded(), activated(a_contract_of_all_kinds()))
    await take(engine, approved(an_approved_entry(1, minutes=50)))
    [row_id] = await row_ids(engine)
    shown = await explained(running, row_id)
    assert shown == pb.RatingExplanation(
        rule=pb.RATING_RULE_LINE_ROLE,
        contract_version=1,
        base_rate=AN_HOUR,
        minutes=50,
        rounding_minutes=15,
        rounding_mode="up",
        quantity="1.00",
        unit_rate=AN_HOUR,
        amount=AN_HOUR,
        steps=[
            "Rate: contract line rate of senior_consultant: 180.00 EUR an hour (terms version 1).",
            "Time: 50 minutes recorded, rounded up to a multiple of 15: 1.00 hours.",
            "Amount: 1.00 hours times 180.00 EUR is 180.00 EUR.",
        ],
    )


async def test_later_terms_say_from_when_they_hold_and_a_card_which_version_it_was(
    engine: AsyncEngine, running: Running
) -> None:
    later = a_version(2, "2026-09-05", "190.00")
    await take(engine, recorded(), activated(a_contract()), amended(later))
    await take(engine, published({"architect": "210.00"}, version=3))
    entry = an_approved_entry(1, role="architect", work_date="2026-09-07")
    await take(engine, approved(entry))
    [row_id] = await row_ids(engine)
    shown = await explained(running, row_id)
    assert (shown.contract_version, shown.terms_effective_on) == (2, "2026-09-05")
    assert shown.rule in (pb.RATING_RULE_CONTRACT_CARD, pb.RATING_RULE_ENTITY_CARD)
    assert (shown.rate_card_id, shown.rate_card_version) == (str(an_id("d1")), 3)


AN_AMOUNT = a_milestone(eur("40.00"), contract_line_id=FIXED_FEE, is_accepted=True)


@pytest.mark.parametrize(
    ("item", "rule"),
    [
        (an_expense(eur("40.00"), contract_line_id=EXPENSES), pb.RATING_RULE_COST_PLUS),
        (AN_AMOUNT, pb.RATING_RULE_AGREED),
        (replace(AN_AMOUNT, type=ItemType.RECURRING), pb.RATING_RULE_AGREED),
        (replace(AN_AMOUNT, type=ItemType.PROGRESS), pb.RATING_RULE_AGREED),
        (replace(AN_AMOUNT, type=ItemType.ADJUSTMENT), pb.RATING_RULE_AGREED),
        (replace(AN_AMOUNT, type=ItemType.USAGE), pb.RATING_RULE_USAGE_TIER),
    ],
)
async def test_what_came_with_a_price_is_shown_with_it(
    engine: AsyncEngine, running: Running, item: SourceItem, rule: pb.RatingRule.ValueType
) -> None:
    await take(engine, recorded(), activated(a_contract_of_all_kinds()))
    await rate_all(engine, item)
    [row_id] = await row_ids(engine)
    shown = await explained(running, row_id)
    assert (shown.rule, shown.base_rate.amount) == (rule, "40.00")
    assert not shown.HasField("minutes")
    assert not shown.HasField("rounding_minutes")


async def test_a_draw_is_explained_by_the_block_and_what_is_beyond_it_by_the_overage(
    engine: AsyncEngine, running: Running
) -> None:
    await take(engine, recorded(), activated(a_contract_of_all_kinds()))
    async with runtime_database.write(engine) as tx:
        await rate.charge(tx, {"Europe/Berlin": date(2026, 9, 14)}, at=NOW, limit=10)
        await retainer.turn_due(tx, {"Europe/Berlin": date(2026, 9, 14)}, at=NOW)
    await rate_all(engine, an_item(contract_line_id=SUPPORT, minutes=21 * 60))
    block, drawn, beyond = [
        await explained(running, row_id) for row_id in await row_ids_of(engine, SUPPORT)
    ]
    assert block.steps[-1] == "It is invoiced in advance and earned as the retainer is drawn on."
    assert (drawn.rule, drawn.base_rate.amount) == (pb.RATING_RULE_RETAINER_BLOCK, "150.00")
    assert drawn.steps[-1] == "A retainer pays for it: it is not invoiced by itself."
    assert (beyond.rule, beyond.base_rate.amount) == (pb.RATING_RULE_RETAINER_OVERAGE, "175.00")


async def test_rows_from_before_are_explained_in_the_words_they_have(
    engine: AsyncEngine, running: Running, database: Database
) -> None:
    await take(engine, recorded(), activated(a_contract()), approved(an_approved_entry(1)))
    [row_id] = await row_ids(engine)
    owner = await asyncpg.connect(database.owner_url.replace("+asyncpg", ""))
    try:
        await owner.execute("ALTER TABLE billing_event DISABLE TRIGGER USER")
        await owner.execute(
            """UPDATE billing_event SET rate_rule = NULL, base_rate = NULL,
                   rounding_minutes = NULL, rounding_mode = NULL"""
        )
    finally:
        await owner.close()
    shown = await explained(running, row_id)
    assert shown.rule == pb.RATING_RULE_UNSPECIFIED
    assert not shown.HasField("base_rate")
    assert shown.steps[0].startswith("Rate: contract line rate of senior_consultant")
    assert shown.amount.amount == "1440.00"


@pytest.mark.parametrize(
    "change",
    [
        "rate_rule = 'guessed'",
        "base_rate = NULL",
        "base_rate = 'NaN'",
        "rounding_minutes = NULL",
        "rounding_minutes = 0",
        "rounding_mode = 'sideways'",
    ],
)
async def test_half_an_explanation_is_not_kept(
    engine: AsyncEngine, database: Database, change: str
) -> None:
    await take(engine, recorded(), activated(a_contract()), approved(an_approved_entry(1)))
    owner = await asyncpg.connect(database.owner_url.replace("+asyncpg", ""))
    try:
        await owner.execute("ALTER TABLE billing_event DISABLE TRIGGER USER")
        with pytest.raises(asyncpg.CheckViolationError):
            await owner.execute(f"UPDATE billing_event SET {change}")
    finally:
        await owner.close()


async def row_ids_of(engine: AsyncEngine, contract_line_id: ContractLineId) -> list[str]:
    """Return the rows of a line, the block of a retainer first."""
    found = await fetch(
        engine,
        """SELECT billing_event_id FROM billing_event WHERE contract_line_id = :line
           ORDER BY treatment <> 'prepayment', part""",
        line=contract_line_id,
    )
    return [str(row.billing_event_id) for row in found]
