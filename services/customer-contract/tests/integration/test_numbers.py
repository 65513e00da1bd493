"""The numbers people use."""

import asyncio

from customer_contract_world import World
from sqlalchemy import text


async def test_contracts_drafted_at_once_are_numbered_one_after_the_other(world: World) -> None:
    drafts = await asyncio.gather(*(world.a_draft(f"quote-{number}") for number in range(6)))

    assert sorted(draft.number for draft in drafts) == [f"CT-{n:06}" for n in range(1, 7)]


async def test_a_number_grows_longer_once_six_digits_are_used_up(world: World) -> None:
    async with world.engine.begin() as tx:
        await tx.execute(
            text("UPDATE number_series SET last = 999998 WHERE series IN ('contract', 'quote')")
        )
    first, second = await world.a_draft("quote-1"), await world.a_draft("quote-2")

    assert (first.number, second.number) == ("CT-999999", "CT-1000000")
